// That the tests keep their promise: looked at after every block, they are wrong at most as often as they say, and
// they see what is there to be seen.
import { describe, expect, it } from "vitest";
import { seededRandom } from "../../runtime/random.ts";
import { judge } from "./analysis.ts";
import { planAnalysis } from "./checks.ts";
import { observe, startEvidence } from "./evidence.ts";
import { type Behaviour, drawSides, specOf } from "./fixtures.ts";
import { absoluteEvidence, RelativeTest } from "./sequential.ts";

function draw(trials: number, share: number, random: { next(): number }): { trials: number; hits: number } {
  let hits = 0;
  for (let index = 0; index < trials; index++) if (random.next() < share) hits++;
  return { trials, hits };
}

describe("the share of one version", () => {
  it("exceeds 1/a at any time in at most a share a of runs under the null", () => {
    const random = seededRandom(1);
    let alarms = 0;
    for (let run = 0; run < 400; run++) {
      let tally = { trials: 0, hits: 0 };
      for (let look = 0; look < 200; look++) {
        const more = draw(10, 0.01, random);
        tally = { trials: tally.trials + more.trials, hits: tally.hits + more.hits };
        if (absoluteEvidence(tally, 0.01, "worse") < Math.log(20)) continue;
        alarms++;
        break;
      }
    }
    // 5 % of 400 is 20; the bound is an upper one.
    expect(alarms).toBeLessThanOrEqual(28);
  });

  it("is zero before anything happened and grows with harm", () => {
    expect(absoluteEvidence({ trials: 0, hits: 0 }, 0.01, "worse")).toBe(0);
    expect(absoluteEvidence({ trials: 100, hits: 20 }, 0.01, "worse")).toBeGreaterThan(10);
    expect(absoluteEvidence({ trials: 5_000, hits: 5 }, 0.01, "better")).toBeGreaterThan(10);
  });
});

describe("two versions beside each other", () => {
  it.each([
    ["with the same share", 0, 0.01, 0.01],
    ["with a difference of just the margin", 0.01, 0.03, 0.02],
    ["with shares that drift together", 0, -1, -1],
  ])("exceed 1/a in at most a share a of runs: %s", (_title, margin, canaryShare, stableShare) => {
    const random = seededRandom(2);
    const test = new RelativeTest(margin);
    let alarms = 0;
    for (let run = 0; run < 150; run++) {
      let state = test.start();
      for (let look = 0; look < 150; look++) {
        const drift = 0.001 + 0.2 * (look / 150) ** 2;
        const canary = draw(5, canaryShare < 0 ? drift : canaryShare, random);
        const stable = draw(10, stableShare < 0 ? drift : stableShare, random);
        state = test.add(state, canary, stable);
        if (test.evidence(state, "worse") < Math.log(20)) continue;
        alarms++;
        break;
      }
    }
    expect(alarms).toBeLessThanOrEqual(14);
  });

  it("wait until both have a request", () => {
    const test = new RelativeTest(0);
    const state = test.add(test.start(), { trials: 50, hits: 50 }, { trials: 0, hits: 0 });
    expect(test.evidence(state, "worse")).toBeCloseTo(0);
    expect(test.evidence(test.add(state, { trials: 0, hits: 0 }, { trials: 50, hits: 0 }), "worse")).toBeGreaterThan(
      10,
    );
  });
});

describe("a judgement", () => {
  const stable: Behaviour = { failures: 0.001 };

  function verdictAfter(requests: number, weight: number, canary: Behaviour, spec = specOf(), seed = 3) {
    const plan = planAnalysis(spec);
    const random = seededRandom(seed);
    let evidence = startEvidence();
    while (evidence.step.canary.requests < requests) {
      evidence = observe(evidence, drawSides(100, weight, { canary, stable }, random), plan.checks);
      const judgement = judge(plan, evidence);
      if (judgement.verdict === "worse") return judgement;
    }
    return judge(plan, evidence);
  }

  it.each([5, 50])("finds 5 % of errors within 500 requests at a weight of %d", (weight) => {
    let found = 0;
    for (let seed = 0; seed < 100; seed++)
      if (verdictAfter(500, weight, { failures: 0.05 }, specOf(), seed).verdict === "worse") found++;
    expect(found).toBeGreaterThanOrEqual(99);
  });

  it("lets a good canary go on, and calls it better in the end", () => {
    expect(verdictAfter(500, 50, stable)).toMatchObject({ verdict: "not-yet", mayAdvance: true });
    const analysis = { minRequests: 50, successRate: { min: 99, maxDecrease: 1 } };
    expect(verdictAfter(10_000, 50, stable, specOf({ analysis })).verdict).toBe("better");
  });

  it("is never given below minRequests", () => {
    const plan = planAnalysis(specOf());
    const sides = {
      canary: { requests: 49, failures: 49, latency: [] },
      stable: { requests: 500, failures: 0, latency: [] },
    };
    expect(judge(plan, observe(startEvidence(), sides, plan.checks))).toMatchObject({
      verdict: "not-yet",
      reason: "49 of the 50 requests that a verdict needs",
    });
  });

  it("does not blame the canary for an outage of both", () => {
    const plan = planAnalysis(specOf({ analysis: { minRequests: 50 } }));
    const random = seededRandom(5);
    let evidence = startEvidence();
    for (const failures of [0.001, 0.001, 0.6, 0.6, 0.6, 0.001]) {
      const both = { canary: { failures }, stable: { failures } };
      for (let second = 0; second < 10; second++)
        evidence = observe(evidence, drawSides(100, 20, both, random), plan.checks);
    }
    expect(judge(plan, evidence).verdict).not.toBe("worse");
  });
});
