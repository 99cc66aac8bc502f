// A clock that moves only when told: for tests and simulations.
import type { Clock, Timer } from "./clock.ts";

interface Pending {
  readonly atMs: number;
  readonly order: number;
  readonly callback: () => void;
}

/** Time stands still until `advance`. Timers due at the same instant fire in the order they were set. */
export class ManualClock implements Clock {
  #nowMs = 0;
  #order = 0;
  readonly #epochMs: number;
  readonly #pending = new Set<Pending>();

  constructor(epochMs = 1_700_000_000_000) {
    this.#epochMs = epochMs;
  }

  now(): number {
    return this.#nowMs;
  }

  wall(): number {
    return this.#epochMs + this.#nowMs;
  }

  after(delayMs: number, callback: () => void): Timer {
    const entry: Pending = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, callback };
    this.#pending.add(entry);
    return { cancel: () => this.#pending.delete(entry) };
  }

  /** Moves time on, firing what falls due, in order of time. */
  advance(byMs: number): void {
    const targetMs = this.#nowMs + byMs;
    for (let next = this.#next(targetMs); next !== undefined; next = this.#next(targetMs)) {
      this.#pending.delete(next);
      this.#nowMs = next.atMs;
      next.callback();
    }
    this.#nowMs = targetMs;
  }

  /** How many timers are set. */
  get pendingCount(): number {
    return this.#pending.size;
  }

  #next(limitMs: number): Pending | undefined {
    let best: Pending | undefined;
    for (const entry of this.#pending) {
      if (entry.atMs > limitMs) continue;
      if (best === undefined || entry.atMs < best.atMs || (entry.atMs === best.atMs && entry.order < best.order))
        best = entry;
    }
    return best;
  }
}
