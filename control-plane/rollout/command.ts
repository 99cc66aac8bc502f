// What a person's word does to a release: pause, resume, promote, abort. Opposite words come one after the other; what
// makes no sense any more is refused with the reason. Pure.
import type { RolloutSpec } from "../../rules/schema/rollout.ts";
import { planAnalysis } from "./checks.ts";
import { startEvidence } from "./evidence.ts";
import type { PauseCause, RolloutState, Transition } from "./phase.ts";
import { hasEnded } from "./phase.ts";
import { advance, event, pause, rollBack } from "./step.ts";

export type Command = "pause" | "resume" | "promote" | "promote-full" | "abort";

/** A command, and what is known of who gives it. */
export interface Word {
  readonly command: Command;
  /** "": not said. */
  readonly author: string;
  /** The step that it is meant for, 1 for the first; 0: not said. */
  readonly step: number;
}

/** Who says that it shall go on so soon after somebody else did most likely looked before that. */
const MOVED_LATELY_MS = 10_000;

/** The command does not fit the state the release is in. */
export class CommandRefusedError extends Error {
  override readonly name = "CommandRefusedError";
}

/** @throws CommandRefusedError */
export function obey(spec: RolloutSpec, state: RolloutState, word: Word, nowMs: number): Transition {
  const { command, author } = word;
  if (hasEnded(state)) throw new CommandRefusedError(endedText(state, nowMs));
  refuseOtherStep(state, word, nowMs);
  switch (command) {
    case "pause":
      return pause(state, "operator", "paused by hand", nowMs, [], author);
    case "resume":
      return resume(spec, state, nowMs, author);
    case "promote":
      return advance(spec, state, nowMs, [event("resumed", "on to the next step by hand", author)], author);
    case "promote-full":
      return {
        state: { ...state, isFull: true, phase: { name: "progressing" }, reachedAtMs: 0 },
        events: [event("resumed", "straight to the end by hand", author)],
      };
    case "abort":
      return rollBack(state, `aborted by ${author === "" ? "hand" : author}`, nowMs, [], author);
  }
}

/** Two who say that a release shall go on from where both saw it mean one step, not two. */
function refuseOtherStep(state: RolloutState, { command, author, step }: Word, nowMs: number): void {
  const current = state.step + 1;
  const { movedBy = "" } = state;
  const ageMs = nowMs - state.stepSinceMs;
  if (step !== 0 && step !== current) {
    const by = movedBy === "" ? "" : ` by ${movedBy}`;
    throw new CommandRefusedError(
      `the release is not at step ${step}: it came to step ${current}${by} ${agoText(ageMs)}`,
    );
  }
  const isKnown = step !== 0 || movedBy === "" || movedBy === author || ageMs >= MOVED_LATELY_MS;
  if (isKnown || !takesNextStep(state, command)) return;
  const how = `to go on from there, add --step ${current}, or wait a moment`;
  throw new CommandRefusedError(`${movedBy} moved the release on to step ${current} ${agoText(ageMs)}; ${how}`);
}

function takesNextStep({ phase }: RolloutState, command: Command): boolean {
  return command === "promote" || (command === "resume" && phase.name === "paused" && isEndOfStep(phase.cause));
}

/** Did the step itself say that somebody has to let the release go on? */
function isEndOfStep(cause: PauseCause): boolean {
  return cause === "step" || cause === "quiet";
}

/** A step that waited goes on to the next one; a pause by hand ends where it began; after a failure all counts anew. */
function resume(spec: RolloutSpec, state: RolloutState, nowMs: number, author: string): Transition {
  const { phase } = state;
  if (phase.name !== "paused") throw new CommandRefusedError("the release is not paused");
  const events = [event("resumed", "resumed by hand", author)];
  if (isEndOfStep(phase.cause)) return advance(spec, state, nowMs, events, author);
  const going: RolloutState = { ...state, phase: { name: "progressing" }, reachedAtMs: 0 };
  if (phase.cause === "operator") return { state: going, events };
  const nextAnalysisAtMs = nowMs + planAnalysis(spec).intervalMs;
  const fresh = { failures: 0, lastAnalysis: undefined, evidence: startEvidence(), nextAnalysisAtMs };
  return { state: { ...going, ...fresh }, events };
}

function endedText({ phase, canary }: RolloutState, nowMs: number): string {
  if (phase.name === "promoted") return `${canary} was promoted ${agoText(nowMs - phase.atMs)}`;
  if (phase.name === "rolled-back") return `${canary} was rolled back ${agoText(nowMs - phase.atMs)}: ${phase.reason}`;
  return "";
}

function agoText(ageMs: number): string {
  const seconds = Math.max(0, Math.round(ageMs / 1000));
  return seconds < 120 ? `${seconds} s ago` : `${Math.round(seconds / 60)} min ago`;
}
