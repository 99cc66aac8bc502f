// Each endpoint in turn; with unequal shares the smooth weighted order that nginx uses, which never sends bursts to the
// heaviest.
import {
  type Balancer,
  type BuildBalancer,
  type Candidate,
  type CandidateSet,
  isEligible,
  nextEligible,
} from "./contract.ts";

export const buildRoundRobin: BuildBalancer = ({ random }) => {
  // A random start, so that a thousand sidecars that start together do not all begin with the first endpoint.
  let turn = Math.floor(random.next() * TURNS);
  return {
    usesHash: false,
    pick: (set, tried) => {
      if (set.cumulativeShares !== undefined) return pickSmooth(set, tried);
      const count = set.members.length;
      if (count === 0) return undefined;
      turn = (turn + 1) % TURNS;
      return nextEligible(set, tried, turn % count);
    },
  } satisfies Balancer;
};

const TURNS = 0x7fff_ffff;

/**
 * Every member earns its share per pick; the richest is picked and pays the total. The credit is the member's own, so
 * that the order goes on when shares change or an endpoint comes back.
 */
function pickSmooth<Member extends Candidate>(set: CandidateSet<Member>, tried: readonly Member[]): Member | undefined {
  let total = 0;
  let best: Member | undefined;
  for (const member of set.members) {
    if (!isEligible(set, member, tried)) continue;
    total += member.share;
    member.credit += member.share;
    if (best === undefined || member.credit > best.credit) best = member;
  }
  if (best === undefined) return tried.length === 0 ? undefined : pickSmooth(set, []);
  best.credit -= total;
  return best;
}
