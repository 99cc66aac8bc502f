// Into which buckets values are counted: durations and sizes. A histogram keeps all of its buckets and shows fewer.
import { BUCKET_BOUNDS_MS } from "../../rules/latency-buckets.ts";

export type HistogramUnit = "seconds" | "bytes";

export interface Buckets {
  /** Upper bounds in the unit that values are recorded in (milliseconds, bytes); one more bucket holds what is above. */
  readonly bounds: Float64Array;
  /** Buckets that are exposed, with their bound in the unit of the exposition. */
  readonly exposed: readonly { readonly index: number; readonly bound: number }[];
  /** Recorded units in one exposed unit. */
  readonly perUnit: number;
}

/** Of ten buckets to a decade three are exposed (1, 2.5, 5): enough for alerts, a third of the lines. */
const LATENCY: Buckets = {
  bounds: Float64Array.from(BUCKET_BOUNDS_MS),
  exposed: BUCKET_BOUNDS_MS.map((boundMs, index) => ({ index, bound: boundMs / 1000 })).filter(
    ({ index }) => index % 10 === 0 || index % 10 === 4 || index % 10 === 7,
  ),
  perUnit: 1_000,
};

const SIZE_BOUNDS = [100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000];
const SIZE: Buckets = {
  bounds: Float64Array.from(SIZE_BOUNDS),
  exposed: SIZE_BOUNDS.map((bound, index) => ({ index, bound })),
  perUnit: 1,
};

export const BUCKETS_OF: Readonly<Record<HistogramUnit, Buckets>> = { seconds: LATENCY, bytes: SIZE };

/** The bucket of a value: the first whose bound is not below it. Binary search, six steps for durations. */
export function bucketIn(bounds: Float64Array, value: number): number {
  let low = 0;
  let high = bounds.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((bounds[middle] ?? 0) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
