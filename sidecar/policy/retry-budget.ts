// Retries may add a share of the load and no more (GEP-3388; Linkerd and Finagle have the same two numbers): over the
// last ten seconds `percent` of the requests, and in any second at least `minPerSecond`. One budget per service.

const WINDOW_SECONDS = 10;

export interface BudgetSettings {
  readonly percent: number;
  readonly minPerSecond: number;
}

export class RetryBudget {
  /** By second modulo the window. */
  readonly #requests = new Float64Array(WINDOW_SECONDS);
  readonly #retries = new Float64Array(WINDOW_SECONDS);
  /** The second that the newest slot stands for. */
  #second = 0;
  #requestSum = 0;
  #retrySum = 0;

  /** Every request counts once, however often it is tried. */
  countRequest(nowMs: number): void {
    this.#advance(nowMs);
    const slot = this.#second % WINDOW_SECONDS;
    this.#requests[slot] = (this.#requests[slot] ?? 0) + 1;
    this.#requestSum++;
  }

  /** @returns whether a retry may be made now; if so it is counted. */
  take(nowMs: number, settings: BudgetSettings): boolean {
    this.#advance(nowMs);
    const slot = this.#second % WINDOW_SECONDS;
    const inThisSecond = this.#retries[slot] ?? 0;
    const allowed = (this.#requestSum * settings.percent) / 100;
    if (inThisSecond >= settings.minPerSecond && this.#retrySum >= allowed) return false;
    this.#retries[slot] = inThisSecond + 1;
    this.#retrySum++;
    return true;
  }

  /** Retries that `take` would allow now, were they all asked for at once. */
  available(nowMs: number, settings: BudgetSettings): number {
    this.#advance(nowMs);
    const inThisSecond = this.#retries[this.#second % WINDOW_SECONDS] ?? 0;
    const byShare = Math.ceil((this.#requestSum * settings.percent) / 100 - this.#retrySum);
    return Math.max(0, settings.minPerSecond - inThisSecond, byShare);
  }

  #advance(nowMs: number): void {
    const second = Math.floor(nowMs / 1_000);
    const steps = Math.min(second - this.#second, WINDOW_SECONDS);
    for (let step = 1; step <= steps; step++) {
      const slot = (this.#second + step) % WINDOW_SECONDS;
      this.#requestSum -= this.#requests[slot] ?? 0;
      this.#retrySum -= this.#retries[slot] ?? 0;
      this.#requests[slot] = 0;
      this.#retries[slot] = 0;
    }
    if (steps === WINDOW_SECONDS) this.#clear();
    if (second > this.#second) this.#second = second;
  }

  /** A gap longer than the window: slots were cleared out of step with their seconds. */
  #clear(): void {
    this.#requests.fill(0);
    this.#retries.fill(0);
    this.#requestSum = 0;
    this.#retrySum = 0;
  }
}
