// One request's permit to be in progress at a service (`connectionPool.maxRequests`). Acquired at most once at a time,
// released whatever happened.
import type { Cluster } from "../cluster.ts";
import { type Failure, failure } from "./reasons.ts";

export class RequestPermit {
  #cluster: Cluster | undefined = undefined;

  /** Releases the one it had, if any. @returns why there is none to be had */
  acquire(cluster: Cluster, nowMs: number): Failure | undefined {
    this.release();
    const { state, policy, service } = cluster;
    if (state.activeRequests >= policy.connectionPool.maxRequests)
      return failure("pool-overflow", `${service} has ${state.activeRequests} requests`);
    state.activeRequests++;
    state.budget.countRequest(nowMs);
    this.#cluster = cluster;
    return undefined;
  }

  release(): void {
    if (this.#cluster !== undefined) this.#cluster.state.activeRequests--;
    this.#cluster = undefined;
  }
}
