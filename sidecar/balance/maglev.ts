// Maglev hashing (Eisenbud et al., NSDI 2016, section 3.4): a table in which every endpoint has nearly the same number
// of places; a lookup is one read. An endpoint that may not be used is passed over by hashing again, so that the table
// stays as it is while health changes and only that endpoint's keys move.

import { isOverloaded } from "./bounded-load.ts";
import {
  type Balancer,
  type BuildBalancer,
  type Candidate,
  type CandidateSet,
  isEligible,
  nextEligible,
} from "./contract.ts";
import { hashText, mix } from "./hash.ts";

/** A prime, as the paper's small table and Envoy's default. */
const TABLE_SIZE = 65_537;
const REHASHES_MAX = 32;
const EMPTY = 0xffff;
const SKIP_SEED = 0x5bd1e995;

export const buildMaglev: BuildBalancer = ({ hashBalanceFactor }) => {
  const tables = new WeakMap<object, Uint16Array>();
  return {
    usesHash: true,
    pick: (set, tried, hash) => {
      if (set.members.length <= 1) return nextEligible(set, tried, 0);
      let table = tables.get(set);
      if (table === undefined) {
        table = buildMaglevTable(set.members);
        tables.set(set, table);
      }
      return pickFromTable(table, set, tried, hash, hashBalanceFactor);
    },
  } satisfies Balancer;
};

/** Index of a member by place. Members past 65,534 get no place. */
export function buildMaglevTable(members: readonly Candidate[]): Uint16Array {
  const table = new Uint16Array(TABLE_SIZE).fill(EMPTY);
  const weights = members.map(({ weight }, index) => (index < EMPTY ? Math.max(0, weight) : 0));
  const heaviest = Math.max(0, ...weights);
  if (heaviest === 0) return table;
  const places = members.map(({ key }) => hashText(key) % TABLE_SIZE);
  const skips = members.map(({ key }) => (hashText(key, SKIP_SEED) % (TABLE_SIZE - 1)) + 1);
  const turns = new Float64Array(members.length);
  // By key, so that every sidecar builds the same table whatever order it heard of the endpoints in.
  const order = members.map((_, index) => index).sort((a, b) => compareKeys(members[a], members[b]));
  let filled = 0;
  for (;;) {
    for (const index of order) {
      // The heaviest takes a place in every round, the others as often as their weight is a share of its.
      turns[index] = (turns[index] ?? 0) + (weights[index] ?? 0) / heaviest;
      if ((turns[index] ?? 0) < 1) continue;
      turns[index] = (turns[index] ?? 0) - 1;
      let place = places[index] ?? 0;
      while (table[place] !== EMPTY) place = (place + (skips[index] ?? 1)) % TABLE_SIZE;
      table[place] = index;
      places[index] = place;
      if (++filled === TABLE_SIZE) return table;
    }
  }
}

function compareKeys(a: Candidate | undefined, b: Candidate | undefined): number {
  return (a?.key ?? "") < (b?.key ?? "") ? -1 : 1;
}

function pickFromTable<Member extends Candidate>(
  table: Uint16Array,
  set: CandidateSet<Member>,
  tried: readonly Member[],
  hash: number,
  balanceFactor: number,
): Member | undefined {
  let place = hash;
  let overloaded: Member | undefined;
  for (let round = 0; round < REHASHES_MAX; round++) {
    const member = set.members[table[place % TABLE_SIZE] ?? EMPTY];
    if (member !== undefined && isEligible(set, member, tried)) {
      if (balanceFactor === 0 || !isOverloaded(set, member, balanceFactor)) return member;
      overloaded ??= member;
    }
    place = mix(place + 0x9e3779b9);
  }
  return overloaded ?? nextEligible(set, tried, hash % set.members.length);
}
