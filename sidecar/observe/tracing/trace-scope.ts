// The trace of the exchange that is under way: which trace it belongs to, whether that is sampled, under which span ids
// its attempts go out. One per record, used again. Spans are made when the exchange has ended, because only then is it
// known whether anybody wants them (tracing.ts).
import type { TraceFormat } from "../../../rules/telemetry-resource.ts";
import { type ContextReader, contextLines, emptyContext, type HeadFields, readContext } from "./propagation.ts";

/** What decides about traces, as a scope needs it. */
export interface TraceSource {
  readonly formats: readonly TraceFormat[];
  /** Of the same formats. */
  readonly readers: readonly ContextReader[];
  /** Lower-case names of the fields that the formats write. */
  readonly fields: readonly string[];
  /** Traces that are not sampled may be wanted in the end. */
  readonly hasTail: boolean;
  /** For a request whose caller did not decide. */
  sample(): boolean;
  newTraceId(): string;
  newSpanId(): string;
}

export class TraceScope {
  /** Undefined: this exchange is not traced, or passes its context on as it came. */
  source: TraceSource | undefined = undefined;
  readonly incoming = emptyContext();
  traceId = "";
  /** Decided before anything else happened to the request; every hop hears of it. */
  isSampled = false;
  /** Of the server span, or of the first attempt. */
  spanId = "";
  /** An attempt has gone out under `spanId`. */
  #isUsed = false;

  /** A request head is complete. @returns whether it is traced */
  begin(source: TraceSource | undefined, head: HeadFields): boolean {
    this.source = undefined;
    if (source === undefined) return false;
    const { incoming } = this;
    readContext(source.readers, head, incoming);
    this.isSampled = incoming.decision === "unset" ? source.sample() : incoming.decision === "sampled";
    // Who nobody will ask about keeps the context that it came with: it is one hop less, and costs nothing.
    if (!this.isSampled && !source.hasTail && incoming.traceId !== "") return false;
    this.traceId = incoming.traceId === "" ? source.newTraceId() : incoming.traceId;
    this.source = source;
    this.spanId = source.newSpanId();
    this.#isUsed = false;
    return true;
  }

  /** An outbound attempt begins. @returns its span id */
  nextAttempt(): string {
    if (this.#isUsed && this.source !== undefined) return this.source.newSpanId();
    this.#isUsed = true;
    return this.spanId;
  }

  /** Complete field lines that name span `spanId` of this trace to the next hop; "" where nothing is traced. */
  linesOf(spanId: string): string {
    const { source, traceId, isSampled } = this;
    if (source === undefined) return "";
    return contextLines(source.formats, { traceId, isSampled, isDebug: this.incoming.isDebug }, spanId);
  }
}
