// The tries of one exchange: where the next attempt goes, the pause before it, copies beside it. Starts attempts and says
// what comes of a failure; what the client gets is for the exchange to say.
import type { ReasonName } from "../../rules/reason-names.ts";
import { type TimerOwner, WheelTimer } from "../../runtime/timer-wheel.ts";
import type { EndpointMember } from "../cluster-endpoint.ts";
import type { BodyForm } from "../http1/contract.ts";
import type { MessageHead } from "../http1/head.ts";
import type { AttemptKind, ExchangeRecord } from "../observe/exchange-record.ts";
import { hedgeDelayMs } from "../policy/hedge.ts";
import type { Snapshot } from "../snapshot.ts";
import type { Attempt, AttemptHolder } from "./attempt.ts";
import type { AttemptOwner, Downstream } from "./contract.ts";
import type { DataPath } from "./data-path.ts";
import type { Deadline } from "./deadline.ts";
import type { Destination } from "./destination.ts";
import { EndpointChoice } from "./endpoint-choice.ts";
import { failureTold } from "./fallback.ts";
import { type Copy, type HedgedTries, Hedges } from "./hedges.ts";
import { hopLines } from "./hop-fields.ts";
import { newAttempt } from "./new-attempt.ts";
import { outcomeOfFailure } from "./outcome.ts";
import type { Failure } from "./reasons.ts";
import { recordAttempt } from "./record.ts";
import { RequestRelay } from "./request-relay.ts";
import { RetryState } from "./retry-state.ts";

/** The exchange, as its tries see it. */
export interface TriedExchange extends AttemptOwner {
  readonly destination: Destination;
  readonly record: ExchangeRecord;
  /** The clock at the end of the request head. */
  readonly startedMs: number;
  readonly deadline: Deadline;
  /** The pause before the next attempt is over. */
  onPauseOver(): void;
}

export class Tries implements TimerOwner, AttemptHolder, HedgedTries {
  attempt: Attempt;
  readonly retry: RetryState;
  readonly choice: EndpointChoice;
  readonly request: RequestRelay;
  /** The failure that the last answer told of, where a fallback stands in for it. */
  told: Failure | undefined = undefined;
  readonly #client: Downstream;
  readonly #path: DataPath;
  readonly #exchange: TriedExchange;
  readonly #pauseTimer = new WheelTimer(this);
  #isPausing = false;
  /** For the other protocol than that of `attempt`; built when it is first spoken. */
  #spare: Attempt | undefined = undefined;
  /** Built when a policy first hedges. */
  #hedges: Hedges | undefined = undefined;

  constructor(exchange: TriedExchange, client: Downstream, path: DataPath) {
    this.#exchange = exchange;
    this.#client = client;
    this.#path = path;
    this.attempt = newAttempt(exchange, path, false);
    this.retry = new RetryState(path, exchange.record);
    this.choice = new EndpointChoice(path, exchange.destination, exchange.record);
    this.request = new RequestRelay(client, this, this.retry, exchange.record, path);
  }

  get service(): string {
    return this.#exchange.destination.cluster?.service ?? "";
  }

  /** A request goes to the destination of the exchange. */
  begin(snapshot: Snapshot): void {
    const { destination } = this.#exchange;
    const { head, remoteAddress } = this.#client;
    const form = destination.isHttp2 ? "data" : "wire";
    if (this.attempt.form !== form) this.#change(form);
    this.retry.begin(destination.retry, head, destination);
    this.request.begin(destination, snapshot);
    this.choice.begin(head, remoteAddress);
  }

