// Exchanges as OpenTelemetry spans, made by the SDK when they have ended: one server span inbound, one client span per
// attempt outbound. Loaded only while tracing is on (the SDK takes 40 MB and 0.1 s). What a span says is
// span-attributes.ts; where the spans wait for the collector is batch-queue.ts.
import {
  type Attributes,
  type Context,
  type ContextManager,
  context,
  createTraceState,
  type Link,
  ROOT_CONTEXT,
  SamplingDecision,
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
import type { SpanWriter } from "../tracing/tracing.ts";
import { BatchQueue, type BatchQueueOptions } from "./batch-queue.ts";
import * as say from "./span-attributes.ts";
import { exporterUrl } from "./targets.ts";

/** A span is at most some kilobytes, whatever a client puts into its URL. */
const ATTRIBUTE_LENGTH_MAX = 1_024;

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

/** A span to be made. */
interface SpanFacts {
  readonly name: string;
  readonly kind: SpanKind;
  readonly spanId: string;
  readonly startedMs: number;
  readonly endedMs: number;
  readonly attributes: Attributes;
  readonly links: Link[];
  /** What went wrong, in words; the span is an error where `error.type` says so. */
  readonly detail: string;
}

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
      spanLimits: { attributeValueLengthLimit: ATTRIBUTE_LENGTH_MAX },
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
    const kept: Attributes = why === "" ? {} : { "weft.sampling.kept_for": why };
    if (record.direction === "inbound") this.#server(record, kept);
    else if (record.attemptCount === 0) this.#refused(record, kept);
    else for (let index = 0; index < record.attemptsKept; index++) this.#attempt(record, index, kept);
  }

  mirror(span: MirrorSpan): void {
    this.#make(span, {
      name: say.spanName(span, span.isGrpc),
      kind: SpanKind.CLIENT,
      spanId: span.spanId,
      startedMs: span.startedMs,
      endedMs: span.endedMs,
      attributes: {
        ...say.methodAttributes(span, span.isGrpc),
        "url.full": say.fullUrl(span),
        ...say.serverAttributes(span.authority),
        ...say.peerAttributes(span.address),
        ...say.rpcOutcome(span.grpcStatus, false),
        ...say.outcomeAttributes(span.status, span.outcome, 400),
        "weft.direction": "outbound",
        "weft.attempt.kind": "mirror",
        "weft.backend": span.service,
        ...(span.version === "" ? {} : { "weft.version": span.version }),
      },
      links: [linkTo(span.traceId, span.primaryId, "mirror of")],
      detail: span.detail,
    });
  }

  async close(): Promise<void> {
    await this.#queue.close();
    await Promise.allSettled([this.#exporter.shutdown(), this.#sdk.shutdown()]);
  }

  #server(record: ExchangeRecord, kept: Attributes): void {
    const { head, status, reason } = record;
    const grpc = say.isGrpc(head);
    const agent = head.value("user-agent");
    this.#make(placeOf(record), {
      name: say.spanName(head, grpc),
      kind: SpanKind.SERVER,
      spanId: record.trace.spanId,
      startedMs: record.startedMs,
      endedMs: record.endedMs,
      attributes: {
        ...say.methodAttributes(head, grpc),
        ...say.urlAttributes(head),
        ...say.serverAttributes(head.authority),
        "client.address": record.remoteAddress,
        ...(agent === undefined ? {} : { "user_agent.original": agent }),
        ...say.rpcOutcome(record.grpcStatus, true),
        ...say.outcomeAttributes(status, reason, 500),
        "http.request.body.size": record.requestBytes,
        "http.response.body.size": record.responseBytes,
        ...say.meshAttributes(record),
        ...kept,
      },
      links: [],
      detail: record.detail,
    });
  }

  /** Answered before any endpoint was tried. */
  #refused(record: ExchangeRecord, kept: Attributes): void {
    this.#client(record, record.trace.spanId, record.startedMs, {
      ...say.rpcOutcome(record.grpcStatus, false),
      ...say.outcomeAttributes(record.status, record.reason, 400),
      ...kept,
    });
  }

  #attempt(record: ExchangeRecord, index: number, kept: Attributes): void {
    const attempt = record.attempts[index];
    if (attempt === undefined) return;
    // The one whose answer is the exchange's. With a copy that lost beside it, that is not the last.
    const isAnswer = attempt === record.lastAttempt;
    const status = isAnswer && attempt.status === 0 ? record.status : attempt.status;
    const reason = attempt.outcome === "" && isAnswer ? record.reason : failureOf(attempt);
    const code = isAnswer ? record.grpcStatus : say.isGrpc(record.head) ? say.codeOfAttempt(attempt) : "";
    const isNewest = index === record.attemptsKept - 1;
    const attributes: Attributes = {
      ...say.rpcOutcome(code, false),
      ...say.outcomeAttributes(status, reason, 400),
      // More were made than are kept: the last place holds the newest.
      ...say.attemptAttributes(attempt, isNewest ? record.attemptCount : index + 1),
      ...(isAnswer
        ? { "http.request.body.size": record.requestBytes, "http.response.body.size": record.responseBytes }
        : {}),
      ...kept,
    };
    const before = record.attempts[index - 1];
    this.#client(record, attempt.spanId, attempt.startedMs, attributes, attempt, before?.spanId);
  }

  #client(
    record: ExchangeRecord,
    spanId: string,
    startedMs: number,
    attributes: Attributes,
    attempt?: AttemptRecord,
    before?: string,
  ): void {
    const { head } = record;
    const grpc = say.isGrpc(head);
    const endedMs = attempt === undefined || attempt.endedMs === 0 ? record.endedMs : attempt.endedMs;
    this.#make(placeOf(record), {
      name: say.spanName(head, grpc),
      kind: SpanKind.CLIENT,
      spanId,
      startedMs,
      endedMs,
      attributes: {
        ...say.methodAttributes(head, grpc),
        "url.full": say.fullUrl(head),
        ...say.serverAttributes(head.authority),
        ...say.meshAttributes(record),
        ...(attempt === undefined ? {} : { "weft.backend": attempt.backend }),
        ...attributes,
      },
      links: before === undefined || before === "" ? [] : [linkTo(record.trace.traceId, before, relationOf(attempt))],
      detail: attempt?.detail || record.detail,
    });
  }

  #make(place: Place, facts: SpanFacts): void {
    this.#ids.trace = place.traceId;
    this.#ids.span = facts.spanId;
    const epochMs = this.#clock.wall() - this.#clock.now();
    const { name, kind, attributes, links } = facts;
    const options = { kind, attributes, links, startTime: epochMs + facts.startedMs };
    const span = this.#tracer.startSpan(name, options, parentContext(place));
    if (attributes["error.type"] !== undefined)
      span.setStatus(
        facts.detail === "" ? { code: SpanStatusCode.ERROR } : { code: SpanStatusCode.ERROR, message: facts.detail },
      );
    span.end(epochMs + facts.endedMs);
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

/** "retry of", "hedge of" and so on: what an attempt is to the one before it. */
function relationOf(attempt: AttemptRecord | undefined): string {
  return `${attempt?.kind ?? "retry"} of`;
}

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
