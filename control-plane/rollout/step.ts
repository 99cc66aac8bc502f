// One step of a release's life: what is known and what time it is -> what it is now. A ladder of early returns from
// the most urgent to the most patient; nothing else decides by itself what becomes of a release. Pure.
import { canonicalJson } from "../../rules/canonical.ts";
import { formatDuration } from "../../rules/durations.ts";
import type { RolloutSpec } from "../../rules/schema/rollout.ts";
import { type Judgement, judge } from "./analysis.ts";
import { type AnalysisPlan, planAnalysis } from "./checks.ts";
import { nextInterval, nextStep, observe, type Sides, startEvidence } from "./evidence.ts";
import type { EventType, PauseCause, RolloutEvent, RolloutState, Transition } from "./phase.ts";
import { hasEnded } from "./phase.ts";
import { planStep, type StepPlan, stepText } from "./plan.ts";

/** What the controller found out since the step before. */
export interface Facts {
  /** Ready endpoints, by their weights; 0 for a service that does not exist. */
  readonly canaryEndpoints: number;
  readonly stableEndpoints: number;
  /** What both versions did since the last time, of the weights in force now. */
  readonly sides: Sides;
  /** Results of checks that others make (webhooks, Prometheus), when an analysis is due; "pending": they are being asked. */
  readonly external: readonly ExternalResult[] | "pending";
}

export interface ExternalResult {
  readonly name: string;
  readonly outcome: "good" | "bad" | "unknown";
  readonly detail: string;
}

/** How a release begins: at its first step, with no evidence. */
export function startRollout(spec: RolloutSpec, facts: Facts, nowMs: number, author: string): Transition {
  const { service, stable, canary } = spec;
  const state: RolloutState = {
    ...{ service, stable, canary, phase: { name: "progressing" }, steps: stepsText(spec), startedAtMs: nowMs },
    ...{ step: 0, stepSinceMs: nowMs, reachedAtMs: 0, weight: 0, stableEndpoints: facts.stableEndpoints },
    ...{ isFull: false, isAlone: false, held: "", evidence: startEvidence(), failures: 0, lastAnalysis: undefined },
    nextAnalysisAtMs: nowMs + planAnalysis(spec).intervalMs,
  };
  const { length: count } = spec.steps;
  const message = `${canary} is released over ${stable} in ${count} step${count === 1 ? "" : "s"}`;
  const weighed = weigh(state, planStep(spec, 0), facts, nowMs);
  return { state: weighed.state, events: [event("started", message, author), ...weighed.events] };
}

/** A person's word, and what it means for the weights at once. */
export function settleCommand(spec: RolloutSpec, told: Transition, facts: Facts, nowMs: number): Transition {
  if (hasEnded(told.state)) return told;
  const weighed = weigh(told.state, wantedOf(spec, told.state), facts, nowMs);
  return { state: weighed.state, events: [...told.events, ...weighed.events] };
}

function wantedOf(spec: RolloutSpec, state: RolloutState): StepPlan {
  const own = planStep(spec, state.step);
  return state.isFull ? { ...own, ...FULL } : own;
}

