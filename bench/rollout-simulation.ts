// 10,000 releases on a virtual clock, at 0.1 to 1,000 requests a second: how many good canaries are rolled back, how many
// bad ones are not, and how many users a bad one hurts before. The judgement is that of the control plane, second by
// second; the traffic is drawn.
import { randomInt } from "node:crypto";
import { drawCount } from "../control-plane/rollout/fixtures.ts";
import { hasEnded, type RolloutState } from "../control-plane/rollout/phase.ts";
import { type Facts, startRollout, step } from "../control-plane/rollout/step.ts";
import { bucketAbove, LATENCY_BUCKETS } from "../rules/latency-buckets.ts";
import type { RolloutSpec } from "../rules/schema/rollout.ts";
import { type Random, seededRandom } from "../runtime/random.ts";
import { type BenchOptions, type BenchResult, type Figure, percentile } from "./result.ts";

const RATES = [0.1, 1, 10, 100, 1_000];
const RELEASES = 10_000;
const STABLE_FAILURES = 0.001;
const BAD_FAILURES = 0.05;
/** A bad canary that had so many requests must be gone. */
const REQUESTS_TO_TELL = 500;
/** A release without any requests is watched for so long. */
const SILENCE_MS = 24 * 3_600_000;

const SPEC: RolloutSpec = {
  ...{ service: "orders", stable: "orders-v1", canary: "orders-v2" },
  steps: [{ weight: 5, hold: "2m" }, { weight: 25, hold: "2m" }, { weight: 50, hold: "2m" }, { weight: 100 }],
  analysis: {
    ...{ interval: "10s", minRequests: 50 },
    successRate: { min: 99 },
    latency: { p99: { max: "500ms", maxIncrease: 20 } },
  },
};

interface Outcome {
  readonly isPromoted: boolean;
  /** Requests of the canary, and those of them that failed. */
  readonly requests: number;
  readonly hurt: number;
  readonly seconds: number;
}

export async function run({ scale, note }: BenchOptions): Promise<BenchResult> {
  const each = Math.max(20, Math.round((RELEASES * scale) / (2 * RATES.length)));
  const seed = randomInt(2 ** 31);
  note(`${each} good and ${each} bad canaries at each rate, seed ${seed}`);
  const random = seededRandom(seed);
  const figures: Figure[] = [];
  for (const rate of RATES) {
    const good = Array.from({ length: each }, () => simulate(rate, STABLE_FAILURES, random));
    const bad = Array.from({ length: each }, () => simulate(rate, BAD_FAILURES, random));
    figures.push(...figuresOf(rate, good, bad));
    note(`${rate} requests/s done`);
  }
  figures.push(await silence());
  return {
    bench: "rollout-simulation",
    title: `${2 * each * RATES.length} releases of 5, 25, 50, 100 % on a virtual clock; stable fails ${100 * STABLE_FAILURES} %, a bad canary ${100 * BAD_FAILURES} %`,
    figures,
  };
}

function figuresOf(rate: number, good: readonly Outcome[], bad: readonly Outcome[]): Figure[] {
  const name = (what: string) => `${rate} requests/s: ${what}`;
  const rolledBack = bad.filter(({ isPromoted }) => !isPromoted);
  const inTime = bad.filter(({ isPromoted, requests }) => !isPromoted && requests <= REQUESTS_TO_TELL).length;
  const hadEnough = bad.filter(({ requests, isPromoted }) => !isPromoted || requests >= REQUESTS_TO_TELL).length;
  const share = (count: number, of: number) => (of === 0 ? 0 : (100 * count) / of);
  return [
    {
      name: name("good canaries rolled back"),
      value: share(good.filter(({ isPromoted }) => !isPromoted).length, good.length),
      unit: "%",
      target: { kind: "at-most", value: 1 },
    },
    {
      name: name("bad canaries rolled back"),
      value: share(inTime, hadEnough),
      unit: "%",
      target: { kind: "at-least", value: 99 },
      detail: `before their ${REQUESTS_TO_TELL}th request, of those that had so many`,
    },
    {
      name: name("bad canaries promoted"),
      value: share(bad.length - rolledBack.length, bad.length),
      unit: "%",
    },
    {
      name: name("users hurt by a bad one, median"),
      value: percentile(bad.map(({ hurt }) => hurt), 50), // biome-ignore format: one thought
      unit: "requests",
      detail: `p99 ${percentile(bad.map(({ hurt }) => hurt), 99)}; of ${percentile(bad.map(({ requests }) => requests), 50)} canary requests, median`, // biome-ignore format: one thought
    },
    {
      name: name("until it is rolled back, median"),
      value: rolledBack.length === 0 ? 0 : percentile(rolledBack.map(({ seconds }) => seconds), 50), // biome-ignore format: one thought
      unit: "s",
      detail: `a good one is promoted after ${percentile(good.map(({ seconds }) => seconds), 50)} s, median`, // biome-ignore format: one thought
    },
  ];
}

