// Turns traces and the access log on and off as the Mesh document says, while requests go on. One of each per process
// that carries traffic. What is traced is observe/tracing/, what a line says observe/access-line.ts.
import { isDeepStrictEqual } from "node:util";
import type { MeshResource } from "../rules/resource.ts";
import type { OtlpTarget, TracingResource } from "../rules/telemetry-resource.ts";
import { AccessLog, type LineSink } from "./access-log.ts";
import type { ExchangeObserver } from "./observe/exchange-record.ts";
import type { ItemOutcome } from "./observe/otlp/batch-queue.ts";
import { type PendingIdentity, resourceAttributes } from "./observe/otlp/identity.ts";
import type { Signal } from "./observe/otlp/targets.ts";
import { type SpanWriter, Tracing } from "./observe/tracing/tracing.ts";
import type { DataPath } from "./proxy/data-path.ts";

/** From now on `observer` is told of exchanges, or not any more. */
export function observe({ observers }: DataPath, observer: ExchangeObserver, isOn: boolean): void {
  const index = observers.indexOf(observer);
  if (isOn && index < 0) observers.push(observer);
  else if (!isOn && index >= 0) observers.splice(index, 1);
}

/** The access log of a process, not told anything yet. */
export function accessLogOf(path: DataPath, identity: PendingIdentity, stdout: LineSink): AccessLog {
  const { clock, random, log } = path;
  const count = counterOf(path, "logs");
  return new AccessLog({
    ...{ stdout, clock, random, log, count },
    openOtlp: async (target, headers) => {
      const { startLogWriter } = await import("./observe/otlp/log-writer.ts");
      const attributes = resourceAttributes(await identity.whole, {});
      return startLogWriter({ target, attributes, headers, clock, count, onChange: reporterOf(path, "logs", target) });
    },
  });
}

/** Counts what became of items of a signal. */
function counterOf({ metrics }: DataPath, signal: Signal): (outcome: ItemOutcome, items: number) => void {
  return (outcome, items) => {
    if (items > 0) metrics.telemetry.cell(signal, outcome).value += items;
  };
}

/** Says when a collector stops taking a signal, and when it takes it again. */
function reporterOf({ log }: DataPath, signal: Signal, { endpoint }: OtlpTarget): (error: string) => void {
  return (error) => {
    if (error === "") log.info({ signal, endpoint }, "telemetry reaches the collector again");
    else log.warn({ signal, endpoint, reason: error }, "telemetry does not reach the collector");
  };
}

export interface TelemetryOptions {
  readonly path: DataPath;
  readonly identity: PendingIdentity;
  /** Processes that carry the sidecar's traffic together. */
  readonly processes: number;
}

/** Where spans go, and what they say of who sends them: a change of that needs another writer. */
interface Destination {
  readonly settings: TracingResource;
  readonly writer: SpanWriter;
}

export class TraceSwitch {
  readonly #options: TelemetryOptions;
  #wanted: TracingResource | undefined = undefined;
  #destination: Destination | undefined = undefined;
  /** Changes are made one after the other: a writer takes a while to load. */
  #turn: Promise<void> = Promise.resolve();

  constructor(options: TelemetryOptions) {
    this.#options = options;
  }

  /** Acts on the settings soon: at once where the SDK is loaded, else when it is. */
  configure({ tracing }: MeshResource): void {
    if (isDeepStrictEqual(tracing, this.#wanted)) return;
    this.#wanted = tracing;
    if (tracing === undefined || this.#destination === undefined || !isSameTarget(tracing, this.#destination.settings))
      this.#stop();
    else this.#begin(tracing, this.#destination.writer);
    this.#turn = this.#turn.then(() => this.#settle());
  }

  /** Sends what is there, for a short while. */
  async close(): Promise<void> {
    this.#wanted = undefined;
    this.#stop();
    await this.#turn;
    await this.#settle();
  }

  /** Brings the writer in line with what is wanted by now. */
  async #settle(): Promise<void> {
    const wanted = this.#wanted;
    const current = this.#destination;
    if (wanted !== undefined && current !== undefined && isSameTarget(wanted, current.settings)) return;
    this.#destination = undefined;
    await current?.writer.close();
    if (wanted === undefined) return;
    const { path, identity } = this.#options;
    try {
      const { startSpanWriter } = await import("./observe/otlp/span-writer.ts");
      const writer = await startSpanWriter({
        target: wanted,
        attributes: resourceAttributes(await identity.whole, wanted.attributes),
        clock: path.clock,
        count: counterOf(path, "traces"),
        onChange: reporterOf(path, "traces", wanted),
      });
      this.#destination = { settings: wanted, writer };
      if (this.#wanted !== undefined && isSameTarget(this.#wanted, wanted)) this.#begin(this.#wanted, writer);
    } catch (error) {
      path.log.error({ err: error }, "tracing cannot be turned on");
    }
  }

  #begin(settings: TracingResource, writer: SpanWriter): void {
    this.#stop();
    const { path, processes } = this.#options;
    const { clock, random, metrics } = path;
    const tracing = new Tracing({
      ...{ settings, writer, clock, random },
      share: 1 / processes,
      traced: metrics.tracedRequests,
    });
    path.tracing = tracing;
    observe(path, tracing, true);
  }

  #stop(): void {
    const { path } = this.#options;
    const { tracing } = path;
    path.tracing = undefined;
    if (tracing !== undefined) observe(path, tracing, false);
  }
}

function isSameTarget(a: TracingResource, b: TracingResource): boolean {
  return a.endpoint === b.endpoint && a.protocol === b.protocol && isDeepStrictEqual(a.attributes, b.attributes);
}
