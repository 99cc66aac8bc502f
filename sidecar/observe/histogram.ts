// How long things took: counts in fixed buckets, ten to a decade, so that two histograms can be added and a p99 is
// known to within a quarter. Not a sample store.

import { BUCKETS_OF, type Buckets, bucketIn } from "./buckets.ts";

/** The bucket of a duration in milliseconds. */
export function bucketOf(durationMs: number): number {
  return bucketIn(BUCKETS_OF.seconds, durationMs);
}

/** A request that stands for others in its bucket (OpenMetrics section "Exemplars"). */
export interface Exemplar {
  readonly traceId: string;
  readonly spanId: string;
  readonly value: number;
  readonly wallMs: number;
}

/**
 * Numbers of histograms that were made one after the other stand in one array. Among thousands of series each is out of
 * cache when it is counted in, and an array of its own would be two more places to look. It lives as long as one of them.
 */
const BLOCK_NUMBERS = 512;
let block = new Float64Array(BLOCK_NUMBERS);
let used = 0;

export class Histogram {
  readonly buckets: Buckets;
  /** By bucket, the newest; only where requests were traced. */
  exemplars: Map<number, Exemplar> | undefined = undefined;
  readonly #numbers: Float64Array;
  /** Where the sum is in #numbers; the counts follow. */
  readonly #at: number;

  constructor(buckets: Buckets = BUCKETS_OF.seconds) {
    this.buckets = buckets;
    const length = buckets.bounds.length + 2;
    if (used + length > block.length) {
      block = new Float64Array(Math.max(BLOCK_NUMBERS, length));
      used = 0;
    }
    this.#numbers = block;
    this.#at = used;
    used += length;
  }

  record(value: number): void {
    const numbers = this.#numbers;
    const at = this.#at;
    const count = at + 1 + bucketIn(this.buckets, value);
    numbers[at] = (numbers[at] as number) + value;
    numbers[count] = (numbers[count] as number) + 1;
  }

  /** Of the values, in the unit in which they are recorded. */
  get sum(): number {
    return this.#numbers[this.#at] as number;
  }

  /** By bucket: goes on changing. */
  get counts(): Float64Array {
    const first = this.#at + 1;
    return this.#numbers.subarray(first, first + this.buckets.bounds.length + 1);
  }

  /** The request of `exemplar` has been recorded. */
  mark(exemplar: Exemplar): void {
    this.exemplars ??= new Map();
    this.exemplars.set(bucketIn(this.buckets, exemplar.value), exemplar);
  }

  /** Adds what another histogram counted. */
  add(counts: Float64Array, sum: number): void {
    const own = this.counts;
    for (let bucket = 0; bucket < own.length; bucket++) own[bucket] = (own[bucket] ?? 0) + (counts[bucket] ?? 0);
    this.#numbers[this.#at] = this.sum + sum;
  }

  get count(): number {
    let total = 0;
    for (const count of this.counts) total += count;
    return total;
  }

  /** Milliseconds under which the share `q` (0..1) lies, interpolated in its bucket; 0 when empty. */
  quantileMs(q: number): number {
    const { counts } = this;
    const wanted = this.count * q;
    let below = 0;
    for (let bucket = 0; bucket < counts.length; bucket++) {
      const count = counts[bucket] ?? 0;
      if (count > 0 && below + count >= wanted) {
        const { bounds } = this.buckets;
        const lower = bucket === 0 ? 0 : (bounds[bucket - 1] ?? 0);
        const upper = bounds[bucket] ?? lower;
        return lower + ((upper - lower) * (wanted - below)) / count;
      }
      below += count;
    }
    return 0;
  }
}
