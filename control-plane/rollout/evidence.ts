// What a release knows of its two versions: figures and running tests of the release, of the step and of the analysis
// interval so far. Plain data that is stored as it is; grows by `observe` and is looked at by analysis.ts.
import { BUCKET_BOUNDS_MS, bucketAbove, countFrom } from "../../rules/latency-buckets.ts";
import type { Check } from "./checks.ts";
import { type RelativeState, RelativeTest, type Tally } from "./sequential.ts";

/** Requests of one version: exact counts. */
export interface Figures {
  readonly requests: number;
  readonly failures: number;
  /** Durations by bucket (rules/latency-buckets.ts). */
  readonly latency: readonly number[];
}

/** Both versions over the same time. */
export interface Sides {
  readonly canary: Figures;
  readonly stable: Figures;
}

export interface Window extends Sides {
  /** Running comparisons by the name of their check. */
  readonly tests: Readonly<Record<string, RelativeState>>;
}

export interface Evidence {
  /** Since the release began: what is too little in each step may be enough in all of them. */
  readonly release: Window;
  readonly step: Window;
  readonly interval: Window;
  /** Number of the interval in the release, from 1. */
  readonly intervalNumber: number;
  /** Latency of stable before this step: what thresholds begin with. */
  readonly stableBefore: readonly number[];
}

/** Fewer durations than this say too little about a percentile to set a threshold by it. */
const REFERENCE_DURATIONS_MIN = 50;

export const NO_FIGURES: Figures = { requests: 0, failures: 0, latency: [] };
const EMPTY: Window = { canary: NO_FIGURES, stable: NO_FIGURES, tests: {} };

export function startEvidence(): Evidence {
  return { release: EMPTY, step: EMPTY, interval: EMPTY, intervalNumber: 1, stableBefore: [] };
}

/** What is left when another step begins. */
export function nextStep({ release, step, intervalNumber, stableBefore }: Evidence): Evidence {
  const enough = countFrom(step.stable.latency, 0) >= REFERENCE_DURATIONS_MIN;
  const reference = enough ? step.stable.latency : stableBefore;
  return { release, step: EMPTY, interval: EMPTY, intervalNumber: intervalNumber + 1, stableBefore: reference };
}

export function nextInterval(evidence: Evidence): Evidence {
  return { ...evidence, interval: EMPTY, intervalNumber: evidence.intervalNumber + 1 };
}

/** Takes in what both versions did in one stretch of time. */
export function observe(evidence: Evidence, sides: Sides, checks: readonly Check[]): Evidence {
  if (sides.canary.requests === 0 && sides.stable.requests === 0) return evidence;
  const reference = referenceOf(evidence);
  return {
    ...evidence,
    release: observeWindow(evidence.release, sides, checks, reference),
    step: observeWindow(evidence.step, sides, checks, reference),
    interval: observeWindow(evidence.interval, sides, checks, reference),
  };
}

/** Stable's durations before now: thresholds must not be chosen by the very requests that they judge. */
function referenceOf({ step, stableBefore }: Evidence): readonly number[] {
  return countFrom(step.stable.latency, 0) >= REFERENCE_DURATIONS_MIN ? step.stable.latency : stableBefore;
}

function observeWindow(window: Window, sides: Sides, checks: readonly Check[], reference: readonly number[]): Window {
  const tests: Record<string, RelativeState> = { ...window.tests };
  for (const check of checks) {
    const test = testOf(check);
    const tallies = talliesOf(check, sides, reference);
    if (test === undefined || tallies === undefined) continue;
    tests[check.name] = test.add(tests[check.name] ?? test.start(), tallies.canary, tallies.stable);
  }
  return { canary: plus(window.canary, sides.canary), stable: plus(window.stable, sides.stable), tests };
}

const comparisons = new Map<number, RelativeTest>();

/** The comparison that a check needs; undefined for an absolute bound. */
export function testOf(check: Check): RelativeTest | undefined {
  if (check.type !== "success-stable" && check.type !== "latency-stable") return undefined;
  const margin = check.type === "success-stable" ? check.margin : 0;
  let test = comparisons.get(margin);
  if (test === undefined) {
    test = new RelativeTest(margin);
    comparisons.set(margin, test);
  }
  return test;
}

function talliesOf(
  check: Check,
  { canary, stable }: Sides,
  reference: readonly number[],
): { readonly canary: Tally; readonly stable: Tally } | undefined {
  if (check.type === "success-stable") return { canary: failureTally(canary), stable: failureTally(stable) };
  if (check.type !== "latency-stable") return undefined;
  const bucket = bucketOfQuantile(reference, check.quantile);
  const boundMs = BUCKET_BOUNDS_MS[bucket];
  if (countFrom(reference, 0) < REFERENCE_DURATIONS_MIN || boundMs === undefined) return undefined;
  return {
    canary: slowTally(canary, bucketAbove(boundMs * (1 + check.increase))),
    stable: slowTally(stable, bucket + 1),
  };
}

export function failureTally({ requests, failures }: Figures): Tally {
  return { trials: requests, hits: failures };
}

/** @param bucket the first that is too slow */
export function slowTally({ latency }: Figures, bucket: number): Tally {
  return { trials: countFrom(latency, 0), hits: countFrom(latency, bucket) };
}

/** The bucket in which a percentile lies. */
function bucketOfQuantile(latency: readonly number[], quantile: number): number {
  const wanted = countFrom(latency, 0) * quantile;
  let below = 0;
  for (const [bucket, count] of latency.entries()) {
    below += count;
    if (below >= wanted) return bucket;
  }
  return latency.length;
}

export function plus(a: Figures, b: Figures): Figures {
  const latency = Array.from(
    { length: Math.max(a.latency.length, b.latency.length) },
    (_, bucket) => (a.latency[bucket] ?? 0) + (b.latency[bucket] ?? 0),
  );
  return { requests: a.requests + b.requests, failures: a.failures + b.failures, latency };
}
