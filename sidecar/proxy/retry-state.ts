// The tries of one exchange: how many there were and where, and whether there is another one. Asks the retry plan and
// the budget; the deadline is the exchange's timer, which ends it whatever is decided here.
import { fullJitter } from "../../runtime/backoff.ts";
import type { EndpointMember } from "../cluster-endpoint.ts";
import type { ClusterState } from "../cluster-state.ts";
import type { MessageHead } from "../http1/head.ts";
import type { ExchangeRecord } from "../observe/exchange-record.ts";
import { isRepeatable, isRetriableStatus, type RetryPlan } from "../policy/retry.ts";
import type { DataPath } from "./data-path.ts";
import type { Destination } from "./destination.ts";
import { type Failure, failure } from "./reasons.ts";

/** What counts of an attempt that failed. */
interface EndedAttempt {
  readonly hasAnswered: boolean;
  readonly isReused: boolean;
}

export class RetryState {
  plan: RetryPlan | undefined = undefined;
  /** The method, or an Idempotency-Key, allows sending the request again after it may have been acted on. */
  canRepeat = false;
  /** An attempt got as far as writing: an endpoint may have acted on it. */
  hasSent = false;
  /** Attempts so far. */
  tries = 0;
  /** Endpoints that failed. */
  readonly tried: EndpointMember[] = [];
  lastFailure: Failure | undefined = undefined;
  /** Retries by policy so far. */
  #retries = 0;
  /** The one free attempt after a keep-alive race was used. */
  #hasRaced = false;
  /** Where this exchange is counted as one that is tried again. */
  #countedIn: ClusterState | undefined = undefined;
  readonly #path: DataPath;
  readonly #record: ExchangeRecord;

  constructor(path: DataPath, record: ExchangeRecord) {
    this.#path = path;
    this.#record = record;
  }

  /** The request goes out under this plan. */
  begin(plan: RetryPlan | undefined, head: MessageHead): void {
    this.plan = plan;
    this.canRepeat = plan !== undefined && isRepeatable(plan, head);
  }

  clear(): void {
    this.plan = undefined;
    this.canRepeat = false;
    this.hasSent = false;
    this.tries = 0;
    if (this.tried.length > 0) this.tried.length = 0;
    this.lastFailure = undefined;
    this.#retries = 0;
    this.#hasRaced = false;
    if (this.#countedIn !== undefined) this.#countedIn.activeRetries--;
    this.#countedIn = undefined;
  }

  /**
   * An endpoint that closed a reused connection without a byte of an answer was most likely closing it as idle while
   * the request was on its way. Such a request goes once to a fresh connection, outside of policy and budget.
   */
  isKeepAliveRace(cause: Failure, { hasAnswered, isReused }: EndedAttempt, isBodyWhole: boolean): boolean {
    const isSilentClose = cause.reason === "upstream-reset" && isReused && !hasAnswered;
    const isRace = isSilentClose && !this.#hasRaced && this.canRepeat && isBodyWhole;
    if (isRace) this.#hasRaced = true;
    return isRace;
  }

  /** Should an answer with this status be given up for another attempt? Takes from the budget if so. */
  acceptsStatus(status: number, destination: Destination, isBodyWhole: boolean): boolean {
    const plan = this.plan;
    if (plan === undefined || !isRetriableStatus(plan, status) || this.#retries >= plan.attempts) return false;
    if (!this.#isSafe(destination, isBodyWhole)) return false;
    return this.#takeBudget(destination);
  }

  /** @returns undefined when another attempt shall be made, else what to answer. */
  decide(cause: Failure, destination: Destination, isBodyWhole: boolean): Failure | undefined {
    this.lastFailure = cause;
    const plan = this.plan;
    if (plan === undefined || !isWorthRetrying(plan, cause) || this.#retries >= plan.attempts) return cause;
    if (this.hasSent && !this.#isSafe(destination, isBodyWhole)) return cause;
    if (this.#isMove(cause, destination)) return undefined;
    if (!this.#takeBudget(destination)) return failure("retry-budget-exhausted", `${cause.reason} ${cause.detail}`);
    return undefined;
  }

  /** Counts the retry that was decided on, after `failed`. @returns how long to wait before it. */
  nextDelayMs(destination: Destination, failed: EndpointMember | undefined, why: string): number {
    if (failed !== undefined) this.tried.push(failed);
    this.#retries++;
    const cluster = destination.cluster;
    if (this.#countedIn === undefined && cluster !== undefined) {
      this.#countedIn = cluster.state;
      cluster.state.activeRetries++;
    }
    this.#path.metrics.retries.cell(serviceOf(destination), why).value++;
    const plan = this.plan;
    return plan === undefined ? 0 : fullJitter(this.#path.random, this.#retries, plan.backoffBaseMs, plan.backoffMaxMs);
  }

  /** Counts how an attempt ended. */
  countOutcome(destination: Destination, outcome: string): void {
    const cluster = destination.cluster;
    if (cluster === undefined) return;
    let cell = cluster.state.outcomes.get(outcome);
    if (cell === undefined) {
      cell = this.#path.metrics.attempts.cell(cluster.service, outcome);
      cluster.state.outcomes.set(outcome, cell);
    }
    cell.value++;
  }

  /**
   * A connection that could not be made gave nobody work, so a request that moves on to an endpoint that it has not
   * tried adds no load, and the budget has no say (the "transparent" retry of gRFC A6). A killed endpoint among a few
   * would spend the budget in no time, until its lease ends.
   */
  #isMove(cause: Failure, { cluster }: Destination): boolean {
    return cause.reason === "connect-failure" && cluster !== undefined && this.tried.length + 1 < cluster.states.size;
  }

  #isSafe(destination: Destination, isBodyWhole: boolean): boolean {
    if (this.canRepeat && isBodyWhole) return true;
    this.#skip(destination, this.canRepeat ? "body-too-large" : "not-repeatable");
    return false;
  }

  #takeBudget(destination: Destination): boolean {
    const { cluster } = destination;
    if (cluster === undefined || this.plan === undefined) return false;
    const { budget, activeRetries } = cluster.state;
    if (this.#countedIn === undefined && activeRetries >= cluster.policy.connectionPool.maxRetries) {
      this.#skip(destination, "max-retries");
      return false;
    }
    if (budget.take(this.#path.clock.now(), this.plan.budget)) return true;
    this.#skip(destination, "budget");
    return false;
  }

  #skip(destination: Destination, why: string): void {
    this.#record.note("retry-skipped", why);
    this.#path.metrics.retriesSkipped.cell(serviceOf(destination), why).value++;
  }
}

function serviceOf(destination: Destination): string {
  return destination.cluster?.service ?? "";
}

function isWorthRetrying(plan: RetryPlan, cause: Failure): boolean {
  switch (cause.reason) {
    case "connect-failure":
    case "pool-overflow":
      return plan.onConnectFailure;
    case "upstream-reset":
      return plan.onReset;
    case "per-try-timeout":
      return plan.onReset || isRetriableStatus(plan, 504);
    default:
      return false;
  }
}
