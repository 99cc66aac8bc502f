// The life of a release as step.ts decides it, second by second, with traffic that is made up.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { RolloutSpec } from "../../rules/schema/rollout.ts";
import { seededRandom } from "../../runtime/random.ts";
import { type Command, CommandRefusedError, obey } from "./command.ts";
import { type Behaviour, drawSides, factsOf, specOf } from "./fixtures.ts";
import type { RolloutEvent, RolloutState } from "./phase.ts";
import { capacityPercent, type Facts, settleCommand, startRollout, step } from "./step.ts";

const GOOD: Behaviour = { failures: 0.001 };

/** A release under traffic, one step a second. */
class Run {
  spec: RolloutSpec;
  state: RolloutState;
  readonly events: RolloutEvent[] = [];
  nowMs = 1_000_000;
  facts: Partial<Facts> = {};
  readonly #random = seededRandom(7);

  constructor(spec: RolloutSpec, facts: Partial<Facts> = {}) {
    this.spec = spec;
    this.facts = facts;
    const begun = startRollout(spec, factsOf(facts), this.nowMs, "ann");
    this.state = begun.state;
    this.events.push(...begun.events);
  }

  /** Lets time pass, with so many requests a second. */
  pass(seconds: number, perSecond = 0, behaviours: { canary?: Behaviour; stable?: Behaviour } = {}): this {
    const both = { canary: GOOD, stable: GOOD, ...behaviours };
    for (let second = 0; second < seconds; second++) {
      const sides = drawSides(perSecond, this.state.weight, both, this.#random);
      this.nowMs += 1_000;
      this.#take(step(this.spec, this.state, factsOf({ ...this.facts, sides }), this.nowMs));
    }
    return this;
  }

  say(command: Command, { author = "ann", step = 0 } = {}): this {
    const told = obey(this.spec, this.state, { command, author, step }, this.nowMs);
    this.#take(settleCommand(this.spec, told, factsOf(this.facts), this.nowMs));
    return this;
  }

  types(): string[] {
    return this.events.map(({ type }) => type);
  }

  #take({ state, events }: { state: RolloutState; events: readonly RolloutEvent[] }): void {
    this.state = state;
    this.events.push(...events);
  }
}

