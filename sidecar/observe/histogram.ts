// How long things took: counts in fixed buckets, ten to a decade, so that two histograms can be added and a p99 is
// known to within a quarter. Not a sample store.

import { BUCKET_BOUNDS_MS, LATENCY_BUCKETS } from "../../rules/latency-buckets.ts";

const bounds = Float64Array.from(BUCKET_BOUNDS_MS);

/** The bucket of a duration: the first whose bound is not below it. Binary search, six steps. */
export function bucketOf(durationMs: number): number {
  let low = 0;
  let high = bounds.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((bounds[middle] ?? 0) < durationMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

export class Histogram {
  readonly counts = new Float64Array(LATENCY_BUCKETS);
  sumMs = 0;

  record(durationMs: number): void {
    const bucket = bucketOf(durationMs);
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1;
    this.sumMs += durationMs;
  }

  /** Adds what another histogram counted. */
  add(counts: Float64Array, sumMs: number): void {
    for (let bucket = 0; bucket < LATENCY_BUCKETS; bucket++)
      this.counts[bucket] = (this.counts[bucket] ?? 0) + (counts[bucket] ?? 0);
    this.sumMs += sumMs;
  }

  get count(): number {
    let total = 0;
    for (const count of this.counts) total += count;
    return total;
  }

  /** Milliseconds under which the share `q` (0..1) lies, interpolated in its bucket; 0 when empty. */
  quantileMs(q: number): number {
    const wanted = this.count * q;
    let below = 0;
    for (let bucket = 0; bucket < LATENCY_BUCKETS; bucket++) {
      const count = this.counts[bucket] ?? 0;
      if (count > 0 && below + count >= wanted) {
        const lower = bucket === 0 ? 0 : (bounds[bucket - 1] ?? 0);
        const upper = bounds[bucket] ?? lower;
        return lower + ((upper - lower) * (wanted - below)) / count;
      }
      below += count;
    }
    return 0;
  }
}
