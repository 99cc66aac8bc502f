// One request and its answer, from the complete head to the last byte. The conductor: routing decides, attempts try,
// policies are asked, failures become answers. One object per seat, used for request after request.
import type { TimerOwner } from "../../runtime/timer-wheel.ts";
import type { EndpointMember } from "../cluster-endpoint.ts";
import type { BodyForm } from "../http1/contract.ts";
import type { MessageHead } from "../http1/head.ts";
import type { Http2Head } from "../http2/head.ts";
import { ExchangeRecord } from "../observe/exchange-record.ts";
import type { Cell } from "../observe/families.ts";
import type { Direction } from "../observe/metrics.ts";
import type { Snapshot } from "../snapshot.ts";
import type { Attempt } from "./attempt.ts";
import type { Downstream, ExchangeState, RoutedExchange, Router, Trailers, TurnStep } from "./contract.ts";
import type { DataPath } from "./data-path.ts";
import { Deadline, lowerTimeout } from "./deadline.ts";
import { Destination } from "./destination.ts";
import { answerInstead, goElsewhere, writeOwnAnswer } from "./fallback.ts";
import { KeepAlive } from "./keep-alive.ts";
import { retryMark } from "./nearest-hop.ts";
import { type Failure, failure } from "./reasons.ts";
import { beginRecord, countBug, debugLine, recordExchange } from "./record.ts";
import { RequestPermit } from "./request-permit.ts";
import type { RequestRelay } from "./request-relay.ts";
import { statusOf, tunnelAnswerText } from "./respond.ts";
import { ResponseRelay } from "./response-relay.ts";
import type { RetryState } from "./retry-state.ts";
import { ServiceHold } from "./service-hold.ts";
import { Suspension } from "./suspension.ts";
import { type TriedExchange, Tries } from "./tries.ts";
import { CLIENT_CLOSED, Tunnel } from "./tunnel.ts";
import { type SteppedExchange, TurnSteps } from "./turn-steps.ts";

export class Exchange implements TriedExchange, RoutedExchange, SteppedExchange, TimerOwner {
  state: ExchangeState = "idle";
  snapshot: Snapshot;
  readonly destination = new Destination();
  readonly direction: Direction;
  readonly record: ExchangeRecord;
  readonly tries: Tries;
  readonly retry: RetryState;
  readonly request: RequestRelay;
  readonly deadline: Deadline;
  readonly #path: DataPath;
  readonly #client: Downstream;
  readonly #router: Router;
  readonly #relay: ResponseRelay;
  /** Built when they are first needed: most exchanges wait for nothing and are no tunnel. */
  #hold: ServiceHold | undefined = undefined;
  #suspension: Suspension | undefined = undefined;
  #tunnel: Tunnel | undefined = undefined;
  readonly #permit = new RequestPermit();
  #status = 0;
  readonly steps: TurnSteps;
  readonly keepAlive = new KeepAlive();
  readonly #active: Cell;

  constructor(client: Downstream, path: DataPath, router: Router) {
    this.#client = client;
    this.#path = path;
    this.#router = router;
    this.direction = router.direction;
    this.record = new ExchangeRecord(router.direction);
    this.snapshot = path.noSnapshot;
    this.#relay = new ResponseRelay(client, this.record, path.clock);
    this.deadline = new Deadline(path, this, 0);
    this.steps = new TurnSteps(this, client, path.turn);
    this.tries = new Tries(this, client, path);
    this.retry = this.tries.retry;
    this.request = this.tries.request;
    this.#active = path.metrics.requestsActive.cell(router.direction);
  }

  get head(): MessageHead {
    return this.#client.head;
  }

  get attempt(): Attempt {
    return this.tries.attempt;
  }

  get startedMs(): number {
    return this.record.startedMs;
  }

  get endedMs(): number {
    return this.record.endedMs;
  }

  get remoteAddress(): string {
    return this.#client.remoteAddress;
  }

  get isRequestComplete(): boolean {
    return this.#client.isRequestComplete;
  }

  get suspension(): Suspension {
    this.#suspension ??= new Suspension(this.#client, this.#path, (step) => this.#step(step));
    return this.#suspension;
  }

  get tunnel(): Tunnel {
    this.#tunnel ??= new Tunnel(this.#client, this.tries, this, this.#path, (why) => this.#end(this.#status, why));
    return this.#tunnel;
  }

  // ---- the way of a request, top to bottom ----