describe("a release by itself", () => {
  it("says how many steps it has", () => {
    const last = (run: Run) => run.events[0]?.message;
    expect(last(new Run(specOf()))).toBe("orders-v2 is released over orders-v1 in 3 steps");
    expect(last(new Run(specOf({ steps: [{ weight: 100 }] })))).toBe("orders-v2 is released over orders-v1 in 1 step");
  });

  it("begins at its first weight and is promoted through all steps", () => {
    const run = new Run(specOf());
    expect(run.state.weight).toBe(5);
    run.pass(40, 100);
    expect(run.state).toMatchObject({ step: 1, weight: 50, phase: { name: "progressing" } });
    run.pass(60, 100);
    expect(run.state).toMatchObject({ weight: 100, phase: { name: "promoted" } });
    expect(run.types()).toEqual(["started", "step", "step", "promoted"]);
  });

  it("rolls a failing canary back, long before the step ends", () => {
    const run = new Run(specOf()).pass(15, 200, { canary: { failures: 0.5 } });
    expect(run.state).toMatchObject({ weight: 0, phase: { name: "rolled-back" } });
    expect(run.state.evidence.step.canary.requests).toBeLessThan(200);
  });

  it("rolls back a canary that is only slow", () => {
    const analysis = { interval: "10s", minRequests: 50, latency: { p99: { maxIncrease: 20 } } };
    const run = new Run(specOf({ analysis })).pass(60, 200, { canary: { failures: 0.001, slowShare: 0.1 } });
    expect(run.state.phase).toMatchObject({ name: "rolled-back", reason: expect.stringContaining("p99") });
  });

  it("never decides anything without requests", () => {
    const run = new Run(specOf()).pass(7_200);
    expect(run.state).toMatchObject({ step: 0, weight: 5, failures: 0, phase: { name: "progressing" } });
    expect(run.state.lastAnalysis).toMatchObject({ verdict: "not-yet", mayAdvance: false });
  });

  it.each([
    ["pause", { phase: { name: "paused", cause: "quiet" }, weight: 5 }],
    ["advance", { phase: { name: "progressing" }, weight: 50 }],
    ["hold", { phase: { name: "progressing" }, weight: 5 }],
  ] as const)("of a service that is too quiet does as whenQuiet says: %s", (whenQuiet, expected) => {
    const run = new Run(specOf({ analysis: { interval: "10s", whenQuiet } })).pass(35);
    expect(run.state).toMatchObject(expected);
  });

  it("waits at a step that pauses, and goes on when told", () => {
    const run = new Run(specOf({ steps: [{ weight: 20, pause: true }, { weight: 100 }] })).pass(120, 50);
    expect(run.state).toMatchObject({ step: 0, weight: 20, phase: { name: "paused", cause: "step" } });
    run.say("resume");
    expect(run.state).toMatchObject({ step: 1, weight: 100, phase: { name: "progressing" } });
  });

  it("protects users while it is paused too", () => {
    const run = new Run(specOf({ steps: [{ weight: 20, pause: true }, { weight: 100 }] })).pass(30, 50);
    run.pass(30, 50, { canary: { failures: 0.5 } });
    expect(run.state.phase.name).toBe("rolled-back");
  });

  it("stops and asks instead of rolling back where onFailure says so", () => {
    const run = new Run(specOf({ onFailure: "pause" })).pass(30, 200, { canary: { failures: 0.5 } });
    expect(run.state).toMatchObject({ weight: 5, phase: { name: "paused", cause: "failed" } });
    run.pass(30, 200);
    expect(run.types().filter((type) => type === "paused")).toHaveLength(1);
    run.say("resume").pass(40, 200);
    expect(run.state).toMatchObject({ step: 1, phase: { name: "progressing" } });
  });

  it("finishes a release whose last step is below 100 percent", () => {
    const run = new Run(specOf({ steps: [{ weight: 50, hold: "10s" }] })).pass(30, 100);
    expect(run.state).toMatchObject({ weight: 100, phase: { name: "promoted" } });
  });

  it("counts a bad answer of somebody else's check, and takes none for no verdict", () => {
    const silent = new Run(specOf(), { external: [{ name: "hook", outcome: "unknown", detail: "down" }] });
    expect(silent.pass(120, 100).state).toMatchObject({ step: 0, failures: 0, phase: { name: "progressing" } });
    const bad = new Run(specOf(), { external: [{ name: "hook", outcome: "bad", detail: "answered 500" }] });
    expect(bad.pass(25, 100).state.phase).toMatchObject({ name: "rolled-back", reason: "hook: answered 500" });
  });
});

describe("a release whose steps are edited", () => {
  const steps = [{ weight: 5 }, { weight: 50, hold: "30s" }, { weight: 100 }];

  /** At 50 percent, and then with other steps. */
  function edited(next: RolloutSpec["steps"], begin: (run: Run) => void = (run) => run.say("promote")): Run {
    const run = new Run(specOf({ steps }));
    begin(run);
    run.spec = specOf({ steps: next });
    return run.pass(1, 100);
  }

  it.each([
    ["fewer of them", [{ weight: 50, hold: "30s" }, { weight: 100 }], { step: 0, weight: 50 }],
    ["more of them before", [{ weight: 5 }, { weight: 25 }, { weight: 40 }, { weight: 100 }], { step: 2, weight: 40 }],
    ["a first one that is higher", [{ weight: 80 }, { weight: 100 }], { step: 0, weight: 80 }],
    ["the end alone", [{ weight: 5 }, { weight: 100 }], { step: 0, weight: 5 }],
  ])("goes on where it has been already: %s", (_title, next, expected) => {
    const run = edited(next);
    expect(run.state).toMatchObject({ ...expected, phase: { name: "progressing" }, lastAnalysis: undefined });
    expect(run.types().at(-1)).toBe("edited");
  });

  it("skips none of those without a weight", () => {
    const run = new Run(specOf({ steps: [{ mirror: 100, hold: "1h" }, { weight: 100 }] }));
    run.spec = specOf({
      steps: [{ mirror: 50, hold: "1h" }, { match: { cookie: "tester" }, hold: "1h" }, { weight: 100 }],
    });
    expect(run.pass(1, 100).state).toMatchObject({ step: 0, weight: 0 });
  });

  it("stays paused when a person paused it", () => {
    const run = edited([{ weight: 10 }, { weight: 100 }], (begun) => begun.say("promote").say("pause"));
    expect(run.state).toMatchObject({ step: 0, weight: 10, phase: { name: "paused", cause: "operator" } });
  });
});

