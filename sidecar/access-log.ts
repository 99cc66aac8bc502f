// The access log: one line per finished request, on standard output, in a file, or as records to a collector, when the
// Mesh document asks for it. Never slows traffic: lines gather and go out together, and when the reader is too slow they
// are dropped and counted. What a line says is observe/access-line.ts.
import { isDeepStrictEqual } from "node:util";
import type { AccessLogResource, OtlpTarget } from "../rules/telemetry-resource.ts";
import { type Clock, sleep } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import type { Random } from "../runtime/random.ts";
import { BACKLOG_BYTES_MAX, type LineTarget, LogFile } from "./log-file.ts";
import { type LineFormat, lineFormat } from "./observe/access-line.ts";
import type { ExchangeObserver, ExchangeRecord } from "./observe/exchange-record.ts";
import { hasFailed } from "./observe/failed-exchange.ts";
import type { ItemOutcome } from "./observe/otlp/batch-queue.ts";
import type { LogWriter } from "./observe/otlp/log-writer.ts";

/** Gathered before they go out without waiting for the time below. */
const GATHER_LENGTH_MAX = 64 * 1024;
const FLUSH_EVERY_MS = 100;
/** At the end, for what standard output has not taken yet. */
const CLOSE_MS = 1_000;

/** A stream, as far as it is needed here. */
export interface LineSink {
  readonly writableLength: number;
  /** @param done called when this and what came before is out */
  write(text: string, done?: () => void): unknown;
}

export interface AccessLogOptions {
  readonly stdout: LineSink;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Told of lines and records that went out, and of those that did not. */
  readonly count: (outcome: ItemOutcome, lines: number) => void;
  /** Loads what sends records by OTLP. */
  readonly openOtlp: (target: OtlpTarget, headers: readonly string[]) => Promise<LogWriter>;
}

export class AccessLog implements ExchangeObserver {
  readonly #options: AccessLogOptions;
  #target: LineTarget | undefined;
  #writer: LogWriter | undefined;
  #settings: AccessLogResource | undefined;
  #format: LineFormat = () => "";
  #pending = "";
  #pendingLines = 0;
  #isFlushSet = false;
  #dropped = 0;
  /** From the clock of durations to that of the wall, as of the last flush. */
  #epochMs = Number.NaN;
  #timeMs = Number.NaN;
  #time = "";
  #second = Number.NaN;
  /** Date and time to the second, and the point. */
  #secondText = "";

  constructor(options: AccessLogOptions) {
    this.#options = options;
  }

