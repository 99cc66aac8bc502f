// A clock that stands still within a turn of the event loop: what a turn reads came before it, and the system is asked
// once for all of it (60 to 70 ns each time in a loop, and two to four times for a request).
import type { Clock, Timer } from "./clock.ts";

export class TurnClock implements Clock {
  readonly #clock: Clock;
  #isHeld = false;
  /**
   * What it said when it was first asked in this turn. Where a field has held something else than numbers V8 keeps numbers with
   * fractions in it as objects: here one for a turn, which is handed on from call to call. Of a field that only ever held numbers each call
   * that gets it makes an object (13 for a request).
   */
  #heldMs: number | undefined = undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** From the first question on there is one answer, until `release`. */
  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
    this.#heldMs = undefined;
  }

  now(): number {
    return this.#heldMs ?? this.#read();
  }

  #read(): number {
    const nowMs = this.#clock.now();
    if (this.#isHeld) this.#heldMs = nowMs;
    return nowMs;
  }

  wall(): number {
    return this.#clock.wall();
  }

  after(delayMs: number, callback: () => void): Timer {
    return this.#clock.after(delayMs, callback);
  }
}
