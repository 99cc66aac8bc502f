// Services that documents name: do they exist, and do they have the port? Both may come later, so these are warnings.
import { qualifiedName } from "../diagnostic.ts";
import type { Document } from "../document.ts";
import type { FieldPath } from "../field-path.ts";
import type { GRPCRouteSpec } from "../schema/grpc-route.ts";
import type { HTTPRouteSpec } from "../schema/http-route.ts";
import type { AuthorizationSpec } from "../schema/inbound.ts";
import { type BackendReference, isServiceReference, type TargetRef } from "../schema/reference.ts";
import type { RolloutSpec } from "../schema/rollout.ts";
import type { ServiceSpec } from "../schema/service.ts";
import type { TrafficPolicySpec } from "../schema/traffic-policy.ts";
import { suggest } from "../suggest.ts";
import type { CheckFinding } from "./finding.ts";

/** The services that exist: by document (with its ports) or implied by a workload. */
export interface KnownServices {
  readonly documents: ReadonlyMap<string, Document<ServiceSpec>>;
  /** Undefined where nobody can tell, as without a control plane: then no service is said to be missing. */
  readonly implied: ReadonlySet<string> | undefined;
  /** Those that the sidecar stands beside which acts on the documents by itself; undefined: a control plane has a fleet. */
  readonly own: ReadonlySet<string> | undefined;
}

/** One place where a document names a service. */
interface Reference {
  /** `namespace/name`. */
  readonly service: string;
  /** 0 where no port is named. */
  readonly port: number;
  /** Of the object that has `name` and `port`, or of the name itself. */
  readonly path: FieldPath;
  readonly nameField: string;
  /** What follows from the service's absence; empty where nothing does. */
  readonly consequence: string;
}

const UNUSED = "without effect until it does";
const SHARE_FAILS = "its share of the requests is answered 500 until it does";

/**
 * Warnings for references to services and ports that do not exist (yet): one for each of them, at the first place that
 * names it, since a route may name it 10,000 times.
 */
export function checkReferences(document: Document, known: KnownServices): CheckFinding[] {
  const enforced = enforcedTarget(document);
  if (enforced !== undefined && known.own?.has(enforced.service)) return [];
  if (enforced !== undefined && lacksSidecars(enforced, known)) return [unenforced(document, enforced)];
  const doubtful = referencesOf(document).filter((reference) => !isSatisfied(reference, known));
  const places = Map.groupBy(doubtful, ({ service, port }) =>
    known.documents.has(service) ? `${service}:${port}` : service,
  );
  return Array.from(places.values(), (references) => {
    const [first] = references as [Reference, ...Reference[]];
    const service = known.documents.get(first.service);
    const finding =
      service === undefined ? missingService(document, first, known) : missingPort(document, first, service);
    const more = references.length - 1;
    if (more === 0) return finding;
    return { ...finding, message: `${finding.message} (and ${more} more place${more === 1 ? "" : "s"})` };
  });
}

function isSatisfied(reference: Reference, known: KnownServices): boolean {
  const service = known.documents.get(reference.service);
  if (service === undefined) return known.implied === undefined || known.implied.has(reference.service);
  return reference.port === 0 || portsOf(service).includes(reference.port);
}

/** The service of whose callers the document asks something, which its sidecars see to. */
function enforcedTarget({ kind, metadata, spec }: Document): Reference | undefined {
  if (kind !== "RateLimit" && kind !== "Fault") return undefined;
  return targetReference((spec as { readonly targetRef: TargetRef }).targetRef, metadata.namespace);
}

/** Its instances are those of other services, or addresses: no sidecar is started in its name. */
function lacksSidecars({ service }: Reference, { documents, implied, own }: KnownServices): boolean {
  if (own !== undefined || implied === undefined || implied.has(service)) return false;
  const spec = documents.get(service)?.spec;
  return spec?.endpoints !== undefined || spec?.selector !== undefined;
}

function unenforced(document: Document, { service, path }: Reference): CheckFinding {
  return {
    document,
    severity: "warning",
    path: [...path, "name"],
    message: `no sidecar is started for service ${service}, and its instances' sidecars go by their own service: without effect until one is`,
    expected: "a service that sidecars are started for",
  };
}

function portsOf({ spec }: Document<ServiceSpec>): number[] {
  return (spec.ports ?? [{ port: 80 }]).map(({ port }) => port);
}

function missingPort(document: Document, reference: Reference, service: Document<ServiceSpec>): CheckFinding {
  const ports = portsOf(service);
  return {
    document,
    severity: "warning",
    path: [...reference.path, "port"],
    message: `service ${reference.service} has no port ${reference.port}`,
    expected: ports.length === 1 ? String(ports[0]) : `one of ${ports.join(", ")}`,
  };
}

function missingService(document: Document, reference: Reference, known: KnownServices): CheckFinding {
  const nearest = nearestService(reference.service, known);
  const namespace = `${reference.service.split("/", 1)[0]}/`;
  return {
    document,
    severity: "warning",
    path: reference.nameField === "" ? reference.path : [...reference.path, reference.nameField],
    message: `service ${reference.service} does not exist${reference.consequence === "" ? "" : `: ${reference.consequence}`}`,
    suggestion: nearest.startsWith(namespace) ? nearest.slice(namespace.length) : nearest,
  };
}

