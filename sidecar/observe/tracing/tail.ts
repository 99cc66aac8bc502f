// The tail rule: traces that the sampling left out and that are kept all the same once it is known how the request
// ended, up to so many in a second. Decided by each sidecar for its own spans: an error is seen by every hop that it
// passes, so the hops of a failed request mostly agree.
import type { TracingResource } from "../../../rules/telemetry-resource.ts";
import type { Clock } from "../../../runtime/clock.ts";

export type TailVerdict = "error" | "slow" | "over-limit" | "";

export class TailRule {
  readonly #settings: TracingResource["tail"];
  readonly #perSecond: number;
  readonly #clock: Clock;
  #tokens = 0;
  #filledMs = 0;

  /** @param share of the rate that is this process's, 0..1 */
  constructor(settings: TracingResource["tail"], share: number, clock: Clock) {
    this.#settings = settings;
    this.#perSecond = settings.maxPerSecond * share;
    this.#clock = clock;
    // A burst of one second; a rate below one in a second still gets its one.
    this.#tokens = this.#burst;
    this.#filledMs = clock.now();
  }

  /** It can keep anything at all. */
  get isOn(): boolean {
    const { errors, slowerThanMs } = this.#settings;
    return (errors || slowerThanMs > 0) && this.#perSecond > 0;
  }

  /** Should this trace be kept? Takes from the rate if so. */
  judge(isError: boolean, durationMs: number): TailVerdict {
    const { errors, slowerThanMs } = this.#settings;
    const why = errors && isError ? "error" : slowerThanMs > 0 && durationMs > slowerThanMs ? "slow" : "";
    if (why === "") return "";
    return this.#take() ? why : "over-limit";
  }

  get #burst(): number {
    return this.#perSecond > 0 ? Math.max(1, this.#perSecond) : 0;
  }

  #take(): boolean {
    const nowMs = this.#clock.now();
    this.#tokens = Math.min(this.#burst, this.#tokens + ((nowMs - this.#filledMs) * this.#perSecond) / 1_000);
    this.#filledMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
