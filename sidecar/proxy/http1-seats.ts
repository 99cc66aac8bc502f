// The seats of one listener that serve clients of HTTP/1.1: connections with requests have one, idle ones do not, so
// that what is held grows with the requests and not with the connections.
import { type TimerOwner, WheelTimer } from "../../runtime/timer-wheel.ts";
import type { Router, SeatedLink, SeatRoom } from "./contract.ts";
import type { DataPath } from "./data-path.ts";
import { Http1Seat } from "./http1-seat.ts";

/**
 * While no more are taken than this, a connection keeps its seat for a moment after an answer: its next request finds
 * what the last one left (host, method, hop fields). Above it a seat is given back with every answer.
 */
const KEPT_MAX = 256;
/** Free seats that are kept for good. Those above it go when nobody has needed them between two looks. */
const FREE_KEPT = 64;
const LOOK_EVERY_MS = 2_000;

export class Http1Seats implements SeatRoom<Http1Seat>, TimerOwner {
  readonly router: Router;
  readonly #path: DataPath;
  /** Never more than were taken at the same time. */
  readonly #free: Http1Seat[] = [];
  /** The fewest free ones since the last look: so many were too many. */
  #fewestFree = 0;
  #taken = 0;
  readonly #look = new WheelTimer(this);

  constructor(path: DataPath, router: Router) {
    this.#path = path;
    this.router = router;
  }

  get areMany(): boolean {
    return this.#taken > KEPT_MAX;
  }

  /** Seats in use. */
  get takenCount(): number {
    return this.#taken;
  }

  get freeCount(): number {
    return this.#free.length;
  }

  take(link: SeatedLink): Http1Seat {
    this.#taken++;
    const seat = this.#free.pop() ?? new Http1Seat(this, this.#path, this.router);
    if (this.#free.length < this.#fewestFree) this.#fewestFree = this.#free.length;
    seat.take(link);
    return seat;
  }

  giveBack(seat: Http1Seat): void {
    this.#taken--;
    this.#free.push(seat);
    // One that is taken again at once need not leave the wheels.
    if (!this.areMany) seat.rest();
    if (this.#free.length > FREE_KEPT && !this.#look.isArmed) this.#lookLater();
  }

  forget(): void {
    this.#taken--;
  }

  onTimer(): void {
    const surplus = Math.min(this.#fewestFree, this.#free.length - FREE_KEPT);
    if (surplus > 0) for (const seat of this.#free.splice(0, surplus)) seat.rest();
    if (this.#free.length > FREE_KEPT) this.#lookLater();
  }

  #lookLater(): void {
    this.#fewestFree = this.#free.length;
    this.#path.wheel.arm(this.#look, LOOK_EVERY_MS);
  }
}
