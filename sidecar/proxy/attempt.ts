// One try of a request at one endpoint: waits for a connection, reads the answer, gives the connection back. Returns
// outcomes to its owner and never decides about another try. One object per client connection, used again and again.
import { type TimerOwner, type TimerWheel, WheelTimer } from "../../runtime/timer-wheel.ts";
import { reportedUtilization } from "../balance/reported-load.ts";
import type { EndpointMember } from "../cluster-endpoint.ts";
import type { AttemptOutcome, BreakerTickets, ClusterState } from "../cluster-state.ts";
import { BodyDecoder } from "../http1/body.ts";
import { NEEDS_MORE, REFUSED } from "../http1/contract.ts";
import { ResponseDecoder } from "../http1/decoder.ts";
import type { MessageHead } from "../http1/head.ts";
import type { Http1Limits } from "../http1/limits.ts";
import { AttemptRecord } from "../observe/exchange-record.ts";
import type { UpstreamConnection } from "../upstream/connection.ts";
import { learnIdleTime, type PoolWaiter } from "../upstream/pool.ts";
import type { AttemptOwner } from "./contract.ts";
import type { Destination } from "./destination.ts";
import { outcomeOfFailure, outcomeOfStatus } from "./outcome.ts";
import { Outlet } from "./outlet.ts";
import { type Failure, failure } from "./reasons.ts";

/** "waiting" for a connection; then what of the answer is read next. */
type AttemptState = "idle" | "waiting" | "head" | "body" | "tunnel";

/** Position that says: this attempt is over, or its turn is; touch nothing more. */
const OVER = -1;
const NO_TICKETS: BreakerTickets = { service: 0, endpoint: 0 };

export class Attempt implements PoolWaiter, TimerOwner {
  state: AttemptState = "idle";
  member: EndpointMember | undefined = undefined;
  readonly outlet = new Outlet();
  /** The connection had served a request before: its silent close may be the keep-alive race. */
  isReused = false;
  /** A byte of the answer came. */
  hasAnswered = false;
  /** The connection itself becomes the tunnel; no request is written on it. */
  isRawTunnel = false;
  /** Who is told how it ended; undefined: nobody, because nothing is decided by it or it is a mirror's. */
  cluster: ClusterState | undefined = undefined;
  /** Where it is written down what came of it; a place of its own until the owner gives one. */
  record = new AttemptRecord();
  /** What breakers let through for it. */
  tickets: BreakerTickets = NO_TICKETS;
  #startedMs = 0;
  #isReported = false;
  readonly #owner: AttemptOwner;
  readonly #wheel: TimerWheel;
  readonly #timer = new WheelTimer(this);
  readonly #decoder: ResponseDecoder;
  readonly #body: BodyDecoder;
  readonly #interimMax: number;
  #interimCount = 0;
  #connection: UpstreamConnection | undefined = undefined;

  constructor(owner: AttemptOwner, wheel: TimerWheel, limits: Http1Limits, interimMax: number) {
    this.#owner = owner;
    this.#wheel = wheel;
    this.#decoder = new ResponseDecoder(limits);
    this.#body = new BodyDecoder(limits);
    this.#interimMax = interimMax;
  }

  /** Nothing is under way: ended, or never begun. */
  get isOver(): boolean {
    return this.state === "idle";
  }

  get isOpen(): boolean {
    return this.#connection !== undefined;
  }

  /** The next `start` goes to an endpoint of `destination`, and is written down in `record`. */
  prepare({ cluster, isRawTunnel }: Destination, record: AttemptRecord): void {
    this.record = record;
    this.isRawTunnel = isRawTunnel;
    this.cluster = cluster?.state.isWatching === true ? cluster.state : undefined;
  }

  /**
   * Tries `member`. On an idle connection `onAttemptOpen` is called before this returns.
   * @param isFresh use no connection that has served before
   */
  start(member: EndpointMember, method: string, upgrades: boolean, timeoutMs: number, isFresh: boolean): void {
    this.member = member;
    this.state = "waiting";
    this.hasAnswered = false;
    this.#interimCount = 0;
    this.isReused = false;
    this.#isReported = this.cluster === undefined;
    if (this.cluster !== undefined) this.#startedMs = this.cluster.now();
    member.state.activeRequests++;
    this.#decoder.reset();
    this.#decoder.expect(method, upgrades);
    if (timeoutMs > 0) this.#wheel.arm(this.#timer, timeoutMs);
    const pool = member.state.pool;
    const idle = isFresh ? undefined : pool.leaseIdle(this);
    if (idle !== undefined) this.#open(idle);
    else if (!pool.enqueue(this)) this.#fail(failure("pool-overflow"));
  }