/** @param writer who wrote the document since the step before; empty: nobody */
export function step(spec: RolloutSpec, before: RolloutState, facts: Facts, nowMs: number, writer = ""): Transition {
  if (hasEnded(before)) return { state: before, events: [] };
  if (before.steps !== stepsText(spec)) return settleCommand(spec, edit(spec, before, nowMs, writer), facts, nowMs);
  const plan = planAnalysis(spec);
  const wanted = wantedOf(spec, before);
  // What came by the time that stable is back is still of the time without it.
  if (before.isAlone || isAlone(before, wanted, facts)) return weigh(before, wanted, facts, nowMs);
  const state = learn(before, facts, plan);
  const judgement = judge(plan, state.evidence);

  if (judgement.isClear && !state.isFull && !isFailed(state))
    return fail(spec, { ...state, lastAnalysis: { ...judgement, atMs: nowMs } }, judgement.reason, nowMs);
  const analysed = analyse(state, plan, judgement, facts, nowMs);
  if (analysed.state.failures > before.failures && hasFailed(analysed.state, plan) && !state.isFull)
    return fail(spec, analysed.state, analysed.state.lastAnalysis?.reason ?? judgement.reason, nowMs, analysed.events);

  const weighed = weigh(analysed.state, wanted, facts, nowMs);
  const current = weighed.state;
  const events = [...analysed.events, ...weighed.events];
  if (current.phase.name === "paused") return { state: current, events };
  if (current.held !== "") return { state: current, events };
  if (current.isFull) return promote(current, nowMs, events);
  if (nowMs - current.reachedAtMs < wanted.holdMs) return { state: current, events };
  if (wanted.waitsForResume) return pause(current, "step", `step ${stepTitle(spec, current)} waits`, nowMs, events);
  const isAnalysisDue = state.lastAnalysis !== current.lastAnalysis;
  if (isJudged(wanted) && !isAnalysisDue) return { state: current, events };
  if (isJudged(wanted) && !mayAdvance(current)) {
    const answer = waitOrGo(current, plan);
    if (answer === "wait") return { state: current, events };
    if (answer === "ask") return pause(current, "quiet", `too quiet to judge: ${judgement.reason}`, nowMs, events);
  }
  return settleCommand(spec, advance(spec, current, nowMs, events), facts, nowMs);
}

/**
 * The steps are others than before: the release goes on at the last one whose weight it has reached already, so that no
 * edit moves traffic towards the canary, and begins that one again. Of steps without a weight it skips none.
 */
function edit(spec: RolloutSpec, state: RolloutState, nowMs: number, writer: string): Transition {
  const reached = spec.steps.findLastIndex((_, index) => planStep(spec, index).weight <= state.weight);
  const index = Math.max(0, state.weight === 0 ? Math.min(reached, state.step) : reached);
  const { phase } = state;
  const isStepsOwn = phase.name === "paused" && (phase.cause === "step" || phase.cause === "quiet");
  const next: RolloutState = {
    ...beginStep(spec, state, index, nowMs),
    steps: stepsText(spec),
    phase: isStepsOwn ? { name: "progressing" } : phase,
  };
  const message = `the steps were edited: on at step ${stepTitle(spec, next)}`;
  return { state: next, events: [event("edited", message, writer)] };
}

function stepsText({ steps }: RolloutSpec): string {
  return canonicalJson(steps);
}

const FULL = { weight: 100, mirror: undefined, holdMs: 0, waitsForResume: false };

function learn(state: RolloutState, facts: Facts, plan: AnalysisPlan): RolloutState {
  const evidence = observe(state.evidence, facts.sides, plan.checks);
  const stableEndpoints = Math.max(state.stableEndpoints, facts.stableEndpoints);
  return { ...state, evidence, stableEndpoints };
}

/** At the end of an interval the judgement is written down, and a bad one counted. */
function analyse(
  state: RolloutState,
  plan: AnalysisPlan,
  judgement: Judgement,
  { external }: Facts,
  nowMs: number,
): Transition {
  if (nowMs < state.nextAnalysisAtMs || external === "pending") return { state, events: [] };
  const whole = withExternal(judgement, external);
  const isFailure = whole.verdict === "worse" && !isFailed(state);
  const failures = state.failures + Number(isFailure);
  const next: RolloutState = {
    ...state,
    failures,
    lastAnalysis: { ...whole, atMs: nowMs },
    nextAnalysisAtMs: nowMs + plan.intervalMs,
    evidence: nextInterval(state.evidence),
  };
  const message = `analysis ${failures} of at most ${plan.failureLimit} failed: ${whole.reason}`;
  return { state: next, events: isFailure ? [event("analysis-failed", message)] : [] };
}

