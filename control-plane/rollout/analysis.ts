// Is the canary better, worse, or is it too early to say? Every check is a sequential test, so it may be asked at any
// time; together they call a version worse that is not in at most FALSE_ALARM of all releases. Fewer requests than the
// rule wants are never a verdict. Pure.
import { bucketAbove, quantileMs } from "../../rules/latency-buckets.ts";
import type { AnalysisPlan, Check } from "./checks.ts";
import { type Evidence, failureTally, slowTally, testOf, type Window } from "./evidence.ts";
import { absoluteEvidence, type Direction } from "./sequential.ts";

/** Probability that a whole release without harm is ever called worse, over all its checks, steps and looks. */
const FALSE_ALARM = 0.01;
/** Of the evidence: release, step, interval. */
const WINDOWS = 3;
/** Evidence this many times stronger than needed ends a release at once. */
const CLEAR_FACTOR = 100;
/** Evidence of harm that is too weak for a verdict and too strong to go on: any that speaks more for it than against. */
const DOUBT = 1;

export type Verdict = "better" | "worse" | "not-yet";

export interface CheckResult {
  readonly name: string;
  readonly verdict: Verdict;
  /** Figures behind it, in words. */
  readonly detail: string;
}

export interface Judgement {
  readonly verdict: Verdict;
  readonly reason: string;
  /** Worse beyond doubt: no more analyses are waited for. */
  readonly isClear: boolean;
  /** Enough requests, and nothing that speaks against going on. */
  readonly mayAdvance: boolean;
  readonly checks: readonly CheckResult[];
}

interface Finding extends CheckResult {
  readonly isClear: boolean;
  readonly isDoubtful: boolean;
}

export function judge(plan: AnalysisPlan, evidence: Evidence): Judgement {
  const { requests } = evidence.step.canary;
  const isEnough = requests >= plan.minRequests;
  const findings = plan.checks.map((check) => judgeCheck(check, plan, evidence));
  const checks = findings.map(
    ({ name, verdict, detail }): CheckResult => ({
      name,
      verdict: isEnough ? verdict : "not-yet",
      detail,
    }),
  );
  if (!isEnough) {
    const reason = `${requests} of the ${plan.minRequests} requests that a verdict needs`;
    return { verdict: "not-yet", reason, isClear: false, mayAdvance: false, checks };
  }
  const worse = findings.filter(({ verdict }) => verdict === "worse");
  if (worse.length > 0) {
    const reason = worse.map(({ name, detail }) => `${name}: ${detail}`).join("; ");
    const isClear = worse.some((finding) => finding.isClear);
    return { verdict: "worse", reason, isClear, mayAdvance: false, checks };
  }
  const doubtful = findings.find(({ isDoubtful }) => isDoubtful);
  if (doubtful !== undefined) {
    const reason = `in doubt: ${doubtful.name}: ${doubtful.detail}`;
    return { verdict: "not-yet", reason, isClear: false, mayAdvance: false, checks };
  }
  if (findings.length > 0 && findings.every(({ verdict }) => verdict === "better"))
    return { verdict: "better", reason: "every bound is kept", isClear: false, mayAdvance: true, checks };
  const reason = "nothing speaks against the canary";
  return { verdict: "not-yet", reason, isClear: false, mayAdvance: true, checks };
}

function judgeCheck(check: Check, plan: AnalysisPlan, evidence: Evidence): Finding {
  const { release, step, interval, intervalNumber } = evidence;
  // A third of the alarm probability for the release as a whole, which gathers most; a third for its steps, for harm that
  // comes with weight; a third for single intervals, for harm that begins late.
  const spread = (WINDOWS * plan.checks.length) / FALSE_ALARM;
  const surplus = (window: Window, direction: Direction, parts: number) =>
    evidenceOf(check, window, direction) - Math.log(spread * parts);
  const harm = Math.max(
    surplus(release, "worse", 1),
    surplus(step, "worse", plan.steps),
    surplus(interval, "worse", intervalNumber * (intervalNumber + 1)),
  );
  const good = surplus(step, "better", plan.steps);
  return {
    name: check.name,
    verdict: harm >= 0 ? "worse" : good >= 0 ? "better" : "not-yet",
    detail: detailOf(check, step),
    isClear: harm >= Math.log(CLEAR_FACTOR),
    isDoubtful: Math.max(evidenceOf(check, step, "worse"), evidenceOf(check, release, "worse")) > Math.log(DOUBT),
  };
}

function evidenceOf(check: Check, window: Window, direction: Direction): number {
  switch (check.type) {
    case "success-min":
      return absoluteEvidence(failureTally(window.canary), check.failuresMax, direction);
    case "latency-max":
      return absoluteEvidence(slowTally(window.canary, bucketAbove(check.maxMs)), 1 - check.quantile, direction);
    default: {
      const state = window.tests[check.name];
      return state === undefined ? 0 : (testOf(check)?.evidence(state, direction) ?? 0);
    }
  }
}

function detailOf(check: Check, { canary, stable }: Window): string {
  switch (check.type) {
    case "success-min":
      return `canary ${successText(canary)}`;
    case "success-stable":
      return `canary ${successText(canary)}, stable ${successText(stable)}`;
    case "latency-max":
      return `canary ${latencyText(canary.latency, check.quantile)}`;
    case "latency-stable":
      return `canary ${latencyText(canary.latency, check.quantile)}, stable ${latencyText(stable.latency, check.quantile)}`;
  }
}

function successText({ requests, failures }: Window["canary"]): string {
  if (requests === 0) return "no requests";
  return `${percentText((100 * (requests - failures)) / requests)} % of ${requests}`;
}

/** 99.95 is not 100: rounded down. */
export function percentText(percent: number): string {
  return String(Math.floor(percent * 100) / 100);
}

function latencyText(latency: readonly number[], quantile: number): string {
  const milliseconds = quantileMs(latency, quantile);
  return milliseconds === 0 ? "no requests" : `${milliseconds.toPrecision(3)} ms`;
}
