// The state of one release: what is stored, and all that survives a restart. Times are of the wall clock, in
// milliseconds since the epoch. Which state follows which is step.ts (by itself) and command.ts (by hand).
import type { Judgement } from "./analysis.ts";
import type { Evidence } from "./evidence.ts";

/** Why a release waits for a person. */
export type PauseCause = "step" | "operator" | "quiet" | "failed";

export type Phase =
  | { readonly name: "progressing" }
  | { readonly name: "paused"; readonly cause: PauseCause; readonly sinceMs: number }
  | { readonly name: "promoted"; readonly atMs: number }
  | { readonly name: "rolled-back"; readonly atMs: number; readonly reason: string };

export interface RolloutState {
  /** Of the spec that it is about; another spec starts it over. */
  readonly service: string;
  readonly stable: string;
  readonly canary: string;
  readonly phase: Phase;
  /** The spec's steps as they were, as JSON: others put the release elsewhere. */
  readonly steps: string;
  readonly startedAtMs: number;
  /** Index of the step. */
  readonly step: number;
  /** When this step began, and since when the canary has had all of its weight; 0: it has not. */
  readonly stepSinceMs: number;
  /** Who moved it on to this step; "" or absent: nobody by hand. */
  readonly movedBy?: string;
  readonly reachedAtMs: number;
  /** Percent that the canary answers. */
  readonly weight: number;
  /** Endpoints of stable when it served everything: what one endpoint is good for. */
  readonly stableEndpoints: number;
  /** Straight to the end, whatever the steps say. */
  readonly isFull: boolean;
  /** Stable has no endpoints: nothing is decided, and nothing that comes meanwhile is told against the canary. */
  readonly isAlone: boolean;
  /** Why it does not go on; empty when nothing holds it. */
  readonly held: string;
  readonly evidence: Evidence;
  readonly nextAnalysisAtMs: number;
  /** Failed analyses so far. */
  readonly failures: number;
  readonly lastAnalysis: (Judgement & { readonly atMs: number }) | undefined;
}

/** What happened, for people, logs and webhooks. */
export interface RolloutEvent {
  readonly type: EventType;
  readonly message: string;
  /** Who asked for it; empty for the controller itself. */
  readonly author: string;
}

export type EventType =
  | "started"
  | "step"
  | "held"
  | "analysis-failed"
  | "paused"
  | "resumed"
  | "edited"
  | "promoted"
  | "rolled-back"
  | "deleted";

/** A state and what happened on the way to it. */
export interface Transition {
  readonly state: RolloutState;
  readonly events: readonly RolloutEvent[];
}

export function hasEnded({ phase }: RolloutState): boolean {
  return phase.name === "promoted" || phase.name === "rolled-back";
}

/**
 * May a release that cannot be stored go from one state to the other all the same? It may learn, pause and go back: what
 * gives the canary no more than it has. After a crash it is where it was stored, as if it had waited for the store.
 */
export function maySettleUnstored(before: RolloutState, after: RolloutState): boolean {
  const isOther = after.startedAtMs !== before.startedAtMs || after.steps !== before.steps;
  if (isOther || after.step !== before.step || after.isFull !== before.isFull) return false;
  if (after.weight > before.weight) return false;
  const { name } = after.phase;
  return name === before.phase.name || name === "paused" || name === "rolled-back";
}
