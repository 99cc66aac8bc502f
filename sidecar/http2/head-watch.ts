// Ends a connection on which a frame or a header block was begun and not finished: until it is, nothing else can be said
// on it (RFC 9113 section 4.3), and what came of it is held. Costs a look per read, and a timer only where one is cut.
import { type TimerOwner, type TimerWheel, WheelTimer } from "../../runtime/timer-wheel.ts";
import type { FrameReader } from "./frame-reader.ts";

export class HeadWatch implements TimerOwner {
  readonly #reader: FrameReader;
  readonly #wheel: TimerWheel;
  readonly #timeoutMs: number;
  readonly #onLate: () => void;
  readonly #timer = new WheelTimer(this);
  #isArmed = false;
  /** Which one was unfinished when the timer was armed. */
  #finished = 0;

  /** @param onLate what was begun has not been finished in `timeoutMs` */
  constructor(reader: FrameReader, wheel: TimerWheel, timeoutMs: number, onLate: () => void) {
    this.#reader = reader;
    this.#wheel = wheel;
    this.#timeoutMs = timeoutMs;
    this.#onLate = onLate;
  }

  /** Bytes were read, and something is unfinished. */
  note(): void {
    if (this.#isArmed) return;
    this.#isArmed = true;
    this.#finished = this.#reader.finishedCount;
    this.#wheel.arm(this.#timer, this.#timeoutMs);
  }

  onTimer(): void {
    this.#isArmed = false;
    if (!this.#reader.isUnfinished) return;
    if (this.#reader.finishedCount === this.#finished) this.#onLate();
    else this.note();
  }

  /** The connection is over. */
  dispose(): void {
    this.#wheel.release(this.#timer);
  }
}
