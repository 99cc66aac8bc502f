// Why a request goes by the rule that it goes by: every match of the table with what became of it, in words. The
// winner comes from the lookup itself; the words are worked out beside it and never decide anything.
import type { RouteMatch, ValueMatch } from "../resource.ts";
import { type Candidate, type Condition, conditionHolds, conditionsHold, pathHolds, whyFirst } from "./candidate.ts";
import { queryValue } from "./query.ts";
import type { RequestView, RouteHit } from "./request-view.ts";
import { findRoute, type RouteTable, scopeFor } from "./table.ts";

/** One match and what became of it; an ExplainCandidate of the wire contract. */
export interface ExplainedCandidate {
  readonly route: string;
  readonly ruleIndex: number;
  readonly ruleName: string;
  readonly matchIndex: number;
  readonly outcome: "matched" | "not-matched" | "shadowed";
  readonly reason: string;
  readonly match: string;
}

/**
 * Matches of the table in the order of precedence; at most `max`, and then those first that come nearest: whatever
 * matches, what the path leads to, the rest.
 */
export function explainRoute(
  table: RouteTable,
  view: RequestView,
  max = Number.POSITIVE_INFINITY,
): ExplainedCandidate[] {
  const scope = new Set(scopeFor(table, view.port, view.fromNamespace)?.candidates);
  const hit = findRoute(table, view);
  const winner = table.candidates.find((candidate) => candidate === hit);
  return nearest(table.candidates, scope, view, max).map((candidate) => ({
    route: candidate.rule.route,
    ruleIndex: candidate.rule.ruleIndex,
    ruleName: candidate.rule.ruleName,
    matchIndex: candidate.matchIndex,
    match: matchInWords(candidate.match),
    ...(scope.has(candidate)
      ? outcomeInScope(candidate, view, winner)
      : { outcome: "not-matched", reason: whyOutOfScope(candidate, view, table) }),
  }));
}

function nearest(
  candidates: readonly Candidate[],
  scope: ReadonlySet<Candidate>,
  view: RequestView,
  max: number,
): readonly Candidate[] {
  if (candidates.length <= max) return candidates;
  const distance = (candidate: Candidate): number => {
    if (!pathHolds(candidate, view.path)) return 2;
    return scope.has(candidate) && conditionsHold(candidate, view) ? 0 : 1;
  };
  const byDistance = Map.groupBy(candidates, distance);
  const kept = new Set([0, 1, 2].flatMap((step) => byDistance.get(step) ?? []).slice(0, max));
  return candidates.filter((candidate) => kept.has(candidate));
}

function outcomeInScope(
  candidate: Candidate,
  view: RequestView,
  winner: Candidate | undefined,
): Pick<ExplainedCandidate, "outcome" | "reason"> {
  const failures = unmetConditions(candidate, view);
  if (failures.length > 0) return { outcome: "not-matched", reason: failures.join("; ") };
  if (winner === undefined || candidate === winner) return { outcome: "matched", reason: "" };
  return { outcome: "shadowed", reason: `${placeInWords(winner)} goes first: it has ${whyFirst(winner, candidate)}` };
}

function placeInWords({ rule, matchIndex }: RouteHit): string {
  return `${rule.route} rule ${rule.ruleIndex} match ${matchIndex}`;
}

function whyOutOfScope({ rule }: Candidate, { port, fromNamespace }: RequestView, table: RouteTable): string {
  if (rule.ports.length > 0 && !rule.ports.includes(port)) {
    return `is for port ${rule.ports.join(", ")}, the request is for port ${port}`;
  }
  if (rule.fromNamespace !== "" && rule.fromNamespace !== fromNamespace) {
    return `acts for callers of namespace ${rule.fromNamespace} only, the caller is of ${fromNamespace}`;
  }
  const acting = scopeFor(table, port, fromNamespace)?.candidates[0]?.rule;
  if (acting !== undefined && acting.fromNamespace !== rule.fromNamespace) {
    return `routes of the caller's namespace ${fromNamespace} take the place of the service's own`;
  }
  return `${acting?.route ?? "a GRPCRoute"} is attached to this port, and beside a GRPCRoute no HTTPRoute acts`;
}

/** Every condition of a match that does not hold, with what the request has and what is needed. */
function unmetConditions(candidate: Candidate, view: RequestView): string[] {
  const { match, method, headers, query } = candidate;
  const unmet: string[] = [];
  if (!pathHolds(candidate, view.path)) unmet.push(`path is ${view.path}, needs ${pathInWords(match)}`);
  if (method !== "" && method !== view.method) unmet.push(`method is ${view.method}, needs ${method}`);
  for (const condition of headers) {
    const failure = unmetCondition("header", condition, view.header(condition.name));
    if (failure !== "") unmet.push(failure);
  }
  for (const condition of query) {
    const failure = unmetCondition("query parameter", condition, queryValue(view.query, condition.name));
    if (failure !== "") unmet.push(failure);
  }
  return unmet;
}

function unmetCondition(what: string, condition: Condition, value: string | undefined): string {
  if (conditionHolds(condition, value)) return "";
  const has = value === undefined ? "missing" : JSON.stringify(value);
  const needs = condition.pattern === undefined ? JSON.stringify(condition.value) : `to match ${condition.value}`;
  return `${what} ${condition.name} is ${has}, needs ${needs}`;
}

/** A match in words, such as: `PathPrefix /api and method GET and header x-tester = "1"`. */
export function matchInWords(match: RouteMatch): string {
  return [
    pathInWords(match),
    ...(match.method === "" ? [] : [`method ${match.method}`]),
    ...match.headers.map((header) => `header ${valueInWords(header)}`),
    ...match.query.map((parameter) => `query parameter ${valueInWords(parameter)}`),
  ].join(" and ");
}

function pathInWords({ path }: RouteMatch): string {
  return `${path.type} ${path.value}`;
}

function valueInWords({ name, type, value }: ValueMatch): string {
  return type === "Exact" ? `${name} = ${JSON.stringify(value)}` : `${name} matching ${value}`;
}