/** One release from its start to its end. */
function simulate(rate: number, failures: number, random: Random): Outcome {
  const traffic = new Traffic(failures, random);
  let nowMs = 0;
  let state: RolloutState = startRollout(SPEC, factsOf(traffic.take()), nowMs, "").state;
  while (!hasEnded(state)) {
    nowMs += 1_000;
    traffic.pass(drawCount(rate, random), state.weight);
    // Between two looks nothing happens without requests of the canary; those of stable wait for the next one.
    if (!traffic.hasCanary && nowMs < state.nextAnalysisAtMs) continue;
    state = step(SPEC, state, factsOf(traffic.take()), nowMs).state;
  }
  const { requests, hurt } = traffic;
  return { isPromoted: state.phase.name === "promoted", requests, hurt, seconds: nowMs / 1_000 };
}

/** No requests at all: whatever is decided is a mistake. */
async function silence(): Promise<Figure> {
  let state: RolloutState = startRollout(SPEC, factsOf(NOTHING), 0, "").state;
  let decisions = 0;
  for (let nowMs = 1_000; nowMs <= SILENCE_MS; nowMs += 1_000) {
    const next = step(SPEC, state, factsOf(NOTHING), nowMs).state;
    if (next.step !== state.step || next.weight !== state.weight || next.phase.name !== "progressing") decisions++;
    state = next;
  }
  return {
    ...{ name: "decisions without requests", value: decisions, unit: "", detail: "24 hours" },
    target: { kind: "at-most", value: 0 },
  };
}

/** Fast answers, and one in 200 that is slow. */
const DURATIONS = Array.from(
  { length: 200 },
  (_, index) => bucketAbove(index === 0 ? 200 : 10 * (1 + index / 200)) - 1,
);

/** What both versions did since it was taken last. */
class Traffic {
  readonly #failures: number;
  readonly #random: Random;
  #canary = new Side();
  #stable = new Side();
  /** Of the canary since the start. */
  requests = 0;
  hurt = 0;

  constructor(failures: number, random: Random) {
    this.#failures = failures;
    this.#random = random;
  }

  get hasCanary(): boolean {
    return this.#canary.requests > 0;
  }

  pass(requests: number, weight: number): void {
    const random = this.#random;
    for (let index = 0; index < requests; index++) {
      const isCanary = random.next() * 100 < weight;
      const hasFailed = random.next() < (isCanary ? this.#failures : STABLE_FAILURES);
      const bucket = DURATIONS[Math.floor(random.next() * DURATIONS.length)] ?? 0;
      (isCanary ? this.#canary : this.#stable).add(hasFailed, bucket);
      if (!isCanary) continue;
      this.requests++;
      if (hasFailed) this.hurt++;
    }
  }

  take(): Facts["sides"] {
    const sides = { canary: this.#canary, stable: this.#stable };
    this.#canary = new Side();
    this.#stable = new Side();
    return sides;
  }
}

class Side {
  requests = 0;
  failures = 0;
  readonly latency = new Array<number>(LATENCY_BUCKETS).fill(0);

  add(hasFailed: boolean, bucket: number): void {
    this.requests++;
    if (hasFailed) this.failures++;
    this.latency[bucket] = (this.latency[bucket] ?? 0) + 1;
  }
}

const NOTHING: Facts["sides"] = { canary: new Side(), stable: new Side() };

function factsOf(sides: Facts["sides"]): Facts {
  return { canaryEndpoints: 1, stableEndpoints: 1, sides, external: [] };
}
