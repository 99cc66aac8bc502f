// The tries of one exchange: how many there were and where, and whether there is another one. Asks the retry plan and
// the budget; the deadline is the exchange's timer, which ends it whatever is decided here.
import { fullJitter } from "../../runtime/backoff.ts";
import type { EndpointMember } from "../cluster-endpoint.ts";
import type { ClusterState } from "../cluster-state.ts";
import { FIELD } from "../http1/field.ts";
import type { MessageHead } from "../http1/head.ts";
import type { ExchangeRecord } from "../observe/exchange-record.ts";
import { isRepeatable, isRetriableCode, isRetriableStatus, type RetryPlan, retryAfterMs } from "../policy/retry.ts";
import type { DataPath } from "./data-path.ts";
import type { Destination } from "./destination.ts";
import { grpcStatusOf, isGrpc, pushbackMs } from "./grpc.ts";
import { isMarked } from "./nearest-hop.ts";
import { type Failure, failure } from "./reasons.ts";

/** Without a deadline nobody is kept waiting longer than this for what `retry-after` asks. */
const RETRY_AFTER_MAX_MS = 60_000;

/** Why a retry that the policy asked for is not made (docs/resilience.md). */
type SkippedRetry =
  | "not-repeatable"
  | "body-too-large"
  | "budget"
  | "max-retries"
  | "retry-after"
  | "pushback"
  | "deadline"
  | "not-nearest"
  | "no-other-endpoint";

/** What counts of an attempt that failed. */
interface EndedAttempt {
  readonly hasAnswered: boolean;
  readonly isReused: boolean;
}

export class RetryState {
  plan: RetryPlan | undefined = undefined;
  /** The method, or an Idempotency-Key, allows sending the request again after it may have been acted on. */
  canRepeat = false;
  /** Some failure may lead to sending it again. */
  keepsBody = false;
  /** An attempt got as far as writing: an endpoint may have acted on it. */
  hasSent = false;
  /** Attempts so far. */
  tries = 0;
  /** Endpoints that failed. */
  readonly tried: EndpointMember[] = [];
  lastFailure: Failure | undefined = undefined;
  /** Wait before the retry that was decided on. */
  delayMs = 0;
  /** Retries by policy so far. */
  #retries = 0;
  /** The one free attempt after a keep-alive race was used. */
  #hasRaced = false;
  /** The request asks for a tunnel and for no work. */
  #isConnect = false;
  /** Where this exchange is counted as one that is tried again. */
  #countedIn: ClusterState | undefined = undefined;
  readonly #path: DataPath;
  readonly #record: ExchangeRecord;

  constructor(path: DataPath, record: ExchangeRecord) {
    this.#path = path;
    this.#record = record;
  }

  /** The request goes out under this plan. */
  begin(plan: RetryPlan | undefined, head: MessageHead, { isHttp2 }: Destination): void {
    this.plan = plan;
    this.#isConnect = head.isConnect;
    this.canRepeat = plan !== undefined && isRepeatable(plan, head);
    this.keepsBody = this.canRepeat;
    if (this.canRepeat || plan === undefined) return;
    // What an endpoint of HTTP/2 says it has not seen goes elsewhere, whatever the method.
    this.keepsBody = (isHttp2 && plan.onRefusedStream) || (plan.grpcCodes !== 0 && isGrpc(head));
  }

