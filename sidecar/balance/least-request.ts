// Two random endpoints, the one with fewer requests in progress for its weight (Mitzenmacher, "The power of two
// choices", 2001; Envoy's least_request with choice_count 2). No scan over all endpoints and no herd to the idlest.
import {
  type Balancer,
  type BuildBalancer,
  type Candidate,
  isEligible,
  nextEligible,
  sampleIndex,
} from "./contract.ts";

export const buildLeastRequest: BuildBalancer = (random) =>
  ({
    pick: (set, tried) => {
      const count = set.members.length;
      if (count <= 1) return nextEligible(set, tried, 0);
      const firstIndex = sampleIndex(set, random.next());
      let secondIndex = sampleIndex(set, random.next());
      if (secondIndex === firstIndex) secondIndex = (firstIndex + 1) % count;
      const first = set.members[firstIndex];
      const second = set.members[secondIndex];
      if (first === undefined || second === undefined) return undefined;
      if (!isEligible(first, tried)) return nextEligible(set, tried, secondIndex);
      if (!isEligible(second, tried)) return first;
      return load(second) < load(first) ? second : first;
    },
  }) satisfies Balancer;

function load(candidate: Candidate): number {
  return candidate.activeRequests / candidate.weight;
}
