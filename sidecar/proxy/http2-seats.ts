// The seats of one listener that serve streams of HTTP/2. A connection keeps one of them while it lasts, because its next
// request finds there what the last one left; the others are everybody's. (Each connection with its own would hold as
// many as it ever had streams: 16 streams once are 200 KiB for as long as it stays.)
import type { Router } from "./contract.ts";
import type { DataPath } from "./data-path.ts";
import { FreeSeats } from "./free-seats.ts";
import { Http2Seat } from "./http2-seat.ts";

export class Http2Seats {
  readonly router: Router;
  readonly #path: DataPath;
  readonly #free: FreeSeats<Http2Seat>;

  constructor(path: DataPath, router: Router) {
    this.#path = path;
    this.router = router;
    this.#free = new FreeSeats(path.wheel, (seat) => seat.dispose());
  }

  get freeCount(): number {
    return this.#free.count;
  }

  take(): Http2Seat {
    return this.#free.pop() ?? new Http2Seat(this.#path, this.router);
  }

  giveBack(seat: Http2Seat): void {
    this.#free.push(seat);
  }
}
