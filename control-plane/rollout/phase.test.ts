// Which states a release may go to that cannot be stored: those that give the canary no more than it has.
import { expect, test } from "vitest";
import { factsOf, specOf } from "./fixtures.ts";
import { maySettleUnstored, type Phase, type RolloutState } from "./phase.ts";
import { startRollout } from "./step.ts";

const BEFORE: RolloutState = { ...startRollout(specOf(), factsOf(), 1, "").state, step: 1, weight: 50 };
const PAUSED: Phase = { name: "paused", cause: "operator", sinceMs: 2 };
const BACK: Phase = { name: "rolled-back", atMs: 2, reason: "r" };

test.each<[string, boolean, Partial<RolloutState>, Partial<RolloutState>?]>([
  ["counts a failed analysis", true, { failures: 1 }],
  ["gets less, because endpoints of the canary went", true, { weight: 20 }],
  ["gets more, because some came", false, { weight: 51 }],
  ["is paused", true, { phase: PAUSED }],
  ["is paused for another reason", true, { phase: { ...PAUSED, cause: "failed" } }, { phase: PAUSED }],
  ["goes back", true, { phase: BACK, weight: 0 }],
  ["goes back from a pause", true, { phase: BACK, weight: 0 }, { phase: PAUSED }],
  ["has gone back", true, {}, { phase: BACK, weight: 0 }],
  ["goes on from a pause", false, { phase: { name: "progressing" } }, { phase: PAUSED }],
  ["is promoted", false, { phase: { name: "promoted", atMs: 2 } }],
  ["takes its next step", false, { step: 2 }],
  ["takes a step back", false, { step: 0 }],
  ["goes straight to the end", false, { isFull: true }],
  ["has other steps", false, { steps: "[]" }],
  ["is another release", false, { startedAtMs: 2, weight: 0 }],
])("one that %s: %s", (_what, may, after, before = {}) => {
  expect(maySettleUnstored({ ...BEFORE, ...before }, { ...BEFORE, ...before, ...after })).toBe(may);
});
