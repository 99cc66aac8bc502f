// How a listener ends in order: it goes on accepting until nobody comes any more, leaves idle connections to peers that
// close them themselves, and cuts what is left at the deadline. Not the order of the parts of a sidecar (shutdown.ts).
import type { Clock, Timer } from "../../runtime/clock.ts";

/**
 * This long without a new connection and the port is closed. Closing earlier would reset connections that the kernel
 * has made but the process has not accepted yet, with requests in them that may not be repeatable.
 */
const QUIET_MS = 100;
/** Clients that never heard of the drain may come for ever. */
const ACCEPTING_MAX_MS = 3_000;
/**
 * How long idle connections are left open. Peers that heard of the drain close theirs; closing first would race with
 * a request that is on its way. One that comes is served and ends its connection.
 */
const IDLE_MS = 1_000;

/** A listener, as its drain needs it. */
export interface Drainable {
  /** Connections accepted so far. */
  readonly acceptedCount: number;
  readonly connectionCount: number;
  stopAccepting(): void;
  closeIdle(): void;
  destroyAll(): void;
}

export class Drain {
  /** Resolves when the port is closed and no connection is left. */
  readonly done: Promise<void>;
  readonly #listener: Drainable;
  readonly #clock: Clock;
  readonly #resolve: () => void;
  readonly #timers: Timer[];
  readonly #acceptUntilMs: number;
  #isAccepting = true;
  #isDone = false;

  /** Begins at once. */
  constructor(listener: Drainable, clock: Clock, deadlineMs: number) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.done = promise;
    this.#resolve = resolve;
    this.#listener = listener;
    this.#clock = clock;
    this.#acceptUntilMs = clock.now() + Math.min(ACCEPTING_MAX_MS, deadlineMs / 4);
    this.#timers = [
      clock.after(Math.min(IDLE_MS, deadlineMs / 4), () => listener.closeIdle()),
      clock.after(deadlineMs, () => this.#cut()),
    ];
    this.#lookAfter(listener.acceptedCount);
  }

  /** Asked for once more: the earlier of both deadlines holds. */
  cutAfter(deadlineMs: number): void {
    if (!this.#isDone) this.#timers.push(this.#clock.after(deadlineMs, () => this.#cut()));
  }

  onConnectionClosed(): void {
    if (this.#isAccepting || this.#listener.connectionCount > 0) return;
    this.#isDone = true;
    for (const timer of this.#timers) timer.cancel();
    this.#resolve();
  }

  #lookAfter(acceptedBefore: number): void {
    const timer = this.#clock.after(QUIET_MS, () => {
      const { acceptedCount } = this.#listener;
      if (!this.#isAccepting) return;
      if (acceptedCount !== acceptedBefore && this.#clock.now() < this.#acceptUntilMs) this.#lookAfter(acceptedCount);
      else this.#stop();
    });
    this.#timers.push(timer);
  }

  #stop(): void {
    this.#isAccepting = false;
    this.#listener.stopAccepting();
    this.onConnectionClosed();
  }

  #cut(): void {
    this.#listener.destroyAll();
    if (this.#isAccepting) this.#stop();
  }
}
