// The decision record of one exchange: what was decided about a request, and what came of it. One object per client
// connection, filled request after request with numbers and references to what is there anyway, so that it costs next
// to nothing while nobody looks. Observers read it when the exchange ends. Not a copy: who keeps it longer copies it.
import type { RouteMatch, RouteRule } from "../../rules/resource.ts";
import type { Direction } from "./metrics.ts";
import { TraceScope } from "./tracing/trace-scope.ts";

/** Attempts of one exchange that are written down; more are counted, and the last place holds the newest. */
const ATTEMPTS_KEPT = 8;
/** Acts of policies on one exchange that are written down; more are counted only. */
const ACTS_KEPT = 8;

/** "fresh": again at once on a fresh connection, after one that the endpoint closed as idle. */
export type AttemptKind = "first" | "retry" | "fresh" | "hedge" | "fallback" | "mirror";

/**
 * What a policy did; `subject` of the act says which one or to whom, `value` is a number that goes with it.
 * docs/decision-records.md has a line for each.
 */
export const ACT_NAMES = [
  /** Subject: the rule; value: 1 refused, 0 only reported. */
  "rate-limit",
  /** Subject: the document; value: 1 refused, 0 only reported. */
  "concurrency-limit",
  /** Subject: the document; value: milliseconds in the queue. */
  "concurrency-queue",
  /** Value: the request's priority. */
  "shedding",
  /** Subject: the document; value: milliseconds. */
  "fault-delay",
  /** Subject: the document; value: the status. */
  "fault-abort",
  /** Subject: why a retry that the policy asked for was not made. */
  "retry-skipped",
  /** Subject: the service whose breaker refused. */
  "circuit-breaker",
  /** Subject: the service that answers instead, "answer", or "stale". */
  "fallback",
  /** Subject: the service that gets a copy. */
  "mirror",
  /** Subject: the service that got none. */
  "mirror-dropped",
  /** Subject: the service that the control plane was asked for. */
  "resolve",
  /** Value: milliseconds that the caller left. */
  "deadline",
  /** Subject: the endpoint of a second copy; value: milliseconds after the request. */
  "hedge",
] as const;

export type ActName = (typeof ACT_NAMES)[number];

export interface Act {
  name: ActName;
  subject: string;
  value: number;
}

/** An endpoint that was not chosen among, and why: `ejected: consecutive-5xx`. */
export interface SkippedEndpoint {
  readonly address: string;
  readonly why: string;
}

/** What the record wants to know of the request's head. Valid until the observers have returned. */
export interface RecordedHead {
  readonly method: string;
  /** The request-target as sent. */
  readonly target: string;
  readonly authority: string;
  /** Without the query. */
  readonly path: string;
  readonly query: string;
  value(lowerName: string): string | undefined;
}

/** A request id of this sidecar, in two pieces, of which no text is made until somebody wants it. */
export interface OwnId {
  /** What many ids begin with: one text for all of them. */
  stem: string;
  /** One of a few texts, and which. */
  rest: string;
  number: number;
}

export class AttemptRecord {
  kind: AttemptKind = "first";
  /** `namespace/name` of the service, HOST:PORT and version of the endpoint. */
  backend = "";
  address = "";
  version = "";
  /** Milliseconds of the clock. */
  startedMs = 0;
  /** When a connection was there; 0: at once, or never (see `outcome`). */
  connectedMs = 0;
  /** When it was over; 0: with the exchange itself. */
  endedMs = 0;
  /** Of the endpoint's answer; 0: there was none. */
  status = 0;
  /** "": its answer is the exchange's, or it was under way when the exchange ended; "retried": its answer was given up;
   *  else the reason of its failure (docs/reasons.md), or "aborted". */
  outcome = "";
  /** What went wrong in words; may be empty. */
  detail = "";
  /** Name of the code with which a call of gRPC ended; "" for other requests, and where none came. */
  grpcStatus = "";
  /** On a connection that had served before. */
  isReused = false;
  /** Of the client span that it is; "" where nothing is traced. */
  spanId = "";

  begin(kind: AttemptKind, backend: string, address: string, version: string, nowMs: number): void {
    this.kind = kind;
    this.backend = backend;
    this.address = address;
    this.version = version;
    this.startedMs = nowMs;
    this.connectedMs = 0;
    this.endedMs = 0;
    this.status = 0;
    this.outcome = "";
    this.detail = "";
    this.grpcStatus = "";
    this.isReused = false;
    this.spanId = "";
  }

  /** The client got its answer, or as much of it as there was. */
  get isAnswer(): boolean {
    return this.outcome === "" || (this.status !== 0 && this.outcome !== "retried");
  }

  end(outcome: string, detail: string, nowMs: number): void {
    this.outcome = outcome;
    this.detail = detail;
    this.endedMs = nowMs;
  }
}

const NO_HEAD: RecordedHead = { method: "", target: "", authority: "", path: "", query: "", value: () => undefined };
const NO_SKIPPED: readonly SkippedEndpoint[] = [];

export class ExchangeRecord {
  readonly direction: Direction;
  head: RecordedHead = NO_HEAD;
  /** The client's address, without port. */
  remoteAddress = "";
  /** Milliseconds of the clock: end of the request head, and end of the exchange. */
  startedMs = 0;
  endedMs = 0;
  /** When the answer's head was there, where that was noticed before the end; 0: with the end. */
  answeredMs = 0;
  /** The exchange waited, for the control plane or a limit, before its first attempt. */
  hasWaited = false;

