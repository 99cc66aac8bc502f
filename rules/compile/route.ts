// One route document -> its rules as they act on one of the services it is attached to.
import { defaultOf } from "../defaults.ts";
import { qualifiedName } from "../diagnostic.ts";
import { type Document, documentKey, documentTitle } from "../document.ts";
import { parseDuration } from "../durations.ts";
import type { RouteBackend, RouteRetry, RouteRule, RouteTimeouts } from "../resource.ts";
import type { GRPCRouteRule, GRPCRouteSpec } from "../schema/grpc-route.ts";
import type { HTTPRouteRule, HTTPRouteSpec } from "../schema/http-route.ts";
import { isServiceReference } from "../schema/reference.ts";
import { createdAtMs } from "./age.ts";
import { compileFilters } from "./filter.ts";
import { compileGrpcMatches, compileHttpMatches } from "./match.ts";

export type RouteDocument = Document<HTTPRouteSpec> | Document<GRPCRouteSpec>;
type BackendRef = NonNullable<HTTPRouteRule["backendRefs"] | GRPCRouteRule["backendRefs"]>[number];

/**
 * The route's rules for one service. A rule without backends keeps none, and is answered 500 unless it redirects: the
 * API's conformance suite says so of omitted and of empty backendRefs.
 * @param service `namespace/name` of the service that they are attached to
 * @param ports those that the route is attached to; empty means all
 */
export function compileRoute(route: RouteDocument, service: string, ports: readonly number[]): RouteRule[] {
  const { namespace } = route.metadata;
  const isConsumer = !service.startsWith(`${namespace}/`);
  const attachment = {
    route: documentTitle(documentKey(route)),
    createdAtMs: createdAtMs(route),
    ports,
    fromNamespace: isConsumer ? namespace : "",
  };
  return compileRules(route).map((rule, ruleIndex): RouteRule => ({ ...attachment, ruleIndex, ...rule }));
}

type RuleBody = Omit<RouteRule, "route" | "createdAtMs" | "ports" | "fromNamespace" | "ruleIndex">;

function compileRules(route: RouteDocument): RuleBody[] {
  const { namespace } = route.metadata;
  if (isGrpcRoute(route)) return (route.spec.rules ?? [{}]).map((rule) => compileGrpcRule(rule, namespace));
  return ((route.spec as HTTPRouteSpec).rules ?? [{}]).map((rule) => compileHttpRule(rule, namespace));
}

function isGrpcRoute(route: RouteDocument): route is Document<GRPCRouteSpec> {
  return route.kind === "GRPCRoute";
}

function compileHttpRule(rule: HTTPRouteRule, namespace: string): RuleBody {
  return {
    ruleName: rule.name ?? "",
    matches: compileHttpMatches(rule.matches),
    filters: compileFilters(rule.filters, namespace),
    backends: compileBackends(rule.backendRefs, namespace),
    timeouts: compileTimeouts(rule.timeouts),
    retry: compileRetry(rule.retry),
  };
}

function compileGrpcRule(rule: GRPCRouteRule, namespace: string): RuleBody {
  return {
    ruleName: rule.name ?? "",
    matches: compileGrpcMatches(rule.matches),
    filters: compileFilters(rule.filters, namespace),
    backends: compileBackends(rule.backendRefs, namespace),
    timeouts: compileTimeouts(rule.timeouts),
    retry: undefined,
  };
}

/** Backends may be in any namespace without a ReferenceGrant: a mesh's routes expose nothing new (GEP-1294). */
function compileBackends(backends: readonly BackendRef[] | undefined, namespace: string): RouteBackend[] {
  return (backends ?? []).map((backend) => ({
    service: qualifiedName(backend.namespace ?? namespace, backend.name),
    port: backend.port ?? 0,
    weight: backend.weight ?? defaultOf("HTTPRoute.spec.rules[].backendRefs[].weight"),
    filters: compileFilters(backend.filters, namespace),
    invalid: isServiceReference(backend) ? "" : `${kindInWords(backend)} is not a Service`,
  }));
}

function kindInWords({ group, kind }: BackendRef): string {
  return group === undefined || group === "" ? (kind ?? "Service") : `${group}/${kind ?? "Service"}`;
}

function compileTimeouts(timeouts: HTTPRouteRule["timeouts"]): RouteTimeouts {
  return { requestMs: milliseconds(timeouts?.request), backendRequestMs: milliseconds(timeouts?.backendRequest) };
}

function milliseconds(duration: string | undefined): number | undefined {
  return duration === undefined ? undefined : parseDuration(duration);
}

function compileRetry(retry: HTTPRouteRule["retry"]): RouteRetry | undefined {
  if (retry === undefined) return undefined;
  return {
    attempts: retry.attempts ?? defaultOf("HTTPRoute.spec.rules[].retry.attempts"),
    codes: retry.codes ?? defaultOf("HTTPRoute.spec.rules[].retry.codes"),
    backoffMs: milliseconds(retry.backoff) ?? defaultOf("HTTPRoute.spec.rules[].retry.backoff"),
  };
}
