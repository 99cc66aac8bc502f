// Documents -> resources: what the control plane pushes, and what a stand-alone sidecar acts on. Pure, and the same on
// both sides. An index is built once per change of documents; compiling a service then touches only its own documents.
// Expects validated documents (load.ts); endpoints have their own compiler (endpoints.ts).
import { compareAge, compareText } from "./compile/age.ts";
import { compileInboundDocuments } from "./compile/inbound.ts";
import { compileMeshSpec } from "./compile/mesh.ts";
import { compilePolicy } from "./compile/policy.ts";
import { overlayRollout, type Parent } from "./compile/rollout.ts";
import { compileRoute, type RouteDocument } from "./compile/route.ts";
import { defaultOf } from "./defaults.ts";
import { type DocumentKey, qualifiedName } from "./diagnostic.ts";
import { type Document, documentKey, documentTitle } from "./document.ts";
import type {
  InboundResource,
  MeshResource,
  RouteFilter,
  RouteRule,
  ServicePort,
  ServiceResource,
} from "./resource.ts";
import type { MeshSpec } from "./schema/mesh.ts";
import type { TargetRef } from "./schema/reference.ts";
import type { RolloutSpec } from "./schema/rollout.ts";
import type { ServiceSpec } from "./schema/service.ts";
import type { TrafficPolicySpec } from "./schema/traffic-policy.ts";

/** A route and the ports of the service that it is attached to; no ports means all. */
interface Attachment {
  readonly route: RouteDocument;
  readonly ports: readonly number[];
}

/** Documents by the service (`namespace/name`) they act on. */
export interface RuleIndex {
  readonly services: ReadonlyMap<string, Document<ServiceSpec>>;
  readonly routes: ReadonlyMap<string, readonly Attachment[]>;
  readonly policies: ReadonlyMap<string, readonly Document<TrafficPolicySpec>[]>;
  readonly inbound: ReadonlyMap<string, readonly Document[]>;
  readonly rollouts: ReadonlyMap<string, readonly Document<RolloutSpec>[]>;
  readonly meshes: readonly Document<MeshSpec>[];
  readonly implied: ReadonlySet<string>;
  /** Implied version service -> the service it is a version of. */
  readonly versionOf: ReadonlyMap<string, string>;
}

const NO_VERSIONS: ReadonlyMap<string, string> = new Map();

/**
 * Files documents under the services they act on.
 * @param impliedServices services that exist because a workload was started for them (endpoints.ts)
 * @param versionOf which of those are versions of which service: such a one goes by the TrafficPolicy of the service
 *   unless it has its own
 */
export function indexDocuments(
  documents: Iterable<Document>,
  impliedServices: ReadonlySet<string>,
  versionOf: ReadonlyMap<string, string> = NO_VERSIONS,
): RuleIndex {
  const services = new Map<string, Document<ServiceSpec>>();
  const routes = new Map<string, Attachment[]>();
  const policies = new Map<string, Document<TrafficPolicySpec>[]>();
  const inbound = new Map<string, Document[]>();
  const rollouts = new Map<string, Document<RolloutSpec>[]>();
  const meshes: Document<MeshSpec>[] = [];
  for (const document of documents) {
    const { namespace, name } = document.metadata;
    switch (document.kind) {
      case "Service":
        services.set(qualifiedName(namespace, name), document as Document<ServiceSpec>);
        break;
      case "HTTPRoute":
      case "GRPCRoute":
        fileRoute(routes, document as RouteDocument);
        break;
      case "TrafficPolicy":
        file(policies, targetService(document), document as Document<TrafficPolicySpec>);
        break;
      case "RateLimit":
      case "Fault":
      case "Authorization":
      case "Authentication":
        file(inbound, targetService(document), document);
        break;
      case "Rollout":
        fileRollout(rollouts, document as Document<RolloutSpec>);
        break;
      case "Mesh":
        meshes.push(document as Document<MeshSpec>);
        break;
      default:
    }
  }
  return { services, routes, policies, inbound, rollouts, meshes, implied: impliedServices, versionOf };
}

function file<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

function fileRollout(rollouts: Map<string, Document<RolloutSpec>[]>, rollout: Document<RolloutSpec>): void {
  file(rollouts, qualifiedName(rollout.metadata.namespace, rollout.spec.service), rollout);
}

function fileRoute(routes: Map<string, Attachment[]>, route: RouteDocument): void {
  const portsByService = new Map<string, Set<number>>();
  const onAllPorts = new Set<string>();
  for (const parent of route.spec.parentRefs) {
    const service = qualifiedName(parent.namespace ?? route.metadata.namespace, parent.name);
    const ports = portsByService.get(service) ?? new Set();
    portsByService.set(service, ports);
    if (parent.port === undefined) onAllPorts.add(service);
    else ports.add(parent.port);
  }
  for (const [service, ports] of portsByService) {
    const sorted = onAllPorts.has(service) ? [] : [...ports].sort((a, b) => a - b);
    file(routes, service, { route, ports: sorted });
  }
}

function targetService(document: Document): string {
  const { targetRef } = document.spec as { readonly targetRef: TargetRef };
  return qualifiedName(targetRef.namespace ?? document.metadata.namespace, targetRef.name);
}

