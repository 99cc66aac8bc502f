// Balancers without a network: how evenly each spreads load over 10 and 1,000 endpoints, how many keys move when one of
// ten endpoints leaves, and what a pick costs.
import type { LoadBalancerAlgorithm } from "../rules/resource.ts";
import { systemClock } from "../runtime/clock.ts";
import { seededRandom } from "../runtime/random.ts";
import { type Balancer, type CandidateSet, candidateSet } from "../sidecar/balance/contract.ts";
import { type FakeMember, fakeMembers } from "../sidecar/balance/fixtures.ts";
import { hashText, mix } from "../sidecar/balance/hash.ts";
import { BALANCERS } from "../sidecar/balance/table.ts";
import type { BenchOptions, BenchResult, Figure } from "./result.ts";

const ALGORITHMS = Object.keys(BALANCERS) as LoadBalancerAlgorithm[];
const HASHING: readonly LoadBalancerAlgorithm[] = ["ring-hash", "maglev"];
const SIZES = [10, 1_000];
/** Per endpoint, so that the spread of random picks itself is a hundredth of the mean. */
const PICKS_PER_ENDPOINT = 10_000;
const KEYS = 100_000;
const KEYS_MOVED_MAX = 15;
const COST_PICKS = 1_000_000;

export async function run({ scale, note }: BenchOptions): Promise<BenchResult> {
  const figures: Figure[] = [];
  for (const algorithm of ALGORITHMS) {
    note(algorithm);
    for (const size of SIZES) figures.push(spread(algorithm, size, Math.ceil(PICKS_PER_ENDPOINT * scale)));
    for (const size of SIZES) figures.push(cost(algorithm, size, Math.ceil(COST_PICKS * scale)));
  }
  for (const algorithm of HASHING) figures.push(keysMoved(algorithm, Math.ceil(KEYS * scale)));
  return { bench: "balance", title: "Spread, movement of keys and cost of each balancer.", figures };
}

function build(algorithm: LoadBalancerAlgorithm): Balancer {
  return BALANCERS[algorithm]({ random: seededRandom(1), clock: systemClock, hashBalanceFactor: 0 });
}

function spread(algorithm: LoadBalancerAlgorithm, size: number, picksPerEndpoint: number): Figure {
  const balancer = build(algorithm);
  const set = candidateSet(fakeMembers(size));
  const counts = new Map<FakeMember, number>(set.members.map((member) => [member, 0]));
  for (let pick = 0; pick < size * picksPerEndpoint; pick++) {
    const member = balancer.pick(set, [], mix(pick));
    if (member !== undefined) counts.set(member, (counts.get(member) ?? 0) + 1);
  }
  const values = [...counts.values()];
  const mean = values.reduce((sum, value) => sum + value, 0) / size;
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / size);
  return {
    name: `${algorithm}: variation of load over ${size} endpoints`,
    value: (deviation / mean) * 100,
    unit: "%",
    detail: `${size * picksPerEndpoint} picks`,
  };
}

function cost(algorithm: LoadBalancerAlgorithm, size: number, picks: number): Figure {
  const balancer = build(algorithm);
  const set = candidateSet(fakeMembers(size));
  pickMany(balancer, set, Math.min(picks, 50_000));
  const startMs = systemClock.now();
  pickMany(balancer, set, picks);
  const nanoseconds = ((systemClock.now() - startMs) * 1e6) / picks;
  return { name: `${algorithm}: pick of ${size} endpoints`, value: nanoseconds, unit: "ns", detail: `${picks} picks` };
}

function pickMany(balancer: Balancer, set: CandidateSet<FakeMember>, picks: number): void {
  for (let pick = 0; pick < picks; pick++) balancer.pick(set, [], mix(pick));
}

function keysMoved(algorithm: LoadBalancerAlgorithm, keys: number): Figure {
  const balancer = build(algorithm);
  const members = fakeMembers(10);
  const before = candidateSet(members);
  const after = candidateSet(members.slice(1));
  let moved = 0;
  for (let key = 0; key < keys; key++) {
    const hash = hashText(`user-${key}`);
    if (balancer.pick(before, [], hash) !== balancer.pick(after, [], hash)) moved++;
  }
  return {
    name: `${algorithm}: keys that move when one of 10 endpoints leaves`,
    value: (moved * 100) / keys,
    unit: "%",
    target: { kind: "at-most", value: KEYS_MOVED_MAX },
    detail: `${keys} keys`,
  };
}
