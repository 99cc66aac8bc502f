// Gathers triggers: acts after a quiet time, but never later than a maximum after the first of them.
import type { Clock, Timer } from "../../runtime/clock.ts";

export interface DebounceOptions {
  readonly clock: Clock;
  readonly quietMs: number;
  readonly maxMs: number;
  readonly act: () => void;
}

export class Debounce {
  readonly #options: DebounceOptions;
  /** Set while something waits. */
  #waiting: { readonly latestMs: number; timer: Timer } | undefined;

  constructor(options: DebounceOptions) {
    this.#options = options;
  }

  trigger(): void {
    const { clock, quietMs, maxMs } = this.#options;
    const latestMs = this.#waiting?.latestMs ?? clock.now() + maxMs;
    this.#waiting?.timer.cancel();
    const delayMs = Math.max(0, Math.min(quietMs, latestMs - clock.now()));
    this.#waiting = { latestMs, timer: clock.after(delayMs, () => this.#fire()) };
  }

  cancel(): void {
    this.#waiting?.timer.cancel();
    this.#waiting = undefined;
  }

  #fire(): void {
    this.#waiting = undefined;
    this.#options.act();
  }
}
