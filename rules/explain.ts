// Where a request would go and why: the answer behind `weft explain`, found by the very compiler and lookup that
// sidecars act on. Pure; knows what documents and workloads say, not which endpoints a sidecar finds unhealthy.
import { compileMesh, compileService, type RuleIndex } from "./compile.ts";
import { qualifiedName } from "./diagnostic.ts";
import { egressVerdict } from "./egress.ts";
import { compileEndpoints, type WorkloadFacts } from "./endpoints.ts";
import { enforcersOf } from "./explain/enforcers.ts";
import { type ExplainedPolicy, explainPolicies } from "./explain/policy.ts";
import { releaseNotes } from "./explain/release.ts";
import { type ExplainQuestion, headerValue, readTarget, type Target, viewOf } from "./explain/target.ts";
import { filtersInWords, rounded } from "./explain/words.ts";
import { parseServiceHost } from "./host.ts";
import type { Endpoint, RouteBackend, RouteFilter, ServiceResource } from "./resource.ts";
import { type ExplainedCandidate, explainRoute } from "./routing/explain-route.ts";
import type { RequestView, RouteHit } from "./routing/request-view.ts";
import { type RedirectFilter, redirectLocation, rewritePath } from "./routing/rewrite.ts";
import { splitTotal } from "./routing/split.ts";
import { compileRoutes, findRoute, hasRoutes, type RouteTable } from "./routing/table.ts";

export interface ExplainInput {
  readonly index: RuleIndex;
  /** All registered workloads, ready or not. */
  readonly workloads: readonly WorkloadFacts[];
  readonly question: ExplainQuestion;
}

/** An ExplainBackend of the wire contract. */
export interface ExplainedBackend {
  readonly service: string;
  readonly port: number;
  readonly weight: number;
  /** Percent. */
  readonly share: number;
  /** Empty when usable; otherwise the reason word that its share is answered with. */
  readonly reason: string;
  readonly endpoints: number;
  readonly readyEndpoints: number;
  readonly addresses: string[];
  readonly filters: string[];
}

/** An ExplainResponse of the wire contract, but its revision and diagnostics. */
export interface Explanation {
  readonly service: string;
  readonly port: number;
  readonly reason: string;
  readonly status: number;
  readonly route: string;
  readonly ruleIndex: number;
  readonly ruleName: string;
  readonly candidates: ExplainedCandidate[];
  readonly backends: ExplainedBackend[];
  readonly filters: string[];
  readonly policies: ExplainedPolicy[];
  readonly upstreamPath: string;
  readonly upstreamHost: string;
  readonly notes: string[];
}

/** Matches explained one by one: a service may have 10,000, and the answer must fit a message and a screen. */
export const CANDIDATES_MAX = 200;
const HTTP_PORT = 80;

const NOTHING: Explanation = {
  service: "",
  port: 0,
  reason: "",
  status: 0,
  route: "",
  ruleIndex: 0,
  ruleName: "",
  candidates: [],
  backends: [],
  filters: [],
  policies: [],
  upstreamPath: "",
  upstreamHost: "",
  notes: [],
};

/** Status of the answers that the mesh makes itself; docs/reasons.md lists them all. */
const STATUS = { "no-such-service": 404, "no-route": 404, "invalid-backend": 500, "no-healthy-endpoint": 503 } as const;
type MeshReason = keyof typeof STATUS;

function answered(reason: MeshReason): Pick<Explanation, "reason" | "status"> {
  return { reason, status: STATUS[reason] };
}

export function explain(input: ExplainInput): Explanation {
  const { index, question } = input;
  const target = readTarget(question);
  const caller = callerOf(question);
  const fromNamespace = caller.slice(0, caller.indexOf("/"));
  const notes = target.note === "" ? [] : [target.note];
  if (question.from !== "" && !isKnown(input, caller))
    notes.push(`nobody of the mesh is called ${question.from}: taken for some caller of namespace ${fromNamespace}`);
  const host = parseServiceHost(target.host, fromNamespace);
  const resource = host === undefined ? undefined : compileService(index, host.service);
  if (host === undefined || resource === undefined) return explainStranger(input, target, host?.service ?? "", notes);
  const port = host.port === 0 ? (resource.ports[0]?.port ?? 0) : host.port;
  if (host.port === 0 && port !== HTTP_PORT)
    notes.push(`the host names no port; ${port} is the first of ${resource.service}`);
  const found = { service: resource.service, port };
  if (!hasPort(resource, port)) {
    notes.push(`${resource.service} has no port ${port}`);
    return { ...NOTHING, ...found, ...answered("no-such-service"), notes };
  }
  if (question.method !== "CONNECT" && resource.ports.some((each) => each.port === port && each.protocol === "tcp")) {
    notes.push(
      `port ${port} speaks bytes (protocol: tcp): reached by CONNECT, or by a local port of a sidecar (--tcp)`,
    );
    return { ...NOTHING, ...found, ...answered("no-such-service"), notes };
  }
  const view = viewOf(question, target, port, fromNamespace);
  const table = compileRoutes(resource.rules);
  const leftOut = table.candidates.length - CANDIDATES_MAX;
  if (leftOut > 0) notes.push(`${leftOut} more matches do not have the request and are left out`);
  const service = explainService(input, resource, table, { view, target });
  return { ...service, ...found, notes: [...notes, ...service.notes] };
}

