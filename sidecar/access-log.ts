// The access log: one line per finished request, on standard output or in a file, when the Mesh document asks for it.
// Never slows traffic: lines gather and go out together, and when the reader is too slow they are dropped and counted.
import { createWriteStream } from "node:fs";
import type { MeshResource } from "../rules/resource.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import type { AccessRecord } from "./proxy/data-path.ts";

/** Bytes that wait for a slow reader before lines are dropped. */
const BACKLOG_BYTES_MAX = 4 * 1024 * 1024;
const FLUSH_EVERY_MS = 100;

/** A stream, as far as it is needed here. */
export interface LineSink {
  readonly writableLength: number;
  write(text: string): unknown;
}

type Settings = MeshResource["accessLog"];
type Format = (record: AccessRecord, time: string) => string;

export class AccessLog {
  readonly #stdout: LineSink;
  readonly #clock: Clock;
  readonly #log: Log;
  #sink: LineSink | undefined;
  #close: (() => void) | undefined;
  #settings: Settings | undefined;
  #format: Format = jsonLine;
  #pending = "";
  #isFlushSet = false;
  #dropped = 0;

  constructor(stdout: LineSink, clock: Clock, log: Log) {
    this.#stdout = stdout;
    this.#clock = clock;
    this.#log = log;
  }

  /** The function that takes records, or undefined while there is no log. */
  configure(settings: Settings): ((record: AccessRecord) => void) | undefined {
    const { enabled, file, format } = settings;
    if (!enabled) this.close();
    else if (this.#settings?.file !== file || this.#sink === undefined) this.#open(file);
    this.#format = format === "text" ? textLine : jsonLine;
    this.#settings = settings;
    return enabled ? this.#record : undefined;
  }

  close(): void {
    this.#flush();
    this.#close?.();
    this.#close = undefined;
    this.#sink = undefined;
  }

  #open(file: string): void {
    this.close();
    if (file === "") {
      this.#sink = this.#stdout;
      return;
    }
    const stream = createWriteStream(file, { flags: "a" });
    stream.on("error", (error) => {
      this.#log.error({ file, reason: error.message }, "cannot write the access log");
      if (this.#sink === stream) this.#sink = undefined;
    });
    this.#sink = stream;
    this.#close = () => stream.end();
  }

  readonly #record = (record: AccessRecord): void => {
    this.#pending += this.#format(record, new Date(this.#clock.wall()).toISOString());
    if (this.#isFlushSet) return;
    this.#isFlushSet = true;
    this.#clock.after(FLUSH_EVERY_MS, () => this.#flush());
  };

  #flush(): void {
    const text = this.#pending;
    this.#pending = "";
    this.#isFlushSet = false;
    if (text === "" || this.#sink === undefined) return;
    if (this.#sink.writableLength < BACKLOG_BYTES_MAX) {
      this.#sink.write(text);
      if (this.#dropped > 0) this.#log.warn({ flushes: this.#dropped }, "access log lines were dropped: slow reader");
      this.#dropped = 0;
    } else this.#dropped++;
  }
}

function jsonLine(record: AccessRecord, time: string): string {
  return `${JSON.stringify({ time, ...record, durationMs: Math.round(record.durationMs * 1_000) / 1_000 })}\n`;
}

/** `TIME DIRECTION "METHOD AUTHORITY TARGET" STATUS REASON SERVICE BACKEND ENDPOINT TRIES DURATION`, "-" for nothing. */
function textLine(record: AccessRecord, time: string): string {
  const { direction, method, authority, target, status, reason, service, backend, endpoint, tries, durationMs } =
    record;
  const words = [service, backend, endpoint].map((word) => (word === "" ? "-" : word)).join(" ");
  const request = JSON.stringify(`${method} ${authority} ${target}`);
  return `${time} ${direction} ${request} ${status} ${reason === "" ? "-" : reason} ${words} ${tries} ${durationMs.toFixed(3)}\n`;
}
