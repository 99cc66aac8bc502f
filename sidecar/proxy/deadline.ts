// Until when an exchange may go on: the whole-request timeout of its policy, or what its caller leaves it, whichever ends
// first. Not the timers of tries and backoffs.

import type { Clock } from "../../runtime/clock.ts";
import { decimal } from "../../runtime/decimal.ts";
import { type TimerOwner, WheelTimer } from "../../runtime/timer-wheel.ts";
import { FIELD } from "../http1/field.ts";
import type { MessageHead } from "../http1/head.ts";
import type { ExchangeRecord } from "../observe/exchange-record.ts";
import type { DataPath } from "./data-path.ts";
import type { Destination } from "./destination.ts";
import { grpcTimeoutMs } from "./grpc.ts";
import { TIME_DIGITS_MAX } from "./hop-fields.ts";
import { type Failure, failure } from "./reasons.ts";

/** What is asked of an exchange. */
interface TimedExchange {
  readonly head: MessageHead;
  readonly destination: Destination;
  /** When the request came. */
  readonly startedMs: number;
  readonly record: ExchangeRecord;
}

export class Deadline {
  readonly #path: DataPath;
  readonly #timer: WheelTimer;
  /** Clock time; 0: none, or it does not run yet. */
  #endsMs = 0;
  /** The time that runs, or has run. */
  timeoutMs = 0;

  /** @param owner is told when the time is over, with `kind` */
  constructor(path: DataPath, owner: TimerOwner, kind: number) {
    this.#path = path;
    this.#timer = new WheelTimer(owner, kind);
  }

  /** The head came at `nowMs`. The time that a call was given runs from there, any other from the end of the request. */
  begin({ requestTimeoutMs, callTimeoutMs }: Destination, isComplete: boolean, nowMs: number): void {
    this.#arm(isComplete ? requestTimeoutMs : callTimeoutMs, nowMs);
  }

  /** The request is complete: its time runs from `nowMs`. */
  run({ requestTimeoutMs }: Destination, nowMs: number): void {
    if (this.#endsMs === 0 || nowMs + requestTimeoutMs < this.#endsMs) this.#arm(requestTimeoutMs, nowMs);
  }

  #arm(timeoutMs: number, nowMs: number): void {
    if (timeoutMs <= 0) return;
    this.timeoutMs = timeoutMs;
    this.#endsMs = nowMs + timeoutMs;
    this.#path.wheel.arm(this.#timer, timeoutMs, nowMs);
  }

  /** Milliseconds that are left; Infinity without a timeout. All of a time is left that does not run yet. */
  leftMs({ requestTimeoutMs }: Destination, nowMs: number): number {
    if (requestTimeoutMs <= 0) return Number.POSITIVE_INFINITY;
    return this.#endsMs === 0 ? requestTimeoutMs : Math.min(requestTimeoutMs, this.#endsMs - nowMs);
  }

  cancel(): void {
    this.#endsMs = 0;
    this.#path.wheel.cancel(this.#timer);
  }

  release(): void {
    this.#path.wheel.release(this.#timer);
  }
}

/**
 * What the caller leaves (`x-envoy-expected-rq-timeout-ms`, `grpc-timeout`) lowers the timeout of `destination`. It never raises it, so it
 * may be believed whoever says it: a caller can only take time from its own request.
 * What the request has waited is taken off.
 * @returns why the work is not begun, if there is no time left for it
 */
export function lowerTimeout(
  { head, destination, startedMs, record }: TimedExchange,
  clock: Clock,
): Failure | undefined {
  const callMs = destination.isGrpc ? grpcTimeoutMs(head) : undefined;
  const givenMs = givenTimeMs(head, callMs);
  if (givenMs === undefined) return undefined;
  const waitedMs = record.hasWaited ? clock.now() - startedMs : 0;
  record.note("deadline", "", givenMs);
  if (givenMs <= waitedMs)
    return failure("deadline-exceeded", `the caller left ${givenMs} ms, ${Math.round(waitedMs)} ms ago`);
  const own = destination.requestTimeoutMs;
  destination.requestTimeoutMs = own > 0 ? Math.min(own, givenMs) : givenMs;
  destination.callTimeoutMs = callMs ?? 0;
  return undefined;
}

/** The less of what the fields say; undefined: they say nothing. */
function givenTimeMs(head: MessageHead, ofCall: number | undefined): number | undefined {
  const given = head.known(FIELD.xEnvoyExpectedRqTimeoutMs);
  const givenMs = given === undefined ? -1 : decimal(given, TIME_DIGITS_MAX);
  if (givenMs < 0) return ofCall;
  return ofCall === undefined ? givenMs : Math.min(ofCall, givenMs);
}
