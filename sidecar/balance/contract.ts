// What a balancer is: it chooses one of a service's endpoints for one attempt. Health is an overlay that others
// keep; a balancer only asks for it.
import type { Random } from "../../runtime/random.ts";

/** One endpoint, as a balancer sees it. */
export interface Candidate {
  /** Relative share; 0 takes no traffic. */
  readonly weight: number;
  /** Requests in progress there from this sidecar. */
  readonly activeRequests: number;
  /** Lease, passive and active health together. */
  readonly isHealthy: boolean;
}

/** The endpoints of one service port; immutable, rebuilt when they change. */
export interface CandidateSet<Member extends Candidate> {
  readonly members: readonly Member[];
  /** Running sums of the weights, or undefined when all weights are equal: then choices need no search. */
  readonly cumulativeWeights: Float64Array | undefined;
}

export interface Balancer {
  /**
   * Chooses a healthy endpoint of weight above 0, one that is not in `tried` if there is one.
   * @param hash of the request under the policy's `hashOn`; balancers without affinity ignore it.
   * @returns undefined when no endpoint is healthy.
   */
  pick<Member extends Candidate>(set: CandidateSet<Member>, tried: readonly Member[], hash: number): Member | undefined;
}

export type BuildBalancer = (random: Random) => Balancer;

/** A set of these members. */
export function candidateSet<Member extends Candidate>(members: readonly Member[]): CandidateSet<Member> {
  const first = members[0]?.weight ?? 1;
  if (first > 0 && members.every((member) => member.weight === first)) return { members, cumulativeWeights: undefined };
  const cumulativeWeights = new Float64Array(members.length);
  let sum = 0;
  for (const [index, member] of members.entries()) {
    sum += member.weight;
    cumulativeWeights[index] = sum;
  }
  return { members, cumulativeWeights };
}

/** May this attempt go there? */
export function isEligible<Member extends Candidate>(member: Member, tried: readonly Member[]): boolean {
  return member.isHealthy && member.weight > 0 && (tried.length === 0 || !tried.includes(member));
}

/** The first eligible member at or after `from`, round the end; one that was tried already if no other is healthy. */
export function nextEligible<Member extends Candidate>(
  set: CandidateSet<Member>,
  tried: readonly Member[],
  from: number,
): Member | undefined {
  const members = set.members;
  for (let step = 0, index = from; step < members.length; step++, index++) {
    if (index === members.length) index = 0;
    const member = members[index];
    if (member !== undefined && isEligible(member, tried)) return member;
  }
  return tried.length === 0 ? undefined : nextEligible(set, [], from);
}

/** Index of a random member, each with its weight's share. */
export function sampleIndex(set: CandidateSet<Candidate>, random01: number): number {
  const cumulative = set.cumulativeWeights;
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