/**
 * A like name in the same namespace, else the same name in another one. Not the service itself or another version of it
 * (`orders-v1` for `orders-v2`): this one is just not there yet.
 */
function nearestService(service: string, known: KnownServices): string {
  const unversioned = (name: string): string => name.replace(/-?v?\d+$/, "");
  const all = [...known.documents.keys(), ...(known.implied ?? [])];
  const others = all.filter((name) => unversioned(name) !== unversioned(service));
  const slash = service.indexOf("/") + 1;
  const [namespace, name] = [service.slice(0, slash), service.slice(slash)];
  const neighbours = others.filter((other) => other.startsWith(namespace)).map((other) => other.slice(slash));
  const near = suggest(name, neighbours);
  return near === "" ? (others.find((other) => other.endsWith(`/${name}`)) ?? "") : `${namespace}${near}`;
}

function referencesOf(document: Document): Reference[] {
  const { namespace } = document.metadata;
  switch (document.kind) {
    case "HTTPRoute":
    case "GRPCRoute":
      return routeReferences(document.spec as HTTPRouteSpec | GRPCRouteSpec, namespace);
    case "TrafficPolicy":
      return policyReferences(document.spec as TrafficPolicySpec, namespace);
    case "Authorization":
      return authorizationReferences(document.spec as AuthorizationSpec, namespace);
    case "RateLimit":
    case "Fault":
    case "Authentication":
      return [targetReference((document.spec as { readonly targetRef: TargetRef }).targetRef, namespace)];
    case "Rollout":
      return rolloutReferences(document.spec as RolloutSpec, namespace);
    default:
      return [];
  }
}

function routeReferences(spec: HTTPRouteSpec | GRPCRouteSpec, namespace: string): Reference[] {
  const parents = spec.parentRefs.map((parent, index) =>
    objectReference(parent, namespace, { path: ["spec", "parentRefs", index], consequence: UNUSED }),
  );
  const backends = (spec.rules ?? []).flatMap((rule, ruleIndex) => {
    const path = ["spec", "rules", ruleIndex];
    return [
      ...mirrorReferences(rule.filters, namespace, path),
      ...(rule.backendRefs ?? []).flatMap((backend, index) => {
        const below = [...path, "backendRefs", index];
        const mirrors = mirrorReferences(backend.filters, namespace, below);
        if (!isServiceReference(backend)) return mirrors;
        return [objectReference(backend, namespace, { path: below, consequence: SHARE_FAILS }), ...mirrors];
      }),
    ];
  });
  return [...parents, ...backends];
}

type Filters =
  | NonNullable<HTTPRouteSpec["rules"]>[number]["filters"]
  | NonNullable<GRPCRouteSpec["rules"]>[number]["filters"];

function mirrorReferences(filters: Filters, namespace: string, path: FieldPath): Reference[] {
  return (filters ?? []).flatMap((filter, index) => {
    if (filter.type !== "RequestMirror" || !isServiceReference(filter.requestMirror.backendRef)) return [];
    const below = [...path, "filters", index, "requestMirror", "backendRef"];
    return [
      objectReference(filter.requestMirror.backendRef, namespace, {
        path: below,
        consequence: "nothing is mirrored until it does",
      }),
    ];
  });
}

function policyReferences(spec: TrafficPolicySpec, namespace: string): Reference[] {
  const references = [targetReference(spec.targetRef, namespace)];
  const { fallback } = spec;
  if (fallback?.service !== undefined) {
    references.push({
      service: qualifiedName(fallback.namespace ?? namespace, fallback.service),
      port: 0,
      path: ["spec", "fallback"],
      nameField: "service",
      consequence: "there is no fallback until it does",
    });
  }
  return references;
}

function authorizationReferences(spec: AuthorizationSpec, namespace: string): Reference[] {
  const callers = (spec.rules ?? []).flatMap((rule, ruleIndex) =>
    (rule.from?.services ?? []).map((name, index) => ({
      service: name.includes("/") ? name : qualifiedName(namespace, name),
      port: 0,
      path: ["spec", "rules", ruleIndex, "from", "services", index],
      nameField: "",
      consequence: "",
    })),
  );
  return [targetReference(spec.targetRef, namespace), ...callers];
}

function rolloutReferences(spec: RolloutSpec, namespace: string): Reference[] {
  return (["service", "stable", "canary"] as const).map((field) => ({
    service: qualifiedName(namespace, spec[field]),
    port: 0,
    path: ["spec"],
    nameField: field,
    consequence: "the release waits until it does",
  }));
}

function targetReference(target: TargetRef, namespace: string): Reference {
  return objectReference(target, namespace, { path: ["spec", "targetRef"], consequence: UNUSED });
}

function objectReference(
  reference: Pick<BackendReference, "name" | "namespace" | "port">,
  namespace: string,
  where: Pick<Reference, "path" | "consequence">,
): Reference {
  return {
    service: qualifiedName(reference.namespace ?? namespace, reference.name),
    port: reference.port ?? 0,
    nameField: "name",
    ...where,
  };
}