  /** Attempts are of the protocol of the destination. */
  #change(form: BodyForm): void {
    const other = this.#spare ?? newAttempt(this.#exchange, this.#path, form === "data");
    // Where it went is not where the next request goes that it serves.
    this.attempt.member = undefined;
    this.#spare = this.attempt;
    this.attempt = other;
  }

  /**
   * Starts the next attempt.
   * @param again the endpoint to try once more on a fresh connection; undefined: the balancer chooses
   * @returns why there is none
   */
  next(again: EndpointMember | undefined): Failure | undefined {
    const { retry } = this;
    const kind = again === undefined ? this.#kind() : "fresh";
    const nowMs = this.#path.clock.now();
    const member = this.choice.next(retry.tried, again, this.attempt.tickets, nowMs);
    if (member === undefined) return retry.lastFailure ?? this.choice.refusal;
    this.#start(this.attempt, member, kind, nowMs);
    if (this.#client.isRequestComplete) this.#expectHedge();
    return undefined;
  }

  #kind(): AttemptKind {
    if (this.retry.tries > 0) return "retry";
    return this.#exchange.destination.isFallback ? "fallback" : "first";
  }

  #start(attempt: Attempt, member: EndpointMember, kind: AttemptKind, nowMs: number): void {
    const { destination } = this.#exchange;
    const { head } = this.#client;
    attempt.prepare(destination, recordAttempt(this.#exchange, member, kind, nowMs));
    // A sidecar beside the endpoint makes the last piece of the tunnel.
    if (member.endpoint.mesh) attempt.isRawTunnel = false;
    attempt.needsUpgrade = head.upgrade && this.#client.outlet.form === "data";
    attempt.number = ++this.retry.tries;
    const askedProtocols = head.upgrade ? (head.value("upgrade") ?? "") : "";
    attempt.start(member, head.method, askedProtocols, destination.perTryTimeoutMs, kind === "fresh");
  }

  /** The attempt has a connection: what there is of the request goes out. */
  send(): void {
    this.retry.hasSent = true;
    this.request.sendAll(this.#hopLines(this.attempt));
  }

  #hopLines(attempt: Attempt): string {
    const { destination, deadline, record } = this.#exchange;
    const context = record.trace.source === undefined ? "" : record.trace.linesOf(attempt.record.spanId);
    if (destination.hopFields === "none") return context;
    const leftMs = deadline.leftMs(destination, this.#path.clock.now());
    return context + hopLines(destination.hopFields, attempt.number, leftMs, destination.isGrpc);
  }

  /** The request is complete. @param trailers as of MessageOutlet.end */
  endRequest(trailers: string): void {
    this.request.end(trailers);
    const { state } = this.attempt;
    if (state === "waiting" || state === "head") this.#expectHedge();
  }

  /** Should this answer be given up, for another attempt, for a copy that is under way, or for a fallback? */
  wantsAnother(head: MessageHead): boolean {
    this.told = undefined;
    if (this.#wantsRetry(head)) return true;
    this.told = failureTold(head, this.#exchange.destination);
    return this.told !== undefined;
  }

  #wantsRetry(head: MessageHead): boolean {
    const { retry } = this;
    if (!retry.isUnwanted(head)) return false;
    if (this.#hedges?.isRacing === true) return true;
    return retry.acceptsAnswer(head, this.#exchange.destination, this.request.isWhole, this.#leftMs());
  }

  /** The attempt's answer is the one that the client gets. */
  settle(): void {
    this.request.settle();
    this.#hedges?.cancel("none");
  }

  /** The attempt is over. A copy takes its place if there is one. */
  isReplaced(): boolean {
    const { member } = this.attempt;
    if (this.#hedges?.takeOver() !== true) return false;
    if (member !== undefined) this.retry.tried.push(member);
    return true;
  }

  /** @returns undefined when there shall be another attempt, else what to answer */
  verdictOn(cause: Failure): Failure | undefined {
    return this.retry.decide(cause, this.#exchange.destination, this.request.isWhole, this.#leftMs());
  }

  /** The retry that was decided on follows after its pause. @param why for the figures */
  pause(why: string): void {
    const { member } = this.attempt;
    if (member !== undefined) this.retry.tried.push(member);
    this.retry.countRetry(this.#exchange.destination, why);
    this.#isPausing = true;
    this.#path.wheel.arm(this.#pauseTimer, this.retry.delayMs);
  }

  onTimer(): void {
    this.#isPausing = false;
    this.#exchange.onPauseOver();
  }

  #endPause(): void {
    this.#isPausing = false;
    this.#path.wheel.cancel(this.#pauseTimer);
  }

  /** Whoever takes of what waits for it, client or endpoint, is slow, and no more than that. */
  takeProgress(): boolean {
    const isClientTaking = this.#client.outlet.takeProgress();
    return this.attempt.outlet.takeProgress() || isClientTaking;
  }

  countOutcome(outcome: string): void {
    this.retry.countOutcome(this.#exchange.destination, outcome);
  }

  /** Gives up all that is under way. @param reason why; it may say something about the endpoint */
  abort(reason: ReasonName): void {
    if (this.#isPausing) this.#endPause();
    const { attempt } = this;
    if (!attempt.isOver) this.countOutcome(attempt.state === "tunnel" ? "answered" : reason);
    attempt.abort(outcomeOfFailure(reason));
    this.#hedges?.cancel("none");
  }

  /** For the next request. */
  clear(): void {
    if (this.#isPausing) this.#endPause();
    this.#hedges?.clear();
    this.request.clear();
    this.attempt.member = undefined;
    this.retry.clear();
  }

  /** Stands in no wheel any more, until it is used again. */
  rest(): void {
    this.#path.wheel.release(this.#pauseTimer);
    this.attempt.rest();
    this.#spare?.rest();
    this.#hedges?.rest();
  }

  #leftMs(): number {
    return this.#exchange.deadline.leftMs(this.#exchange.destination, this.#path.clock.now());
  }

  // ---- copies ----

  /** Before the request is complete nobody can say that its answer is late, and nothing could be copied. */
  #expectHedge(): void {
    const hedge = this.retry.plan?.hedge;
    if (hedge === undefined) return;
    const { delay, max } = hedge;
    this.#hedges ??= new Hedges(this, this.#exchange, this.#path);
    this.#hedges.expect(hedgeDelayMs(delay, this.#exchange.destination.cluster?.state.percentile), max);
  }

  startCopy(copy: Attempt, others: readonly Copy[]): boolean {
    const { retry } = this;
    const { destination } = this.#exchange;
    const { head } = this.#client;
    if (this.attempt.isOver || this.attempt.isRawTunnel || head.upgrade || head.isConnect) return false;
    const taken = [...retry.tried];
    for (const { member } of [this.attempt, ...others.map(({ attempt }) => attempt)])
      if (member !== undefined) taken.push(member);
    const nowMs = this.#path.clock.now();
    const member = this.choice.nextBeside(taken, copy.tickets, nowMs);
    if (member === undefined) return retry.skip(destination, "no-other-endpoint");
    if (!retry.acceptsHedge(destination, this.request.isWhole)) {
      destination.cluster?.state.giveBack(member.state, copy.tickets, nowMs);
      return false;
    }
    retry.countRetry(destination, "hedge");
    this.#exchange.record.note("hedge", member.address, nowMs - this.#exchange.startedMs);
    this.#start(copy, member, "hedge", nowMs);
    return true;
  }

  sendCopy(copy: Attempt): void {
    this.request.sendCopy(copy.outlet, this.#hopLines(copy));
  }

  isUnwanted(head: MessageHead): boolean {
    return this.retry.isUnwanted(head) || failureTold(head, this.#exchange.destination) !== undefined;
  }
}
