// What a spec means at each of its steps: the weight, mirroring and testers that are in force there, because a step
// says only what changes. Pure.
import { formatDuration } from "../../rules/durations.ts";
import type { RolloutStatus } from "../../rules/rollout-status.ts";
import type { RolloutSpec } from "../../rules/schema/rollout.ts";
import { milliseconds } from "./checks.ts";
import { hasEnded, type RolloutState } from "./phase.ts";

export type StepSpec = RolloutSpec["steps"][number];

/** Everything in force at one step. */
export interface StepPlan {
  readonly weight: number;
  readonly mirror: RolloutStatus["mirror"];
  readonly match: StepSpec["match"];
  readonly holdMs: number;
  readonly waitsForResume: boolean;
}

/**
 * The plan of step `index`. Weight and testers stay as an earlier step said; mirroring ends with the next weight: a
 * version that answers users needs no copies of what it answers.
 */
export function planStep({ steps }: RolloutSpec, index: number): StepPlan {
  let weight = 0;
  let mirror: StepPlan["mirror"];
  let match: StepPlan["match"];
  for (const step of steps.slice(0, index + 1)) {
    if (step.weight !== undefined) {
      weight = step.weight;
      mirror = undefined;
    }
    if (step.mirror !== undefined) mirror = { percent: step.mirror, allMethods: step.allMethods ?? false };
    if (step.setMirror === false) mirror = undefined;
    if (step.match !== undefined) match = step.match;
  }
  const own = steps[index];
  return { weight, mirror, match, holdMs: milliseconds(own?.hold) ?? 0, waitsForResume: own?.pause === true };
}

/** The status that makes sidecars do what a state says. */
export function statusFor(spec: RolloutSpec, state: RolloutState): RolloutStatus {
  const { stable, canary, phase, weight } = state;
  const isLive = !hasEnded(state);
  const { mirror, match } = planStep(spec, state.step);
  return {
    ...{ stable, canary, phase: phase.name, weight, isLive },
    ...(isLive && mirror !== undefined && !state.isFull ? { mirror } : {}),
    ...(isLive && match !== undefined ? { match } : {}),
  };
}

/** A step as a person would say it. */
export function stepText(step: StepSpec): string {
  const parts = [
    step.mirror === undefined ? "" : `mirror ${step.mirror} %${step.allMethods === true ? " of all methods" : ""}`,
    step.setMirror === false ? "end the mirroring" : "",
    step.match === undefined ? "" : `testers by ${matchText(step.match)}`,
    step.weight === undefined ? "" : `weight ${step.weight} %`,
    step.hold === undefined ? "" : `hold ${formatDuration(milliseconds(step.hold) ?? 0)}`,
    step.pause === true ? "pause" : "",
  ];
  return parts.filter((part) => part !== "").join(", ");
}

function matchText({ headers, cookie }: NonNullable<StepSpec["match"]>): string {
  const names = [...(headers ?? []).map(({ name }) => name), ...(cookie === undefined ? [] : [`cookie ${cookie}`])];
  return names.join(" and ");
}