describe("checks that others make", () => {
  it("are waited for when an analysis is due, while clear harm is not", () => {
    const run = new Run(specOf(), { external: "pending" }).pass(60, 100);
    expect(run.state).toMatchObject({ step: 0, lastAnalysis: undefined });
    run.facts = { external: [{ name: "hook", outcome: "good", detail: "answered 200" }] };
    expect(run.pass(1, 100).state.step).toBe(1);
    run.facts = { external: "pending" };
    run.pass(30, 200, { canary: { failures: 0.5 } });
    expect(run.state.phase.name).toBe("rolled-back");
  });
});

describe("what endpoints can serve", () => {
  it("bounds the weight: a canary scaled for 5 % never gets more", () => {
    const run = new Run(specOf(), { stableEndpoints: 20, canaryEndpoints: 1 }).pass(120, 500);
    expect(run.state).toMatchObject({ step: 1, weight: 5 });
    expect(run.state.held).toContain("good for 5 % of the traffic, not for 50 %");
    run.facts = { stableEndpoints: 20, canaryEndpoints: 10 };
    expect(run.pass(1, 500).state).toMatchObject({ weight: 50, held: "" });
  });

  it("takes all weight from a canary whose endpoints vanish, and gives it back when they return", () => {
    const run = new Run(specOf()).pass(40, 100);
    run.facts = { canaryEndpoints: 0 };
    expect(run.pass(60, 100).state).toMatchObject({ step: 1, weight: 0, held: "orders-v2 has no ready endpoints" });
    run.facts = {};
    expect(run.pass(1, 100).state).toMatchObject({ step: 1, weight: 50, held: "" });
  });

  it("holds the step when stable's endpoints fall, and leaves the weight alone when they are gone", () => {
    const run = new Run(specOf(), { stableEndpoints: 4, canaryEndpoints: 4 }).pass(10, 100);
    run.facts = { stableEndpoints: 2, canaryEndpoints: 4 };
    expect(run.pass(60, 100).state).toMatchObject({ step: 0, weight: 5 });
    expect(run.state.held).toContain("fell to 2 of 4");
    run.facts = { stableEndpoints: 0, canaryEndpoints: 4 };
    expect(run.pass(60, 100).state).toMatchObject({ step: 0, weight: 5 });
  });

  it("decides nothing by what the canary does while stable has nobody, and goes on when it is back", () => {
    const all = { canary: { failures: 1 }, stable: { failures: 1 } };
    const run = new Run(specOf({ steps: [{ weight: 50, hold: "30s" }, { weight: 100 }] })).pass(10, 100);
    run.facts = { stableEndpoints: 0, canaryEndpoints: 0 };
    expect(run.pass(60, 100, all).state).toMatchObject({ step: 0, weight: 50, phase: { name: "progressing" } });
    run.facts = { stableEndpoints: 0, canaryEndpoints: 1 };
    expect(run.pass(60, 100, all).state).toMatchObject({ step: 0, weight: 50, phase: { name: "progressing" } });
    run.facts = {};
    // The first figures are still of the time before.
    expect(run.pass(1, 100, all).pass(20, 100).state).toMatchObject({ step: 0, phase: { name: "progressing" } });
    expect(run.types()).toEqual(["started", "held"]);
    expect(run.pass(10, 100, all).state.phase.name).toBe("rolled-back");
  });
});

