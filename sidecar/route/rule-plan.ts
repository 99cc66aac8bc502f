// One rule of a route, ready for requests: its filters sorted by what they do, its backends with theirs. Compiled once
// per change of rules. Not the lookup of rules (rules/routing/) and not acting on them (proxy/).
import type { HeaderModifier, PathModifier, RouteBackend, RouteFilter, RouteRule } from "../../rules/resource.ts";
import { cumulativeWeights } from "../../rules/routing/split.ts";

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

export interface BackendPlan {
  readonly backend: RouteBackend;
  readonly filters: FilterPlan;
}

export interface RulePlan {
  readonly rule: RouteRule;
  readonly filters: FilterPlan;
  readonly backends: readonly BackendPlan[];
  /** Running sums of the backends' weights. */
  readonly cumulative: readonly number[];
}

export function planRule(rule: RouteRule): RulePlan {
  return {
    rule,
    filters: planFilters(rule.filters),
    backends: rule.backends.map((backend) => ({ backend, filters: planFilters(backend.filters) })),
    cumulative: cumulativeWeights(rule),
  };
}

function planFilters(filters: readonly RouteFilter[]): FilterPlan {
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
export const NO_FILTERS: FilterPlan = planFilters([]);
