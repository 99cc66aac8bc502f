// Where a service's instances are: workloads that its selector picks, or the static endpoints of its document. Which of
// them are healthy is each sidecar's own finding; readiness as a workload tells it counts here.
import { compareText } from "./compile/age.ts";
import type { RuleIndex } from "./compile.ts";
import { defaultOf } from "./defaults.ts";
import { qualifiedName } from "./diagnostic.ts";
import type { Endpoint, EndpointsResource } from "./resource.ts";
import type { ServiceEndpoint } from "./schema/service.ts";

/** A running instance as its sidecar describes it (Workload of the wire contract). */
export interface WorkloadFacts {
  readonly id: string;
  readonly service: string;
  readonly namespace: string;
  /** Empty when it has none. */
  readonly version: string;
  readonly labels: Readonly<Record<string, string>>;
  /** HOST:PORT of the inbound listener; empty when there is none. */
  readonly address: string;
  readonly zone: string;
  /** False while it should receive no traffic. */
  readonly ready: boolean;
}

/** Services that exist because workloads were started for them, ready or not: `ns/S` and, with a version, `ns/S-V`. */
export function impliedServices(workloads: Iterable<WorkloadFacts>): ReadonlySet<string> {
  const names = new Set<string>();
  for (const workload of workloads) {
    for (const name of servicesOf(workload)) names.add(name);
  }
  return names;
}

/** `ns/S-V` -> `ns/S`, for every version that runs: what lets a version go by the policy of its service. */
export function impliedVersions(workloads: Iterable<WorkloadFacts>): ReadonlyMap<string, string> {
  const versions = new Map<string, string>();
  for (const workload of workloads) {
    const [whole, version] = servicesOf(workload);
    if (whole !== undefined && version !== undefined) versions.set(version, whole);
  }
  return versions;
}

/** The implied services that a workload is an instance of, the one without a version first. */
export function servicesOf({
  namespace,
  service,
  version,
}: Pick<WorkloadFacts, "namespace" | "service" | "version">): string[] {
  const whole = qualifiedName(namespace, service);
  return version === "" ? [whole] : [whole, `${whole}-${version}`];
}

/** Endpoints that should receive traffic. Empty for a service that does not exist. */
export function compileEndpoints(
  index: RuleIndex,
  service: string,
  workloads: Iterable<WorkloadFacts>,
): EndpointsResource {
  const spec = index.services.get(service)?.spec;
  const endpoints =
    spec?.endpoints === undefined
      ? workloadEndpoints(service, spec?.selector, workloads)
      : staticEndpoints(spec.endpoints);
  endpoints.sort((a, b) => compareText(a.id, b.id));
  return { type: "endpoints", service, endpoints };
}

function workloadEndpoints(
  service: string,
  selector: Readonly<Record<string, string>> | undefined,
  workloads: Iterable<WorkloadFacts>,
): Endpoint[] {
  const endpoints: Endpoint[] = [];
  for (const workload of workloads) {
    if (!workload.ready || workload.address === "") continue;
    const isInstance =
      selector === undefined ? servicesOf(workload).includes(service) : isSelected(workload, service, selector);
    if (isInstance) endpoints.push(workloadEndpoint(workload));
  }
  return endpoints;
}

/** A selector looks in the service's own namespace only, as in Kubernetes. */
function isSelected(workload: WorkloadFacts, service: string, selector: Readonly<Record<string, string>>): boolean {
  if (!service.startsWith(`${workload.namespace}/`)) return false;
  return Object.entries(selector).every(([key, value]) => labelOf(workload, key) === value);
}

/** A workload's labels include `service` and `version`, whatever it says itself. */
function labelOf(workload: WorkloadFacts, key: string): string | undefined {
  if (key === "service") return workload.service;
  if (key === "version" && workload.version !== "") return workload.version;
  return Object.hasOwn(workload.labels, key) ? workload.labels[key] : undefined;
}

function workloadEndpoint({ id, address, zone, version, labels }: WorkloadFacts): Endpoint {
  const weight = defaultOf("Service.spec.endpoints[].weight");
  return { id, address, addresses: {}, weight, zone, version, labels, mesh: true };
}

/** Endpoints of weight 0 get no traffic and are left out; of two with the same id the first counts. */
function staticEndpoints(specs: readonly ServiceEndpoint[]): Endpoint[] {
  const byId = new Map<string, Endpoint>();
  for (const spec of specs) {
    const endpoint = staticEndpoint(spec);
    if (endpoint.weight > 0 && !byId.has(endpoint.id)) byId.set(endpoint.id, endpoint);
  }
  return [...byId.values()];
}

function staticEndpoint(spec: ServiceEndpoint): Endpoint {
  const addresses = spec.addresses ?? {};
  const labels = spec.labels ?? {};
  return {
    id: spec.address ?? staticId(addresses),
    address: spec.address ?? "",
    addresses,
    weight: spec.weight ?? defaultOf("Service.spec.endpoints[].weight"),
    zone: spec.zone ?? "",
    version: labels["version"] ?? "",
    labels,
    mesh: false,
  };
}

/** The address of the lowest port, which is the same however the ports are ordered. */
function staticId(addresses: Readonly<Record<string, string>>): string {
  const [lowest] = Object.keys(addresses).sort((a, b) => Number(a) - Number(b));
  return lowest === undefined ? "" : (addresses[lowest] ?? "");
}
