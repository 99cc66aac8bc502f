// One request and its answer, from the complete head to the last byte. The conductor: routing decides, attempts try,
// policies are asked, failures become answers. One object per client connection, used for request after request.
import type { TimerOwner } from "../../runtime/timer-wheel.ts";
import { WheelTimer } from "../../runtime/timer-wheel.ts";
import type { EndpointMember } from "../cluster.ts";
import type { BodyForm } from "../http1/contract.ts";
import { encodeRequestHead } from "../http1/encoder.ts";
import type { MessageHead } from "../http1/head.ts";
import { HeadEdits } from "../http1/head-edits.ts";
import type { Direction } from "../observe/metrics.ts";
import { isRepeatable } from "../policy/retry.ts";
import type { Resolution } from "../resolver.ts";
import type { Snapshot } from "../snapshot.ts";
import { Attempt } from "./attempt.ts";
import { BodyLog } from "./body-log.ts";
import type { AttemptOwner, Downstream, RoutedExchange, Router } from "./contract.ts";
import { corsLines } from "./cors.ts";
import type { DataPath } from "./data-path.ts";
import { Destination } from "./destination.ts";
import { applyModifiers, type HopLines, hopLines, requestLines } from "./forwarding.ts";
import { Mirror } from "./mirror.ts";
import { type Failure, failure } from "./reasons.ts";
import { recordExchange } from "./record.ts";
import { answerText, statusOf, tunnelAnswerText } from "./respond.ts";
import { ResponseRelay } from "./response-relay.ts";
import { RetryState } from "./retry-state.ts";
import { rewriteRequest } from "./rewrite.ts";

/** "trying": an attempt is under way and nothing of its answer is out. */
export type ExchangeState = "idle" | "routing" | "resolving" | "trying" | "backing-off" | "responding" | "tunnel";

const REQUEST_TIMER = 0;
/** Ends the state "resolving" or "backing-off". */
const STEP_TIMER = 1;

export class Exchange implements AttemptOwner, RoutedExchange, TimerOwner {
  state: ExchangeState = "idle";
  snapshot: Snapshot;
  readonly destination = new Destination();
  readonly retry: RetryState;
  /** Milliseconds of the clock at the end of the request head. */
  startedMs = 0;
  readonly attempt: Attempt;
  readonly #path: DataPath;
  readonly #client: Downstream;
  readonly #router: Router;
  readonly #log = new BodyLog();
  readonly #relay: ResponseRelay;
  readonly #edits = new HeadEdits();
  readonly #requestTimer = new WheelTimer(this, REQUEST_TIMER);
  readonly #stepTimer = new WheelTimer(this, STEP_TIMER);
  #hopLines: HopLines | undefined = undefined;
  #mirrors: Mirror[] | undefined = undefined;
  /** The request head for the next hop; the same for every attempt. */
  #headText = "";
  /** Counts exchanges, so that a late callback of an earlier one is told apart. */
  #turn = 0;
  #status = 0;
  /** Counted in the cluster's requests in progress. */
  #isCounted = false;
  #sentContinue = false;
  #mustClose = false;

  constructor(client: Downstream, path: DataPath, router: Router) {
    this.#client = client;
    this.#path = path;
    this.#router = router;
    this.snapshot = path.snapshots.current;
    this.#relay = new ResponseRelay(client);
    this.attempt = new Attempt(this, path.wheel, path.http1Limits, path.limits.interimResponsesMax);
    this.retry = new RetryState(path);
  }

