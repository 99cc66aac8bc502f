// Matches that can never win, because another that goes before them in the order of precedence takes every request that
// they could match. Asks the routing code itself for that order, so that warnings and traffic cannot disagree.
import { compileService, type RuleIndex } from "../compile.ts";
import type { Document } from "../document.ts";
import { documentKey, documentTitle } from "../document.ts";
import type { FieldPath } from "../field-path.ts";
import { formatPath } from "../field-path.ts";
import type { PathMatch, RouteMatch, RouteRule, ValueMatch } from "../resource.ts";
import { type Candidate, compileCandidates } from "../routing/candidate.ts";
import type { CheckFinding } from "./finding.ts";

/** Regular expressions that match every path, and go before every prefix. */
const EVERY_PATH = /^\^?\/?\.\*\$?$/;
/** Such expressions are compared with all other matches, so only so many of them. */
const EVERY_PATH_COMPARED_MAX = 16;

/** Warnings about `changed` routes that are attached to `service`: matches that never win, routes that are idle. */
export function checkAttached(
  index: RuleIndex,
  service: string,
  changed: ReadonlyMap<string, Document>,
): CheckFinding[] {
  const rules = compileService(index, service)?.rules ?? [];
  return [...checkShadows({ index, service, changed, rules }), ...checkIdle({ index, service, changed, rules })];
}

interface Attached {
  readonly index: RuleIndex;
  readonly service: string;
  readonly changed: ReadonlyMap<string, Document>;
  /** Of all routes that are attached to the service. */
  readonly rules: readonly RouteRule[];
}

function checkShadows({ index, service, changed, rules }: Attached): CheckFinding[] {
  const findings: CheckFinding[] = [];
  for (const { loser, winner } of findWinners(compileCandidates(rivalsOf(rules, changed))).values()) {
    const document = changed.get(loser.rule.route);
    if (document === undefined || winner === undefined) continue;
    const place = describeWinner(index, service, { winner, loser });
    findings.push({
      document,
      severity: "warning",
      path: matchPath(document, loser),
      message: `never matches a request to ${service}: ${place} comes first and takes all of them`,
    });
  }
  return findings;
}

/** The rules that could hide one of a changed route, and these: few of the thousands that a service may have. */
function rivalsOf(rules: readonly RouteRule[], changed: ReadonlyMap<string, Document>): RouteRule[] {
  const contested = new Set(
    rules.filter((rule) => changed.has(rule.route)).flatMap((rule) => rule.matches.map(conditionsKey)),
  );
  if (contested.size === 0) return [];
  return rules.filter((rule) =>
    rule.matches.some((match) => isEveryPath(match.path) || contested.has(conditionsKey(match))),
  );
}

/** Where GRPCRoutes are attached to a port, HTTPRoutes do nothing (GEP-1294: GRPCRoutes act alone). */
function checkIdle({ service, changed, rules }: Attached): CheckFinding[] {
  const grpc = rules.filter((rule) => rule.route.startsWith("GRPCRoute "));
  const idle = new Map<string, RouteRule>();
  for (const rule of rules) {
    if (rule.route.startsWith("GRPCRoute ") || !changed.has(rule.route)) continue;
    const cover = grpc.find((other) => scopeCovers(other, rule));
    if (cover !== undefined) idle.set(rule.route, cover);
  }
  return [...idle].flatMap(([title, cover]): CheckFinding[] => {
    const document = changed.get(title);
    if (document === undefined) return [];
    return [
      {
        document,
        severity: "warning",
        path: ["spec", "parentRefs"],
        message: `has no effect on ${service}: ${cover.route} is attached to it, and GRPCRoutes act alone`,
        expected: "GRPCRoutes or HTTPRoutes for a service's port, not both",
      },
    ];
  });
}

interface Verdict {
  readonly loser: Candidate;
  readonly winner: Candidate | undefined;
}

type Defeat = Verdict & { readonly winner: Candidate };

