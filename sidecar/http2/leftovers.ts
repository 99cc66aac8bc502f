// Streams that nobody owns any more and of which something still waits for the peer's window: a request whose answer was
// complete before the endpoint had taken all of it. What goes out slowly goes on; what stands still is given up. Not
// streams with an owner: those have the owner's timers.
import { type TimerOwner, type TimerWheel, WheelTimer } from "../../runtime/timer-wheel.ts";
import type { Http2Stream } from "./stream.ts";
import type { StreamTable } from "./stream-table.ts";

export class Leftovers implements TimerOwner {
  readonly #table: StreamTable<Http2Stream>;
  readonly #wheel: TimerWheel;
  readonly #timeoutMs: number;
  readonly #timer = new WheelTimer(this);
  /** Ids, because objects are given out again. */
  readonly #ids = new Set<number>();

  constructor(table: StreamTable<Http2Stream>, wheel: TimerWheel, timeoutMs: number) {
    this.#table = table;
    this.#wheel = wheel;
    this.#timeoutMs = timeoutMs;
  }

  add(stream: Http2Stream): void {
    stream.takeProgress();
    this.#ids.add(stream.id);
    if (this.#ids.size === 1) this.#wheel.arm(this.#timer, this.#timeoutMs);
  }

  onTimer(): void {
    for (const id of this.#ids) {
      const stream = this.#table.get(id);
      if (stream !== undefined && stream.queuedBytes > 0 && stream.takeProgress()) continue;
      this.#ids.delete(id);
      if (stream !== undefined && stream.queuedBytes > 0) stream.giveUp();
    }
    if (this.#ids.size > 0) this.#wheel.arm(this.#timer, this.#timeoutMs);
  }

  /** The connection is over. */
  dispose(): void {
    this.#ids.clear();
    this.#wheel.release(this.#timer);
  }
}