  clear(): void {
    this.plan = undefined;
    this.canRepeat = false;
    this.keepsBody = false;
    this.hasSent = false;
    this.tries = 0;
    if (this.tried.length > 0) this.tried.length = 0;
    this.lastFailure = undefined;
    this.delayMs = 0;
    this.#retries = 0;
    this.#hasRaced = false;
    if (this.#countedIn !== undefined) this.#countedIn.activeRetries--;
    this.#countedIn = undefined;
  }

  /**
   * An endpoint that closed a reused connection without a byte of an answer was most likely closing it as idle while
   * the request was on its way. Such a request goes once to a fresh connection, outside of policy and budget. One that may
   * not be repeated does not, also where a write failed: what was written before may have been read (RFC 9110 section 9.2.2).
   */
  isKeepAliveRace(cause: Failure, { hasAnswered, isReused }: EndedAttempt, isBodyWhole: boolean): boolean {
    const isSilentClose = cause.reason === "upstream-reset" && isReused && !hasAnswered;
    const isRace = isSilentClose && !this.#hasRaced && this.canRepeat && isBodyWhole;
    if (isRace) this.#hasRaced = true;
    return isRace;
  }

  /** Is this an answer that the plan would rather not have? */
  isUnwanted(head: MessageHead): boolean {
    const { plan } = this;
    return plan !== undefined && (isRetriableStatus(plan, head.status) || wantsOtherCode(plan, head));
  }

  /**
   * Should this answer be given up for another attempt? Takes from the budget if so.
   * @param leftMs until the deadline
   */
  acceptsAnswer(head: MessageHead, destination: Destination, isBodyWhole: boolean, leftMs: number): boolean {
    const plan = this.plan;
    if (plan === undefined || this.#retries >= plan.attempts || !this.isUnwanted(head)) return false;
    if (isMarked(head) && !plan.everyHop) return this.skip(destination, "not-nearest");
    // A code of gRPC in the rule says that calls may be repeated after it: all of them are POST.
    const isSafe = wantsOtherCode(plan, head)
      ? this.#isThere(destination, isBodyWhole)
      : this.#isSafe(destination, isBodyWhole);
    if (!isSafe) return false;
    this.#drawDelay(plan);
    const pushedMs = pushbackMs(head) ?? 0;
    if (pushedMs < 0) return this.skip(destination, "pushback");
    const askedMs = Math.max(this.#askedWaitMs(head, destination), pushedMs);
    if (askedMs > this.delayMs) {
      if (askedMs > Math.min(leftMs, RETRY_AFTER_MAX_MS)) return this.skip(destination, "retry-after");
      this.delayMs = askedMs;
    }
    if (this.delayMs > leftMs) return this.skip(destination, "deadline");
    return (this.#isConnect && this.#hasOthers(destination)) || this.#takeBudget(destination);
  }

  /** @returns undefined when another attempt shall be made, else what to answer. @param leftMs until the deadline */
  decide(cause: Failure, destination: Destination, isBodyWhole: boolean, leftMs: number): Failure | undefined {
    this.lastFailure = cause;
    // The endpoint did no work on it, so it counts as not sent. Had an earlier attempt been acted on, and could it not be
    // repeated, there would have been no attempt after it.
    if (cause.reason === "refused-stream") this.hasSent = false;
    const plan = this.plan;
    if (plan === undefined || !isWorthRetrying(plan, cause) || this.#retries >= plan.attempts) return cause;
    if (this.hasSent ? !this.#isSafe(destination, isBodyWhole) : !isBodyWhole) return cause;
    this.#drawDelay(plan);
    if (this.delayMs > leftMs) {
      this.skip(destination, "deadline");
      return cause;
    }
    if (this.#isMove(cause, destination)) return undefined;
    // What the sidecar lacks towards this endpoint it would lack again, and that is what to say.
    if (cause.reason === "overloaded") return cause;
    if (!this.#takeBudget(destination)) return failure("retry-budget-exhausted", `${cause.reason} ${cause.detail}`);
    return undefined;
  }

  /** Counts an attempt after the first. */
  countRetry(destination: Destination, why: string): void {
    const cluster = destination.cluster;
    if (this.#countedIn === undefined && cluster !== undefined) {
      this.#countedIn = cluster.state;
      cluster.state.activeRetries++;
    }
    if (why !== "hedge") this.#retries++;
    this.#path.metrics.retries.cell(serviceOf(destination), why).value++;
  }

  /** May the request be sent a second time while the first attempt goes on? Takes from the budget if so. */
  acceptsHedge(destination: Destination, isBodyWhole: boolean): boolean {
    return this.#isSafe(destination, isBodyWhole) && this.#takeBudget(destination);
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
   * would spend the budget in no time, until its lease ends. So would a sidecar that answers CONNECT for a dead app.
   */
  #isMove(cause: Failure, destination: Destination): boolean {
    if (cause.reason === "refused-stream") return true;
    return (cause.reason === "connect-failure" || cause.reason === "overloaded") && this.#hasOthers(destination);
  }

  /** Is there an endpoint that was not tried? */
  #hasOthers({ cluster }: Destination): boolean {
    return cluster !== undefined && this.tried.length + 1 < cluster.states.size;
  }

  #drawDelay({ backoffBaseMs, backoffMaxMs }: RetryPlan): void {
    this.delayMs = fullJitter(this.#path.random, this.#retries + 1, backoffBaseMs, backoffMaxMs);
  }

  /**
   * What `retry-after` asks for. A sidecar that refuses speaks for its own instance, so a request that has others to go
   * to need not wait; a service that says it means all of itself.
   */
  #askedWaitMs(head: MessageHead, destination: Destination): number {
    if (!head.has(FIELD.retryAfter)) return 0;
    if (head.has(FIELD.xWeftReason) && this.#hasOthers(destination)) return 0;
    return retryAfterMs(head.known(FIELD.retryAfter), this.#path.clock.wall());
  }

  #isThere(destination: Destination, isBodyWhole: boolean): boolean {
    return isBodyWhole || this.skip(destination, "body-too-large");
  }

  #isSafe(destination: Destination, isBodyWhole: boolean): boolean {
    if (this.canRepeat && isBodyWhole) return true;
    return this.skip(destination, this.canRepeat ? "body-too-large" : "not-repeatable");
  }

  #takeBudget(destination: Destination): boolean {
    const { cluster } = destination;
    if (cluster === undefined || this.plan === undefined) return false;
    const { budget, activeRetries } = cluster.state;
    if (this.#countedIn === undefined && activeRetries >= cluster.policy.connectionPool.maxRetries) {
      return this.skip(destination, "max-retries");
    }
    return budget.take(this.#path.clock.now(), this.plan.budget) || this.skip(destination, "budget");
  }

  /** Counts it. */
  skip(destination: Destination, why: SkippedRetry): false {
    this.#record.note("retry-skipped", why);
    this.#path.metrics.retriesSkipped.cell(serviceOf(destination), why).value++;
    return false;
  }
}

function serviceOf(destination: Destination): string {
  return destination.cluster?.service ?? "";
}

function wantsOtherCode(plan: RetryPlan, head: MessageHead): boolean {
  return plan.grpcCodes !== 0 && isGrpc(head) && isRetriableCode(plan, grpcStatusOf(head));
}

function isWorthRetrying(plan: RetryPlan, cause: Failure): boolean {
  switch (cause.reason) {
    case "connect-failure":
    case "pool-overflow":
    case "overloaded":
      return plan.onConnectFailure;
    case "upstream-reset":
      return plan.onReset;
    case "refused-stream":
      return plan.onRefusedStream;
    case "per-try-timeout":
      return plan.onReset || isRetriableStatus(plan, 504);
    default:
      return false;
  }
}
