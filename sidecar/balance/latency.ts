// How long an endpoint's answers take, as Finagle's "peak EWMA" has it: a slower answer counts at once and in full, and
// is forgotten exponentially; so a stall is felt with the first late answer and trusted again only with time.

/** Time in which the weight of what was seen falls to 1/e (Finagle and Linkerd: 10 s). */
const DECAY_MS = 10_000;
/** What an endpoint that has not answered yet is taken for (Linkerd: 30 ms). */
const UNKNOWN_MS = 30;

export class PeakEwma {
  #valueMs = UNKNOWN_MS;
  #atMs = 0;
  #samples = 0;

  /** Answers seen. */
  get samples(): number {
    return this.#samples;
  }

  /** An answer took `latencyMs`. */
  observe(latencyMs: number, nowMs: number): void {
    const kept = this.#samples === 0 ? 0 : this.#decay(nowMs);
    // Above the estimate it is replaced, below it moves there slowly.
    this.#valueMs = latencyMs > this.#valueMs * kept ? latencyMs : this.#valueMs * kept + latencyMs * (1 - kept);
    this.#atMs = nowMs;
    this.#samples++;
  }

  /** Milliseconds expected now. Without new answers it decays, so that an endpoint that was slow is tried again. */
  estimateMs(nowMs: number): number {
    return this.#valueMs * this.#decay(nowMs);
  }

  #decay(nowMs: number): number {
    const elapsedMs = nowMs - this.#atMs;
    return elapsedMs <= 0 || this.#samples === 0 ? 1 : Math.exp(-elapsedMs / DECAY_MS);
  }
}
