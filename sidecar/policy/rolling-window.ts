// Successes and failures of the last so many milliseconds, in ten buckets: what a breaker decides by. Old buckets are
// emptied when somebody counts or asks, so no timer is needed.

const BUCKETS = 10;

export class RollingWindow {
  readonly #bucketMs: number;
  readonly #successes = new Float64Array(BUCKETS);
  readonly #failures = new Float64Array(BUCKETS);
  /** Number of the newest bucket since time began; its slot is this modulo BUCKETS. */
  #newest = 0;
  #successSum = 0;
  #failureSum = 0;

  constructor(windowMs: number) {
    this.#bucketMs = Math.max(1, windowMs / BUCKETS);
  }

  add(isSuccess: boolean, nowMs: number): void {
    this.#advance(nowMs);
    const counts = isSuccess ? this.#successes : this.#failures;
    const slot = this.#newest % BUCKETS;
    counts[slot] = (counts[slot] ?? 0) + 1;
    if (isSuccess) this.#successSum++;
    else this.#failureSum++;
  }

  total(nowMs: number): number {
    this.#advance(nowMs);
    return this.#successSum + this.#failureSum;
  }

  failures(nowMs: number): number {
    this.#advance(nowMs);
    return this.#failureSum;
  }

  clear(): void {
    this.#successes.fill(0);
    this.#failures.fill(0);
    this.#successSum = 0;
    this.#failureSum = 0;
  }

  #advance(nowMs: number): void {
    const newest = Math.floor(nowMs / this.#bucketMs);
    if (newest <= this.#newest) return;
    if (newest - this.#newest >= BUCKETS) this.clear();
    else {
      for (let bucket = this.#newest + 1; bucket <= newest; bucket++) {
        const slot = bucket % BUCKETS;
        this.#successSum -= this.#successes[slot] ?? 0;
        this.#failureSum -= this.#failures[slot] ?? 0;
        this.#successes[slot] = 0;
        this.#failures[slot] = 0;
      }
    }
    this.#newest = newest;
  }
}
