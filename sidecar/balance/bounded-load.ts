// Consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam, 2016; Envoy's hash_balance_factor): one hot key
// cannot put more on an endpoint than a factor of the mean.
import type { Candidate, CandidateSet } from "./contract.ts";

/** Would one more request put `member` above `factorPercent` of the mean load for its weight? */
export function isOverloaded(set: CandidateSet<Candidate>, member: Candidate, factorPercent: number): boolean {
  // The bound is at least one request, so an idle endpoint needs no sum over all of them.
  if (member.activeRequests === 0) return false;
  let active = 1;
  let weight = 0;
  for (const candidate of set.members) {
    if (candidate.weight <= 0 || !(set.ignoresHealth || candidate.isHealthy)) continue;
    active += candidate.activeRequests;
    weight += candidate.weight;
  }
  const bound = Math.ceil((active * member.weight * factorPercent) / (weight * 100));
  return member.activeRequests + 1 > bound;
}
