// Short ways to write rules and requests in tests and benchmarks. Not used by the product.
import type { RouteMatch, RouteRule, ValueMatch } from "../resource.ts";
import type { RequestView } from "./request-view.ts";

export function pathMatch(type: RouteMatch["path"]["type"], value: string, more: Partial<RouteMatch> = {}): RouteMatch {
  return { path: { type, value }, method: "", headers: [], query: [], ...more };
}

export function prefix(value: string, more: Partial<RouteMatch> = {}): RouteMatch {
  return pathMatch("PathPrefix", value, more);
}

export function exact(value: string, more: Partial<RouteMatch> = {}): RouteMatch {
  return pathMatch("Exact", value, more);
}

export function regex(value: string, more: Partial<RouteMatch> = {}): RouteMatch {
  return pathMatch("RegularExpression", value, more);
}

export function is(name: string, value: string): ValueMatch {
  return { name, type: "Exact", value };
}

export function like(name: string, value: string): ValueMatch {
  return { name, type: "RegularExpression", value };
}

export function routeRule(matches: readonly RouteMatch[], more: Partial<RouteRule> = {}): RouteRule {
  return {
    route: "HTTPRoute default/orders",
    ruleIndex: 0,
    ruleName: "",
    createdAtMs: 0,
    ports: [],
    fromNamespace: "",
    matches,
    filters: [],
    backends: [],
    timeouts: { requestMs: undefined, backendRequestMs: undefined },
    retry: undefined,
    ...more,
  };
}

export interface RequestParts {
  readonly method?: string;
  readonly port?: number;
  readonly fromNamespace?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A view of a request for `target`, a path with an optional query. */
export function request(target: string, parts: RequestParts = {}): RequestView {
  const mark = target.indexOf("?");
  return {
    method: parts.method ?? "GET",
    path: mark < 0 ? target : target.slice(0, mark),
    query: mark < 0 ? "" : target.slice(mark + 1),
    port: parts.port ?? 80,
    fromNamespace: parts.fromNamespace ?? "default",
    header: (name) => parts.headers?.[name],
  };
}
