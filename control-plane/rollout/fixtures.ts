// Specs, facts and traffic for the tests of this room.

import { bucketAbove, LATENCY_BUCKETS } from "../../rules/latency-buckets.ts";
import type { RolloutSpec } from "../../rules/schema/rollout.ts";
import type { Random } from "../../runtime/random.ts";
import { type Figures, NO_FIGURES } from "./evidence.ts";
import type { Facts } from "./step.ts";

export function specOf(overrides: Partial<RolloutSpec> = {}): RolloutSpec {
  return {
    ...{ service: "orders", stable: "orders-v1", canary: "orders-v2" },
    steps: [{ weight: 5, hold: "30s" }, { weight: 50, hold: "30s" }, { weight: 100 }],
    analysis: { interval: "10s", minRequests: 50, successRate: { min: 99 } },
    ...overrides,
  };
}

export function factsOf(overrides: Partial<Facts> = {}): Facts {
  return {
    canaryEndpoints: 1,
    stableEndpoints: 1,
    sides: { canary: NO_FIGURES, stable: NO_FIGURES },
    external: [],
    ...overrides,
  };
}

/** How a version behaves: share of failures, and duration of its answers with a share of slow ones. */
export interface Behaviour {
  readonly failures: number;
  readonly usualMs?: number;
  readonly slowMs?: number;
  readonly slowShare?: number;
}

/** What `requests` requests to a version come to. */
function drawFigures(requests: number, behaviour: Behaviour, random: Random): Figures {
  const { failures: share, usualMs = 10, slowMs = 200, slowShare = 0.005 } = behaviour;
  const latency = new Array<number>(LATENCY_BUCKETS).fill(0);
  let failures = 0;
  for (let index = 0; index < requests; index++) {
    if (random.next() < share) failures++;
    const bucket = bucketAbove(random.next() < slowShare ? slowMs : usualMs * (1 + random.next())) - 1;
    latency[bucket] = (latency[bucket] ?? 0) + 1;
  }
  return { requests, failures, latency };
}

/** How many of a mean of `mean` come in one tick (Knuth's method; a normal distribution above 50). */
export function drawCount(mean: number, random: Random): number {
  if (mean > 50) {
    const gauss = Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
    return Math.max(0, Math.round(mean + Math.sqrt(mean) * gauss));
  }
  const limit = Math.exp(-mean);
  let count = 0;
  for (let product = random.next(); product > limit; product *= random.next()) count++;
  return count;
}

/** Traffic that a split sends to both versions in one tick. */
export function drawSides(
  requests: number,
  weight: number,
  behaviours: { readonly canary: Behaviour; readonly stable: Behaviour },
  random: Random,
): Facts["sides"] {
  let canary = 0;
  for (let index = 0; index < requests; index++) if (random.next() * 100 < weight) canary++;
  return {
    canary: drawFigures(canary, behaviours.canary, random),
    stable: drawFigures(requests - canary, behaviours.stable, random),
  };
}