/** A bad answer of somebody else's check is a failed analysis, no answer is no verdict. */
function withExternal(judgement: Judgement, external: readonly ExternalResult[]): Judgement {
  const checks = [
    ...judgement.checks,
    ...external.map(({ name, outcome, detail }) => ({ name, detail, verdict: EXTERNAL_VERDICT[outcome] })),
  ];
  const bad = external.find(({ outcome }) => outcome === "bad");
  if (bad !== undefined)
    return { ...judgement, checks, verdict: "worse", mayAdvance: false, reason: `${bad.name}: ${bad.detail}` };
  const unknown = external.find(({ outcome }) => outcome === "unknown");
  if (unknown === undefined || judgement.verdict === "worse") return { ...judgement, checks };
  const reason = `${unknown.name} gives no answer: ${unknown.detail}`;
  return { ...judgement, checks, verdict: "not-yet", mayAdvance: false, reason };
}

const EXTERNAL_VERDICT = { good: "better", bad: "worse", unknown: "not-yet" } as const;

function hasFailed({ failures }: RolloutState, { failureLimit }: AnalysisPlan): boolean {
  return failures >= Math.max(1, failureLimit);
}

/** Failed before, and waits for a person to say what now. */
function isFailed({ phase }: RolloutState): boolean {
  return phase.name === "paused" && phase.cause === "failed";
}

/** The canary gets what the step wants, but never more than its ready endpoints are good for. */
function weigh(state: RolloutState, wanted: StepPlan, facts: Facts, nowMs: number): Transition {
  const capacity = capacityPercent(state, facts);
  // With nobody on the stable side there is nobody to give back to: what the canary has stays with it.
  const canGiveBack = facts.stableEndpoints > 0;
  const fitting = Math.min(wanted.weight, capacity);
  const weight = canGiveBack || state.isFull ? fitting : state.weight;
  const held = heldBecause(state, wanted, facts, capacity);
  const isReached = held === "" && weight === wanted.weight;
  const next: RolloutState = {
    ...state,
    weight,
    held,
    isAlone: isAlone(state, wanted, facts),
    reachedAtMs: isReached ? state.reachedAtMs || nowMs : 0,
  };
  const isNews = held !== "" && withoutNumbers(held) !== withoutNumbers(state.held);
  return { state: next, events: isNews ? [event("held", held)] : [] };
}

/** Percent of the traffic that the canary's endpoints can serve, if each serves what one of stable's did. */
export function capacityPercent(state: RolloutState, { canaryEndpoints }: Facts): number {
  if (canaryEndpoints <= 0) return 0;
  if (state.stableEndpoints <= 0) return 100;
  return Math.min(100, Math.floor((canaryEndpoints / state.stableEndpoints) * 10_000) / 100);
}

function heldBecause(state: RolloutState, wanted: StepPlan, facts: Facts, capacity: number): string {
  const { canaryEndpoints, stableEndpoints } = facts;
  const needsCanary = wanted.weight > 0 || wanted.mirror !== undefined;
  if (isAlone(state, wanted, facts))
    return `${state.stable} has no ready endpoints; the weight stays at ${state.weight} %`;
  if (needsCanary && canaryEndpoints === 0) return `${state.canary} has no ready endpoints`;
  if (capacity < wanted.weight)
    return `the ready endpoints of ${state.canary} (${canaryEndpoints}; ${state.stable} began with ${state.stableEndpoints}) are good for ${capacity} % of the traffic, not for ${wanted.weight} %; start more of them`;
  if (wanted.weight < 100 && stableCapacity(state, facts) < 100 - wanted.weight)
    return `${state.stable} fell to ${stableEndpoints} of ${state.stableEndpoints} ready endpoints, too few for its ${100 - wanted.weight} %`;
  return "";
}

/** Nobody is on the stable side, who is not needed where the canary has and is to have everything. */
function isAlone({ isFull, weight }: RolloutState, wanted: StepPlan, { stableEndpoints }: Facts): boolean {
  return stableEndpoints === 0 && !isFull && !(weight === 100 && wanted.weight === 100);
}

function stableCapacity({ stableEndpoints: began }: RolloutState, { stableEndpoints }: Facts): number {
  return began <= 0 ? 100 : (stableEndpoints / began) * 100;
}

function withoutNumbers(text: string): string {
  return text.replaceAll(/[\d.]+/g, "#");
}