  /**
   * The request head is complete. A request without content takes its next steps with the others of the turn; for any
   * other everything up to the upstream write may happen before this returns.
   */
  begin(): void {
    this.state = "routing";
    this.#active.value++;
    this.snapshot = this.#path.snapshots.current;
    beginRecord(this.#path, this);
    this.#status = 0;
    this.keepAlive.begin();
    if (this.steps.areShared) this.steps.wait("route");
    else this.#router.route(this, undefined);
  }

  onStep(step: TurnStep): void {
    if (step === "route") this.#router.route(this, undefined);
    else if (step === "forward") this.#forward();
    else if (step === "send") this.#tryAgain(undefined);
    else this.#finish();
  }

  hold(service: string): void {
    this.#hold ??= new ServiceHold(this.#client, this.#path, this.#router, (step) => this.#step(step));
    this.#hold.ask(this, service);
  }

  forward(): void {
    if (this.steps.areShared) this.steps.wait("forward");
    else this.#forward();
  }

  #forward(): void {
    const { cluster, idleTimeoutMs } = this.destination;
    if (cluster === undefined) return this.answer(failure("internal-error"), "");
    const nowMs = this.#path.clock.now();
    const refusal = lowerTimeout(this, this.#path.clock) ?? this.#permit.acquire(cluster, nowMs);
    if (refusal !== undefined) return this.answer(refusal, "");
    this.tries.begin(this.snapshot);
    if (idleTimeoutMs > 0) this.#client.setIdleTimeout(idleTimeoutMs);
    this.deadline.begin(this.destination, this.isRequestComplete, this.record.hasWaited ? this.startedMs : nowMs);
    if (this.steps.areShared) this.steps.wait("send");
    else this.#tryNext(undefined);
  }

  /** @param again the endpoint to try once more on a fresh connection; undefined: the balancer chooses */
  #tryNext(again: EndpointMember | undefined): void {
    this.state = "trying";
    const failed = this.tries.next(again);
    if (failed !== undefined) this.answer(failed, this.tries.choice.refusalLines);
  }

  #tryAgain(at: EndpointMember | undefined): void {
    this.#tryNext(at);
    if (!this.#client.content.isAwaited) this.attempt.outlet.flush();
  }

  onAttemptOpen(): void {
    if (!this.attempt.isRawTunnel) return this.tries.send();
    this.retry.hasSent = true;
    this.#client.outlet.addHead(tunnelAnswerText(this.#path.clock.wall()), false);
    this.#enterTunnel(200);
  }

