// One try of a request at one endpoint, whatever protocol the endpoint speaks: waits for a way there, tells how it ended,
// lets go of what it held. Returns outcomes to its owner and never decides about another try. How bytes become an answer
// is for attempt-http1.ts and attempt-http2.ts. A few objects per exchange, used again and again.
import { type TimerOwner, type TimerWheel, WheelTimer } from "../../runtime/timer-wheel.ts";
import { reportedUtilization } from "../balance/reported-load.ts";
import type { EndpointMember } from "../cluster-endpoint.ts";
import type { AttemptOutcome, BreakerTickets, ClusterState } from "../cluster-state.ts";
import type { BodyForm } from "../http1/contract.ts";
import type { MessageHead } from "../http1/head.ts";
import { AttemptRecord } from "../observe/exchange-record.ts";
import type { AttemptOwner, MessageOutlet, Trailers } from "./contract.ts";
import type { Destination } from "./destination.ts";
import { grpcCodeName, grpcStatusIn, grpcStatusOf, httpStatusOf, isGrpc } from "./grpc.ts";
import { outcomeOfFailure, outcomeOfStatus } from "./outcome.ts";
import { type Failure, failure } from "./reasons.ts";

/** "waiting" for a connection; then what of the answer is read next. */
type AttemptState = "idle" | "waiting" | "head" | "body" | "tunnel";

/** Who has the attempt that is under way. */
export interface AttemptHolder {
  readonly attempt: Attempt;
}

export abstract class Attempt implements TimerOwner {
  state: AttemptState = "idle";
  member: EndpointMember | undefined = undefined;
  /** Which attempt of its request it is, from 1 on, in the order in which they began. */
  number = 0;
  abstract readonly outlet: MessageOutlet;
  /** In which form answers' bodies can be had. */
  abstract readonly form: BodyForm;
  /** The connection had served a request before: its silent close may be the keep-alive race. */
  isReused = false;
  /** A byte of the answer came. */
  hasAnswered = false;
  /** The connection itself becomes the tunnel; no request is written on it. */
  isRawTunnel = false;
  /** An answer 2xx would tell the client of a tunnel that stands (RFC 8441 section 5): the endpoint cannot decline by one. */
  needsUpgrade = false;
  /** Who is told how it ended; undefined: nobody, because nothing is decided by it or it is a mirror's. */
  cluster: ClusterState | undefined = undefined;
  /** Its cluster where that does not watch how attempts end: it is told all the same when no connection can be made. */
  #unwatched: ClusterState | undefined = undefined;
  /** Where it is written down what came of it; a place of its own until the owner gives one. */
  record = new AttemptRecord();
  /** What breakers let through for it. */
  readonly tickets: BreakerTickets = { service: 0, endpoint: 0 };
  /** Who is told what happens. Changes hands when a hedge wins. */
  owner: AttemptOwner;
  readonly #wheel: TimerWheel;
  readonly #timer = new WheelTimer(this);
  readonly #interimMax: number;
  #interimCount = 0;
  /** Of the answer to a call of gRPC; -1: it is none, or not over. */
  grpcStatus = -1;
  #awaitsTrailers = false;
  #isReported = false;

  constructor(owner: AttemptOwner, wheel: TimerWheel, interimMax: number) {
    this.owner = owner;
    this.#wheel = wheel;
    this.#interimMax = interimMax;
  }

  /** Nothing is under way: ended, or never begun. */
  get isOver(): boolean {
    return this.state === "idle";
  }

  /** It has a way to the endpoint. */
  abstract readonly isOpen: boolean;

  /** Something of what was written waits in the process. */
  abstract readonly hasUnsent: boolean;

  /** The next `start` goes to an endpoint of `destination`, and is written down in `record`. */
  prepare({ cluster, isRawTunnel }: Destination, record: AttemptRecord): void {
    this.record = record;
    this.isRawTunnel = isRawTunnel;
    this.cluster = cluster?.state.isWatching === true ? cluster.state : undefined;
    this.#unwatched = this.cluster === undefined ? cluster?.state : undefined;
  }

  /**
   * Tries `member`. On an idle connection `onAttemptOpen` is called before this returns.
   * @param askedProtocols the request's `Upgrade`; "": it asks for no other protocol
   * @param isFresh use no connection that has served before
   */
  start(member: EndpointMember, method: string, askedProtocols: string, timeoutMs: number, isFresh: boolean): void {
    this.member = member;
    this.state = "waiting";
    this.hasAnswered = false;
    this.#interimCount = 0;
    this.isReused = false;
    this.grpcStatus = -1;
    this.#awaitsTrailers = false;
    this.#isReported = this.cluster === undefined;
    member.state.activeRequests++;
    if (timeoutMs > 0) this.#wheel.arm(this.#timer, timeoutMs);
    this.lease(member, method, askedProtocols, isFresh);
  }

