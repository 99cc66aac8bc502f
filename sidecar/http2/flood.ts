// Counts what a peer does that costs it less than it costs us: token buckets of limits.ts. Not a clock of its own.
import type { Clock } from "../../runtime/clock.ts";
import type { FloodBound } from "./limits.ts";

export class FloodGuard {
  readonly #burst: number;
  readonly #perMs: number;
  readonly #clock: Clock;
  #tokens = 0;
  #filledMs = 0;

  constructor(bound: FloodBound, clock: Clock) {
    this.#burst = bound.burst;
    this.#perMs = bound.perSecond / 1000;
    this.#clock = clock;
    this.#tokens = bound.burst;
    this.#filledMs = clock.now();
  }

  /** One more. The clock is only read once the burst is spent. @returns false: too many */
  take(): boolean {
    if (--this.#tokens >= 0) return true;
    const nowMs = this.#clock.now();
    this.#tokens = Math.min(this.#burst, this.#tokens + (nowMs - this.#filledMs) * this.#perMs);
    this.#filledMs = nowMs;
    return this.#tokens >= 0;
  }

  /** The peer has done something that allows `count` more. */
  allow(count: number): void {
    if (this.#tokens < this.#burst) this.#tokens = Math.min(this.#burst, this.#tokens + count);
  }
}