/** By match: the one that hides it, or undefined when on some port none does. */
function findWinners(candidates: readonly Candidate[]): Map<string, Verdict> {
  const earlierByConditions = new Map<string, Candidate[]>();
  const everyPath: Candidate[] = [];
  const verdicts = new Map<string, Verdict>();
  for (const candidate of candidates) {
    const conditions = conditionsKey(candidate.match);
    const alike = earlierByConditions.get(conditions) ?? [];
    const winner =
      alike.find((earlier) => scopeCovers(earlier.rule, candidate.rule)) ??
      everyPath.find(
        (earlier) => scopeCovers(earlier.rule, candidate.rule) && isSubset(earlier.match, candidate.match),
      );
    const key = `${candidate.rule.route} ${candidate.rule.ruleIndex} ${candidate.matchIndex}`;
    // A rule may be compiled once per port: it is hidden only if it is on each.
    const before = verdicts.get(key);
    if (before === undefined || before.winner !== undefined) verdicts.set(key, { loser: candidate, winner });
    if (alike.length === 0) earlierByConditions.set(conditions, [candidate]);
    else alike.push(candidate);
    const { path } = candidate.match;
    if (
      path.type === "RegularExpression" &&
      EVERY_PATH.test(path.value) &&
      everyPath.length < EVERY_PATH_COMPARED_MAX
    ) {
      everyPath.push(candidate);
    }
  }
  return verdicts;
}

function isEveryPath({ type, value }: PathMatch): boolean {
  return type === "RegularExpression" && EVERY_PATH.test(value);
}

/** Acts for every port and caller that the other acts for. Consumer and producer routes never meet (GEP-1294). */
function scopeCovers(earlier: RouteRule, later: RouteRule): boolean {
  if (earlier.fromNamespace !== later.fromNamespace) return false;
  if (earlier.ports.length === 0) return true;
  return later.ports.length > 0 && later.ports.every((port) => earlier.ports.includes(port));
}

/** Equal for matches with the same conditions, in whatever order they are written. */
function conditionsKey({ path, method, headers, query }: RouteMatch): string {
  return JSON.stringify([pathKey(path), method, headers.map(valueKey).sort(), query.map(valueKey).sort()]);
}

/** A prefix means the same with a slash at its end (HTTPPathMatch in the Gateway API). */
function pathKey({ type, value }: PathMatch): string {
  return `${type} ${type === "PathPrefix" ? value.replace(/\/+$/, "") : value}`;
}

function valueKey({ name, type, value }: ValueMatch): string {
  return JSON.stringify([name, type, value]);
}

/** Every condition of the one, path aside, is one of the other's too. */
function isSubset(general: RouteMatch, special: RouteMatch): boolean {
  const holds = (conditions: readonly ValueMatch[], among: readonly ValueMatch[]): boolean => {
    const keys = new Set(among.map(valueKey));
    return conditions.every((condition) => keys.has(valueKey(condition)));
  };
  if (general.method !== "" && general.method !== special.method) return false;
  return holds(general.headers, special.headers) && holds(general.query, special.query);
}

function matchPath(document: Document, { rule, matchIndex }: Candidate): FieldPath {
  const { rules } = document.spec as { readonly rules?: readonly { readonly matches?: readonly unknown[] }[] };
  if (rules === undefined) return ["spec"];
  const hasMatches = (rules[rule.ruleIndex]?.matches?.length ?? 0) > 0;
  return ["spec", "rules", rule.ruleIndex, ...(hasMatches ? ["matches", matchIndex] : [])];
}

function describeWinner(index: RuleIndex, service: string, { winner, loser }: Defeat): string {
  const { route } = winner.rule;
  const document = index.routes.get(service)?.find((attached) => documentTitle(documentKey(attached.route)) === route);
  const place = document === undefined ? "" : formatPath(matchPath(document.route, winner));
  return route === loser.rule.route ? place : `${route} ${place}`;
}

/** `HTTPRoute default/orders` -> the document, for looking up compiled rules. */
export function byTitle(documents: readonly Document[]): Map<string, Document> {
  return new Map(documents.map((document) => [documentTitle(documentKey(document)), document]));
}