describe("a person's word", () => {
  it("aborts, promotes to the end, pauses where it is", () => {
    expect(new Run(specOf()).say("abort").state).toMatchObject({ weight: 0, phase: { name: "rolled-back" } });
    const full = new Run(specOf()).say("promote-full");
    expect(full.state.weight).toBe(100);
    expect(full.pass(1).state.phase.name).toBe("promoted");
    const paused = new Run(specOf()).say("pause").pass(120, 100);
    expect(paused.state).toMatchObject({ step: 0, weight: 5, phase: { name: "paused", cause: "operator" } });
    expect(paused.say("resume").pass(40, 100).state.step).toBe(1);
  });

  it("moves on one step with promote", () => {
    expect(new Run(specOf()).say("promote").state).toMatchObject({ step: 1, weight: 50 });
  });

  describe("to promote, of a second person", () => {
    const STEPS = specOf({ steps: [{ weight: 5 }, { weight: 10 }, { weight: 20 }, { weight: 50 }, { weight: 100 }] });

    it("is refused for some seconds after the first one's", () => {
      const run = new Run(STEPS).say("promote").pass(9);
      expect(() => run.say("promote", { author: "bob" })).toThrow(
        "ann moved the release on to step 2 9 s ago; to go on from there, add --step 2, or wait a moment",
      );
      expect(run.pass(1).say("promote", { author: "bob" }).state).toMatchObject({ step: 2, movedBy: "bob" });
    });

    it("is obeyed at once when it names the step that the release is at", () => {
      const run = new Run(STEPS).say("promote").say("promote", { author: "bob", step: 2 });
      expect(run.state.step).toBe(2);
      expect(() => run.say("promote", { author: "ann", step: 2 })).toThrow(
        "the release is not at step 2: it came to step 3 by bob 0 s ago",
      );
      expect(() => run.say("promote-full", { step: 4 })).toThrow("the release is not at step 4");
    });

    it("is refused also where the first one resumed a step that waited", () => {
      const run = new Run(specOf({ steps: [{ weight: 5, pause: true }, { weight: 10 }, { weight: 100 }] }));
      run.pass(120, 50).say("resume");
      expect(run.state.step).toBe(1);
      expect(() => run.say("promote", { author: "bob" })).toThrow("ann moved the release on to step 2 0 s ago");
    });

    it("and to resume, which goes on to the next step too, is refused where that waits again already", () => {
      const waiting = (weight: number) => ({ weight, pause: true });
      const run = new Run(specOf({ steps: [waiting(5), waiting(10), waiting(20), { weight: 100 }] })).pass(5, 50);
      expect(run.say("resume").pass(5, 50).state).toMatchObject({ step: 1, phase: { name: "paused", cause: "step" } });
      expect(() => run.say("resume", { author: "bob" })).toThrow(/ann moved the release on to step 2 \d s ago/);
      expect(() => run.say("resume", { author: "bob", step: 1 })).toThrow("the release is not at step 1");
      expect(run.say("resume", { author: "bob", step: 2 }).state.step).toBe(2);
    });

    it("does not keep anybody from going on after a pause by hand", () => {
      const run = new Run(STEPS).say("promote").say("pause", { author: "bob" });
      expect(run.say("resume", { author: "bob" }).state).toMatchObject({ step: 1, phase: { name: "progressing" } });
    });

    it("is obeyed after a step that the release took by itself, and to the end", () => {
      const run = new Run(STEPS);
      while (run.state.step === 0) run.pass(1, 100);
      expect(run.say("promote", { author: "bob" }).state.step).toBe(2);
      expect(run.say("promote-full", { author: "ann" }).state.isFull).toBe(true);
    });

    it("twice, of one person, goes two steps", () => {
      expect(new Run(STEPS).say("promote").say("promote").state.step).toBe(2);
    });
  });

  it.each([
    ["promote", { canaryEndpoints: 1, stableEndpoints: 4 }, 25],
    ["promote", { canaryEndpoints: 0, stableEndpoints: 4 }, 0],
    ["resume", { canaryEndpoints: 0, stableEndpoints: 4 }, 0],
    ["promote-full", { canaryEndpoints: 1, stableEndpoints: 4 }, 25],
  ] as const)("%s at the last step gives all traffic only to enough endpoints", (command, endpoints, weight) => {
    const run = new Run(specOf({ steps: [{ weight: 100, hold: "1s", pause: true }] }));
    expect(run.pass(2).state).toMatchObject({ weight: 100, phase: { name: "paused", cause: "step" } });
    run.facts = endpoints;
    expect(run.pass(1).say(command).pass(5).state).toMatchObject({ weight, phase: { name: "progressing" } });
    run.facts = { canaryEndpoints: 4, stableEndpoints: 4 };
    expect(run.pass(1).state).toMatchObject({ weight: 100, phase: { name: "promoted" } });
  });

  it("is refused when somebody else's word has ended the release", () => {
    const run = new Run(specOf()).say("abort");
    expect(() => run.say("promote")).toThrow(CommandRefusedError);
    expect(() => run.say("promote")).toThrow(/rolled back 0 s ago: aborted by ann/);
    expect(run.state.weight).toBe(0);
  });
});

