// One request and its answer, from the complete head to the last byte. The conductor: routing decides, attempts try,
// policies are asked, failures become answers. One object per client connection, used for request after request.
import { type TimerOwner, WheelTimer } from "../../runtime/timer-wheel.ts";
import type { EndpointMember } from "../cluster-endpoint.ts";
import type { BodyForm } from "../http1/contract.ts";
import type { MessageHead } from "../http1/head.ts";
import { ExchangeRecord } from "../observe/exchange-record.ts";
import type { Cell } from "../observe/families.ts";
import type { Direction } from "../observe/metrics.ts";
import type { Resolution } from "../resolver.ts";
import type { Snapshot } from "../snapshot.ts";
import type { Attempt, AttemptHolder } from "./attempt.ts";
import { Http1Attempt } from "./attempt-http1.ts";
import type { AttemptOwner, Downstream, RoutedExchange, Router } from "./contract.ts";
import type { DataPath } from "./data-path.ts";
import { Destination } from "./destination.ts";
import { EndpointChoice } from "./endpoint-choice.ts";
import { fallbackOf, redirectToFallback, serviceInstead, writeOwnAnswer } from "./fallback.ts";
import { KeepAlive } from "./keep-alive.ts";
import { outcomeOfFailure } from "./outcome.ts";
import { type Failure, failure } from "./reasons.ts";
import { beginRecord, countBug, recordAttempt, recordExchange } from "./record.ts";
import { RequestRelay } from "./request-relay.ts";
import { statusOf, tunnelAnswerText } from "./respond.ts";
import { ResponseRelay } from "./response-relay.ts";
import { RetryState } from "./retry-state.ts";
import { ForwardedHeads } from "./rewrite.ts";
import { Seat } from "./seat.ts";
import { ServiceHold } from "./service-hold.ts";
import { Suspension } from "./suspension.ts";
import { Tunnel } from "./tunnel.ts";

/** "trying": an attempt is under way and nothing of its answer is out. */
export type ExchangeState = "idle" | "routing" | "resolving" | "trying" | "backing-off" | "responding" | "tunnel";

const REQUEST_TIMER = 0;
const BACKOFF_TIMER = 1;
const CLIENT_CLOSED = failure("client-closed");

export class Exchange implements AttemptOwner, AttemptHolder, RoutedExchange, TimerOwner {
  state: ExchangeState = "idle";
  snapshot: Snapshot;
  readonly destination = new Destination();
  readonly retry: RetryState;
  /** Milliseconds of the clock at the end of the request head. */
  startedMs = 0;
  /** The same at the end of the last exchange. */
  endedMs = 0;
  readonly direction: Direction;
  readonly record: ExchangeRecord;
  readonly attempt: Attempt;
  readonly request: RequestRelay;
  readonly tunnel: Tunnel;
  readonly suspension: Suspension;
  readonly #path: DataPath;
  readonly #client: Downstream;
  readonly #router: Router;
  readonly #relay: ResponseRelay;
  readonly #heads: ForwardedHeads;
  readonly #requestTimer = new WheelTimer(this, REQUEST_TIMER);
  readonly #backoffTimer = new WheelTimer(this, BACKOFF_TIMER);
  readonly #hold: ServiceHold;
  readonly #seat = new Seat();
  readonly #choice: EndpointChoice;
  #status = 0;
  readonly #keepAlive = new KeepAlive();
  readonly #active: Cell;

