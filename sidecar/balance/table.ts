// Which balancer acts for which word of a rule.
import type { LoadBalancerAlgorithm } from "../../rules/resource.ts";
import type { BuildBalancer } from "./contract.ts";
import { buildLeastRequest } from "./least-request.ts";
import { buildRandom } from "./random.ts";
import { buildRoundRobin } from "./round-robin.ts";

/** Peak-EWMA and the two hashing algorithms have no implementation of their own: least-request stands in. */
export const BALANCERS: Readonly<Record<LoadBalancerAlgorithm, BuildBalancer>> = {
  "round-robin": buildRoundRobin,
  random: buildRandom,
  "least-request": buildLeastRequest,
  "peak-ewma": buildLeastRequest,
  "ring-hash": buildLeastRequest,
  maglev: buildLeastRequest,
};
