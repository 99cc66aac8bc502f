// A concurrency limit that is found, not configured: the gradient of latency (Envoy's adaptive_concurrency, Netflix's
// concurrency-limits). While answers take about as long as they do without a queue, the limit grows; as they take
// longer, it shrinks in proportion. What "without a queue" means is measured anew now and then at half of the limit,
// because under steady overload a minimum that was only remembered would drift upwards.
import type { Random } from "../../runtime/random.ts";

/** As Envoy's min_concurrency. */
const LIMIT_MIN = 3;
/** As Netflix: enough to begin with, soon corrected. */
const LIMIT_AT_FIRST = 20;
/** Answers are judged together for this long, and at least so many. */
const WINDOW_MS = 100;
const WINDOW_SAMPLES_MIN = 10;
const WINDOW_SAMPLES_MAX = 512;
/** Latency may be this much above the minimum before the limit shrinks (Envoy: 25 %, which at small limits is a third more). */
const BUFFER = 1.15;
const GRADIENT_MIN = 0.5;
const GRADIENT_MAX = 1.5;
/** The minimum is measured anew about this often (Envoy: 60 s with 15 % of jitter; sooner follows deployments). */
const PROBE_INTERVAL_MS = 30_000;
const PROBE_JITTER = 0.15;
/** The first comes soon, and another after one that found a base below this share of the one before. */
const PROBE_SOON_MS = 1_000;
const PROBE_FOUND = 0.9;
/** Answers that a measurement takes (Envoy: 50), and its longest time. */
const PROBE_SAMPLES = 50;
const PROBE_MS_MAX = 2_000;

type Phase =
  | { readonly name: "following" }
  /** The limit is halved. What was begun before counts only after `fromMs`. */
  | { readonly name: "measuring"; readonly fromMs: number; readonly untilMs: number; readonly limitBefore: number };

const FOLLOWING: Phase = { name: "following" };

export class AdaptiveLimit {
  readonly #max: number;
  readonly #random: Random;
  readonly #samples = new Float64Array(WINDOW_SAMPLES_MAX);
  #count = 0;
  #windowEndMs = Number.NEGATIVE_INFINITY;
  #limit: number;
  #phase: Phase = FOLLOWING;
  #probeAtMs = Number.NEGATIVE_INFINITY;
  /** Latency without a queue; Infinity until something was seen. */
  #baseMs = Number.POSITIVE_INFINITY;
  /** Highest number in flight in this window. */
  #peak = 0;

  constructor(max: number, random: Random) {
    this.#max = Math.max(LIMIT_MIN, max);
    this.#random = random;
    this.#limit = Math.min(this.#max, LIMIT_AT_FIRST);
  }

  get limit(): number {
    return Math.floor(this.#limit);
  }

  /** What latency is compared with, in milliseconds; 0 before there was an answer. */
  get baseLatencyMs(): number {
    return Number.isFinite(this.#baseMs) ? this.#baseMs : 0;
  }

  /** A request took `latencyMs`; `inFlight` counts it. */
  observe(latencyMs: number, inFlight: number, nowMs: number): void {
    if (this.#windowEndMs === Number.NEGATIVE_INFINITY) {
      this.#windowEndMs = nowMs + WINDOW_MS;
      this.#probeAtMs = nowMs + PROBE_SOON_MS;
    }
    if (this.#phase.name === "measuring" && nowMs < this.#phase.fromMs) return;
    if (inFlight > this.#peak) this.#peak = inFlight;
    if (this.#count < WINDOW_SAMPLES_MAX) this.#samples[this.#count++] = latencyMs;
    if (this.#phase.name === "measuring") this.#measure(this.#phase, nowMs);
    else if (nowMs >= this.#windowEndMs && this.#count >= WINDOW_SAMPLES_MIN) this.#follow(nowMs);
  }

  #follow(nowMs: number): void {
    const latencyMs = this.#takeMedian();
    this.#windowEndMs = nowMs + WINDOW_MS;
    if (latencyMs < this.#baseMs) this.#baseMs = latencyMs;
    const isUsed = this.#peak * 2 >= this.#limit;
    this.#peak = 0;
    if (nowMs >= this.#probeAtMs) return this.#startMeasuring(nowMs, isUsed, latencyMs);
    const gradient = Math.min(GRADIENT_MAX, Math.max(GRADIENT_MIN, (this.#baseMs * BUFFER) / latencyMs));
    const wanted = this.#limit * gradient + Math.sqrt(this.#limit) / 2;
    // A limit that nobody comes near is not tested by latency, so it must not grow.
    if (wanted < this.#limit || isUsed) this.#limit = this.#bounded(wanted);
  }

  #startMeasuring(nowMs: number, isUsed: boolean, latencyMs: number): void {
    // Far below the limit there is no queue of ours: what is seen now is the base, and nobody needs to be held back.
    if (!isUsed) {
      this.#baseMs = latencyMs;
      this.#scheduleProbe(nowMs);
      return;
    }
    this.#phase = {
      name: "measuring",
      fromMs: nowMs + 2 * latencyMs,
      untilMs: nowMs + 2 * latencyMs + PROBE_MS_MAX,
      limitBefore: this.#limit,
    };
    this.#limit = this.#bounded(this.#limit / 2);
  }

  #measure(phase: Phase & { name: "measuring" }, nowMs: number): void {
    if (this.#count < PROBE_SAMPLES && nowMs < phase.untilMs) return;
    const baseMs = this.#takeMedian();
    const isSettled = baseMs > this.#baseMs * PROBE_FOUND;
    this.#baseMs = baseMs;
    this.#limit = phase.limitBefore;
    this.#phase = FOLLOWING;
    this.#windowEndMs = nowMs + WINDOW_MS;
    this.#peak = 0;
    if (isSettled) this.#scheduleProbe(nowMs);
    else this.#probeAtMs = nowMs + PROBE_SOON_MS;
  }

  #takeMedian(): number {
    const sorted = this.#samples.subarray(0, this.#count).sort();
    const median = sorted[this.#count >> 1] ?? 0;
    this.#count = 0;
    // A clock that is coarser than the service must not divide by zero.
    return Math.max(median, 0.01);
  }

  #scheduleProbe(nowMs: number): void {
    this.#probeAtMs = nowMs + PROBE_INTERVAL_MS * (1 + PROBE_JITTER * (2 * this.#random.next() - 1));
  }

  #bounded(limit: number): number {
    return Math.min(this.#max, Math.max(LIMIT_MIN, limit));
  }
}