  /** @param trailers as of MessageOutlet.end */
  onRequestEnd(trailers: string): void {
    this.tries.endRequest(trailers);
    if (this.state === "trying" || this.state === "backing-off" || this.state === "responding")
      this.deadline.run(this.destination, this.#path.clock.now());
  }

  onAttemptDrain(): void {
    this.#client.noteActivity();
    this.#client.resumeReading();
  }

  // ---- the answer ----

  onInterimHead(head: MessageHead): void {
    const isNews = head.status !== 100 || this.keepAlive.takeContinue(this.attempt.record);
    // HTTP/1.0 clients know no interim responses (RFC 9110 section 15.2).
    if (isNews && this.head.minorVersion > 0) this.#relay.interimHead(head);
  }

  wantsRetry(head: MessageHead): boolean {
    return this.tries.wantsAnother(head);
  }

  onResponseHead(head: MessageHead, given: BodyForm, fields?: Http2Head): BodyForm {
    this.#status = head.status;
    this.tries.settle();
    this.destination.responseLines += retryMark(this.#path, this, head.status, false) + debugLine(this, this.#path);
    const form = this.#relay.head(head, this, this.keepAlive.isAllowed(this.#client), given, fields);
    this.state = "responding";
    return form;
  }

  onResponseBody(bytes: Buffer, start: number, end: number): void {
    this.#relay.body(bytes, start, end);
    if (this.#client.outlet.isFull) this.attempt.pauseReading();
  }

  onReadDone(): void {
    const { outlet } = this.#client;
    outlet.flush();
    // An answer that came whole in one read costs no look at the clock.
    if (this.state === "responding" && this.record.answeredMs === 0) this.record.answeredMs = this.attempt.nowMs;
    this.#client.noteActivity();
    if (outlet.isFull) this.attempt.pauseReading();
  }

  onClientDrain(): void {
    this.#client.noteActivity();
    this.attempt.resumeReading();
  }

  onResponseEnd(trailers: Trailers): void {
    this.tries.countOutcome("answered");
    this.#relay.end(trailers);
    this.#client.outlet.flush();
    this.steps.wait("finish");
  }

  /** The whole answer is on its way. */
  #finish(): void {
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
    this.tries.countOutcome(cause.reason);
    if (this.state === "responding") return this.#cut(cause);
    if (this.tries.isReplaced()) return;
    if (this.retry.isKeepAliveRace(cause, this.attempt, this.request.isWhole)) return this.#tryAgain(member);
    this.#goOn(this.tries.verdictOn(cause), cause.reason);
  }

  onRetryableAnswer(status: number): void {
    this.tries.countOutcome("answered");
    if (!this.tries.isReplaced()) this.#goOn(this.tries.told, String(status));
  }

  /** @param verdict what to answer; undefined: another attempt follows */
  #goOn(verdict: Failure | undefined, why: string): void {
    if (verdict !== undefined) return this.answer(verdict, "");
    this.state = "backing-off";
    this.tries.pause(why);
  }

  onPauseOver(): void {
    this.#guard(() => this.#tryAgain(undefined));
  }

  /** The time of the whole request is over. */
  onTimer(): void {
    this.#guard(() => this.fail(failure("request-timeout", `after ${this.deadline.timeoutMs} ms`)));
  }

  /** Ends the exchange with this answer, or by a reset where an answer has begun. */
  fail(cause: Failure): void {
    this.steps.take("finish");
    if (this.state === "idle") return;
    if (this.state === "responding" || this.state === "tunnel") this.#cut(cause);
    else this.answer(cause, "");
  }

  /** The rest of the request broke a rule, or stopped: there is no telling where the next one would begin. */
  refuse(cause: Failure): void {
    this.keepAlive.mustClose = true;
    this.fail(cause);
  }

  answer(cause: Failure, lines: string): void {
    this.tries.abort(cause.reason);
    const instead = answerInstead(cause, this, this.#path.clock);
    if (goElsewhere(this, cause, instead.service, this.#path.metrics)) return this.#step(() => this.forward());
    this.state = "responding";
    const closes = !this.keepAlive.isAllowed(this.#client);
    const all = lines + retryMark(this.#path, this, statusOf(cause), true) + debugLine(this, this.#path, cause);
    const options = { request: this.head, lines: all, instead, closes, wallMs: this.#path.clock.wall() };
    const status = writeOwnAnswer(this.#client.outlet, cause, this.destination, options, this.#path.metrics);
    this.#end(status, cause);
    this.#client.onExchangeDone(!closes);
  }

  /** Bytes of the answer are out: only a reset tells the client that it is not whole, or the end that gRPC has for it. */
  #cut(cause: Failure): void {
    this.tries.abort(cause.reason);
    const isTold = this.#relay.cut(this.destination, cause);
    this.#end(this.#status, cause);
    if (isTold) this.#client.onExchangeDone(false);
    else this.#client.reset();
  }

  onInternalError(where: string, error: unknown): void {
    countBug(this.#path, where, error);
    try {
      this.refuse(failure("internal-error")); // how far the request was read is not certain
    } catch {
      this.tries.abort("internal-error");
      this.#client.reset();
    }
  }

  /** The client's connection is gone. */
  onClientGone(): void {
    if (this.state === "tunnel" && this.attempt.isOpen) return this.tunnel.onClientGone();
    this.onClientReset();
    this.rest();
  }

  /** The client's side ended before the answer did; others may follow. The status that opened a tunnel stays true of it. */
  onClientReset(cause: Failure = CLIENT_CLOSED): void {
    this.steps.take("finish");
    if (this.state === "idle") return;
    const isBegun = this.state === "tunnel" || (this.state === "responding" && cause.reason !== "client-closed");
    const status = isBegun ? this.#status : statusOf(cause);
    this.tries.abort(cause.reason);
    this.#end(status, cause);
  }

  /** Stands in no wheel any more, until it is used again. */
  rest(): void {
    this.deadline.release();
    this.#suspension?.rest();
    this.tries.rest();
  }

  onTunnelOpen(head: MessageHead): void {
    this.destination.responseLines += debugLine(this, this.#path);
    this.#relay.tunnelHead(head, this);
    this.#enterTunnel(head.status);
  }

  #enterTunnel(status: number): void {
    this.state = "tunnel";
    this.#status = status;
    this.tries.settle();
    this.deadline.cancel();
    this.tunnel.begin();
  }

  #endTunnel(cause: Failure): void {
    this.tries.countOutcome("answered");
    const isOrderly = cause.detail === "";
    this.#end(this.#status, isOrderly ? undefined : cause);
    if (isOrderly) this.#client.onExchangeDone(false);
    else this.#client.reset();
  }

  /** Counts it and lets go of everything. @param cause undefined: the answer is the endpoint's own */
  #end(status: number, cause?: Failure): void {
    this.steps.clear();
    this.#hold?.cancel();
    this.deadline.cancel();
    const wasTunnel = this.#tunnel?.end() === true;
    this.#permit.release();
    this.#active.value--;
    this.record.endedMs = this.attempt.nowMs;
    recordExchange(this.#path, this, status, cause);
    this.state = "idle";
    this.tries.clear();
    this.destination.clear();
    this.snapshot = this.#path.noSnapshot;
    this.#suspension?.end(wasTunnel || cause !== undefined, this.endedMs);
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
