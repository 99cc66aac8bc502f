// A release as a person sees it: plain data, made of what the control plane tells. Rendered as a tree, as lines or as
// JSON by whoever shows it; the exact command to run next is part of it.
import type { Rollout, RolloutEvent, RolloutSide } from "../../proto/gen/weft/v1/rollouts.ts";

/** Stopped: the release went back from there. */
export type StepState = "done" | "now" | "stopped" | "ahead";

export interface SideView {
  readonly service: string;
  readonly readyEndpoints: number;
  readonly requests: number;
  readonly failures: number;
  readonly requestsPerSecond: number;
  /** Percent; null before any request. */
  readonly successRate: number | null;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
}

export interface RolloutView {
  readonly namespace: string;
  readonly name: string;
  readonly service: string;
  readonly stable: string;
  readonly canary: string;
  readonly phase: string;
  readonly message: string;
  readonly step: number;
  readonly steps: readonly { readonly text: string; readonly state: StepState }[];
  /** Percent. */
  readonly weight: number;
  readonly wantedWeight: number;
  readonly mirror: number;
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly holdRemainingMs: number;
  /** Until the canary has the requests that a verdict needs, at the traffic of now; 0 when it has, or nobody knows. */
  readonly expectedWaitMs: number;
  readonly failedAnalyses: number;
  readonly failureLimit: number;
  readonly minRequests: number;
  readonly sides: readonly SideView[];
  readonly checks: readonly { readonly name: string; readonly verdict: string; readonly detail: string }[];
  readonly verdict: string;
  readonly verdictReason: string;
  readonly silentSidecars: readonly string[];
  readonly reportingSidecars: number;
  readonly revision: number;
  readonly lastEvent: RolloutEventView | null;
  /** What to type next, each with what it does. */
  readonly next: readonly { readonly command: string; readonly does: string }[];
}

export interface RolloutEventView {
  readonly rollout: string;
  readonly at: string;
  readonly atMs: number;
  readonly type: string;
  readonly message: string;
  readonly author: string;
}

export function rolloutView(rollout: Rollout): RolloutView {
  const { key, steps, step, lastEvent } = rollout;
  const [namespace, name] = [key?.namespace ?? "", key?.name ?? ""];
  return {
    ...{ namespace, name, service: rollout.service, stable: rollout.stable, canary: rollout.canary },
    ...{ phase: rollout.phase, message: rollout.message, step },
    steps: steps.map(({ text }, index) => ({ text, state: stepState(rollout, index + 1) })),
    ...{ weight: rollout.weight, wantedWeight: rollout.wantedWeight, mirror: rollout.mirror },
    startedAt: new Date(rollout.startedAtMs).toISOString(),
    endedAt: rollout.endedAtMs === 0 ? null : new Date(rollout.endedAtMs).toISOString(),
    ...{ holdRemainingMs: rollout.holdRemainingMs, expectedWaitMs: rollout.expectedWaitMs },
    ...{ failedAnalyses: rollout.failures, failureLimit: rollout.failureLimit, minRequests: rollout.minRequests },
    sides: [rollout.canarySide, rollout.stableSide].flatMap((side) => (side === undefined ? [] : [sideView(side)])),
    checks: rollout.checks.map(({ name: check, verdict, detail }) => ({ name: check, verdict, detail })),
    ...{ verdict: rollout.verdict, verdictReason: rollout.verdictReason },
    ...{ silentSidecars: rollout.silentSidecars, reportingSidecars: rollout.reportingSidecars },
    revision: rollout.revision,
    lastEvent: lastEvent === undefined ? null : rolloutEventView(lastEvent),
    next: nextCommands(rollout, namespace === "default" ? name : `${name} -n ${namespace}`),
  };
}

export function rolloutEventView({ key, atMs, type, message, author }: RolloutEvent): RolloutEventView {
  const rollout = `${key?.namespace ?? ""}/${key?.name ?? ""}`;
  return { rollout, at: new Date(atMs).toISOString(), atMs, type, message, author };
}

export function hasEnded({ phase }: Pick<RolloutView, "phase">): boolean {
  return phase === "promoted" || phase === "rolled-back";
}

function stepState({ phase, step }: Rollout, number: number): StepState {
  if (number < step) return "done";
  if (number > step) return "ahead";
  return phase === "rolled-back" ? "stopped" : "now";
}

function sideView({ service, successRate, p50Ms, p95Ms, p99Ms, ...side }: RolloutSide): SideView {
  const name = service.slice(service.indexOf("/") + 1);
  const times = { p50Ms: rounded(p50Ms), p95Ms: rounded(p95Ms), p99Ms: rounded(p99Ms) };
  return { service: name, ...side, ...times, successRate: successRate < 0 ? null : successRate };
}

/** To the microsecond: more is not known of a time in a bucket. */
function rounded(milliseconds: number): number {
  return Math.round(milliseconds * 1_000) / 1_000;
}

function nextCommands({ phase, service, stable, canary }: Rollout, name: string): RolloutView["next"] {
  const begin = (next: string) => `start ${name} --service ${service} --stable ${canary} --canary ${next}`;
  const type = (words: string, does: string) => ({ command: `weft rollout ${words}`, does });
  const run = (action: string, does: string) => type(`${action} ${name}`, does);
  switch (phase) {
    case "progressing":
      return [run("pause", "stay at this step"), run("abort", "all traffic back")];
    case "paused":
      return [run("resume", "go on"), run("abort", "all traffic back")];
    case "promoted":
      return [
        type(`${begin(stable)} --steps 100`, `undo it: all traffic back to ${stable}`),
        type(begin("NEXT"), "release the next version"),
      ];
    default:
      return [run("history", "what happened"), run("start", "try again from the first step")];
  }
}
