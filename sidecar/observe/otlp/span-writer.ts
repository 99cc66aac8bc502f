// Exchanges as OpenTelemetry spans, made by the SDK when they have ended: one server span inbound, one client span per
// attempt outbound. Loaded only while tracing is on (the SDK takes 40 MB and 0.1 s). What a span says is
// span-attributes.ts; where the spans wait for the collector is batch-queue.ts.
import {
  type Context,
  type ContextManager,
  context,
  createTraceState,
  type Link,
  ROOT_CONTEXT,
  SamplingDecision,
  type Span,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { NodeSDK } from "@opentelemetry/sdk-node";
import type { ReadableSpan, SpanExporter, SpanProcessor } from "@opentelemetry/sdk-trace";
import type { OtlpTarget } from "../../../rules/telemetry-resource.ts";
import type { Clock } from "../../../runtime/clock.ts";
import type { AttemptRecord, ExchangeRecord } from "../exchange-record.ts";
import type { MirrorSpan } from "../tracing/mirror-span.ts";
import { keptId } from "../tracing/trace-ids.ts";
import type { SpanWriter } from "../tracing/tracing.ts";
import { BatchQueue, type BatchQueueOptions } from "./batch-queue.ts";
import * as say from "./span-attributes.ts";
import { exporterUrl } from "./targets.ts";

export interface SpanWriterOptions extends Pick<BatchQueueOptions<ReadableSpan>, "count" | "onChange"> {
  readonly target: OtlpTarget;
  /** Of the resource. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly clock: Clock;
}

/** Starts the SDK. One at a time in a process: the API knows one provider. */
export async function startSpanWriter(options: SpanWriterOptions): Promise<SpanWriter> {
  return new SdkSpanWriter(options, await createExporter(options.target));
}

async function createExporter(target: OtlpTarget): Promise<SpanExporter> {
  const url = exporterUrl(target, "traces");
  if (target.protocol === "grpc") {
    const { OTLPTraceExporter } = await import("@opentelemetry/exporter-trace-otlp-grpc");
    return new OTLPTraceExporter({ url });
  }
  const { OTLPTraceExporter } = await import("@opentelemetry/exporter-trace-otlp-proto");
  return new OTLPTraceExporter({ url });
}

/** Nothing here is found by asynchronous context: every span is told its parent. */
const NO_CONTEXT: ContextManager = {
  active: () => ROOT_CONTEXT,
  with: (_context, call, self, ...args) => call.call(self as never, ...args),
  bind: (_context, target) => target,
  enable: () => NO_CONTEXT,
  disable: () => NO_CONTEXT,
};

/** A span that begins. */
interface Beginning {
  readonly name: string;
  readonly kind: SpanKind;
  readonly spanId: string;
  readonly startedMs: number;
  readonly links: Link[];
}

/** The SDK's own: what exporters read of it may be written until it ends. */
type SdkSpan = Span & Pick<ReadableSpan, "attributes">;

/** In which trace, and under what. */
interface Place {
  readonly traceId: string;
  readonly parentId: string;
  readonly traceState: string;
}

class SdkSpanWriter implements SpanWriter {
  readonly #clock: Clock;
  readonly #count: SpanWriterOptions["count"];
  readonly #sdk: NodeSDK;
  readonly #tracer: Tracer;
  readonly #queue: BatchQueue<ReadableSpan>;
  readonly #exporter: SpanExporter;
  /** Ids were drawn when the request came; the SDK is given them back. */
  readonly #ids = { trace: "", span: "" };
  /** From the clock of durations to that of the wall; the same at both ends of a span. */
  #epochMs = 0;

  constructor({ target: _target, attributes, clock, count, onChange }: SpanWriterOptions, exporter: SpanExporter) {
    this.#clock = clock;
    this.#count = count;
    this.#exporter = exporter;
    this.#queue = new BatchQueue({ clock, count, onChange, send: (batch, done) => send(exporter, batch, done) });
    const processor: SpanProcessor = {
      onStart: () => {},
      onEnd: (span) => this.#queue.add(span),
      forceFlush: () => Promise.resolve(),
      shutdown: () => Promise.resolve(),
    };
    trace.disable();
    context.disable();
    this.#sdk = new NodeSDK({
      autoDetectResources: false,
      resource: resourceFromAttributes(attributes),
      // Sampling has been decided before the SDK is called at all.
      sampler: { shouldSample: () => ({ decision: SamplingDecision.RECORD_AND_SAMPLED }) },
      idGenerator: { generateTraceId: () => this.#ids.trace, generateSpanId: () => this.#ids.span },
      spanProcessors: [processor],
      contextManager: NO_CONTEXT,
      textMapPropagator: null,
      metricReaders: [],
      logRecordProcessors: [],
      instrumentations: [],
    });
    this.#sdk.start();
    this.#tracer = trace.getTracer("weft-sidecar");
  }

  exchange(record: ExchangeRecord, why: string): void {
    if (this.#queue.isFull) {
      const isOne = record.direction === "inbound" || record.attemptCount === 0;
      return this.#count("dropped", isOne ? 1 : record.attemptsKept);
    }
    if (record.direction === "inbound") this.#server(record, why);
    else if (record.attemptCount === 0) this.#refused(record, why);
    else for (let index = 0; index < record.attemptsKept; index++) this.#attempt(record, index, why);
  }

  mirror(copy: MirrorSpan): void {
    const span = this.#begin(copy, {
      name: say.spanName(copy, copy.isGrpc),
      kind: SpanKind.CLIENT,
      spanId: copy.spanId,
      startedMs: copy.startedMs,
      links: [linkTo(copy.traceId, copy.primaryId, "mirror of")],
    });
    const into = span.attributes;
    say.method(into, copy, copy.isGrpc);
    into["url.full"] = say.fullUrl(copy);
    say.server(into, copy.authority);
    say.peer(into, copy.address);
    say.rpcOutcome(into, copy.grpcStatus, false);
    say.outcome(into, copy.status, copy.outcome, 400);
    into["weft.direction"] = "outbound";
    into["weft.attempt.kind"] = "mirror";
    into["weft.backend"] = copy.service;
    if (copy.version !== "") into["weft.version"] = copy.version;
    this.#end(span, copy.endedMs, copy.detail, "");
  }

  async close(): Promise<void> {
    await this.#queue.close();
    await Promise.allSettled([this.#exporter.shutdown(), this.#sdk.shutdown()]);
  }

  #server(record: ExchangeRecord, why: string): void {
    const { head } = record;
    const grpc = say.isGrpc(head);
    const span = this.#begin(placeOf(record), {
      name: say.spanName(head, grpc),
      kind: SpanKind.SERVER,
      spanId: record.trace.spanId,
      startedMs: record.startedMs,
      links: [],
    });
    const into = span.attributes;
    say.method(into, head, grpc);
    say.url(into, head);
    say.server(into, head.authority);
    into["client.address"] = record.remoteAddress;
    const agent = head.value("user-agent");
    if (agent !== undefined) into["user_agent.original"] = agent;
    say.rpcOutcome(into, record.grpcStatus, true);
    say.outcome(into, record.status, record.reason, 500);
    say.sizes(into, record);
    say.mesh(into, record);
    this.#end(span, record.endedMs, record.detail, why);
  }

  /** Answered before any endpoint was tried. */
  #refused(record: ExchangeRecord, why: string): void {
    const span = this.#client(record, record.trace.spanId, record.startedMs, []);
    say.rpcOutcome(span.attributes, record.grpcStatus, false);
    say.outcome(span.attributes, record.status, record.reason, 400);
    this.#end(span, record.endedMs, record.detail, why);
  }

  #attempt(record: ExchangeRecord, index: number, why: string): void {
    const attempt = record.attemptAt(index);
    if (attempt === undefined) return;
    const before = record.attemptAt(index - 1)?.spanId ?? "";
    const links = before === "" ? [] : [linkTo(record.trace.traceId, before, `${attempt.kind} of`)];
    const span = this.#client(record, attempt.spanId, attempt.startedMs, links);
    const into = span.attributes;
    into["weft.backend"] = attempt.backend;
    // The one whose answer is the exchange's. With a copy that lost beside it, that is not the last.
    const isAnswer = attempt === record.lastAttempt;
    const code = isAnswer ? record.grpcStatus : say.isGrpc(record.head) ? say.codeOfAttempt(attempt) : "";
    say.rpcOutcome(into, code, false);
    const status = isAnswer && attempt.status === 0 ? record.status : attempt.status;
    const reason = attempt.outcome === "" && isAnswer ? record.reason : failureOf(attempt);
    say.outcome(into, status, reason, 400);
    // More were made than are kept: the last place holds the newest.
    say.attempt(into, attempt, index === record.attemptsKept - 1 ? record.attemptCount : index + 1);
    if (isAnswer) say.sizes(into, record);
    this.#end(span, attempt.endedMs || record.endedMs, attempt.detail || record.detail, why);
  }

  /** With what all client spans say. */
  #client(record: ExchangeRecord, spanId: string, startedMs: number, links: Link[]): SdkSpan {
    const { head } = record;
    const grpc = say.isGrpc(head);
    const name = say.spanName(head, grpc);
    const span = this.#begin(placeOf(record), { name, kind: SpanKind.CLIENT, spanId, startedMs, links });
    const into = span.attributes;
    say.method(into, head, grpc);
    into["url.full"] = say.fullUrl(head);
    say.server(into, head.authority);
    say.mesh(into, record);
    return span;
  }

  /**
   * Its attributes are written straight into the span, because the SDK checks and copies each that it is given, twice
   * (7 of the 8 us that a span took). They are ours, of known types, and cut in `#end`.
   */
  #begin(place: Place, { name, kind, spanId, startedMs, links }: Beginning): SdkSpan {
    // They were cut from a page of ids, which a span that waits for its batch would keep.
    this.#ids.trace = keptId(place.traceId);
    this.#ids.span = keptId(spanId);
    this.#epochMs = this.#clock.wall() - this.#clock.now();
    const startTime = this.#epochMs + startedMs;
    return this.#tracer.startSpan(name, { kind, links, startTime }, parentContext(place)) as SdkSpan;
  }

  /** @param why it is kept though its trace is not sampled; "" when it is */
  #end(span: SdkSpan, endedMs: number, detail: string, why: string): void {
    const { attributes } = span;
    if (why !== "") attributes["weft.sampling.kept_for"] = why;
    say.cutLong(attributes);
    if (attributes["error.type"] !== undefined)
      span.setStatus(detail === "" ? { code: SpanStatusCode.ERROR } : { code: SpanStatusCode.ERROR, message: detail });
    span.end(this.#epochMs + endedMs);
  }
}

function placeOf({ trace: { traceId, incoming } }: ExchangeRecord): Place {
  return { traceId, parentId: incoming.parentId, traceState: incoming.traceState };
}

function parentContext({ traceId, parentId, traceState }: Place): Context {
  if (parentId === "") return ROOT_CONTEXT;
  const parent = { traceId, spanId: parentId, traceFlags: TraceFlags.SAMPLED, isRemote: true };
  const state = traceState === "" ? {} : { traceState: createTraceState(traceState) };
  return trace.setSpanContext(ROOT_CONTEXT, { ...parent, ...state });
}

/** @param relation "retry of", "hedge of" and so on: what an attempt is to the one before it */
function linkTo(traceId: string, spanId: string, relation: string): Link {
  return { context: { traceId, spanId, traceFlags: TraceFlags.SAMPLED }, attributes: { "weft.link": relation } };
}

/** An answer that was given up for another attempt is no failure of its own: its status says what it was. */
function failureOf({ outcome }: AttemptRecord): string {
  return outcome === "retried" ? "" : outcome;
}

function send(exporter: SpanExporter, batch: ReadableSpan[], done: (error: string) => void): void {
  exporter.export(batch, ({ code, error }) => done(code === 0 ? "" : (error?.message ?? "refused")));
}
