// Each endpoint in turn; with unequal weights the smooth weighted order that nginx uses, which never sends bursts to
// the heaviest.
import {
  type Balancer,
  type BuildBalancer,
  type Candidate,
  type CandidateSet,
  isEligible,
  nextEligible,
} from "./contract.ts";

export const buildRoundRobin: BuildBalancer = (random) => {
  // A random start, so that a thousand sidecars that start together do not all begin with the first endpoint.
  let turn = Math.floor(random.next() * 0x7fff_ffff);
  const smooth = new SmoothOrder();
  return {
    pick: (set, tried) => {
      if (set.cumulativeWeights !== undefined) return smooth.pick(set, tried);
      const count = set.members.length;
      if (count === 0) return undefined;
      turn = (turn + 1) % 0x7fff_ffff;
      return nextEligible(set, tried, turn % count);
    },
  } satisfies Balancer;
};

/** Every member gains its weight per pick; the richest is picked and pays the total. */
class SmoothOrder {
  /** Credit by index in `#set`; begins anew when the endpoints change. */
  #credit = new Float64Array(0);
  #set: CandidateSet<Candidate> | undefined = undefined;

  pick<Member extends Candidate>(set: CandidateSet<Member>, tried: readonly Member[]): Member | undefined {
    if (this.#set !== set) {
      this.#set = set;
      this.#credit = new Float64Array(set.members.length);
    }
    const credit = this.#credit;
    let total = 0;
    let best = -1;
    for (const [index, member] of set.members.entries()) {
      if (!isEligible(member, tried)) continue;
      total += member.weight;
      credit[index] = (credit[index] ?? 0) + member.weight;
      if (best < 0 || (credit[index] ?? 0) > (credit[best] ?? 0)) best = index;
    }
    if (best < 0) return tried.length === 0 ? undefined : this.pick(set, []);
    credit[best] = (credit[best] ?? 0) - total;
    return set.members[best];
  }
}
