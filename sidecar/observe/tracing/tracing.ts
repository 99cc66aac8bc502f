// Which requests are traced, by the settings of the Mesh document: the sampling before a request does anything, the
// tail rule after it. What a span says is otlp/span-writer.ts, which is loaded only while this is on.
import type { TraceFormat, TracingResource } from "../../../rules/telemetry-resource.ts";
import type { Clock } from "../../../runtime/clock.ts";
import type { Random } from "../../../runtime/random.ts";
import type { ExchangeObserver, ExchangeRecord } from "../exchange-record.ts";
import { hasServiceFailed } from "../failed-exchange.ts";
import type { CellFamily } from "../families.ts";
import type { MirrorSpan } from "./mirror-span.ts";
import { type ContextReader, contextReaders, FORMAT_FIELDS } from "./propagation.ts";
import { TailRule } from "./tail.ts";
import { TraceIds } from "./trace-ids.ts";
import type { TraceSource } from "./trace-scope.ts";

/** Turns what is known of an exchange into spans, and sends them. Never waits, never throws for a collector. */
export interface SpanWriter {
  /** @param why it is recorded though its trace is not sampled; "" when it is */
  exchange(record: ExchangeRecord, why: string): void;
  mirror(span: MirrorSpan): void;
  /** Sends what is there, for a short while. */
  close(): Promise<void>;
}

export interface TracingOptions {
  readonly settings: TracingResource;
  readonly writer: SpanWriter;
  readonly clock: Clock;
  readonly random: Random;
  /** Share of the tail rule's rate that is this process's. */
  readonly share: number;
  /** `weft_traced_requests_total`. */
  readonly traced: CellFamily;
}

export class Tracing implements TraceSource, ExchangeObserver {
  readonly formats: readonly TraceFormat[];
  readonly readers: readonly ContextReader[];
  readonly fields: readonly string[];
  readonly hasTail: boolean;
  readonly #ids = new TraceIds();
  readonly #ratio: number;
  readonly #random: Random;
  readonly #tail: TailRule;
  readonly #writer: SpanWriter;
  readonly #traced: CellFamily;

  constructor({ settings, writer, clock, random, share, traced }: TracingOptions) {
    this.formats = settings.propagation;
    this.readers = contextReaders(settings.propagation);
    this.fields = settings.propagation.flatMap((format) => FORMAT_FIELDS[format]);
    this.#ratio = settings.samplingPercent / 100;
    this.#tail = new TailRule(settings.tail, share, clock);
    this.hasTail = this.#tail.isOn;
    this.#random = random;
    this.#writer = writer;
    this.#traced = traced;
  }

  sample(): boolean {
    return this.#random.next() < this.#ratio;
  }

  newTraceId(): string {
    return this.#ids.traceId();
  }

  newSpanId(): string {
    return this.#ids.spanId();
  }

  onExchange(record: ExchangeRecord): void {
    const { trace } = record;
    // Not begun under these settings, or not begun at all.
    if (trace.source === undefined) return;
    const why = trace.isSampled ? "" : this.#tail.judge(hasServiceFailed(record), record.durationMs);
    if (!trace.isSampled && why === "") return;
    this.#traced.cell(trace.isSampled ? "sampled" : why).value++;
    if (why !== "over-limit") this.#writer.exchange(record, why);
  }

  /** The answer of a copy is there, or will not come. */
  onMirrorEnd(span: MirrorSpan): void {
    this.#writer.mirror(span);
  }
}
