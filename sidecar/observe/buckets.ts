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
  /** Where `bucketIn` begins to look. */
  readonly guesses: Uint8Array;
  readonly firstStep: number;
}

/** Of ten buckets to a decade three are exposed (1, 2.5, 5): enough for alerts, a third of the lines. */
const LATENCY = {
  bounds: Float64Array.from(BUCKET_BOUNDS_MS),
  exposed: BUCKET_BOUNDS_MS.map((boundMs, index) => ({ index, bound: boundMs / 1000 })).filter(
    ({ index }) => index % 10 === 0 || index % 10 === 4 || index % 10 === 7,
  ),
  perUnit: 1_000,
};

const SIZE_BOUNDS = [100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000];
const SIZE = {
  bounds: Float64Array.from(SIZE_BOUNDS),
  exposed: SIZE_BOUNDS.map((bound, index) => ({ index, bound })),
  perUnit: 1,
};

const value64 = new Float64Array(1);
const words = new Uint32Array(value64.buffer);
/** Where the word with sign, exponent and the first digits lies. */
const HIGH_WORD = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 1 : 0;
/** What is left of that word: the exponent and three binary digits, eight steps to a power of two. */
const STEP_SHIFT = 17;

function stepOf(value: number): number {
  value64[0] = value;
  return (words[HIGH_WORD] as number) >>> STEP_SHIFT;
}

/** For each step of the range of `bounds`, the bucket in which the least value of the step lies. */
function guessesFor(bounds: Float64Array): Uint8Array {
  const first = stepOf(bounds[0] ?? 0);
  const last = stepOf(bounds[bounds.length - 1] ?? 0);
  return Uint8Array.from({ length: last - first + 1 }, (_, step) => {
    words[HIGH_WORD] = (first + step) << STEP_SHIFT;
    words[1 - HIGH_WORD] = 0;
    const least = value64[0] as number;
    return bounds.findIndex((bound) => least <= bound);
  });
}

/**
 * The bucket of a value: the first whose bound is not below it. Its binary digits say where to look; a search by halves is
 * six branches that nobody can foresee, several times per request.
 */
export function bucketIn({ bounds, firstStep, guesses }: Buckets, value: number): number {
  // Also of what is no number.
  if (!(value > (bounds[0] as number))) return 0;
  const step = stepOf(value) - firstStep;
  if (step >= guesses.length) return bounds.length;
  let bucket = guesses[step] as number;
  while (bucket < bounds.length && (bounds[bucket] as number) < value) bucket++;
  return bucket;
}

export const BUCKETS_OF: Readonly<Record<HistogramUnit, Buckets>> = {
  seconds: searchable(LATENCY),
  bytes: searchable(SIZE),
};

function searchable(plain: Omit<Buckets, "guesses" | "firstStep">): Buckets {
  return { ...plain, guesses: guessesFor(plain.bounds), firstStep: stepOf(plain.bounds[0] ?? 0) };
}