  /** Gives up; the owner is not told. @param outcome what it says about the endpoint */
  abort(outcome: AttemptOutcome = "none"): void {
    if (this.isOver) return;
    this.#report(outcome);
    if (this.record.status === 0) this.record.end("aborted", "", this.#wheel.now());
    this.#leave(false);
  }

  /** The client's connection is gone for good. */
  dispose(): void {
    this.#wheel.release(this.#timer);
  }

  /** Reads no more of the answer until `resumeReading`: the client is slower. */
  pauseReading(): void {
    this.#connection?.socket.pause();
  }

  resumeReading(): void {
    this.#connection?.socket.resume();
  }

  /** The client ended its side of a tunnel. */
  endTunnelWrites(): void {
    this.#connection?.socket.end();
  }

  onLeased(connection: UpstreamConnection): void {
    this.#guard(() => {
      this.record.connectedMs = this.#wheel.now();
      this.#open(connection);
      this.outlet.flush();
    });
  }

  onLeaseFailed(error: string): void {
    this.#fail(failure("connect-failure", error));
  }

  onUpstreamBytes(bytes: Buffer, length: number): void {
    try {
      if (this.#read(bytes, length)) this.#owner.onReadDone();
    } catch (error) {
      this.#owner.onInternalError("attempt", error);
    }
  }

  onUpstreamDrain(): void {
    this.#guard(() => {
      this.outlet.onDrain();
      this.#owner.onAttemptDrain();
    });
  }

  onUpstreamEnd(): void {
    this.#guard(() => this.#onEnd());
  }

  onUpstreamClose(error: string): void {
    this.#fail(failure("upstream-reset", error));
  }

  onTimer(): void {
    this.#fail(failure("per-try-timeout"));
  }

  #onEnd(): void {
    if (this.state === "tunnel") this.#owner.tunnel?.onEndpointEnd();
    else if (this.state === "body" && this.#body.finish()) this.#complete(false);
    else this.#fail(failure("upstream-reset", "the endpoint ended the connection"));
  }

  #open(connection: UpstreamConnection): void {
    this.#connection = connection;
    this.state = "head";
    this.isReused = connection.requests > 1;
    this.record.isReused = this.isReused;
    this.outlet.attach(connection);
    if (this.isRawTunnel) {
      this.state = "tunnel";
      this.#report("success");
      this.#wheel.cancel(this.#timer);
    }
    this.#owner.onAttemptOpen();
  }

  /** @returns false when the attempt ended on the way. */
  #read(bytes: Buffer, length: number): boolean {
    this.hasAnswered = true;
    for (let at = 0; at < length; ) {
      if (this.state === "head") at = this.#readHead(bytes, at, length);
      else if (this.state === "body") at = this.#readBody(bytes, at, length);
      else if (this.state === "tunnel") {
        this.#owner.tunnel?.fromEndpoint(bytes, at, length);
        at = length;
      } else return false;
      if (at === OVER) return false;
    }
    return true;
  }

  #readHead(bytes: Buffer, start: number, end: number): number {
    const at = this.#decoder.decodeHead(bytes, start, end);
    if (at === NEEDS_MORE) return end;
    if (at === REFUSED) return this.#fail(failure("bad-response", this.#decoder.refusal?.detail));
    const head = this.#decoder.head;
    if (head.framing === "tunnel") return this.#openTunnel(head, at);
    if (this.cluster?.readsLoad === true) this.#readLoad(head);
    if (head.status < 200) return this.#passInterim(head, at);
    this.record.status = head.status;
    this.#report(outcomeOfStatus(head.status));
    if (this.#connection !== undefined) learnIdleTime(this.#connection, head.keepAliveTimeoutSeconds);
    if (this.#owner.wantsRetry(head)) return this.#giveWay(bytes, at, end);
    const form = this.#owner.onResponseHead(head);
    if (this.isOver) return OVER;
    this.#body.begin(head.framing, head.contentLength, form, "upstream");
    this.state = "body";
    return this.#body.isDone ? this.#complete(at === end) : at;
  }

  #passInterim(head: MessageHead, at: number): number {
    if (++this.#interimCount > this.#interimMax) return this.#fail(failure("bad-response", "too many 1xx responses"));
    this.#owner.onInterimHead(head);
    this.#decoder.reset();
    return at;
  }

  #openTunnel(head: MessageHead, at: number): number {
    this.state = "tunnel";
    this.record.status = head.status;
    this.#wheel.cancel(this.#timer);
    this.#report("success");
    this.#owner.onTunnelOpen(head);
    return this.isOver ? OVER : at;
  }

  /** The answer will not be used. Where all of it is here already the connection is kept. */
  #giveWay(bytes: Buffer, start: number, end: number): number {
    const head = this.#decoder.head;
    this.#body.begin(head.framing, head.contentLength, "data", "upstream");
    let at = start;
    while (at < end && at >= 0 && !this.#body.isDone) at = this.#body.decode(bytes, at, end);
    const isReusable = this.#body.isDone && at === end && head.keepAlive && this.#owner.isRequestComplete;
    this.record.end("retried", "", this.#wheel.now());
    this.#leave(isReusable);
    this.#owner.onRetryableAnswer(head.status);
    return OVER;
  }

  #readBody(bytes: Buffer, start: number, end: number): number {
    const body = this.#body;
    const at = body.decode(bytes, start, end);
    if (at === REFUSED) return this.#fail(failure("bad-response", body.refusal?.detail));
    if (body.outEnd > body.outStart) this.#owner.onResponseBody(bytes, body.outStart, body.outEnd);
    return body.isDone ? this.#complete(at === end) : at;
  }

  /** @param isClean no byte is left over behind the answer */
  #complete(isClean: boolean): number {
    if (this.isOver) return OVER;
    const head = this.#decoder.head;
    const isReusable = isClean && head.keepAlive && head.framing !== "until-close" && this.#owner.isRequestComplete;
    this.#leave(isReusable);
    this.#owner.onResponseEnd(this.#body.tail);
    return OVER;
  }

  #fail(reason: Failure): number {
    if (this.isOver) return OVER;
    // The close of a reused connection is most likely the end of its idle time, not a fault of the endpoint.
    const isRace = this.isReused && !this.hasAnswered && reason.reason === "upstream-reset";
    this.#report(isRace ? "none" : outcomeOfFailure(reason.reason));
    this.record.end(reason.reason, reason.detail, this.#wheel.now());
    this.#leave(false);
    this.#owner.onAttemptFailed(reason);
    return OVER;
  }

  /** Tells once: when the answer's head is there, or when there will be none. */
  #report(outcome: AttemptOutcome): void {
    if (this.#isReported) return;
    this.#isReported = true;
    if (this.member !== undefined) this.cluster?.report(this.member.state, this.tickets, outcome, this.#startedMs);
  }

  #readLoad(head: MessageHead): void {
    const field = head.value("endpoint-load-metrics");
    if (field !== undefined && this.member !== undefined) this.member.state.utilization = reportedUtilization(field);
  }

  /** An error of the sidecar itself ends the exchange and nothing else. Not for every read: it takes a closure. */
  #guard(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#owner.onInternalError("attempt", error);
    }
  }

  /** Lets go of connection, queue and timer. `member` stays for the record. */
  #leave(isReusable: boolean): void {
    const member = this.member;
    const connection = this.#connection;
    this.#wheel.cancel(this.#timer);
    this.outlet.detach();
    this.#connection = undefined;
    if (member !== undefined) {
      member.state.activeRequests--;
      if (this.state === "waiting") member.state.pool.cancel(this);
      // A socket that was paused for a slow client must read again, or its close would never be seen.
      if (connection !== undefined) {
        if (connection.socket.isPaused()) connection.socket.resume();
        member.state.pool.release(connection, isReusable);
      }
    }
    this.state = "idle";
  }
}
