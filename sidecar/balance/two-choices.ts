// Two random endpoints, the cheaper one (Mitzenmacher, "The power of two choices", 2001). No scan over all endpoints,
// and no herd to the one that looks cheapest to everybody.
import type { Random } from "../../runtime/random.ts";
import { type Candidate, type CandidateSet, isEligible, nextEligible, sampleIndex } from "./contract.ts";

/** @param cost what one more request there would cost; `relativeShare` is 1 where both have the same share */
export function pickOfTwo<Member extends Candidate>(
  set: CandidateSet<Member>,
  tried: readonly Member[],
  random: Random,
  nowMs: number,
  cost: (candidate: Candidate, relativeShare: number, nowMs: number) => number,
): Member | undefined {
  const count = set.members.length;
  if (count <= 1) return nextEligible(set, tried, 0);
  const firstIndex = sampleIndex(set, random.next());
  const secondIndex = otherIndex(set, firstIndex, random.next());
  const first = set.members[firstIndex];
  const second = set.members[secondIndex];
  if (first === undefined || second === undefined) return undefined;
  if (!isEligible(set, first, tried)) return nextEligible(set, tried, secondIndex);
  if (!isEligible(set, second, tried)) return first;
  const meanShare = (first.share + second.share) / 2;
  const isSecondCheaper = cost(second, second.share / meanShare, nowMs) < cost(first, first.share / meanShare, nowMs);
  return isSecondCheaper ? second : first;
}

function otherIndex(set: CandidateSet<Candidate>, first: number, random01: number): number {
  const count = set.members.length;
  if (set.cumulativeShares === undefined) {
    const index = Math.floor(random01 * (count - 1));
    return index >= first ? index + 1 : index;
  }
  const index = sampleIndex(set, random01);
  return index === first ? (first + 1) % count : index;
}
