// What a balancer is: it chooses one of a service's endpoints for one attempt. Which endpoints there are to choose from
// (health, zones, panic) is member-set.ts; a balancer only passes over those that may not be used.
import type { Clock } from "../../runtime/clock.ts";
import type { Random } from "../../runtime/random.ts";
import type { PeakEwma } from "./latency.ts";

/** One endpoint, as a balancer sees it. */
export interface Candidate {
  /** The same in every sidecar and after every change (its address): what hashing goes by. */
  readonly key: string;
  /** Its share as the rules give it; 0 takes no traffic. */
  readonly weight: number;
  /** Its share now: `weight`, less what slow start and adaptive weights take off. Kept by member-set.ts. */
  share: number;
  /** What round-robin owes it, in shares. Kept by round-robin.ts. */
  credit: number;
  /** Requests in progress there from this sidecar. */
  readonly activeRequests: number;
  /** How long its answers take. */
  readonly latency: PeakEwma;
  /** Lease, passive and active health together. */
  readonly isHealthy: boolean;
}

/** The endpoints that one choice is among; immutable, rebuilt when they or their shares change. */
export interface CandidateSet<Member extends Candidate> {
  readonly members: readonly Member[];
  /** Running sums of the shares, or undefined when all are equal: then choices need no search. */
  readonly cumulativeShares: Float64Array | undefined;
  /** Panic: sick endpoints are used like the others. */
  readonly ignoresHealth: boolean;
}

export interface Balancer {
  /** Goes by the hash of a request: wants sets that keep their members while health changes. */
  readonly usesHash: boolean;
  /**
   * Chooses an endpoint that may be used, one that is not in `tried` if there is one.
   * @param hash of the request under the policy's `hashOn`, 32 bits; balancers without affinity ignore it.
   * @returns undefined when no endpoint may be used.
   */
  pick<Member extends Candidate>(set: CandidateSet<Member>, tried: readonly Member[], hash: number): Member | undefined;
}

export interface BalancerTools {
  readonly random: Random;
  readonly clock: Clock;
  /** Percent of the mean load that one endpoint may carry before ring-hash and maglev pass it over; 0: no bound. */
  readonly hashBalanceFactor: number;
}

export type BuildBalancer = (tools: BalancerTools) => Balancer;

/** A set of these members by their shares. */
export function candidateSet<Member extends Candidate>(
  members: readonly Member[],
  ignoresHealth = false,
): CandidateSet<Member> {
  const first = members[0]?.share ?? 1;
  if (first > 0 && members.every((member) => member.share === first))
    return { members, cumulativeShares: undefined, ignoresHealth };
  const cumulativeShares = new Float64Array(members.length);
  let sum = 0;
  for (const [index, member] of members.entries()) {
    sum += member.share;
    cumulativeShares[index] = sum;
  }
  return { members, cumulativeShares, ignoresHealth };
}

/** May this attempt go there? */
export function isEligible<Member extends Candidate>(
  set: CandidateSet<Member>,
  member: Member,
  tried: readonly Member[],
): boolean {
  if (member.weight <= 0 || !(set.ignoresHealth || member.isHealthy)) return false;
  return tried.length === 0 || !tried.includes(member);
}

/** The first eligible member at or after `from`, round the end; one that was tried already if no other is left. */
export function nextEligible<Member extends Candidate>(
  set: CandidateSet<Member>,
  tried: readonly Member[],
  from: number,
): Member | undefined {
  const members = set.members;
  for (let step = 0, index = from; step < members.length; step++, index++) {
    if (index === members.length) index = 0;
    const member = members[index];
    if (member !== undefined && isEligible(set, member, tried)) return member;
  }
  return tried.length === 0 ? undefined : nextEligible(set, [], from);
}

/** Index of a random member, each with its share. */
export function sampleIndex(set: CandidateSet<Candidate>, random01: number): number {
  const cumulative = set.cumulativeShares;
  if (cumulative === undefined) return Math.floor(random01 * set.members.length);
  const wanted = random01 * (cumulative[cumulative.length - 1] ?? 0);
  let low = 0;
  let high = cumulative.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((cumulative[middle] ?? 0) <= wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
