// One rule of a route, ready for requests: its filters sorted by what they do, its backends with theirs. Compiled once
// per change of rules. Not the lookup of rules (rules/routing/) and not acting on them (proxy/).
import type { HeaderModifier, PathModifier, RouteFilter, RouteRule } from "../../rules/resource.ts";
import { type Share, splitTotal } from "../../rules/routing/split.ts";

export type RedirectFilter = Extract<RouteFilter, { type: "RequestRedirect" }>;
export type MirrorFilter = Extract<RouteFilter, { type: "RequestMirror" }>;
export type CorsFilter = Extract<RouteFilter, { type: "CORS" }>;

/** Filters of a rule or of a backend. Each kind acts at its own moment, so they are kept apart. */
export interface FilterPlan {
  readonly requestHeaders: readonly HeaderModifier[];
  readonly responseHeaders: readonly HeaderModifier[];
  /** Replaces the Host of the request; empty keeps it. */
  readonly rewriteHost: string;
  readonly rewritePath: PathModifier | undefined;
  readonly redirect: RedirectFilter | undefined;
  readonly mirrors: readonly MirrorFilter[];
  readonly cors: CorsFilter | undefined;
  /** Nothing at all: the usual case, asked once per request. */
  readonly isEmpty: boolean;
}

/** Of a RouteBackend what requests ask for. The next one behind it: an array would be two more places to look. */
export interface BackendPlan extends Share<BackendPlan> {
  readonly service: string;
  readonly port: number;
  readonly invalid: string;
  readonly filters: FilterPlan;
  /** Which of the rule's backends. */
  readonly index: number;
}

/**
 * What a request asks of its rule, side by side: with many routes each of them is out of cache when its turn comes, so
 * that what costs is how many places there are to look (1.1 of 8.9 us between one route and 64). Equal names are one text.
 */
export interface RulePlan {
  readonly rule: RouteRule;
  readonly filters: FilterPlan;
  readonly firstBackend: BackendPlan | undefined;
  /** Sum of the weights. */
  readonly total: number;
  readonly route: RouteRule["route"];
  readonly split: RouteRule["split"];
  readonly retry: RouteRule["retry"];
  /** Milliseconds, as RouteTimeouts has them. */
  readonly requestMs: number | undefined;
  readonly backendRequestMs: number | undefined;
}

/** One plan for each rule of a service, in their order. */
export function planRules(rules: readonly RouteRule[]): RulePlan[] {
  const names = new Map<string, string>();
  const same = (name: string): string => {
    const known = names.get(name);
    if (known === undefined) names.set(name, name);
    return known ?? name;
  };
  return rules.map((rule) => planRule(rule, same));
}

function planRule(rule: RouteRule, same: (name: string) => string): RulePlan {
  const { filters, backends, route, split, retry, timeouts } = rule;
  const { requestMs, backendRequestMs } = timeouts;
  const total = splitTotal(rule);
  let end = total;
  let next: BackendPlan | undefined;
  for (const [index, backend] of [...backends.entries()].reverse()) {
    const { service, port, invalid, weight } = backend;
    next = { service: same(service), port, invalid, filters: planFilters(backend.filters), index, end, next };
    end -= weight;
  }
  return {
    rule,
    filters: planFilters(filters),
    firstBackend: next,
    total,
    route: same(route),
    split,
    retry,
    requestMs,
    backendRequestMs,
  };
}

function planFilters(filters: readonly RouteFilter[]): FilterPlan {
  return filters.length === 0 ? NO_FILTERS : sortFilters(filters);
}

function sortFilters(filters: readonly RouteFilter[]): FilterPlan {
  const requestHeaders: HeaderModifier[] = [];
  const responseHeaders: HeaderModifier[] = [];
  const mirrors: MirrorFilter[] = [];
  let rewriteHost = "";
  let rewritePath: PathModifier | undefined;
  let redirect: RedirectFilter | undefined;
  let cors: CorsFilter | undefined;
  for (const filter of filters) {
    switch (filter.type) {
      case "RequestHeaderModifier":
        requestHeaders.push(filter.modifier);
        break;
      case "ResponseHeaderModifier":
        responseHeaders.push(filter.modifier);
        break;
      case "URLRewrite":
        rewriteHost = filter.hostname;
        rewritePath = filter.path;
        break;
      case "RequestRedirect":
        redirect = filter;
        break;
      case "RequestMirror":
        mirrors.push(filter);
        break;
      case "CORS":
        cors = filter;
        break;
      default:
        return unknownFilter(filter);
    }
  }
  const isEmpty = filters.length === 0;
  return { requestHeaders, responseHeaders, rewriteHost, rewritePath, redirect, mirrors, cors, isEmpty };
}

function unknownFilter(filter: never): never {
  throw new Error(`no such filter: ${JSON.stringify(filter)}`);
}

/** Of no rule at all. */
export const NO_FILTERS: FilterPlan = sortFilters([]);
