// Seats that nobody sits on, of the connections of one listener: what is held grows with the requests under way and not
// with the connections. Never more than were taken at the same time; those that nobody needed between two looks go.
import { type TimerOwner, type TimerWheel, WheelTimer } from "../../runtime/timer-wheel.ts";

/** Kept for good. */
const KEPT = 64;
const LOOK_EVERY_MS = 2_000;

export class FreeSeats<Seat> implements TimerOwner {
  readonly #wheel: TimerWheel;
  readonly #onDropped: (seat: Seat) => void;
  readonly #seats: Seat[] = [];
  /** The fewest that were free since the last look: so many nobody needed. */
  #fewest = 0;
  readonly #look = new WheelTimer(this);

  /** @param onDropped the seat will not be used again */
  constructor(wheel: TimerWheel, onDropped: (seat: Seat) => void) {
    this.#wheel = wheel;
    this.#onDropped = onDropped;
  }

  get count(): number {
    return this.#seats.length;
  }

  pop(): Seat | undefined {
    const seat = this.#seats.pop();
    if (this.#seats.length < this.#fewest) this.#fewest = this.#seats.length;
    return seat;
  }

  push(seat: Seat): void {
    this.#seats.push(seat);
    if (this.#seats.length > KEPT && !this.#look.isArmed) this.#lookLater();
  }

  onTimer(): void {
    const surplus = Math.min(this.#fewest, this.#seats.length - KEPT);
    if (surplus > 0) for (const seat of this.#seats.splice(0, surplus)) this.#onDropped(seat);
    if (this.#seats.length > KEPT) this.#lookLater();
  }

  #lookLater(): void {
    this.#fewest = this.#seats.length;
    this.#wheel.arm(this.#look, LOOK_EVERY_MS);
  }
}
