// Which balancer acts for which word of a rule.
import type { LoadBalancerAlgorithm } from "../../rules/resource.ts";
import type { BuildBalancer } from "./contract.ts";
import { buildLeastRequest } from "./least-request.ts";
import { buildMaglev } from "./maglev.ts";
import { buildPeakEwma } from "./peak-ewma.ts";
import { buildRandom } from "./random.ts";
import { buildRingHash } from "./ring-hash.ts";
import { buildRoundRobin } from "./round-robin.ts";

export const BALANCERS: Readonly<Record<LoadBalancerAlgorithm, BuildBalancer>> = {
  "round-robin": buildRoundRobin,
  random: buildRandom,
  "least-request": buildLeastRequest,
  "peak-ewma": buildPeakEwma,
  "ring-hash": buildRingHash,
  maglev: buildMaglev,
};