it("whatever happens, the weight keeps to what endpoints serve, steps only go up, and an end is an end", () => {
  const second = fc.record({
    canaryEndpoints: fc.integer({ min: 0, max: 10 }),
    stableEndpoints: fc.integer({ min: 1, max: 10 }),
    requests: fc.integer({ min: 0, max: 300 }),
    failures: fc.constantFrom(0, 0.001, 0.5),
    command: fc.constantFrom<Command | "none">("none", "none", "none", "none", "pause", "resume", "promote", "abort"),
  });
  fc.assert(
    fc.property(fc.array(second, { maxLength: 60 }), fc.integer(), (seconds, seed) => {
      const random = seededRandom(seed);
      const spec = specOf({
        steps: [{ mirror: 100, hold: "2s" }, { weight: 10, hold: "3s" }, { weight: 60 }, { weight: 100 }],
      });
      let nowMs = 0;
      let state = startRollout(spec, factsOf(), nowMs, "").state;
      for (const { requests, failures, command, ...endpoints } of seconds) {
        nowMs += 1_000;
        const before = state;
        const sides = drawSides(requests, state.weight, { canary: { failures }, stable: GOOD }, random);
        const facts = factsOf({ ...endpoints, sides });
        try {
          if (command !== "none")
            state = settleCommand(spec, obey(spec, state, { command, author: "", step: 0 }, nowMs), facts, nowMs).state;
        } catch (error) {
          if (!(error instanceof CommandRefusedError)) throw error;
        }
        state = step(spec, state, facts, nowMs).state;
        const isOver = state.phase.name === "promoted" || state.phase.name === "rolled-back";
        if (before.phase.name !== "promoted" && state.phase.name === "promoted")
          expect(capacityPercent(state, facts)).toBe(100);
        if (!isOver) expect(state.weight).toBeLessThanOrEqual(capacityPercent(state, facts));
        if (before.phase.name === "promoted" || before.phase.name === "rolled-back") expect(state).toEqual(before);
        expect(state.step).toBeGreaterThanOrEqual(before.step);
        expect(JSON.parse(JSON.stringify(state))).toEqual(state);
      }
    }),
    { numRuns: 60 },
  );
});
