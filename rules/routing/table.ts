// The compiled route table of one service and its lookup: which rules act for this port and this caller, and which of
// them the request goes by. The only code that decides it: sidecars, the control plane's explain and tests all call it.
import type { RouteRule } from "../resource.ts";
import { type Candidate, compileCandidates } from "./candidate.ts";
import { buildPathIndex, findInPaths, type PathIndex } from "./path-index.ts";
import type { RequestView, RouteHit } from "./request-view.ts";

/** Rules that act together: for one port and one kind of caller. */
interface Scope {
  readonly candidates: readonly Candidate[];
  readonly index: PathIndex;
}

/** Scopes of one group of callers. A port that no rule names falls to `otherPorts`. */
interface PortScopes {
  readonly byPort: ReadonlyMap<number, Scope>;
  readonly otherPorts: Scope | undefined;
}

export interface RouteTable {
  /** As given; `RouteHit.ruleNumber` is an index here. */
  readonly rules: readonly RouteRule[];
  /** All matches in the order of precedence, whatever their scope. */
  readonly candidates: readonly Candidate[];
  /** Rules for all callers. */
  readonly producer: PortScopes;
  /** By the callers' namespace; undefined when there is no consumer route, which is the usual case. */
  readonly consumers: ReadonlyMap<string, PortScopes> | undefined;
}

/**
 * Compiles the rules attached to one service.
 * @throws RE2JSSyntaxException for a regular expression that is not RE2; resource-check.ts rules that out before.
 */
export function compileRoutes(rules: readonly RouteRule[]): RouteTable {
  const candidates = compileCandidates(rules);
  const groups = Map.groupBy(candidates, (candidate) => candidate.rule.fromNamespace);
  const consumers = new Map<string, PortScopes>();
  for (const [namespace, group] of groups) {
    if (namespace !== "") consumers.set(namespace, compilePorts(group));
  }
  return {
    rules,
    candidates,
    producer: compilePorts(groups.get("") ?? []),
    consumers: consumers.size > 0 ? consumers : undefined,
  };
}

function compilePorts(candidates: readonly Candidate[]): PortScopes {
  const ports = new Set(candidates.flatMap((candidate) => candidate.rule.ports));
  const byPort = new Map<number, Scope>();
  for (const port of ports) {
    const scope = compileScope(candidates.filter(({ rule }) => rule.ports.length === 0 || rule.ports.includes(port)));
    if (scope !== undefined) byPort.set(port, scope);
  }
  return { byPort, otherPorts: compileScope(candidates.filter(({ rule }) => rule.ports.length === 0)) };
}

function compileScope(attached: readonly Candidate[]): Scope | undefined {
  const candidates = ofOneRouteKind(attached);
  return candidates.length === 0 ? undefined : { candidates, index: buildPathIndex(candidates) };
}

/** Where both kinds are attached to a service and port, GRPCRoutes act alone (GEP-1294, "Route types"). */
function ofOneRouteKind(candidates: readonly Candidate[]): readonly Candidate[] {
  const grpc = candidates.filter(({ rule }) => rule.route.startsWith("GRPCRoute "));
  return grpc.length > 0 ? grpc : candidates;
}

/**
 * The rule that a request goes by, or undefined when none matches. `hasRoutes` tells an unmatched request (404) from
 * a service without routes (balanced over its endpoints).
 */
export function findRoute(table: RouteTable, view: RequestView): RouteHit | undefined {
  const scope = scopeFor(table, view.port, view.fromNamespace);
  return scope === undefined ? undefined : findInPaths(scope.index, view);
}

/** True when any route is attached for this port and caller. */
export function hasRoutes(table: RouteTable, port: number, fromNamespace: string): boolean {
  return scopeFor(table, port, fromNamespace) !== undefined;
}

/**
 * The rules that act for a caller: those of its own namespace's consumer routes where there are any for the port, else
 * those of the service's producer routes; the two are never merged (GEP-1294, "Multiple routes for a Service").
 */
export function scopeFor(table: RouteTable, port: number, fromNamespace: string): Scope | undefined {
  const consumer = table.consumers?.get(fromNamespace);
  if (consumer !== undefined) {
    const scope = scopeOfPort(consumer, port);
    if (scope !== undefined) return scope;
  }
  return scopeOfPort(table.producer, port);
}

function scopeOfPort(scopes: PortScopes, port: number): Scope | undefined {
  return scopes.byPort.size === 0 ? scopes.otherPorts : (scopes.byPort.get(port) ?? scopes.otherPorts);
}