  get direction(): Direction {
    return this.#router.direction;
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

  /** The request head is complete. Everything up to the upstream write may happen before this returns. */
  begin(): void {
    this.state = "routing";
    this.startedMs = this.#path.clock.now();
    this.snapshot = this.#path.snapshots.current;
    this.retry.begin();
    this.#status = 0;
    this.#sentContinue = false;
    this.#mustClose = false;
    this.#router.route(this, undefined);
  }

  hold(service: string): void {
    const resolver = this.#path.resolver;
    if (resolver === undefined) return this.#router.route(this, "unknown");
    if (this.#path.resolvingCount >= this.#path.limits.resolvingRequestsMax)
      return this.answer(failure("overloaded", "too many requests wait for the control plane"), "");
    this.state = "resolving";
    this.#path.resolvingCount++;
    this.#client.pauseReading();
    const turn = ++this.#turn;
    this.#path.wheel.arm(this.#stepTimer, this.#path.limits.resolveTimeoutMs);
    resolver.resolve(service, (resolution) => {
      if (turn === this.#turn && this.state === "resolving") this.#guard(() => this.#onResolved(resolution));
    });
  }

  #onResolved(resolution: Resolution): void {
    this.#leaveResolving();
    this.#client.resumeReading();
    this.snapshot = this.#path.snapshots.current;
    this.#router.route(this, resolution);
    this.flushRequest();
  }

  #leaveResolving(): void {
    this.#turn++;
    this.#path.resolvingCount--;
    this.#path.wheel.cancel(this.#stepTimer);
    this.state = "routing";
  }

  forward(): void {
    const { cluster, idleTimeoutMs } = this.destination;
    if (cluster === undefined) return this.answer(failure("internal-error"), "");
    if (cluster.state.activeRequests >= cluster.policy.connectionPool.maxRequests)
      return this.answer(
        failure("pool-overflow", `${cluster.service} has ${cluster.state.activeRequests} requests`),
        "",
      );
    cluster.state.activeRequests++;
    this.#isCounted = true;
    cluster.state.budget.countRequest(this.startedMs);
    const plan = this.destination.retry;
    this.retry.plan = plan;
    this.retry.canRepeat =
      plan !== undefined && isRepeatable(plan, this.head.method, this.head.value("idempotency-key") !== undefined);
    this.#headText = this.#encodeHead();
    if (idleTimeoutMs > 0) this.#client.setIdleTimeout(idleTimeoutMs);
    if (this.isRequestComplete) this.#armRequestTimer();
    if (this.destination.ruleFilters.mirrors.length > 0) this.#startMirrors();
    this.#tryNext(undefined);
  }

  #encodeHead(): string {
    const head = this.head;
    const edits = this.#edits;
    edits.clear();
    edits.upgrade = head.upgrade;
    const settings = this.snapshot.mesh.headers;
    if (this.#hopLines?.settings !== settings) this.#hopLines = hopLines(settings, this.#client.remoteAddress);
    edits.append = requestLines(this.#hopLines, head, this.#path.newRequestId);
    const { ruleFilters, backendFilters } = this.destination;
    if (!ruleFilters.isEmpty || !backendFilters.isEmpty) rewriteRequest(edits, head, this.destination);
    return encodeRequestHead(head, edits);
  }

  /** @param again the endpoint to try once more on a fresh connection; undefined: the balancer chooses */
  #tryNext(again: EndpointMember | undefined): void {
    const { cluster, members, perTryTimeoutMs } = this.destination;
    if (cluster === undefined || members === undefined) return this.answer(failure("internal-error"), "");
    const member = again ?? cluster.state.balancer.pick(members, this.retry.tried, 0);
    if (member === undefined)
      return this.answer(this.retry.lastFailure ?? failure("no-healthy-endpoint", cluster.service), "");
    this.state = "trying";
    this.retry.tries++;
    this.attempt.isRawTunnel = this.destination.isRawTunnel;
    this.attempt.start(member, this.head.method, this.head.upgrade, perTryTimeoutMs, again !== undefined);
  }

  onAttemptOpen(): void {
    this.retry.hasSent = true;
    if (this.attempt.isRawTunnel) return this.#openRawTunnel();
    this.attempt.outlet.addText(this.#headText);
    if (this.#log.bytes > 0) {
      this.#log.sendTo(this.attempt.outlet);
      if (!this.retry.canRepeat || this.#log.bytes > (this.retry.plan?.maxBodyBytes ?? 0)) this.#log.forget();
    }
    this.#client.resumeReading();
  }

  // ---- the request's body ----

  onRequestBody(bytes: Buffer, start: number, end: number): void {
    const isOpen = this.attempt.isOpen;
    if (isOpen) this.attempt.outlet.addBytes(bytes, start, end);
    if (this.#keepsBody(isOpen)) this.#log.addBytes(bytes, start, end);
    this.#afterBody(isOpen);
    if (this.#mirrors !== undefined) for (const mirror of this.#mirrors) mirror.addBody(bytes, start, end);
  }

  /** @param tail the last piece of the body's wire form, mostly empty */
  onRequestEnd(tail: string): void {
    if (tail !== "") {
      const isOpen = this.attempt.isOpen;
      if (isOpen) this.attempt.outlet.addText(tail);
      if (this.#keepsBody(isOpen)) this.#log.addText(tail);
      this.#afterBody(isOpen);
    }
    if (this.state === "trying" || this.state === "backing-off" || this.state === "responding") this.#armRequestTimer();
    if (this.#mirrors !== undefined) for (const mirror of this.#mirrors) mirror.end(tail);
  }

  #keepsBody(isSent: boolean): boolean {
    if (!isSent) return this.state !== "responding";
    return this.retry.canRepeat && this.#log.isWhole && this.state === "trying";
  }

  /** Bounds what is kept: nothing more is read before a connection is there; what is too much is not kept for retries. */
  #afterBody(isSent: boolean): void {
    if (!isSent) {
      if (!this.isRequestComplete) this.#client.pauseReading();
    } else if (!this.retry.canRepeat) this.#log.isWhole = false;
    else if (this.#log.bytes > (this.retry.plan?.maxBodyBytes ?? 0)) this.#log.forget();
  }

  /** Writes what was gathered in this turn. */
  flushRequest(): void {
    const outlet = this.attempt.outlet;
    outlet.flush();
    if (outlet.isFull) this.#client.pauseReading();
  }

  onAttemptDrain(): void {
    this.#client.noteActivity();
    this.#client.resumeReading();
  }

  // ---- the answer ----

  onInterimHead(head: MessageHead): void {
    if (head.status === 100) this.#sentContinue = true;
    // HTTP/1.0 clients know no interim responses (RFC 9110 section 15.2).
    if (this.head.minorVersion === 0) return;
    this.#relay.passHead(head, false);
  }

  wantsRetry(head: MessageHead): boolean {
    return this.retry.acceptsStatus(head.status, this.destination, this.#log.isWhole);
  }

  onResponseHead(head: MessageHead): BodyForm {
    this.state = "responding";
    this.#status = head.status;
    this.#log.clear();
    const edits = this.#relay.begin();
    const { ruleFilters, backendFilters } = this.destination;
    if (!ruleFilters.isEmpty || !backendFilters.isEmpty) {
      applyModifiers(edits, ruleFilters.responseHeaders);
      applyModifiers(edits, backendFilters.responseHeaders);
      if (ruleFilters.cors !== undefined) edits.append += corsLines(edits, ruleFilters.cors, this.head);
    }
    return this.#relay.head(head, this.head, this.#mayKeepAlive());
  }

  onResponseBody(bytes: Buffer, start: number, end: number): void {
    this.#relay.body(bytes, start, end);
  }

  onReadDone(): void {
    const outlet = this.#client.outlet;
    outlet.flush();
    this.#client.noteActivity();
    if (outlet.isFull) this.attempt.pauseReading();
  }

  onClientDrain(): void {
    this.#client.noteActivity();
    this.attempt.resumeReading();
  }

  onResponseEnd(tail: string): void {
    this.retry.countOutcome(this.destination, "answered");
    this.#relay.end(tail);
    this.#client.outlet.flush();
    this.#finish(this.#status, "", !this.#relay.closes);
  }

  /** May the client's connection be used again after this answer? */
  #mayKeepAlive(): boolean {
    const head = this.head;
    if (!head.keepAlive || this.#client.isDraining) return false;
    // A client that waits for 100 and gets a final answer may or may not send the body (RFC 9110 section 10.1.1).
    return !head.expectContinue || this.isRequestComplete || this.#sentContinue;
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
    if (
      this.attempt.hasAnswered === false &&
      this.retry.isKeepAliveRace(cause, this.attempt.isReused, this.#log.isWhole)
    ) {
      this.#tryNext(member);
      this.attempt.outlet.flush();
      return;
    }
    const verdict = this.retry.decide(cause, this.destination, this.#log.isWhole);
    if (verdict === undefined) this.#backOff(cause.reason);
    else this.answer(verdict, "");
  }

  onRetryableAnswer(status: number): void {
    this.retry.countOutcome(this.destination, "answered");
    this.#backOff(String(status));
  }

  #backOff(why: string): void {
    if (this.attempt.member !== undefined) this.retry.tried.push(this.attempt.member);
    this.state = "backing-off";
    this.#path.wheel.arm(this.#stepTimer, this.retry.nextDelayMs(this.destination, why));
  }

  onTimer(kind: number): void {
    this.#guard(() => {
      if (kind === REQUEST_TIMER)
        this.fail(failure("request-timeout", `after ${this.destination.requestTimeoutMs} ms`));
      else if (this.state === "resolving") this.#onResolved("unavailable");
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
    this.#mustClose = true;
    this.fail(cause);
  }

  answer(cause: Failure, lines: string): void {
    this.attempt.abort();
    const closes = this.#mustClose || !this.#mayKeepAlive();
    this.state = "responding";
    const filters = this.destination.ruleFilters;
    let allLines = lines;
    if (filters.cors !== undefined) allLines += corsLines(undefined, filters.cors, this.head);
    const outlet = this.#client.outlet;
    outlet.addText(answerText(cause, { request: this.head, lines: allLines, closes, wallMs: this.#path.clock.wall() }));
    outlet.flush();
    this.#finish(statusOf(cause), cause.reason, !closes);
  }

  /** Bytes of the answer are out: only a reset tells the client that it is not whole. */
  #cut(cause: Failure): void {
    this.attempt.abort();
    this.#end(this.#status, cause.reason);
    this.#client.reset();
  }

  onInternalError(where: string, error: unknown): void {
    this.#path.metrics.internalErrors.cell(where).value++;
    this.#path.log.error({ err: error, where }, "an error in the sidecar ended one exchange");
    try {
      this.fail(failure("internal-error"));
    } catch {
      this.attempt.abort();
      this.#client.reset();
    }
  }

  /** The client's connection is gone. */
  onClientGone(): void {
    if (this.state === "idle") return;
    if (this.state === "tunnel" && this.attempt.isOpen) {
      // What was written towards the endpoint still goes out; its close, or the timer, ends the exchange.
      this.attempt.outlet.flush();
      this.attempt.endTunnelWrites();
      this.#path.wheel.arm(this.#requestTimer, this.#path.limits.lingerMs);
      return;
    }
    this.attempt.abort();
    this.#end(statusOf(failure("client-closed")), "client-closed");
  }

  #armRequestTimer(): void {
    if (this.destination.requestTimeoutMs > 0)
      this.#path.wheel.arm(this.#requestTimer, this.destination.requestTimeoutMs);
  }

  #startMirrors(): void {
    for (const filter of this.destination.ruleFilters.mirrors) {
      const mirror = Mirror.start(filter, this.#path, this.snapshot, this.head, this.#headText, this.isRequestComplete);
      if (mirror !== undefined) {
        this.#mirrors ??= [];
        this.#mirrors.push(mirror);
      }
    }
  }

  // ---- tunnels ----

  onTunnelOpen(head: MessageHead): void {
    this.#relay.passHead(head, true);
    this.#status = head.status;
    this.#enterTunnel();
  }

  #openRawTunnel(): void {
    this.#client.outlet.addText(tunnelAnswerText(this.#path.clock.wall()));
    this.#status = 200;
    this.#enterTunnel();
  }

  #enterTunnel(): void {
    this.state = "tunnel";
    this.#log.clear();
    this.#path.wheel.cancel(this.#requestTimer);
    this.#client.outlet.flush();
    this.#client.startTunnel();
  }

  onTunnelBytes(bytes: Buffer, start: number, end: number): void {
    this.#client.outlet.addBytes(bytes, start, end);
  }

  onTunnelEnd(): void {
    this.#client.outlet.flush();
    this.#client.endTunnelWrites();
  }

  onClientTunnelBytes(bytes: Buffer, start: number, end: number): void {
    this.attempt.outlet.addBytes(bytes, start, end);
  }

  onClientTunnelEnd(): void {
    this.attempt.outlet.flush();
    this.attempt.endTunnelWrites();
  }

  #endTunnel(cause: Failure): void {
    this.retry.countOutcome(this.destination, "answered");
    const wasCut = cause.detail !== "";
    this.#end(this.#status, "");
    if (wasCut) this.#client.reset();
    else this.#client.onExchangeDone(false);
  }

  // ---- the end ----

  #finish(status: number, reason: string, mayKeepAlive: boolean): void {
    this.#end(status, reason);
    this.#client.onExchangeDone(mayKeepAlive);
  }

  /** Counts it and lets go of everything. */
  #end(status: number, reason: string): void {
    if (this.state === "resolving") this.#leaveResolving();
    this.#path.wheel.cancel(this.#requestTimer);
    this.#path.wheel.cancel(this.#stepTimer);
    const cluster = this.destination.cluster;
    if (this.#isCounted && cluster !== undefined) cluster.state.activeRequests--;
    this.#isCounted = false;
    recordExchange(this.#path, this.#router.direction, this, status, reason);
    this.state = "idle";
    this.#turn++;
    this.#headText = "";
    this.#log.clear();
    if (this.#mirrors !== undefined) for (const mirror of this.#mirrors) mirror.cancel();
    this.#mirrors = undefined;
    this.attempt.member = undefined;
    this.destination.clear();
    this.retry.clear();
    this.snapshot = this.#path.snapshots.current;
  }

  /** An error of the sidecar itself ends this exchange and nothing else. */
  #guard(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.onInternalError("exchange", error);
    }
  }
}
