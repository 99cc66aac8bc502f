// The one timer of a client connection: what it waits for changes, only one wait is on at a time. Waiting for a
// stream, or for one whose client has ended its side, starts anew whenever a byte has moved: that is noted in a field
// and looked at when the time is over.
import { type TimerOwner, type TimerWheel, WheelTimer } from "../../runtime/timer-wheel.ts";

/** What is waited for; each has its own consequence. */
export type Phase = "idle" | "head" | "stream" | "half-closed" | "linger";

export interface PhaseOwner {
  onTimeout(phase: Phase): void;
}

export class PhaseTimer implements TimerOwner {
  phase: Phase = "idle";
  /** A byte moved since it was armed. */
  hasMoved = false;
  /** Of the phase. */
  delayMs = 0;
  readonly #owner: PhaseOwner;
  readonly #wheel: TimerWheel;
  readonly #timer = new WheelTimer(this);

  constructor(owner: PhaseOwner, wheel: TimerWheel) {
    this.#owner = owner;
    this.#wheel = wheel;
  }

  /** Waits for something else, or anew. @param nowMs the clock's time, where it is known */
  arm(phase: Phase, delayMs: number, nowMs?: number): void {
    this.phase = phase;
    this.hasMoved = false;
    this.delayMs = delayMs;
    this.#wheel.arm(this.#timer, delayMs, nowMs);
  }

  /** A stream that is waited for has another time; a client that has ended its side meanwhile keeps its own. */
  changeStream(delayMs: number, nowMs?: number): void {
    if (this.phase === "stream" && this.delayMs !== delayMs) this.arm("stream", delayMs, nowMs);
  }

  /** Waits for nothing. */
  cancel(): void {
    this.phase = "idle";
    this.#wheel.cancel(this.#timer);
  }

  /** For good. */
  release(): void {
    this.#wheel.release(this.#timer);
  }

  onTimer(): void {
    const isStream = this.phase === "stream" || this.phase === "half-closed";
    if (isStream && this.hasMoved) this.arm(this.phase, this.delayMs);
    else this.#owner.onTimeout(this.phase);
  }
}