/** The calling service, `namespace/name`: the namespace stands in `from` after the dot, or is the one asked in. */
function callerOf({ from, namespace }: ExplainQuestion): string {
  const home = namespace === "" ? "default" : namespace;
  return parseServiceHost(from, home)?.service ?? `${home}/`;
}

/** Some callers are no services that anybody could call. */
function isKnown({ index, workloads }: ExplainInput, caller: string): boolean {
  if (compileService(index, caller) !== undefined) return true;
  return workloads.some(({ namespace, service }) => qualifiedName(namespace, service) === caller);
}

/** A host that is no service of the mesh: allowed out, or answered 404. */
function explainStranger(
  { index }: ExplainInput,
  target: Target,
  service: string,
  notes: readonly string[],
): Explanation {
  const colon = target.host.lastIndexOf(":");
  const hasPort = colon > target.host.lastIndexOf("]");
  const hostname = hasPort ? target.host.slice(0, colon) : target.host;
  const port = hasPort ? Number(target.host.slice(colon + 1)) : 80;
  const what = target.host === "" ? "the request names no host" : `the mesh knows no service ${target.host}`;
  if (egressVerdict(compileMesh(index).egress.allow, hostname, port) === "denied") {
    return { ...NOTHING, service, ...answered("no-such-service"), notes: [...notes, what] };
  }
  return {
    ...NOTHING,
    upstreamPath: target.path,
    upstreamHost: target.host,
    notes: [...notes, `${what}; Mesh.spec.egress allows calls to it`],
  };
}

type ServicePart = Omit<Explanation, "service" | "port">;

/** The request as routing sees it, and as it came. */
interface Asked {
  readonly view: RequestView;
  readonly target: Target;
}

function explainService(input: ExplainInput, resource: ServiceResource, table: RouteTable, asked: Asked): ServicePart {
  const { view, target } = asked;
  const candidates = explainRoute(table, view, CANDIDATES_MAX);
  const hit = findRoute(table, view);
  if (hit !== undefined) return { ...explainHit(input, resource, hit, asked), candidates };
  if (hasRoutes(table, view.port, view.fromNamespace)) return { ...NOTHING, candidates, ...answered("no-route") };
  const own: RouteBackend = { service: resource.service, port: view.port, weight: 1, filters: [], invalid: "" };
  return {
    ...NOTHING,
    ...explainBackends(input, resource, [own], undefined),
    candidates,
    ...upstream(target, [], undefined),
  };
}

function explainHit(
  input: ExplainInput,
  resource: ServiceResource,
  hit: RouteHit,
  { view, target }: Asked,
): ServicePart {
  const { rule, match } = hit;
  const found = {
    ...NOTHING,
    route: rule.route,
    ruleIndex: rule.ruleIndex,
    ruleName: rule.ruleName,
    filters: filtersInWords(rule.filters, match),
    notes: releaseNotes(rule, view),
  };
  if (answersPreflight(rule.filters, input.question, view)) return { ...found, reason: "cors-preflight", status: 200 };
  const redirect = rule.filters.find((filter) => filter.type === "RequestRedirect");
  if (redirect !== undefined) return { ...found, ...explainRedirect(redirect, hit, view, target) };
  return {
    ...found,
    ...explainBackends(input, resource, rule.backends, hit),
    ...upstream(target, rule.filters, hit),
  };
}

function explainRedirect(
  redirect: RedirectFilter,
  { match }: RouteHit,
  { port, path, query }: RequestView,
  target: Target,
): Partial<ServicePart> {
  const location = redirectLocation(redirect, match, { scheme: "http", host: target.host, port, path, query });
  return {
    reason: "redirect",
    status: redirect.status,
    filters: [`redirect with status ${redirect.status} to ${location}`],
  };
}

