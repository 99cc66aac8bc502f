// Gives memory back when a process that grew has become idle. V8 by itself collects when something is allocated, so what a
// burst of connections or a load left behind stays resident for as long as nothing happens: 20 MiB after 5,000
// connections. Not under load, and not often: everything stands still while the heap is compacted, 30 to 80 ms.
import { type Clock, every, type Timer } from "./clock.ts";
import type { Usage } from "./process-figures.ts";

export const LOOK_EVERY_MS = 5_000;
/** Less CPU than this between two looks is idle: timers and reports take 1 to 6 ms, a hundred requests a second 10. */
export const IDLE_CPU_SECONDS = 0.02;
/** Less than this is not worth a pause. */
export const GROWTH_MIN_BYTES = 8 * 1024 * 1024;
export const PAUSE_MIN_MS = 60_000;

interface CompactionOptions {
  readonly clock: Clock;
  readonly usage: () => Usage;
  /** Collects everything that can be, and gives it back to the system. */
  readonly compact: () => void;
}

export class IdleCompaction {
  readonly #options: CompactionOptions;
  /** Resident when it was least since the last compaction; 0 before the first. */
  #leastBytes = 0;
  #cpuSeconds = 0;
  #compactedMs = Number.NEGATIVE_INFINITY;
  #looks: Timer | undefined = undefined;

  constructor(options: CompactionOptions) {
    this.#options = options;
  }

  /** Looks every so often from now on. What was allocated before counts as growth unless `compact` is called. */
  watch(): void {
    const { clock, usage } = this.#options;
    this.#cpuSeconds = usage().cpuSeconds;
    this.#looks = every(clock, LOOK_EVERY_MS, () => this.#look());
  }

  /** Now, whatever goes on. */
  compact(): void {
    const { clock, compact, usage } = this.#options;
    compact();
    const { cpuSeconds, residentBytes } = usage();
    this.#cpuSeconds = cpuSeconds;
    this.#leastBytes = residentBytes;
    this.#compactedMs = clock.now();
  }

  stop(): void {
    this.#looks?.cancel();
  }

  #look(): void {
    const { cpuSeconds, residentBytes } = this.#options.usage();
    const isIdle = cpuSeconds - this.#cpuSeconds < IDLE_CPU_SECONDS;
    this.#cpuSeconds = cpuSeconds;
    this.#leastBytes = Math.min(this.#leastBytes, residentBytes);
    const hasGrown = residentBytes - this.#leastBytes >= GROWTH_MIN_BYTES;
    if (isIdle && hasGrown && this.#options.clock.now() - this.#compactedMs >= PAUSE_MIN_MS) this.compact();
  }
}
