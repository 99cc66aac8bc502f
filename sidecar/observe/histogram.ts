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

export class Histogram {
  readonly buckets: Buckets;
  readonly counts: Float64Array;
  /** Of the values, in the unit in which they are recorded. */
  sum = 0;
  /** By bucket, the newest; only where requests were traced. */
  exemplars: Map<number, Exemplar> | undefined = undefined;

  constructor(buckets: Buckets = BUCKETS_OF.seconds) {
    this.buckets = buckets;
    this.counts = new Float64Array(buckets.bounds.length + 1);
  }

  record(value: number): void {
    const bucket = bucketIn(this.buckets, value);
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1;
    this.sum += value;
  }

  /** The request of `exemplar` has been recorded. */
  mark(exemplar: Exemplar): void {
    this.exemplars ??= new Map();
    this.exemplars.set(bucketIn(this.buckets, exemplar.value), exemplar);
  }

  /** Adds what another histogram counted. */
  add(counts: Float64Array, sum: number): void {
    for (let bucket = 0; bucket < this.counts.length; bucket++)
      this.counts[bucket] = (this.counts[bucket] ?? 0) + (counts[bucket] ?? 0);
    this.sum += sum;
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
    for (let bucket = 0; bucket < this.counts.length; bucket++) {
      const count = this.counts[bucket] ?? 0;
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