function answersPreflight(filters: readonly RouteFilter[], question: ExplainQuestion, view: RequestView): boolean {
  const isPreflight =
    view.method === "OPTIONS" &&
    headerValue(question.headers, "origin") !== undefined &&
    headerValue(question.headers, "access-control-request-method") !== undefined;
  return isPreflight && filters.some(({ type }) => type === "CORS");
}

function upstream(
  target: Target,
  filters: readonly RouteFilter[],
  hit: RouteHit | undefined,
): Pick<Explanation, "upstreamPath" | "upstreamHost"> {
  const rewrite = filters.find((filter) => filter.type === "URLRewrite");
  const path =
    rewrite?.path === undefined || hit === undefined ? target.path : rewritePath(hit.match, rewrite.path, target.path);
  return {
    upstreamPath: target.query === "" ? path : `${path}?${target.query}`,
    upstreamHost: rewrite === undefined || rewrite.hostname === "" ? target.host : rewrite.hostname,
  };
}

/** The split, and what is answered when no share of it can be served. */
function explainBackends(
  input: ExplainInput,
  resource: ServiceResource,
  backends: readonly RouteBackend[],
  hit: RouteHit | undefined,
): Pick<Explanation, "backends" | "policies" | "reason" | "status"> {
  const total = hit === undefined ? 1 : splitTotal(hit.rule);
  const explained = backends.map((backend) => ({
    ...explainBackend(input, backend, total),
    filters: filtersInWords(backend.filters, hit?.match),
  }));
  const sharing = explained.filter(({ share }) => share > 0);
  const services = new Map<string, ServiceResource>();
  for (const { service } of sharing) {
    const known = service === resource.service ? resource : compileService(input.index, service);
    if (known !== undefined) services.set(service, known);
  }
  const enforcers = enforcersOf(input.index, input.workloads, [...services.keys()]);
  return {
    backends: explained,
    policies: explainPolicies(input.index, hit?.rule, [...services.values()], enforcers),
    ...(total === 0 ? answered("invalid-backend") : commonAnswer(sharing)),
  };
}

/** Where every share is answered with the same reason, that is the answer; else each share has its own. */
function commonAnswer(sharing: readonly ExplainedBackend[]): Pick<Explanation, "reason" | "status"> {
  const [first, ...others] = sharing.map(({ reason }) => reason);
  if (first === undefined || first === "" || others.some((reason) => reason !== first))
    return { reason: "", status: 0 };
  return isAnswerable(first) ? answered(first) : { reason: "", status: 0 };
}

function isAnswerable(reason: string): reason is MeshReason {
  return Object.hasOwn(STATUS, reason);
}

function explainBackend(
  { index, workloads }: ExplainInput,
  backend: RouteBackend,
  total: number,
): Omit<ExplainedBackend, "filters"> {
  const { service, port, weight } = backend;
  const exists = backend.invalid === "" && hasPort(compileService(index, service), port);
  const ready = exists ? compileEndpoints(index, service, workloads).endpoints : [];
  const everyone = workloads.map((workload) => ({ ...workload, ready: true }));
  const all = exists ? compileEndpoints(index, service, everyone).endpoints : [];
  return {
    service,
    port,
    weight,
    share: total === 0 ? 0 : rounded((weight / total) * 100),
    reason: backendReason(backend, exists, ready.length),
    endpoints: all.length,
    readyEndpoints: ready.length,
    addresses: ready.map((endpoint) => addressOf(endpoint, port, index, service)),
  };
}

function backendReason({ filters }: RouteBackend, exists: boolean, readyEndpoints: number): string {
  if (!exists) return "invalid-backend";
  if (filters.some(({ type }) => type === "RequestRedirect")) return "redirect";
  return readyEndpoints > 0 ? "" : "no-healthy-endpoint";
}

/** True when the service exists and has the port; 0 asks for its first, and an implied service has every port. */
function hasPort(resource: ServiceResource | undefined, port: number): boolean {
  if (resource === undefined) return false;
  return port === 0 || resource.implied || resource.ports.some((known) => known.port === port);
}

/** The endpoint's address for a port of the service; 0 is its first. */
function addressOf(endpoint: Endpoint, port: number, index: RuleIndex, service: string): string {
  if (endpoint.address !== "") return endpoint.address;
  const wanted = port === 0 ? compileService(index, service)?.ports[0]?.port : port;
  return endpoint.addresses[String(wanted)] ?? "";
}
