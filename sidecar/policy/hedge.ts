// When a request that has no answer yet is sent a second time: after a fixed delay, or after a percentile of how long
// answers take (Dean and Barroso, "The tail at scale", 2013). Keeps the latencies of one service in buckets whose counts
// fade, so the percentile follows the service.

export type HedgeDelay =
  | { readonly type: "fixed"; readonly delayMs: number }
  | { readonly type: "percentile" /** 0..1 */; readonly share: number };

/** Ten per doubling: a percentile is known to within 7 %. */
const PER_DOUBLING = 10;
const FIRST_MS = 0.1;
const BUCKETS = 220;
/** Answers before a percentile is one. */
const SAMPLES_MIN = 50;
/** After so many answers old ones count half. */
const FADE_EVERY = 1_000;
/** The percentile is worked out anew after so many answers. */
const REFRESH_EVERY = 50;

export class LatencyPercentile {
  /** 0..1. */
  readonly share: number;
  readonly #counts = new Float64Array(BUCKETS);
  #total = 0;
  #sinceFade = 0;
  #sinceRefresh = 0;
  #valueMs = Number.POSITIVE_INFINITY;

  constructor(share: number) {
    this.share = share;
  }

  /** Milliseconds; Infinity while too little is known. */
  get valueMs(): number {
    return this.#valueMs;
  }

  observe(latencyMs: number): void {
    const bucket = bucketOf(latencyMs);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#total++;
    if (++this.#sinceFade >= FADE_EVERY) this.#fade();
    if (++this.#sinceRefresh < REFRESH_EVERY) return;
    this.#sinceRefresh = 0;
    if (this.#total >= SAMPLES_MIN) this.#valueMs = this.#percentile();
  }

  #fade(): void {
    this.#sinceFade = 0;
    this.#total = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const kept = (this.#counts[bucket] ?? 0) / 2;
      this.#counts[bucket] = kept;
      this.#total += kept;
    }
  }

  #percentile(): number {
    let below = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      below += this.#counts[bucket] ?? 0;
      if (below >= this.#total * this.share) return upperBoundMs(bucket);
    }
    return upperBoundMs(BUCKETS - 1);
  }
}

/** Milliseconds to wait before the second request; Infinity: do not hedge. */
export function hedgeDelayMs(delay: HedgeDelay, observed: LatencyPercentile | undefined): number {
  return delay.type === "fixed" ? delay.delayMs : (observed?.valueMs ?? Number.POSITIVE_INFINITY);
}

/** `p95` or a number of milliseconds, as the compiled policy has it. */
export function hedgeDelay(after: string | number): HedgeDelay {
  if (typeof after === "number") return { type: "fixed", delayMs: after };
  return { type: "percentile", share: Number(after.slice(1)) / 100 };
}

function bucketOf(latencyMs: number): number {
  const bucket = Math.ceil(Math.log2(Math.max(latencyMs, FIRST_MS) / FIRST_MS) * PER_DOUBLING);
  return Math.min(BUCKETS - 1, bucket);
}

function upperBoundMs(bucket: number): number {
  return FIRST_MS * 2 ** (bucket / PER_DOUBLING);
}
