// The one timer of a client's seat or connection: what it waits for changes, only one wait is on at a time. Waiting for a
// stream, or for one whose client has ended its side, starts anew whenever a byte has moved: that is noted in a field,
// because bytes are many, and looked at a few times while the time runs.
import { type TimerOwner, type TimerWheel, WheelTimer } from "../../runtime/timer-wheel.ts";

/** What is waited for; each has its own consequence. */
export type Phase = "idle" | "head" | "stream" | "half-closed" | "linger";

/** As often is looked within one time: it ends by an eighth late at the most, and never early. */
const LOOKS = 8;

export interface PhaseOwner {
  onTimeout(phase: Phase): void;
}

/** What moves without a word: bytes that wait for a window go out as the peer opens it. */
interface Waiting {
  /** Has something gone out since this was last asked? */
  takeProgress(): boolean;
}

const NOTHING: Waiting = { takeProgress: () => false };

export class PhaseTimer implements TimerOwner {
  phase: Phase = "idle";
  /** A byte moved since this was last looked at. */
  hasMoved = false;
  /** Of the phase. */
  delayMs = 0;
  /** Clock time from which on no byte was seen to move. */
  #quietSinceMs = 0;
  readonly #owner: PhaseOwner;
  readonly #waiting: Waiting;
  readonly #wheel: TimerWheel;
  readonly #timer = new WheelTimer(this);

  /** @param waiting whose bytes begin the time anew, too */
  constructor(owner: PhaseOwner, wheel: TimerWheel, waiting: Waiting = NOTHING) {
    this.#owner = owner;
    this.#waiting = waiting;
    this.#wheel = wheel;
  }

  /** Waits for something else, or anew. @param nowMs the clock's time, where it is known */
  arm(phase: Phase, delayMs: number, nowMs: number = this.#wheel.now()): void {
    this.phase = phase;
    this.hasMoved = false;
    this.delayMs = delayMs;
    this.#quietSinceMs = nowMs;
    this.#wheel.arm(this.#timer, this.#startsAnew ? delayMs / LOOKS : delayMs, nowMs);
  }

  /** Bytes that move begin the time anew. */
  get #startsAnew(): boolean {
    return this.phase === "stream" || this.phase === "half-closed";
  }

  /** A stream that is waited for has another time; a client that has ended its side meanwhile keeps its own. */
  changeStream(delayMs: number): void {
    if (this.phase === "stream" && this.delayMs !== delayMs) this.arm("stream", delayMs);
  }

  /** Waits for nothing. */
  cancel(): void {
    this.phase = "idle";
    this.#wheel.cancel(this.#timer);
  }

  /** Waits for nothing, and stands in no wheel any more, until it is armed again. */
  release(): void {
    this.#wheel.release(this.#timer);
  }

  onTimer(): void {
    if (!this.#startsAnew) return this.#owner.onTimeout(this.phase);
    const nowMs = this.#wheel.now();
    if (this.#waiting.takeProgress() || this.hasMoved) this.#quietSinceMs = nowMs;
    this.hasMoved = false;
    const leftMs = this.#quietSinceMs + this.delayMs - nowMs;
    if (leftMs > 0) this.#wheel.arm(this.#timer, Math.min(leftMs, this.delayMs / LOOKS), nowMs);
    else this.#owner.onTimeout(this.phase);
  }
}
