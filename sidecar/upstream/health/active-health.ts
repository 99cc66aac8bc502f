// What active checks say about one endpoint: so many failures in a row make it unhealthy, so many successes healthy
// again. An endpoint that was not probed yet is used: the registry says that it is there.

export interface HealthThresholds {
  readonly unhealthyThreshold: number;
  readonly healthyThreshold: number;
}

type ActiveState = "unprobed" | "healthy" | "unhealthy";

export class ActiveHealth {
  state: ActiveState = "unprobed";
  /** Why the last failed probe failed. */
  lastError = "";
  #inARow = 0;

  /** Nobody probes it any more. */
  reset(): void {
    this.state = "unprobed";
    this.lastError = "";
    this.#inARow = 0;
  }

  /** @returns whether the state became or ceased to be "unhealthy". */
  record(error: string, { unhealthyThreshold, healthyThreshold }: HealthThresholds): boolean {
    const passed = error === "";
    if (!passed) this.lastError = error;
    const confirms = passed === (this.state !== "unhealthy");
    if (confirms) {
      this.#inARow = 0;
      if (this.state === "unprobed") this.state = "healthy";
      return false;
    }
    if (++this.#inARow < (passed ? healthyThreshold : unhealthyThreshold)) return false;
    this.#inARow = 0;
    this.state = passed ? "healthy" : "unhealthy";
    return true;
  }
}
