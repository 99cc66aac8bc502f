// Ends a connection on which a frame or a header block was begun and not finished: until it is, nothing else can be said
// on it (RFC 9113 section 4.3), and what came of it is held. Costs a look per read, and a timer only where one is cut.
import { type TimerOwner, type TimerWheel, WheelTimer } from "../../runtime/timer-wheel.ts";

/** The reader of frames, as far as it is watched. */
interface WatchedReader {
  readonly isUnfinished: boolean;
  readonly finishedCount: number;
}

export class HeadWatch implements TimerOwner {
  readonly #reader: WatchedReader;
  readonly #wheel: TimerWheel;
  readonly #timeoutMs: number;
  readonly #onLate: () => void;
  readonly #timer = new WheelTimer(this);
  #isArmed = false;
  /** Which one is unfinished, and since when, by the clock. */
  #finished = -1;
  #sinceMs = 0;

  /** @param onLate what was begun has not been finished in `timeoutMs` */
  constructor(reader: WatchedReader, wheel: TimerWheel, timeoutMs: number, onLate: () => void) {
    this.#reader = reader;
    this.#wheel = wheel;
    this.#timeoutMs = timeoutMs;
    this.#onLate = onLate;
  }

  /** Bytes were read, and something is unfinished. */
  note(): void {
    const { finishedCount } = this.#reader;
    if (finishedCount === this.#finished) return;
    this.#finished = finishedCount;
    this.#sinceMs = this.#wheel.now();
    if (!this.#isArmed) this.#arm(this.#timeoutMs);
  }

  #arm(delayMs: number): void {
    this.#isArmed = true;
    this.#wheel.arm(this.#timer, delayMs);
  }

  onTimer(): void {
    this.#isArmed = false;
    if (!this.#reader.isUnfinished) return;
    const leftMs = this.#sinceMs + this.#timeoutMs - this.#wheel.now();
    if (leftMs > 0) this.#arm(leftMs);
    else this.#onLate();
  }

  /** The connection is over. */
  dispose(): void {
    this.#wheel.release(this.#timer);
  }
}