  // What names it: text from the head, or what this sidecar made; "" for none.
  #requestId = "";
  /** This sidecar made its request id, which is `ownId`: nothing in it needs escapes. */
  hasOwnId = false;
  readonly ownId: OwnId = { stem: "", rest: "", number: 0 };
  /** Of traces and spans: lower-case hexadecimal digits, whatever a request said. */
  traceId = "";
  spanId = "";
  isSampled = false;
  readonly trace = new TraceScope();
  /** `x-weft-debug: 1` came from this machine: the answer carries the record. */
  isDebugged = false;

  // What was decided.
  /** Of the snapshot. */
  revision = 0;
  /** `namespace/name` of the service that was called; "" when the mesh does not know it. */
  service = "";
  rule: RouteRule | undefined = undefined;
  /** Which of the rule's matches. */
  match: RouteMatch | undefined = undefined;
  /** Where the request fell in the rule's split, 0..1, and which backend that is; -1 without a rule. */
  splitPoint = -1;
  backendIndex = -1;
  /** Bucket of the user where a release splits by users; -1 otherwise. */
  splitBucket = -1;
  /** `namespace/name` of the service that it went to. */
  backend = "";
  /** Endpoints that were not chosen among at the last choice. */
  skipped: readonly SkippedEndpoint[] = NO_SKIPPED;
  /** Milliseconds; 0: none. */
  requestTimeoutMs = 0;
  perTryTimeoutMs = 0;
  idleTimeoutMs = 0;

  /** There is one mostly. Others are made on first use; `attemptsKept` are of this exchange. */
  readonly #firstAttempt = new AttemptRecord();
  readonly #furtherAttempts: AttemptRecord[] = [];
  attemptCount = 0;
  /** As `attempts`; the first `actsKept`. */
  readonly acts: Act[] = [];
  actCount = 0;

  // What came of it.
  status = 0;
  /** docs/reasons.md; "" when the answer is the endpoint's own. */
  reason = "";
  detail = "";
  /** Name of the code with which a call of gRPC ended, such as UNAVAILABLE; "" for other requests. */
  grpcStatus = "";
  /** Bytes of the bodies as they were on the wire. */
  requestBytes = 0;
  responseBytes = 0;

  constructor(direction: Direction) {
    this.direction = direction;
  }

  get requestId(): string {
    if (this.hasOwnId && this.#requestId === "") this.#requestId = this.ownId.stem + this.ownId.rest;
    return this.#requestId;
  }

  set requestId(id: string) {
    this.#requestId = id;
  }

  get attemptsKept(): number {
    return Math.min(this.attemptCount, ATTEMPTS_KEPT);
  }

  get actsKept(): number {
    return Math.min(this.actCount, ACTS_KEPT);
  }

  get durationMs(): number {
    return this.endedMs - this.startedMs;
  }

  /** The attempt whose answer the client got, or the last; undefined when none was made. */
  get lastAttempt(): AttemptRecord | undefined {
    const last = this.attemptAt(this.attemptsKept - 1);
    if (last?.isAnswer === true) return last;
    // A copy that was sent later may have been given up before the attempt that it raced.
    for (let index = this.attemptsKept - 2; index >= 0; index--) {
      const attempt = this.attemptAt(index);
      if (attempt?.isAnswer === true) return attempt;
    }
    return last;
  }

  /** A request head is complete. Forgets the exchange before. */
  begin(head: RecordedHead, remoteAddress: string, revision: number, nowMs: number): void {
    this.head = head;
    this.remoteAddress = remoteAddress;
    this.revision = revision;
    this.startedMs = nowMs;
    this.answeredMs = 0;
    this.hasWaited = false;
    this.#requestId = "";
    this.hasOwnId = false;
    this.traceId = "";
    this.spanId = "";
    this.isSampled = false;
    this.isDebugged = false;
    this.splitPoint = -1;
    this.backendIndex = -1;
    this.splitBucket = -1;
    this.skipped = NO_SKIPPED;
    this.attemptCount = 0;
    this.actCount = 0;
    this.detail = "";
    this.requestBytes = 0;
    this.responseBytes = 0;
  }

  /** In the order in which they began; undefined where there is none. @param index below ATTEMPTS_KEPT */
  attemptAt(index: number): AttemptRecord | undefined {
    if (index < 0 || index >= this.attemptCount) return undefined;
    return index === 0 ? this.#firstAttempt : this.#furtherAttempts[index - 1];
  }

  /** All that are kept, in an array of its own. */
  listAttempts(): AttemptRecord[] {
    const first = this.attemptCount > 0 ? [this.#firstAttempt] : [];
    return first.concat(this.#furtherAttempts.slice(0, Math.max(0, this.attemptsKept - 1)));
  }

  /** The place for what comes of the attempt that begins now. */
  addAttempt(kind: AttemptKind, backend: string, address: string, version: string, nowMs: number): AttemptRecord {
    const index = Math.min(this.attemptCount++, ATTEMPTS_KEPT - 1);
    let attempt = index === 0 ? this.#firstAttempt : this.#furtherAttempts[index - 1];
    if (attempt === undefined) {
      attempt = new AttemptRecord();
      this.#furtherAttempts.push(attempt);
    }
    attempt.begin(kind, backend, address, version, nowMs);
    return attempt;
  }

  /** A policy did something to this exchange. */
  note(name: ActName, subject: string, value = 0): void {
    const index = this.actCount++;
    if (index >= ACTS_KEPT) return;
    const act = this.acts[index];
    if (act === undefined) this.acts.push({ name, subject, value });
    else {
      act.name = name;
      act.subject = subject;
      act.value = value;
    }
  }
}

/** Told of every exchange that ends. The record and its head are the exchange's own: read them now. */
export interface ExchangeObserver {
  onExchange(record: ExchangeRecord): void;
}