/** All services that exist, by document or implied, sorted. */
export function serviceNames(index: RuleIndex): string[] {
  return [...new Set([...index.services.keys(), ...index.implied])].sort();
}

/** What callers of a service need to know, or undefined when it does not exist. */
export function compileService(index: RuleIndex, service: string): ServiceResource | undefined {
  const document = index.services.get(service);
  if (document === undefined && !index.implied.has(service)) return undefined;
  const ports = compilePorts(document?.spec.ports);
  return {
    type: "service",
    service,
    ports,
    implied: document === undefined,
    rules: withRollout(index, { service, ports }, compileRules(index, service)),
    policy: compilePolicy(policyDocument(index, service)),
  };
}

function compilePorts(ports: ServiceSpec["ports"]): ServicePort[] {
  const protocol = defaultOf("Service.spec.ports[].protocol");
  if (ports === undefined) return [{ port: defaultOf("Service.spec.ports[].port"), protocol }];
  return ports.map((port) => {
    const compiled = { port: port.port, protocol: port.protocol ?? protocol };
    return port.protocol === "http" ? { ...compiled, keepsHttp1: true } : compiled;
  });
}

/** Of several Rollouts of a service, which only a rollback to an old revision can bring, the oldest acts. */
function withRollout(index: RuleIndex, parent: Parent, rules: readonly RouteRule[]): readonly RouteRule[] {
  const [rollout] = [...(index.rollouts.get(parent.service) ?? [])].sort(compareAge);
  if (rollout === undefined) return rules;
  return overlayRollout(rules, parent, rollout, (name) => index.services.has(name) || index.implied.has(name));
}

/** Sorted by document, so that equal documents give equal bytes in whatever order they are stored. */
function compileRules(index: RuleIndex, service: string): RouteRule[] {
  const attachments = [...(index.routes.get(service) ?? [])].sort((a, b) => compareTitles(a.route, b.route));
  return attachments.flatMap(({ route, ports }) => compileRoute(route, service, ports));
}

function compareTitles(a: Document, b: Document): number {
  return compareText(documentTitle(documentKey(a)), documentTitle(documentKey(b)));
}

/**
 * The TrafficPolicy that acts on a service: its own; else, for an implied version, that of the service it is a version
 * of. Undefined when all of its policy is defaults.
 */
export function policyDocument(index: RuleIndex, service: string): Document<TrafficPolicySpec> | undefined {
  const own = winningPolicy(index.policies.get(service) ?? [], service);
  if (own !== undefined || index.services.has(service)) return own;
  const whole = index.versionOf.get(service);
  return whole === undefined ? undefined : winningPolicy(index.policies.get(whole) ?? [], whole);
}

/** Of several, one acts: of the service's own namespace before others, then the oldest, as the API settles conflicts. */
function winningPolicy(
  policies: readonly Document<TrafficPolicySpec>[],
  service: string,
): Document<TrafficPolicySpec> | undefined {
  const isForeign = (policy: Document): number => Number(!service.startsWith(`${policy.metadata.namespace}/`));
  return [...policies].sort((a, b) => isForeign(a) - isForeign(b) || compareAge(a, b))[0];
}

/** What the service's own sidecars enforce; empty for a service without such documents. */
export function compileInbound(index: RuleIndex, service: string): InboundResource {
  const protocol = compilePorts(index.services.get(service)?.spec.ports)[0]?.protocol ?? "http";
  return compileInboundDocuments(service, protocol, [...(index.inbound.get(service) ?? [])].sort(compareTitles));
}

/** Mesh-wide settings: of several Mesh documents the oldest acts. */
export function compileMesh(index: RuleIndex): MeshResource {
  return compileMeshSpec([...index.meshes].sort(compareAge)[0]?.spec ?? {});
}

/** Other services that requests for this one may be sent to: backends, mirrors, fallback. Sorted, each once. */
export function servicesUsedBy(resource: ServiceResource): string[] {
  const used = new Set<string>();
  for (const rule of resource.rules) {
    for (const service of mirrored(rule.filters)) used.add(service);
    for (const backend of rule.backends) {
      if (backend.invalid === "") used.add(backend.service);
      for (const service of mirrored(backend.filters)) used.add(service);
    }
  }
  const { fallback } = resource.policy;
  if (fallback !== undefined && fallback.service !== "") used.add(fallback.service);
  used.delete(resource.service);
  return [...used].sort();
}

function mirrored(filters: readonly RouteFilter[]): string[] {
  return filters.flatMap((filter) => (filter.type === "RequestMirror" ? [filter.service] : []));
}

/** The documents that act on a service, sorted by title. */
export function documentsFor(index: RuleIndex, service: string): DocumentKey[] {
  const policy = policyDocument(index, service);
  const own = index.services.get(service);
  const documents: Document[] = [
    ...(own === undefined ? [] : [own]),
    ...(index.routes.get(service) ?? []).map(({ route }) => route),
    ...(policy === undefined ? [] : [policy]),
    ...(index.inbound.get(service) ?? []),
    ...(index.rollouts.get(service) ?? []),
  ];
  return documents.sort(compareTitles).map(documentKey);
}
