// Of two random endpoints the one with fewer requests in progress for its share (Envoy's least_request with
// choice_count 2).
import type { Balancer, BuildBalancer, Candidate } from "./contract.ts";
import { pickOfTwo } from "./two-choices.ts";

export const buildLeastRequest: BuildBalancer = ({ random }) =>
  ({ usesHash: false, pick: (set, tried) => pickOfTwo(set, tried, random, 0, load) }) satisfies Balancer;

function load(candidate: Candidate, relativeShare: number): number {
  return candidate.activeRequests / relativeShare;
}
