// The buckets in which latencies are counted, here and everywhere: sidecars count, the control plane adds up what they
// report. Ten to a decade, so that a percentile is known to within a quarter.

/** Within a decade: the R10 series of preferred numbers (ISO 3). */
const PER_DECADE = [1, 1.25, 1.6, 2, 2.5, 3.2, 4, 5, 6.3, 8];
const FIRST_DECADE_MS = 0.1;
const DECADES = 6;

/** Upper bounds in milliseconds, from 0.1 ms to 80 s; one more bucket holds what is above. */
export const BUCKET_BOUNDS_MS: readonly number[] = bucketBounds();
export const LATENCY_BUCKETS = BUCKET_BOUNDS_MS.length + 1;

function bucketBounds(): number[] {
  const list: number[] = [];
  for (let decade = 0; decade < DECADES; decade++)
    for (const step of PER_DECADE) list.push(Number((step * FIRST_DECADE_MS * 10 ** decade).toPrecision(3)));
  return list;
}

/** Milliseconds under which the share `q` (0..1) of the counts lies, interpolated in its bucket; 0 of none. */
export function quantileMs(counts: readonly number[], q: number): number {
  const wanted = counts.reduce((sum, count) => sum + count, 0) * q;
  let below = 0;
  for (const [bucket, count] of counts.entries()) {
    if (count > 0 && below + count >= wanted) {
      const lower = BUCKET_BOUNDS_MS[bucket - 1] ?? 0;
      const upper = BUCKET_BOUNDS_MS[bucket] ?? lower;
      return lower + ((upper - lower) * (wanted - below)) / count;
    }
    below += count;
  }
  return 0;
}

/** The first bucket whose counts are all above `thresholdMs`: the threshold is rounded up to a bound. */
export function bucketAbove(thresholdMs: number): number {
  const bound = BUCKET_BOUNDS_MS.findIndex((boundMs) => boundMs >= thresholdMs);
  return bound < 0 ? BUCKET_BOUNDS_MS.length : bound + 1;
}

/** How many are in `bucket` or above. */
export function countFrom(counts: readonly number[], bucket: number): number {
  let count = 0;
  for (let index = bucket; index < counts.length; index++) count += counts[index] ?? 0;
  return count;
}