/** Nothing is judged where the canary answers nobody and gets no copies. */
function isJudged({ weight, mirror }: StepPlan): boolean {
  return weight > 0 || mirror !== undefined;
}

function mayAdvance({ lastAnalysis }: RolloutState): boolean {
  return lastAnalysis?.mayAdvance === true;
}

/** The time is over and the verdict is not there: wait, ask, or go on, as the rule says for quiet services. */
function waitOrGo({ evidence }: RolloutState, plan: AnalysisPlan): "wait" | "ask" | "go" {
  const isQuiet = evidence.step.canary.requests < plan.minRequests;
  if (!isQuiet || plan.whenQuiet === "hold") return "wait";
  return plan.whenQuiet === "pause" ? "ask" : "go";
}

export function advance(
  spec: RolloutSpec,
  state: RolloutState,
  nowMs: number,
  events: readonly RolloutEvent[] = [],
  author = "",
): Transition {
  if (state.step + 1 >= spec.steps.length) {
    if (state.weight === 100 && state.held === "") return promote(state, nowMs, events, author);
    // The rest follows: all of it after a last step below 100 percent, else when there are endpoints for it.
    return { state: { ...state, isFull: true, phase: { name: "progressing" }, reachedAtMs: 0 }, events };
  }
  const next: RolloutState = {
    ...beginStep(spec, state, state.step + 1, nowMs),
    phase: { name: "progressing" },
    movedBy: author,
  };
  return { state: next, events: [...events, event("step", `step ${stepTitle(spec, next)}`, author)] };
}

/** The step of this index with no evidence yet. */
function beginStep(spec: RolloutSpec, state: RolloutState, index: number, nowMs: number): RolloutState {
  return {
    ...state,
    step: index,
    stepSinceMs: nowMs,
    reachedAtMs: 0,
    evidence: nextStep(state.evidence),
    lastAnalysis: undefined,
    nextAnalysisAtMs: nowMs + planAnalysis(spec).intervalMs,
  };
}

export function promote(
  state: RolloutState,
  nowMs: number,
  events: readonly RolloutEvent[] = [],
  author = "",
): Transition {
  const next: RolloutState = { ...state, phase: { name: "promoted", atMs: nowMs }, weight: 100, held: "" };
  const message = `${state.canary} has all traffic of ${state.service}, after ${formatDuration(nowMs - state.startedAtMs)}`;
  return { state: next, events: [...events, event("promoted", message, author)] };
}

export function rollBack(
  state: RolloutState,
  reason: string,
  nowMs: number,
  events: readonly RolloutEvent[] = [],
  author = "",
): Transition {
  const next: RolloutState = { ...state, phase: { name: "rolled-back", atMs: nowMs, reason }, weight: 0, held: "" };
  return {
    state: next,
    events: [...events, event("rolled-back", `all traffic is back at ${state.stable}: ${reason}`, author)],
  };
}

/** Harm is shown: back, or stop here and ask, as the rule says. */
function fail(
  spec: RolloutSpec,
  state: RolloutState,
  reason: string,
  nowMs: number,
  events: readonly RolloutEvent[] = [],
): Transition {
  if (spec.onFailure === "pause") return pause(state, "failed", reason, nowMs, events);
  return rollBack(state, reason, nowMs, events);
}

export function pause(
  state: RolloutState,
  cause: PauseCause,
  message: string,
  nowMs: number,
  events: readonly RolloutEvent[] = [],
  author = "",
): Transition {
  if (state.phase.name === "paused") return { state, events };
  const next: RolloutState = { ...state, phase: { name: "paused", cause, sinceMs: nowMs } };
  return { state: next, events: [...events, event("paused", message, author)] };
}

export function stepTitle(spec: RolloutSpec, { step }: RolloutState): string {
  const own = spec.steps[step];
  return `${step + 1} of ${spec.steps.length} (${own === undefined ? "" : stepText(own)})`;
}

export function event(type: EventType, message: string, author = ""): RolloutEvent {
  return { type, message, author };
}
