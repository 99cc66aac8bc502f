// A release in the shape of the wire contract: what the CLI and the dashboard show of it.
import type * as wire from "../../proto/gen/weft/v1/rollouts.ts";
import { countFrom, quantileMs } from "../../rules/latency-buckets.ts";
import type { RolloutEventRecord } from "../store/contract.ts";
import { judge, percentText } from "./analysis.ts";
import { type AnalysisPlan, planAnalysis } from "./checks.ts";
import type { Release } from "./controller.ts";
import type { Figures } from "./evidence.ts";
import type { Surroundings } from "./facts.ts";
import { hasEnded, type RolloutState } from "./phase.ts";
import { planStep, type StepPlan, stepText } from "./plan.ts";
import { versionsOf } from "./release-document.ts";
import { stepTitle } from "./step.ts";

/** Routes whose figures differ are named up to this number. */
const ROUTES_SHOWN_MAX = 3;

/** @param nowMs wall clock */
export function describeRelease(release: Release, surroundings: Surroundings, nowMs: number): wire.Rollout {
  const { document, state, lastEvent, revision } = release;
  const { spec } = document;
  const plan = planAnalysis(spec);
  const wanted = planStep(spec, state.step);
  const versions = versionsOf(document);
  const judgement = judge(plan, state.evidence);
  const callers = surroundings.callersOf(versions.service, nowMs - state.startedAtMs);
  const side = (service: string, figures: Figures) => describeSide(surroundings, versions.service, service, figures);
  return {
    key: wireKey(release.key),
    ...{ service: state.service, stable: state.stable, canary: state.canary, phase: state.phase.name },
    message: `${messageOf(release, callers.silent)}${storedText(release)}`,
    step: state.phase.name === "promoted" ? spec.steps.length + 1 : state.step + 1,
    steps: spec.steps.map((step, index) => ({ text: stepText(step), weight: planStep(spec, index).weight })),
    ...{ weight: state.weight, wantedWeight: state.isFull ? 100 : wanted.weight, mirror: wanted.mirror?.percent ?? 0 },
    ...{ startedAtMs: state.startedAtMs, stepSinceMs: state.stepSinceMs, endedAtMs: endedAtMs(state) },
    holdRemainingMs: holdRemainingMs(state, wanted, nowMs),
    expectedWaitMs: expectedWaitMs(state, wanted, plan, surroundings.rate(versions.service)),
    ...{ failures: state.failures, failureLimit: plan.failureLimit, minRequests: plan.minRequests },
    stableSide: side(versions.stable, state.evidence.step.stable),
    canarySide: side(versions.canary, state.evidence.step.canary),
    checks: (state.lastAnalysis?.checks ?? judgement.checks).map((check) => ({ ...check })),
    verdict: state.lastAnalysis?.verdict ?? judgement.verdict,
    verdictReason: state.lastAnalysis?.reason ?? judgement.reason,
    verdictAtMs: state.lastAnalysis?.atMs ?? 0,
    silentSidecars: hasEnded(state) ? [] : [...callers.silent],
    reportingSidecars: callers.reporting,
    revision,
    lastEvent: lastEvent === undefined ? undefined : describeEvent(lastEvent),
  };
}

export function describeEvent({ key, ...event }: RolloutEventRecord): wire.RolloutEvent {
  return { ...event, key: wireKey(key) };
}

function wireKey(key: string): wire.RolloutKey {
  const slash = key.indexOf("/");
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/** Why it is where it is, and what is missing in what is known. */
function messageOf({ document, state, intake }: Release, silent: readonly string[]): string {
  const { phase } = state;
  if (phase.name === "promoted") return `${state.canary} has all traffic`;
  if (phase.name === "rolled-back") return `all traffic is back at ${state.stable}: ${phase.reason}`;
  const missing =
    silent.length === 0 ? "" : `; no figures from ${silent.length} calling sidecar${silent.length === 1 ? "" : "s"}`;
  if (state.held !== "") return `held: ${state.held}${missing}`;
  const routes = brokenRoutes(intake.routes);
  const paused = phase.name === "paused" ? `paused (${PAUSED[phase.cause]}) at ` : "";
  return `${paused}step ${stepTitle(document.spec, state)}${routes}${missing}`;
}

function storedText({ notStored }: Release): string {
  return notStored === "" ? "" : `; not stored, so a restart of the control plane would forget it: ${notStored}`;
}

const PAUSED = {
  step: "the step waits for a resume",
  operator: "by hand",
  quiet: "too quiet to judge",
  failed: "the canary failed",
} as const;

/** Routes on which the canary fails much more often than stable: where to look first. */
function brokenRoutes(routes: Release["intake"]["routes"]): string {
  const broken = Array.from(routes).filter(([, { canary, stable }]) => {
    const [ours, theirs] = [failureShare(canary), failureShare(stable)];
    return canary.failures >= 3 && ours > 0.05 && ours > 3 * theirs;
  });
  if (broken.length === 0 || routes.size < 2) return "";
  const named = broken
    .slice(0, ROUTES_SHOWN_MAX)
    .map(([route, { canary }]) => `${route}: ${canary.failures} of ${canary.requests} failed`);
  return `; most failures are on ${named.join(", ")}`;
}

function failureShare({ requests, failures }: Figures): number {
  return requests === 0 ? 0 : failures / requests;
}

function endedAtMs({ phase }: RolloutState): number {
  return phase.name === "promoted" || phase.name === "rolled-back" ? phase.atMs : 0;
}

function holdRemainingMs(state: RolloutState, { holdMs }: StepPlan, nowMs: number): number {
  if (hasEnded(state) || state.phase.name === "paused") return 0;
  if (state.reachedAtMs === 0) return holdMs;
  return Math.max(0, Math.round(state.reachedAtMs + holdMs - nowMs));
}

/** Until the canary has the requests that a verdict needs, at the traffic of now; 0 too where nobody can say. */
function expectedWaitMs(state: RolloutState, wanted: StepPlan, plan: AnalysisPlan, perSecond: number): number {
  if (hasEnded(state)) return 0;
  const share = (wanted.mirror?.percent ?? (state.weight || wanted.weight)) / 100;
  const missing = plan.minRequests - state.evidence.step.canary.requests;
  if (missing <= 0 || share * perSecond === 0) return 0;
  return Math.round((missing / (share * perSecond)) * 1000);
}

function describeSide(
  surroundings: Surroundings,
  service: string,
  version: string,
  figures: Figures,
): wire.RolloutSide {
  const { requests, failures, latency } = figures;
  const percentile = (q: number) => (countFrom(latency, 0) === 0 ? 0 : quantileMs(latency, q));
  return {
    ...{ service: version, requests, failures },
    readyEndpoints: surroundings.readyEndpoints(version),
    requestsPerSecond: surroundings.rateTo(service, version),
    successRate: requests === 0 ? -1 : Number(percentText((100 * (requests - failures)) / requests)),
    ...{ p50Ms: percentile(0.5), p95Ms: percentile(0.95), p99Ms: percentile(0.99) },
  };
}
