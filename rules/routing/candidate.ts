// One match of one rule, compiled: its conditions beside the path, and its place in the order of precedence that the
// Gateway API states. Says nothing of how paths are found (path-index.ts).
import type { PathMatch, RouteRule, ValueMatch } from "../resource.ts";
import { type Pattern, patternOf } from "./pattern.ts";
import { queryValue } from "./query.ts";
import type { RequestView, RouteHit } from "./request-view.ts";
import { normalPrefix } from "./rewrite.ts";

/** A header or query condition. `pattern` is undefined for Exact. */
export interface Condition {
  readonly name: string;
  readonly value: string;
  readonly pattern: Pattern | undefined;
}

export interface Candidate extends RouteHit {
  /** True when the path is the only condition. */
  readonly pathOnly: boolean;
  /** Empty for any. */
  readonly method: string;
  readonly headers: readonly Condition[];
  readonly query: readonly Condition[];
  readonly pathPattern: Pattern | undefined;
  /** Where its kind of path stands in the order of precedence; see PATH_RANK. */
  readonly pathRank: number;
}

/** Compiles the matches of all rules, in the order of precedence: the first that holds for a request wins. */
export function compileCandidates(rules: readonly RouteRule[]): Candidate[] {
  const candidates = rules.flatMap((rule, ruleNumber) => {
    return rule.matches.map((match, matchIndex) => compileCandidate({ rule, ruleNumber, match, matchIndex }));
  });
  return candidates.sort(comparePrecedence);
}

function compileCandidate(hit: RouteHit): Candidate {
  const { rule, ruleNumber, match, matchIndex } = hit;
  const { method, headers, query, path } = match;
  return {
    rule,
    ruleNumber,
    match,
    matchIndex,
    pathOnly: method === "" && headers.length === 0 && query.length === 0,
    method,
    headers: headers.map(compileCondition),
    query: query.map(compileCondition),
    pathPattern: path.type === "RegularExpression" ? patternOf(path.value) : undefined,
    pathRank: pathRank(rule, path),
  };
}

function compileCondition({ name, type, value }: ValueMatch): Condition {
  return { name, value, pattern: type === "RegularExpression" ? patternOf(value) : undefined };
}

/** True when everything but the path holds. */
export function conditionsHold(candidate: Candidate, view: RequestView): boolean {
  if (candidate.pathOnly) return true;
  if (candidate.method !== "" && candidate.method !== view.method) return false;
  for (const condition of candidate.headers) {
    if (!conditionHolds(condition, view.header(condition.name))) return false;
  }
  for (const condition of candidate.query) {
    if (!conditionHolds(condition, queryValue(view.query, condition.name))) return false;
  }
  return true;
}

export function conditionHolds(condition: Condition, value: string | undefined): boolean {
  if (value === undefined) return false;
  return condition.pattern === undefined ? value === condition.value : condition.pattern.test(value);
}

/** True when the path holds: what path-index.ts finds without asking each candidate. */
export function pathHolds(candidate: Candidate, path: string): boolean {
  if (candidate.pathPattern !== undefined) return candidate.pathPattern.test(path);
  const { type, value } = candidate.match.path;
  return type === "Exact" ? path === value : hasPathPrefix(path, normalPrefix(value));
}

/** Prefixes hold by whole path elements: `/foo` for `/foo`, `/foo/` and `/foo/bar`, not for `/foobar`. */
function hasPathPrefix(path: string, prefix: string): boolean {
  if (prefix === "") return true;
  return path.startsWith(prefix) && (path.length === prefix.length || path.charAt(prefix.length) === "/");
}

/** One step of the order of precedence; `compare` is negative when `a` goes before `b`. */
interface Criterion {
  /** Why the first of two goes first, in words. */
  readonly why: string;
  compare(a: Candidate, b: Candidate): number;
}

/**
 * The order of HTTPRouteRule.matches in the Gateway API: Exact path; longest prefix; a method; most headers; most query
 * parameters; oldest route; `namespace/name`; place in the route. The API leaves RegularExpression to the
 * implementation: here after Exact and before every prefix (a prefix `/` would hide them all otherwise), the longest
 * expression first.
 */
const PRECEDENCE: readonly Criterion[] = [
  { why: "a more specific kind of path", compare: (a, b) => pathKind(a) - pathKind(b) },
  {
    why: "a longer path",
    compare: (a, b) => a.pathRank - b.pathRank || pathLength(b.match.path) - pathLength(a.match.path),
  },
  { why: "a method", compare: (a, b) => Number(b.method !== "") - Number(a.method !== "") },
  { why: "more header conditions", compare: (a, b) => b.headers.length - a.headers.length },
  { why: "more query conditions", compare: (a, b) => b.query.length - a.query.length },
  { why: "an older route", compare: (a, b) => a.rule.createdAtMs - b.rule.createdAtMs },
  { why: "a route that is first by name", compare: (a, b) => compareText(routeName(a.rule), routeName(b.rule)) },
  { why: "an earlier rule", compare: (a, b) => a.rule.ruleIndex - b.rule.ruleIndex },
  { why: "an earlier match", compare: (a, b) => a.matchIndex - b.matchIndex },
];

/** Negative when `a` goes before `b`. */
export function comparePrecedence(a: Candidate, b: Candidate): number {
  for (const criterion of PRECEDENCE) {
    const order = criterion.compare(a, b);
    if (order !== 0) return order;
  }
  return 0;
}

/** What `winner` has that `other` has not: the first criterion that tells them apart. */
export function whyFirst(winner: Candidate, other: Candidate): string {
  return PRECEDENCE.find((criterion) => criterion.compare(winner, other) < 0)?.why ?? "an earlier place";
}

/** Kinds of paths in the order of precedence. */
export const PATH_RANK = { exact: 0, regex: 1, prefix: 2, methodOfAnyService: 3, everything: 4 } as const;

/** How a GRPCRoute match on a method of whatever service begins: the path of a gRPC call is `/service/method`. */
export const ANY_GRPC_SERVICE = "/[^/]+/";

function pathRank(rule: RouteRule, path: PathMatch): number {
  if (path.type === "Exact") return PATH_RANK.exact;
  if (path.type === "PathPrefix") return normalPrefix(path.value) === "" ? PATH_RANK.everything : PATH_RANK.prefix;
  // GRPCRouteRule.matches: the number of characters in the service counts first, and here it is none.
  const isAnyService = rule.route.startsWith("GRPCRoute ") && path.value.startsWith(ANY_GRPC_SERVICE);
  return isAnyService ? PATH_RANK.methodOfAnyService : PATH_RANK.regex;
}

/** The rank without what only tells long prefixes from short ones: `/` is a PathPrefix as `/api` is. */
function pathKind({ pathRank }: Candidate): number {
  return Math.min(pathRank, PATH_RANK.prefix);
}

function pathLength(path: PathMatch): number {
  return path.type === "PathPrefix" ? normalPrefix(path.value).length : path.value.length;
}

/** `default/orders` of `HTTPRoute default/orders`. */
function routeName(rule: RouteRule): string {
  return rule.route.slice(rule.route.indexOf(" ") + 1);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