  constructor(client: Downstream, path: DataPath, router: Router) {
    this.#client = client;
    this.#path = path;
    this.#router = router;
    this.direction = router.direction;
    this.record = new ExchangeRecord(router.direction);
    this.snapshot = path.noSnapshot;
    this.#relay = new ResponseRelay(client, this.record);
    this.attempt = new Http1Attempt(this, path.wheel, path.http1Limits, path.limits.interimResponsesMax);
    this.retry = new RetryState(path, this.record);
    this.#heads = new ForwardedHeads(client, path, this.record);
    this.#hold = new ServiceHold(path);
    this.suspension = new Suspension(client, path, (step) => this.#step(step));
    this.#choice = new EndpointChoice(path, this.record);
    this.attempt.tickets = this.#choice.tickets;
    this.request = new RequestRelay(client, this, this.retry, this.record);
    this.tunnel = new Tunnel(client, this, path, () => this.#end(this.#status));
    this.#active = path.metrics.requestsActive.cell(router.direction);
  }

  get head(): MessageHead {
    return this.#client.head;
  }

  get remoteAddress(): string {
    return this.#client.remoteAddress;
  }

  get isRequestComplete(): boolean {
    return this.#client.isRequestComplete;
  }

  // ---- the way of a request, top to bottom ----

  /**
   * The request head is complete. Everything up to the upstream write may happen before this returns.
   * @param nowMs the clock's time
   */
  begin(nowMs: number): void {
    this.state = "routing";
    this.#active.value++;
    this.startedMs = nowMs;
    this.snapshot = this.#path.snapshots.current;
    beginRecord(this.#path, this);
    this.#status = 0;
    this.#keepAlive.begin();
    this.#router.route(this, undefined);
  }

  hold(service: string): void {
    const resolver = this.#path.resolver;
    if (resolver === undefined) return this.#router.route(this, "unknown");
    this.state = "resolving";
    this.record.note("resolve", service);
    this.#client.pauseReading();
    const isHeld = this.#hold.start(service, resolver, (resolution) => this.#step(() => this.#onResolved(resolution)));
    if (!isHeld) this.answer(failure("overloaded", "too many requests wait for the control plane"), "");
  }

  #onResolved(resolution: Resolution): void {
    this.state = "routing";
    this.#client.resumeReading();
    this.snapshot = this.#path.snapshots.current;
    this.record.revision = this.snapshot.revision;
    this.#router.route(this, resolution);
  }

  forward(): void {
    const { cluster, idleTimeoutMs } = this.destination;
    if (cluster === undefined) return this.answer(failure("internal-error"), "");
    const overflow = this.#seat.take(cluster, this.startedMs);
    if (overflow !== undefined) return this.answer(overflow, "");
    this.retry.begin(this.destination.retry, this.head);
    const headText = this.#heads.textOf(this.snapshot.mesh.headers, this.head, this.destination);
    this.request.begin(headText, this.destination, this.#path, this.snapshot);
    this.#choice.begin(this.destination, this.head, this.remoteAddress);
    if (idleTimeoutMs > 0) this.#client.setIdleTimeout(idleTimeoutMs);
    if (this.isRequestComplete) this.#armRequestTimer(this.startedMs);
    this.#tryNext(undefined);
  }

  /** @param again the endpoint to try once more on a fresh connection; undefined: the balancer chooses */
  #tryNext(again: EndpointMember | undefined): void {
    const member = this.#choice.next(this.destination, this.retry.tried, again, this.snapshot.tools);
    if (member === undefined)
      return this.answer(this.retry.lastFailure ?? this.#choice.refusal, this.#choice.refusalLines);
    this.state = "trying";
    this.attempt.prepare(this.destination, recordAttempt(this, member, again !== undefined, this.#path.clock));
    this.retry.tries++;
    const { perTryTimeoutMs } = this.destination;
    this.attempt.start(member, this.head.method, this.head.upgrade, perTryTimeoutMs, again !== undefined);
  }

  onAttemptOpen(): void {
    this.retry.hasSent = true;
    if (!this.attempt.isRawTunnel) return this.request.sendAll();
    this.#client.outlet.addHead(tunnelAnswerText(this.#path.clock.wall()), false);
    this.#enterTunnel(200);
  }

  // ---- the request's body ----

  /** @param trailers as of MessageOutlet.end */
  onRequestEnd(trailers: string): void {
    this.request.end(trailers);
    if (this.state === "trying" || this.state === "backing-off" || this.state === "responding")
      this.#armRequestTimer(this.#path.clock.now());
  }

  onAttemptDrain(): void {
    this.#client.noteActivity();
    this.#client.resumeReading();
  }

  // ---- the answer ----

  onInterimHead(head: MessageHead): void {
    if (head.status === 100) this.#keepAlive.hasContinued = true;
    // HTTP/1.0 clients know no interim responses (RFC 9110 section 15.2).
    if (this.head.minorVersion === 0) return;
    this.#relay.passHead(head, false);
  }

  wantsRetry(head: MessageHead): boolean {
    return this.retry.acceptsStatus(head.status, this.destination, this.request.isWhole);
  }

  onResponseHead(head: MessageHead, given: BodyForm): BodyForm {
    this.#status = head.status;
    this.request.settle();
    const form = this.#relay.head(head, this.head, this.destination, this.#keepAlive.isAllowed(this.#client), given);
    this.state = "responding";
    return form;
  }

  onResponseBody(bytes: Buffer, start: number, end: number): void {
    this.#relay.body(bytes, start, end);
  }

  onReadDone(): void {
    const { outlet } = this.#client;
    outlet.flush();
    // An answer that came whole in one read costs no look at the clock.
    if (this.state === "responding" && this.record.answeredMs === 0) this.record.answeredMs = this.#path.clock.now();
    this.#client.noteActivity();
    if (outlet.isFull) this.attempt.pauseReading();
  }

  onClientDrain(): void {
    this.#client.noteActivity();
    this.attempt.resumeReading();
  }

  onResponseEnd(trailers: string): void {
    this.retry.countOutcome(this.destination, "answered");
    this.#relay.end(trailers);
    this.#client.outlet.flush();
    this.#end(this.#status);
    this.#client.onExchangeDone(!this.#relay.closes);
  }

  // ---- what goes wrong ----

  onAttemptFailed(cause: Failure): void {
    this.#guard(() => this.#afterFailure(cause));
  }

  #afterFailure(cause: Failure): void {
    if (this.state === "tunnel") return this.#endTunnel(cause);
    const member = this.attempt.member;
    this.retry.countOutcome(this.destination, cause.reason);
    if (this.state === "responding") return this.#cut(cause);
    if (this.retry.isKeepAliveRace(cause, this.attempt, this.request.isWhole)) {
      this.#tryNext(member);
      this.attempt.outlet.flush();
      return;
    }
    const verdict = this.retry.decide(cause, this.destination, this.request.isWhole);
    if (verdict === undefined) this.#backOff(cause.reason);
    else this.answer(verdict, "");
  }

  onRetryableAnswer(status: number): void {
    this.retry.countOutcome(this.destination, "answered");
    this.#backOff(String(status));
  }

  #backOff(why: string): void {
    this.state = "backing-off";
    this.#path.wheel.arm(this.#backoffTimer, this.retry.nextDelayMs(this.destination, this.attempt.member, why));
  }

  onTimer(kind: number): void {
    this.#guard(() => {
      if (kind === REQUEST_TIMER)
        this.fail(failure("request-timeout", `after ${this.destination.requestTimeoutMs} ms`));
      else if (this.state === "backing-off") {
        this.#tryNext(undefined);
        this.attempt.outlet.flush();
      }
    });
  }

  /** Ends the exchange with this answer, or by a reset where an answer has begun. */
  fail(cause: Failure): void {
    if (this.state === "idle") return;
    if (this.state === "responding" || this.state === "tunnel") this.#cut(cause);
    else this.answer(cause, "");
  }

  /** The rest of the request broke a rule, or stopped: there is no telling where the next one would begin. */
  refuse(cause: Failure): void {
    this.#keepAlive.mustClose = true;
    this.fail(cause);
  }

  answer(cause: Failure, lines: string): void {
    this.attempt.abort(outcomeOfFailure(cause.reason));
    const fallback = fallbackOf(cause, this.destination);
    if (fallback !== undefined && this.#goElsewhere(serviceInstead(fallback, cause))) return;
    this.state = "responding";
    const closes = !this.#keepAlive.isAllowed(this.#client);
    const options = { request: this.head, lines, closes, wallMs: this.#path.clock.wall() };
    const status = writeOwnAnswer(this.#client.outlet, cause, this.destination, options, this.#path.metrics);
    this.#end(status, cause);
    this.#client.onExchangeDone(!closes);
  }

  /** Sends the request to another service, if all of it is still there and may be sent again. */
  #goElsewhere(service: string): boolean {
    const isThere = this.request.isWhole && (!this.retry.hasSent || this.retry.canRepeat);
    if (!isThere || !redirectToFallback(this.destination, service, this.snapshot, this.#path.metrics)) return false;
    this.retry.clear();
    this.record.note("fallback", service);
    this.#step(() => this.forward());
    return true;
  }

  /** Bytes of the answer are out: only a reset tells the client that it is not whole. */
  #cut(cause: Failure): void {
    this.attempt.abort(outcomeOfFailure(cause.reason));
    this.#end(this.#status, cause);
    this.#client.reset();
  }

  onInternalError(where: string, error: unknown): void {
    countBug(this.#path, where, error);
    try {
      this.refuse(failure("internal-error")); // how far the request was read is not certain
    } catch {
      this.attempt.abort();
      this.#client.reset();
    }
  }

  /** The client's connection is gone. */
  onClientGone(): void {
    if (this.state === "idle") return this.#dispose();
    if (this.state === "tunnel" && this.attempt.isOpen) return this.tunnel.onClientGone();
    this.attempt.abort();
    this.#end(statusOf(CLIENT_CLOSED), CLIENT_CLOSED);
    this.#dispose();
  }

  #dispose(): void {
    this.#path.wheel.release(this.#requestTimer);
    this.#path.wheel.release(this.#backoffTimer);
    this.suspension.dispose();
    this.attempt.dispose();
  }

  #armRequestTimer(nowMs: number): void {
    const timeoutMs = this.destination.requestTimeoutMs;
    if (timeoutMs > 0) this.#path.wheel.arm(this.#requestTimer, timeoutMs, nowMs);
  }

  onTunnelOpen(head: MessageHead): void {
    this.#relay.passHead(head, true);
    this.#enterTunnel(head.status);
  }

  #enterTunnel(status: number): void {
    this.state = "tunnel";
    this.#status = status;
    this.request.settle();
    this.#path.wheel.cancel(this.#requestTimer);
    this.tunnel.begin();
  }

  #endTunnel(cause: Failure): void {
    this.retry.countOutcome(this.destination, "answered");
    this.tunnel.end();
    this.#end(this.#status);
    if (cause.detail === "") this.#client.onExchangeDone(false);
    else this.#client.reset();
  }

  /** Counts it and lets go of everything. @param cause undefined: the answer is the endpoint's own */
  #end(status: number, cause?: Failure): void {
    this.#hold.cancel();
    this.#path.wheel.cancel(this.#requestTimer);
    this.#path.wheel.cancel(this.#backoffTimer);
    this.#seat.leave();
    this.#active.value--;
    this.endedMs = this.#path.clock.now();
    recordExchange(this.#path, this, status, cause);
    this.state = "idle";
    this.request.clear();
    this.attempt.member = undefined;
    this.destination.clear();
    this.retry.clear();
    this.snapshot = this.#path.noSnapshot;
    this.suspension.end(cause !== undefined, this.endedMs);
  }

  /** Something that was waited for has come: the exchange goes on. */
  #step(step: () => void): void {
    this.record.hasWaited = true;
    this.#guard(() => {
      step();
      this.request.flush();
    });
  }

  #guard(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.onInternalError("exchange", error);
    }
  }
}
