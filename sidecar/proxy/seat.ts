// One request's place among those in progress to a service (`connectionPool.maxRequests`). Taken at most once at a time,
// left whatever happened.
import type { Cluster } from "../cluster.ts";
import { type Failure, failure } from "./reasons.ts";

export class Seat {
  #cluster: Cluster | undefined = undefined;

  /** Leaves the place it had, if any. @returns why there is none to be had */
  take(cluster: Cluster, nowMs: number): Failure | undefined {
    this.leave();
    const { state, policy, service } = cluster;
    if (state.activeRequests >= policy.connectionPool.maxRequests)
      return failure("pool-overflow", `${service} has ${state.activeRequests} requests`);
    state.activeRequests++;
    state.budget.countRequest(nowMs);
    this.#cluster = cluster;
    return undefined;
  }

  leave(): void {
    if (this.#cluster !== undefined) this.#cluster.state.activeRequests--;
    this.#cluster = undefined;
  }
}
