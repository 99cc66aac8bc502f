// Of two random endpoints the one where a request will probably wait less: its latency times the requests that would
// then be in progress there for its share (Finagle's and Linkerd's load metric).
import type { Balancer, BuildBalancer, Candidate } from "./contract.ts";
import { pickOfTwo } from "./two-choices.ts";

export const buildPeakEwma: BuildBalancer = ({ random, clock }) =>
  ({ usesHash: false, pick: (set, tried) => pickOfTwo(set, tried, random, clock.now(), wait) }) satisfies Balancer;

function wait(candidate: Candidate, relativeShare: number, nowMs: number): number {
  // Only the requests in progress are divided by the share: idle endpoints with equal latency get theirs by sampling.
  return candidate.latency.estimateMs(nowMs) * (candidate.activeRequests / relativeShare + 1);
}