  /** Gives up; the owner is not told. @param outcome what it says about the endpoint */
  abort(outcome: AttemptOutcome = "none"): void {
    if (this.isOver) return;
    this.report(outcome);
    if (this.record.status === 0) this.record.end("aborted", "", this.#wheel.now());
    this.leave(false);
  }

  /** Stands in no wheel any more, until it is used again. */
  rest(): void {
    this.#wheel.release(this.#timer);
  }

  /** Reads no more of the answer until `resumeReading`: the client is slower. */
  abstract pauseReading(): void;

  abstract resumeReading(): void;

  /** The client ended its side of a tunnel. */
  abstract endTunnelWrites(): void;

  /** Both sides of a tunnel have ended: it is over, unless the close of its connection tells so. */
  abstract endTunnel(): void;

  onTimer(): void {
    this.fail(failure("per-try-timeout"));
  }

  /** Gets a way to the endpoint, now or later. */
  protected abstract lease(member: EndpointMember, method: string, askedProtocols: string, isFresh: boolean): void;

  /** Gives back connection or place in the queue. @param isReusable the exchange on it is complete */
  protected abstract letGo(member: EndpointMember, isReusable: boolean): void;

  /** There is a way to the endpoint. @param isReused others' requests went that way before */
  protected open(isReused: boolean): void {
    this.state = "head";
    this.isReused = isReused;
    // An endpoint of HTTP/2 may refuse everything on a connection that it has taken: there, answers count.
    if (!isReused && this.form === "wire" && this.member !== undefined) this.member.state.outlier.connectFailures = 0;
    this.record.isReused = isReused;
    if (this.isRawTunnel) this.enterTunnel(200);
    this.owner.onAttemptOpen();
  }

  /** The same, after waiting for it. */
  protected openLate(isReused: boolean): void {
    this.record.connectedMs = this.#wheel.now();
    this.open(isReused);
    this.outlet.flush();
  }

  /** @returns false when the answer ends here: too many of them */
  protected passInterim(head: MessageHead): boolean {
    if (++this.#interimCount > this.#interimMax) {
      this.fail(failure("bad-response", "too many 1xx responses"));
      return false;
    }
    this.owner.onInterimHead(head);
    return true;
  }

  /** The head of an answer is there, whatever comes of it. */
  protected noteHead(head: MessageHead): void {
    if (this.cluster?.readsLoad === true) this.#readLoad(head);
    if (head.status < 200) return;
    this.record.status = head.status;
    if (isGrpc(head)) this.#noteGrpcHead(head);
    else this.report(outcomeOfStatus(head.status));
  }

  /** The outcome of a call is told by its trailers, or by its head if it ends with that. */
  #noteGrpcHead(head: MessageHead): void {
    this.grpcStatus = grpcStatusOf(head);
    if (this.grpcStatus >= 0 && head.framing === "none") this.#noteCode();
    else if (head.status !== 200) this.report(outcomeOfStatus(head.status));
    else this.#awaitsTrailers = true;
  }

  /** The call has ended with a code. */
  #noteCode(): void {
    this.record.grpcStatus = grpcCodeName(this.grpcStatus);
    this.report(outcomeOfStatus(httpStatusOf(this.grpcStatus)));
  }

  /** Content of the answer came: an endpoint that sends messages works, however long its stream goes on. */
  protected noteContent(): void {
    if (this.#awaitsTrailers) this.report("success");
  }

  /** @param status of the answer that opened it, or that stands for the connection where that is the tunnel */
  protected enterTunnel(status: number): void {
    this.state = "tunnel";
    this.record.status = status;
    this.#wheel.cancel(this.#timer);
    this.report("success");
  }

  /** All of the answer is out. */
  protected complete(isReusable: boolean, trailers: Trailers): void {
    if (this.isOver) return;
    if (this.#awaitsTrailers) {
      this.grpcStatus = grpcStatusIn(trailers, this.grpcStatus);
      this.#noteCode();
    }
    this.leave(isReusable);
    this.owner.onResponseEnd(trailers);
  }

  /** The answer will not be used. */
  protected giveWay(isReusable: boolean, status: number): void {
    if (this.#awaitsTrailers && this.grpcStatus >= 0) this.#noteCode();
    this.record.end("retried", "", this.#wheel.now());
    this.leave(isReusable);
    this.owner.onRetryableAnswer(status);
  }

  /** No connection could be made. @param isLocal for want of something that the sidecar itself needs */
  protected failToConnect(error: string, isLocal: boolean): void {
    this.fail(failure(isLocal ? "overloaded" : "connect-failure", error));
  }

  /** @param isBlamed it speaks against the endpoint */
  protected fail(reason: Failure, isBlamed = true): void {
    if (this.isOver) return;
    // The close of a reused connection is most likely the end of its idle time, not a fault of the endpoint.
    const isRace = this.isReused && !this.hasAnswered && reason.reason === "upstream-reset";
    const outcome = isRace || !isBlamed ? "none" : outcomeOfFailure(reason.reason);
    this.report(outcome);
    if (outcome === "connect-failure" && this.member !== undefined)
      this.#unwatched?.reportUnreachable(this.member.state);
    const isOrderly = this.state === "tunnel" && reason.detail === "";
    this.record.end(isOrderly ? "" : reason.reason, reason.detail, this.#wheel.now());
    this.leave(false);
    this.owner.onAttemptFailed(reason);
  }

  /** The clock's time. */
  get nowMs(): number {
    return this.#wheel.now();
  }

  /** Tells once: when the answer's head is there, or when there will be none. */
  protected report(outcome: AttemptOutcome): void {
    if (this.#isReported) return;
    this.#isReported = true;
    if (this.member !== undefined && this.cluster !== undefined)
      this.cluster.report(this.member.state, this.tickets, outcome, this.record, this.nowMs);
  }

  /** Lets go of connection, queue and timer. `member` stays for the record. */
  protected leave(isReusable: boolean): void {
    this.#wheel.cancel(this.#timer);
    if (this.member !== undefined) {
      this.member.state.activeRequests--;
      this.letGo(this.member, isReusable);
    }
    this.state = "idle";
  }

  /** An error of the sidecar itself ends the exchange and nothing else. Not for every read: it takes a closure. */
  protected guard(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.owner.onInternalError("attempt", error);
    }
  }

  #readLoad(head: MessageHead): void {
    const field = head.value("endpoint-load-metrics");
    if (field !== undefined && this.member !== undefined) this.member.state.utilization = reportedUtilization(field);
  }
}
