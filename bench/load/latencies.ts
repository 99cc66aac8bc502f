// Latencies in buckets: microseconds up to 20 ms, tenths of milliseconds up to 20 s. Adding one is one array access.

const FINE_US = 20_000;
const COARSE_STEP_US = 100;
const COARSE = 200_000;

export class Latencies {
  readonly #fine = new Uint32Array(FINE_US);
  readonly #coarse = new Uint32Array(COARSE);
  #count = 0;
  #maxMs = 0;

  add(ms: number): void {
    const us = ms * 1000;
    if (us < FINE_US) this.#fine[us | 0]!++;
    else this.#coarse[Math.min(COARSE - 1, (us / COARSE_STEP_US) | 0)]!++;
    this.#count++;
    if (ms > this.#maxMs) this.#maxMs = ms;
  }

  clear(): void {
    this.#fine.fill(0);
    this.#coarse.fill(0);
    this.#count = 0;
    this.#maxMs = 0;
  }

  get maxMs(): number {
    return this.#maxMs;
  }

  /** Upper end of the bucket that holds this share (0..1); 0 without samples. */
  quantileMs(share: number): number {
    let left = Math.ceil(this.#count * share);
    if (left === 0) return 0;
    for (let us = 0; us < FINE_US; us++) {
      left -= this.#fine[us]!;
      if (left <= 0) return (us + 1) / 1000;
    }
    for (let step = 0; step < COARSE; step++) {
      left -= this.#coarse[step]!;
      if (left <= 0) return ((step + 1) * COARSE_STEP_US) / 1000;
    }
    return this.#maxMs;
  }
}
