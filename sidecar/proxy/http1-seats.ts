// The seats of one listener that serve clients of HTTP/1.1: connections with requests have one, idle ones do not, so
// that what is held grows with the requests and not with the connections.
import type { Router, SeatedLink, SeatRoom } from "./contract.ts";
import type { DataPath } from "./data-path.ts";
import { FreeSeats } from "./free-seats.ts";
import { Http1Seat } from "./http1-seat.ts";

/**
 * While no more are taken than this, a connection keeps its seat for a moment after an answer: its next request finds
 * what the last one left (host, method, hop fields). Above it a seat is given back with every answer.
 */
const KEPT_MAX = 256;

export class Http1Seats implements SeatRoom<Http1Seat> {
  readonly router: Router;
  readonly #path: DataPath;
  readonly #free: FreeSeats<Http1Seat>;
  #taken = 0;

  constructor(path: DataPath, router: Router) {
    this.#path = path;
    this.router = router;
    this.#free = new FreeSeats(path.wheel, (seat) => seat.rest());
  }

  get areMany(): boolean {
    return this.#taken > KEPT_MAX;
  }

  /** Seats in use. */
  get takenCount(): number {
    return this.#taken;
  }

  get freeCount(): number {
    return this.#free.count;
  }

  take(link: SeatedLink): Http1Seat {
    this.#taken++;
    const seat = this.#free.pop() ?? new Http1Seat(this, this.#path, this.router);
    seat.take(link);
    return seat;
  }

  giveBack(seat: Http1Seat): void {
    this.#taken--;
    this.#free.push(seat);
    // Where many are in use it is taken again at once: leaving the timer wheel would be for nothing.
    if (!this.areMany) seat.rest();
  }

  forget(): void {
    this.#taken--;
  }
}
