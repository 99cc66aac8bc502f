// Any endpoint, each with its weight's share.
import { type Balancer, type BuildBalancer, nextEligible, sampleIndex } from "./contract.ts";

export const buildRandom: BuildBalancer = (random) =>
  ({ pick: (set, tried) => nextEligible(set, tried, sampleIndex(set, random.next())) }) satisfies Balancer;
