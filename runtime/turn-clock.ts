// A clock that stands still within a turn of the event loop: what a turn reads came before it, and the system is asked
// once for all of it (60 to 70 ns each time in a loop, and two to four times for a request).
import type { Clock, Timer } from "./clock.ts";

export class TurnClock implements Clock {
  readonly #clock: Clock;
  #isHeld = false;
  /** Whether it has been asked in this turn, and what it said. */
  #isRead = false;
  #heldMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** From the first question on there is one answer, until `release`. */
  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
    this.#isRead = false;
  }

  now(): number {
    if (this.#isRead) return this.#heldMs;
    const nowMs = this.#clock.now();
    if (this.#isHeld) {
      this.#isRead = true;
      this.#heldMs = nowMs;
    }
    return nowMs;
  }

  wall(): number {
    return this.#clock.wall();
  }

  after(delayMs: number, callback: () => void): Timer {
    return this.#clock.after(delayMs, callback);
  }
}
