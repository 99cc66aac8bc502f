// Matches as people write them -> matches with every default filled in. A GRPCRoute's service and method become the
// path of the call, so that one table serves both kinds of routes.
import { defaultOf } from "../defaults.ts";
import type { PathMatch, RouteMatch, ValueMatch } from "../resource.ts";
import { ANY_GRPC_SERVICE } from "../routing/candidate.ts";
import type { GRPCRouteRule } from "../schema/grpc-route.ts";
import type { HttpMatch } from "../schema/match.ts";

type GrpcMatch = NonNullable<GRPCRouteRule["matches"]>[number];
type ValueSpec = NonNullable<HttpMatch["headers"]>[number];

const MATCH = "HTTPRoute.spec.rules[].matches[]";

/** Never empty: without matches a rule is for every request. */
export function compileHttpMatches(matches: readonly HttpMatch[] | undefined): RouteMatch[] {
  return orEverything(matches).map((match) => ({
    path: {
      type: match.path?.type ?? defaultOf(`${MATCH}.path.type`),
      value: match.path?.value ?? defaultOf(`${MATCH}.path.value`),
    },
    method: match.method ?? "",
    headers: compileHeaders(match.headers),
    query: compileValues(match.queryParams, (name) => name),
  }));
}

/** Never empty: without matches a rule is for every call. */
export function compileGrpcMatches(matches: readonly GrpcMatch[] | undefined): RouteMatch[] {
  return orEverything(matches).map((match) => ({
    path: grpcPath(match.method),
    method: "",
    headers: compileHeaders(match.headers),
    query: [],
  }));
}

function orEverything<Match extends object>(
  matches: readonly Match[] | undefined,
): readonly (Match | Record<string, never>)[] {
  return matches === undefined || matches.length === 0 ? [{}] : matches;
}

/** The path of a gRPC call is `/service/method` (gRPC over HTTP/2, "Requests"). */
function grpcPath(method: GrpcMatch["method"]): PathMatch {
  const service = method?.service ?? "";
  const name = method?.method ?? "";
  if (service === "" && name === "") return { type: "PathPrefix", value: "/" };
  if (method?.type === "RegularExpression") {
    const servicePart = service === "" ? ANY_GRPC_SERVICE : `/(?:${service})/`;
    return { type: "RegularExpression", value: `${servicePart}${name === "" ? "[^/]+" : `(?:${name})`}` };
  }
  if (service === "") return { type: "RegularExpression", value: `${ANY_GRPC_SERVICE}${name}` };
  return name === "" ? { type: "PathPrefix", value: `/${service}` } : { type: "Exact", value: `/${service}/${name}` };
}

function compileHeaders(headers: readonly ValueSpec[] | undefined): ValueMatch[] {
  return compileValues(headers, (name) => name.toLowerCase());
}

/** Only the first of equal names counts (HTTPHeaderMatch.name, HTTPQueryParamMatch.name). */
function compileValues(values: readonly ValueSpec[] | undefined, fold: (name: string) => string): ValueMatch[] {
  const byName = new Map<string, ValueMatch>();
  for (const { name, type, value } of values ?? []) {
    const folded = fold(name);
    if (!byName.has(folded)) byName.set(folded, { name: folded, type: type ?? "Exact", value });
  }
  return [...byName.values()];
}