  /** Acts on these settings. @returns whether requests are logged */
  configure(settings: AccessLogResource): boolean {
    const before = this.#settings;
    this.#settings = settings;
    const { enabled, file, otlp } = settings;
    const isSame = before?.enabled === true && before.file === file && isSameTarget(before, settings);
    if (!enabled) void this.close();
    else if (!isSame || (this.#target === undefined && otlp === undefined)) this.#open(settings);
    this.#format = lineFormat(settings);
    return enabled;
  }

  /** Writes what is there; resolves when what goes to a collector is out, or after a short while. */
  async close(): Promise<void> {
    this.#flush();
    const parts = [this.#target, this.#writer];
    this.#target = undefined;
    this.#writer = undefined;
    await Promise.all(parts.map((part) => part?.close()));
  }

  /** Begins a new file where the old one was moved away. */
  async reopen(): Promise<void> {
    this.#flush();
    await this.#target?.reopen();
  }

  onExchange(record: ExchangeRecord): void {
    if (!this.#isWanted(record)) return;
    const { clock } = this.#options;
    if (this.#settings?.otlp !== undefined) {
      if (this.#writer === undefined) this.#options.count("dropped", 1);
      else this.#writer.write(record, clock.wall());
      return;
    }
    if (this.#pendingLines++ === 0) this.#epochMs = clock.wall() - clock.now();
    this.#pending += this.#format(record, this.#timeText(Math.floor(this.#epochMs + record.endedMs)));
    if (this.#pending.length >= GATHER_LENGTH_MAX) this.#flush();
    else if (!this.#isFlushSet) {
      this.#isFlushSet = true;
      clock.after(FLUSH_EVERY_MS, () => {
        this.#isFlushSet = false;
        this.#flush();
      });
    }
  }

  /** Many requests end in one millisecond, and writing a date costs as much as the rest of a line. */
  #timeText(wallMs: number): string {
    if (wallMs === this.#timeMs) return this.#time;
    const second = Math.floor(wallMs / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#secondText = new Date(wallMs).toISOString().slice(0, -"000Z".length);
    }
    this.#timeMs = wallMs;
    this.#time = `${this.#secondText}${String(wallMs - second * 1_000).padStart(3, "0")}Z`;
    return this.#time;
  }

  #isWanted(record: ExchangeRecord): boolean {
    const filter = this.#settings?.filter;
    if (filter === undefined) return false;
    const { errors, slowerThanMs, samplingPercent } = filter;
    if (samplingPercent >= 100) return true;
    if (errors && hasFailed(record)) return true;
    if (slowerThanMs > 0 && record.durationMs > slowerThanMs) return true;
    return samplingPercent > 0 && this.#options.random.next() * 100 < samplingPercent;
  }

  #open({ file, otlp, headers }: AccessLogResource): void {
    void this.close();
    if (otlp !== undefined) void this.#openOtlp(otlp, headers);
    else if (file === "") this.#target = new StandardOutput(this.#options);
    else this.#target = new LogFile({ ...this.#options, file });
  }

  async #openOtlp(target: OtlpTarget, headers: readonly string[]): Promise<void> {
    try {
      const writer = await this.#options.openOtlp(target, headers);
      const now = this.#settings;
      const isWanted = now?.enabled === true && isSameTarget(now, { otlp: target, headers });
      if (isWanted && this.#writer === undefined) this.#writer = writer;
      else await writer.close();
    } catch (error) {
      this.#options.log.error({ err: error }, "the access log cannot be sent by OTLP");
    }
  }

  #flush(): void {
    const text = this.#pending;
    const lines = this.#pendingLines;
    this.#pending = "";
    this.#pendingLines = 0;
    if (lines === 0) return;
    const { count, log } = this.#options;
    if (this.#target === undefined || this.#target.isFull) {
      this.#dropped += lines;
      return count("dropped", lines);
    }
    this.#target.write(text, lines);
    if (this.#dropped > 0) log.warn({ lines: this.#dropped }, "access log lines were dropped: nobody took them");
    this.#dropped = 0;
  }
}

/** Belongs to the process, and ends with it. */
class StandardOutput implements LineTarget {
  readonly #stdout: LineSink;
  readonly #clock: Clock;
  readonly #count: AccessLogOptions["count"];

  constructor({ stdout, clock, count }: AccessLogOptions) {
    this.#stdout = stdout;
    this.#clock = clock;
    this.#count = count;
  }

  get isFull(): boolean {
    return this.#stdout.writableLength >= BACKLOG_BYTES_MAX;
  }

  write(text: string, lines: number): void {
    this.#stdout.write(text);
    this.#count("exported", lines);
  }

  reopen(): Promise<void> {
    return Promise.resolve();
  }

  async close(): Promise<void> {
    if (this.#stdout.writableLength === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#stdout.write("", resolve);
    await Promise.race([promise, sleep(this.#clock, CLOSE_MS)]);
  }
}

type Target = Pick<AccessLogResource, "otlp" | "headers">;

/** The fields that are sent are the writer's; those of lines are not. */
function isSameTarget(a: Target, b: Target): boolean {
  return isDeepStrictEqual(a.otlp, b.otlp) && (a.otlp === undefined || isDeepStrictEqual(a.headers, b.headers));
}
