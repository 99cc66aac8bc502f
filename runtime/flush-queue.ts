// Which connections have gathered something in this turn of the event loop, and one write for each at its end. Not a
// queue of bytes: those stand with the connections.

import { Batch } from "./batch.ts";

/** Whoever gathers. */
export interface Flushable {
  flush(): void;
}

export class FlushQueue {
  readonly #defer: (run: () => void) => void;
  readonly #run = (): void => this.flushAll();
  #waiting = new Batch<Flushable>();
  #spare = new Batch<Flushable>();
  #isDeferred = false;

  /** @param defer calls back once at the end of the turn, such as setImmediate: behind all reads of one poll */
  constructor(defer: (run: () => void) => void) {
    this.#defer = defer;
  }

  /** Once per connection until it is flushed; the caller remembers that. */
  add(connection: Flushable): void {
    this.#waiting.add(connection);
    if (this.#isDeferred) return;
    this.#isDeferred = true;
    this.#defer(this.#run);
  }

  /** Earlier than deferred, where the owner knows that nothing follows. */
  flushAll(): void {
    this.#isDeferred = false;
    // Flushing may add connections anew (a full transport that took all): they wait for the next turn.
    const waiting = this.#waiting;
    this.#waiting = this.#spare;
    let index = 0;
    try {
      while (index < waiting.count) waiting.take(index++).flush();
    } finally {
      // One that threw must not hold up those behind it: each is here once, and would never come again.
      while (index < waiting.count) this.add(waiting.take(index++));
      waiting.clear();
      this.#spare = waiting;
    }
  }
}
