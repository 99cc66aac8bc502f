// Second copies of a request whose answer is late (`retry.hedge`): sent elsewhere while the first attempt goes on; the
// first good answer is taken, the other attempts are cancelled. Only the race: whether and where a copy may be sent is
// for the tries to say, because copies and retries share one budget.
import { type TimerOwner, WheelTimer } from "../../runtime/timer-wheel.ts";
import type { AttemptOutcome } from "../cluster-state.ts";
import type { BodyForm } from "../http1/contract.ts";
import type { MessageHead } from "../http1/head.ts";
import type { Http2Head } from "../http2/head.ts";
import type { Attempt } from "./attempt.ts";
import type { AttemptOwner } from "./contract.ts";
import type { DataPath } from "./data-path.ts";
import { newAttempt } from "./new-attempt.ts";
import { type Failure, failure } from "./reasons.ts";

/** The request that is raced for. */
export interface HedgedTries {
  /** Its answer is taken unless a copy is faster. */
  attempt: Attempt;
  /** Label of the figures. */
  readonly service: string;
  /** Starts `copy` elsewhere than where attempts are under way. @returns false: there is no place, or it may not be sent */
  startCopy(copy: Attempt, others: readonly Copy[]): boolean;
  /** Writes the whole request. */
  sendCopy(copy: Attempt): void;
  isUnwanted(head: MessageHead): boolean;
  countOutcome(outcome: string): void;
}

export class Hedges implements TimerOwner {
  readonly tries: HedgedTries;
  readonly exchange: AttemptOwner;
  readonly #path: DataPath;
  readonly #timer = new WheelTimer(this);
  readonly #running: Copy[] = [];
  /** Built once, used again. */
  readonly #idle: Copy[] = [];
  #started = 0;
  #max = 0;
  #delayMs = 0;

  constructor(tries: HedgedTries, exchange: AttemptOwner, path: DataPath) {
    this.tries = tries;
    this.exchange = exchange;
    this.#path = path;
  }

  /** A copy is under way. */
  get isRacing(): boolean {
    return this.#running.length > 0;
  }

  /** An attempt has begun: copies follow, one per `delayMs`, at most `max` in the life of a request. */
  expect(delayMs: number, max: number): void {
    this.#delayMs = delayMs;
    this.#max = max;
    if (this.#started < max && delayMs !== Number.POSITIVE_INFINITY) this.#path.wheel.arm(this.#timer, delayMs);
  }

  onTimer(): void {
    try {
      this.#startOne();
    } catch (error) {
      this.exchange.onInternalError("hedge", error);
    }
  }

  #startOne(): void {
    const { form } = this.tries.attempt;
    const index = this.#idle.findIndex(({ attempt }) => attempt.form === form);
    const copy = this.#idle.splice(index, index < 0 ? 0 : 1)[0] ?? new Copy(this, this.#path, form === "data");
    this.#running.push(copy);
    if (!this.tries.startCopy(copy.attempt, this.#running)) return this.#retire(copy);
    this.#started++;
    copy.attempt.outlet.flush();
    if (this.#started < this.#max) this.#path.wheel.arm(this.#timer, this.#delayMs);
  }

  /** `copy` is the first with a good answer. */
  win(copy: Copy): void {
    this.#count("won");
    this.tries.attempt.abort("outrun");
    this.tries.countOutcome("cancelled");
    this.#swap(copy);
    this.cancel("none");
  }

  /** `copy` came to nothing; the others go on. */
  lose(copy: Copy, outcome: string): void {
    this.#count("failed");
    this.tries.countOutcome(outcome);
    this.#retire(copy);
  }

  /** The first attempt is over without an answer: the oldest copy takes its place. @returns false when there is none */
  takeOver(): boolean {
    const copy = this.#running[0];
    if (copy === undefined) {
      this.#path.wheel.cancel(this.#timer);
      return false;
    }
    this.#count("took-over");
    this.#swap(copy);
    return true;
  }

  /** The race is over: what is under way is given up. */
  cancel(outcome: AttemptOutcome): void {
    this.#path.wheel.cancel(this.#timer);
    for (let copy = this.#running[0]; copy !== undefined; copy = this.#running[0]) {
      copy.attempt.abort(outcome);
      this.#count("lost");
      this.tries.countOutcome("cancelled");
      this.#retire(copy);
    }
  }

  /** For the next request. */
  clear(): void {
    this.cancel("none");
    this.#started = 0;
    // Where a copy of this request went says nothing about the next one.
    for (const { attempt } of this.#idle) attempt.member = undefined;
  }

  /** Stands in no wheel any more, until it is used again. */
  rest(): void {
    this.#path.wheel.release(this.#timer);
    for (const { attempt } of this.#idle) attempt.rest();
  }

  #swap(copy: Copy): void {
    const former = this.tries.attempt;
    this.tries.attempt = copy.attempt;
    this.tries.attempt.owner = this.exchange;
    copy.attempt = former;
    former.owner = copy;
    this.#retire(copy);
  }

  #retire(copy: Copy): void {
    const index = this.#running.indexOf(copy);
    if (index < 0) return;
    this.#running.splice(index, 1);
    this.#idle.push(copy);
  }

  #count(outcome: string): void {
    this.#path.metrics.hedges.cell(this.tries.service, outcome).value++;
  }
}

/** Who is told of a copy until it wins. */
export class Copy implements AttemptOwner {
  attempt: Attempt;
  readonly isRequestComplete = true;
  readonly tunnel = undefined;
  readonly #hedges: Hedges;

  constructor(hedges: Hedges, path: DataPath, isHttp2: boolean) {
    this.#hedges = hedges;
    this.attempt = newAttempt(this, path, isHttp2);
  }

  onAttemptOpen(): void {
    this.#hedges.tries.sendCopy(this.attempt);
  }

  onInterimHead(): void {}

  wantsRetry(head: MessageHead): boolean {
    return this.#hedges.tries.isUnwanted(head);
  }

  onResponseHead(head: MessageHead, form: BodyForm, fields?: Http2Head): BodyForm {
    this.#hedges.win(this);
    return this.#hedges.exchange.onResponseHead(head, form, fields);
  }

  onRetryableAnswer(): void {
    this.#hedges.lose(this, "answered");
  }

  onAttemptFailed(cause: Failure): void {
    this.#hedges.lose(this, cause.reason);
  }

  /** Requests that ask for a tunnel are not copied. */
  onTunnelOpen(): void {
    this.attempt.abort();
    this.onAttemptFailed(failure("bad-response"));
  }

  // What follows the head of an answer is told to the exchange, whose attempt it is by then.

  onResponseBody(): void {}

  onResponseEnd(): void {}

  onReadDone(): void {}

  onAttemptDrain(): void {}

  onInternalError(where: string, error: unknown): void {
    this.#hedges.exchange.onInternalError(where, error);
  }
}
