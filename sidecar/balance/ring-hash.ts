// Consistent hashing on a ring (Karger et al., 1997; ketama's virtual nodes): an endpoint that comes or goes moves only
// the keys next to its own points. An endpoint that may not be used is passed over along the ring, so its keys spread over
// all others and come back with it.

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

/**
 * Of the heaviest endpoint; the others have their share of it. Loads differ by some 6 % with so many. It does not depend on how
 * many endpoints there are: where they share a number of points (Envoy's 1,024), those of all change when one goes,
 * and keys move between endpoints that stay.
 */
const POINTS_PER_ENDPOINT = 256;
/** A ring of this size takes 30 ms to build and 2 MB: 1,024 endpoints. */
const RING_POINTS_MAX = 262_144;
/** Points and owners are sorted together as `point * OWNERS + owner`, exact in a double. */
const OWNERS = 65_536;

interface Ring {
  readonly points: Uint32Array;
  /** Index into the set's members, by point. */
  readonly owners: Uint16Array;
}

export const buildRingHash: BuildBalancer = ({ hashBalanceFactor }) => {
  const rings = new WeakMap<object, Ring>();
  return {
    usesHash: true,
    pick: (set, tried, hash) => {
      if (set.members.length <= 1) return nextEligible(set, tried, 0);
      let ring = rings.get(set);
      if (ring === undefined) {
        ring = buildRing(set.members);
        rings.set(set, ring);
      }
      return pickOnRing(ring, set, tried, hash, hashBalanceFactor);
    },
  } satisfies Balancer;
};

/** Exported for its test and its benchmark. */
export function buildRing(members: readonly Candidate[]): Ring {
  const heaviest = members.reduce((most, { weight }) => Math.max(most, weight), 0);
  const pointsMax = pointsOfHeaviest(members.length);
  const packed: number[] = [];
  for (const [owner, { key, weight }] of members.entries()) {
    if (weight <= 0 || owner >= OWNERS) continue;
    const points = Math.max(1, Math.round((pointsMax * weight) / heaviest));
    const seed = hashText(key);
    for (let point = 0; point < points; point++)
      packed.push(mix(seed ^ Math.imul(point + 1, 0x9e3779b1)) * OWNERS + owner);
  }
  const sorted = Float64Array.from(packed).sort();
  const ring = { points: new Uint32Array(sorted.length), owners: new Uint16Array(sorted.length) };
  for (const [index, value] of sorted.entries()) {
    ring.points[index] = Math.floor(value / OWNERS);
    ring.owners[index] = value % OWNERS;
  }
  return ring;
}

/** Halves where the ring would be too large, so that it seldom changes there, too. */
function pointsOfHeaviest(members: number): number {
  let points = POINTS_PER_ENDPOINT;
  while (points > 1 && points * members > RING_POINTS_MAX) points /= 2;
  return points;
}

function pickOnRing<Member extends Candidate>(
  ring: Ring,
  set: CandidateSet<Member>,
  tried: readonly Member[],
  hash: number,
  balanceFactor: number,
): Member | undefined {
  const { points, owners } = ring;
  const start = firstPoint(points, hash);
  let overloaded: Member | undefined;
  for (let step = 0; step < points.length; step++) {
    const index = start + step;
    const member = set.members[owners[index < points.length ? index : index - points.length] ?? 0];
    if (member === undefined || !isEligible(set, member, tried)) continue;
    if (balanceFactor === 0 || !isOverloaded(set, member, balanceFactor)) return member;
    overloaded ??= member;
  }
  return overloaded ?? (tried.length === 0 ? undefined : pickOnRing(ring, set, [], hash, balanceFactor));
}

/** The first point at or after `hash`; past the last one the ring begins anew. */
function firstPoint(points: Uint32Array, hash: number): number {
  let low = 0;
  let high = points.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((points[middle] ?? 0) < hash) low = middle + 1;
    else high = middle;
  }
  return low === points.length ? 0 : low;
}
