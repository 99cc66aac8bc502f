// Requests in flight at a service, bounded: some run, some wait in a bounded queue, the rest is refused. The bound is a
// number that stays, or one that follows latency (adaptive-limit.ts). Who waits keeps its own timeout.
import type { AdaptiveLimit } from "./adaptive-limit.ts";

/** A request that waits. Told at most once, never from within `acquire`. */
export interface ConcurrencyWaiter {
  onAdmitted(): void;
}

export interface ConcurrencySettings {
  readonly max: number;
  readonly queue: number;
  readonly queueTimeoutMs: number;
}

export type Admission = "admitted" | "waiting" | "full";

export class ConcurrencyLimit {
  settings: ConcurrencySettings;
  /** Undefined: `max` is the limit. */
  adaptive: AdaptiveLimit | undefined;
  /** In the order in which they came. */
  readonly #waiters = new Set<ConcurrencyWaiter>();
  #inFlight = 0;

  constructor(settings: ConcurrencySettings, adaptive: AdaptiveLimit | undefined) {
    this.settings = settings;
    this.adaptive = adaptive;
  }

  /** New bounds act from the next request on; places taken stay taken. */
  configure(settings: ConcurrencySettings, adaptive: AdaptiveLimit | undefined): void {
    this.settings = settings;
    this.adaptive = adaptive;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  /** Requests that may run now. */
  get limit(): number {
    return this.adaptive?.limit ?? this.settings.max;
  }

  /**
   * Asks for a place. "admitted": it is taken, `release` gives it back. "waiting": `waiter` is told when one is free,
   * unless it cancels.
   */
  acquire(waiter: ConcurrencyWaiter): Admission {
    if (this.#inFlight < this.limit && this.#waiters.size === 0) {
      this.#inFlight++;
      return "admitted";
    }
    if (this.#waiters.size >= this.settings.queue) return "full";
    this.#waiters.add(waiter);
    return "waiting";
  }

  /** Takes a place whatever the limit says: a report-only limit counts, and never refuses. */
  force(): void {
    this.#inFlight++;
  }

  /** Waits no more; idempotent. */
  cancel(waiter: ConcurrencyWaiter): void {
    this.#waiters.delete(waiter);
  }

  /** A request that had a place is done. @param latencyMs negative: it says nothing about the service */
  release(latencyMs: number, nowMs: number): void {
    if (latencyMs >= 0) this.adaptive?.observe(latencyMs, this.#inFlight, nowMs);
    this.#inFlight--;
    for (const waiter of this.#waiters) {
      if (this.#inFlight >= this.limit) return;
      this.#waiters.delete(waiter);
      this.#inFlight++;
      waiter.onAdmitted();
    }
  }
}
