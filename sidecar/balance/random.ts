// Any endpoint, each with its share.
import { type Balancer, type BuildBalancer, nextEligible, sampleIndex } from "./contract.ts";

export const buildRandom: BuildBalancer = ({ random }) =>
  ({
    usesHash: false,
    pick: (set, tried) => nextEligible(set, tried, sampleIndex(set, random.next())),
  }) satisfies Balancer;
