// What is known of a mirrored copy for its span. It outlives the exchange that it copies, so it holds what it needs of
// its record. Exists only for traces that are sampled.
import { GRPC, isMediaType } from "../../../runtime/media-type.ts";
import type { AttemptRecord, ExchangeRecord } from "../exchange-record.ts";

/** Who takes finished ones. */
export interface MirrorSpanTaker {
  onMirrorEnd(span: MirrorSpan): void;
}

export class MirrorSpan {
  readonly traceId: string;
  readonly parentId: string;
  readonly traceState: string;
  /** Of the request that is copied. */
  readonly primaryId: string;
  readonly spanId: string;
  readonly method: string;
  readonly authority: string;
  readonly path: string;
  readonly query: string;
  readonly isGrpc: boolean;
  /** `namespace/name` that gets the copy. */
  readonly service: string;
  readonly address: string;
  readonly version: string;
  readonly startedMs: number;
  endedMs = 0;
  status = 0;
  /** Name of the code of its answer; "" where none came. */
  grpcStatus = "";
  /** As in `weft_mirrored_requests_total`. */
  outcome = "";
  detail = "";
  readonly #taker: MirrorSpanTaker | undefined;

  constructor(
    { trace, head, startedMs }: ExchangeRecord,
    spanId: string,
    { service, address, version }: Pick<MirrorSpan, "service" | "address" | "version">,
    taker: MirrorSpanTaker | undefined,
  ) {
    this.traceId = trace.traceId;
    this.parentId = trace.incoming.parentId;
    this.traceState = trace.incoming.traceState;
    this.primaryId = trace.spanId;
    this.spanId = spanId;
    this.method = head.method;
    this.authority = head.authority;
    this.path = head.path;
    this.query = head.query;
    this.isGrpc = isMediaType(head.value("content-type"), GRPC);
    this.service = service;
    this.address = address;
    this.version = version;
    this.startedMs = startedMs;
    this.#taker = taker;
  }

  /** @param attempt what became of the copy on its way */
  end(outcome: string, { status, grpcStatus, outcome: reason, detail }: AttemptRecord, nowMs: number): void {
    this.status = status;
    this.grpcStatus = grpcStatus;
    this.outcome = outcome === "answered" ? "" : reason || outcome;
    this.detail = detail;
    this.endedMs = nowMs;
    this.#taker?.onMirrorEnd(this);
  }
}
