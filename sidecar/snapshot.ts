// The immutable bundle of everything an exchange goes by, captured once per exchange, and its holder. Built from
// resources as a whole or not at all; what did not change is taken over, so that a swap costs what changed.
import { isDeepStrictEqual } from "node:util";
import { compileMeshSpec } from "../rules/compile/mesh.ts";
import type { EndpointsResource, InboundResource, MeshResource, Resource, ServiceResource } from "../rules/resource.ts";
import { compileRoutes, type RouteTable } from "../rules/routing/table.ts";
import { AddressError, buildCluster, type Cluster, type ClusterTools, settleCluster } from "./cluster.ts";
import type { RequestSeries } from "./observe/request-series.ts";
import { planRouteRetry, type RetryPlan } from "./policy/retry.ts";
import { planRules, type RulePlan } from "./route/rule-plan.ts";

/** One service, as a caller needs it. */
export interface ServiceEntry {
  /** `namespace/name`. */
  readonly service: string;
  readonly resource: ServiceResource;
  readonly endpoints: EndpointsResource | undefined;
  /** Some of its ports speak bytes. */
  readonly hasBytesPort: boolean;
  /** Undefined when no route is attached. */
  readonly table: RouteTable | undefined;
  /** By RouteHit.ruleNumber. */
  readonly rules: readonly RulePlan[];
  readonly cluster: Cluster;
  /** Memo of the data path: series of this service's requests, by endpoint, or by cluster where none was chosen. */
  readonly series: Map<object, RequestSeries>;
  /** Memo of the data path: a rule's own retry joined with the policy of the backend it went to, by backend. */
  readonly ruleRetries: Map<RulePlan, Map<string, { readonly policy: RetryPlan; readonly joined: RetryPlan }>>;
}

export interface Snapshot {
  readonly revision: number;
  readonly resources: ReadonlyMap<string, Resource>;
  readonly services: ReadonlyMap<string, ServiceEntry>;
  readonly inbound: ReadonlyMap<string, InboundResource>;
  readonly mesh: MeshResource;
  readonly tools: ClusterTools;
}

/** A resource that cannot be acted on; nothing of the update is. */
export class SnapshotError extends Error {
  /** Its name on the wire. */
  readonly resource: string;
  /** Field path in it. */
  readonly path: string;

  constructor(resource: string, path: string, message: string) {
    super(message);
    this.name = "SnapshotError";
    this.resource = resource;
    this.path = path;
  }
}

const DEFAULT_MESH: MeshResource = compileMeshSpec({});

/** The snapshot of a sidecar that knows nothing yet. */
export function emptySnapshot(tools: ClusterTools): Snapshot {
  return {
    revision: 0,
    resources: new Map(),
    services: new Map(),
    inbound: new Map(),
    mesh: DEFAULT_MESH,
    tools,
  };
}

/**
 * The snapshot of these resources (the complete set, by name). Entries whose resources are equal to those of
 * `previous` are the same objects. Changes nothing that lives: only `SnapshotHolder.swap` does.
 * @throws SnapshotError when any resource cannot be built
 */
export function buildSnapshot(
  previous: Snapshot,
  resources: ReadonlyMap<string, Resource>,
  revision: number,
): Snapshot {
  const kept = keepEqual(previous.resources, resources);
  const services = new Map<string, ServiceEntry>();
  const inbound = new Map<string, InboundResource>();
  let mesh = DEFAULT_MESH;
  for (const resource of kept.values()) {
    if (resource.type === "service")
      services.set(resource.service, buildEntry(resource, endpointsOf(kept, resource.service), previous));
    else if (resource.type === "inbound") inbound.set(resource.service, resource);
    else if (resource.type === "mesh") mesh = resource;
  }
  return { revision, resources: kept, services, inbound, mesh, tools: previous.tools };
}

/** Of equal resources the older object, so that "did it change" is a comparison of identities from here on. */
function keepEqual(
  before: ReadonlyMap<string, Resource>,
  after: ReadonlyMap<string, Resource>,
): ReadonlyMap<string, Resource> {
  const kept = new Map<string, Resource>();
  for (const [name, resource] of after) {
    const old = before.get(name);
    kept.set(name, old !== undefined && (old === resource || isDeepStrictEqual(old, resource)) ? old : resource);
  }
  return kept;
}

function endpointsOf(resources: ReadonlyMap<string, Resource>, service: string): EndpointsResource | undefined {
  const resource = resources.get(`endpoints:${service}`);
  return resource?.type === "endpoints" ? resource : undefined;
}

function buildEntry(
  resource: ServiceResource,
  endpoints: EndpointsResource | undefined,
  snapshot: Snapshot,
): ServiceEntry {
  const previous = snapshot.services.get(resource.service);
  const sameRules = previous !== undefined && previous.resource === resource;
  if (sameRules && previous.endpoints === endpoints) return previous;
  const cluster = buildClusterOf(resource, endpoints, previous?.cluster, snapshot.tools);
  if (sameRules) return { ...previous, endpoints, cluster, series: new Map() };
  return {
    service: resource.service,
    resource,
    endpoints,
    hasBytesPort: resource.ports.some(({ protocol }) => protocol === "tcp"),
    table: resource.rules.length === 0 ? undefined : buildTable(resource),
    rules: planRules(resource.rules),
    cluster,
    series: new Map(),
    ruleRetries: new Map(),
  };
}

function buildClusterOf(
  resource: ServiceResource,
  endpoints: EndpointsResource | undefined,
  previous: Cluster | undefined,
  tools: ClusterTools,
): Cluster {
  try {
    return buildCluster(resource.service, resource.policy, endpoints?.endpoints ?? [], previous, tools);
  } catch (error) {
    if (!(error instanceof AddressError)) throw error;
    throw new SnapshotError(`endpoints:${resource.service}`, `endpoints[${error.index}].address`, error.message);
  }
}

function buildTable(resource: ServiceResource): RouteTable {
  try {
    return compileRoutes(resource.rules);
  } catch (error) {
    throw new SnapshotError(`service:${resource.service}`, "rules", messageOf(error));
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The retry plan of a request that went by `rule` to `backend`. */
export function retryPlanOf(entry: ServiceEntry, rule: RulePlan | undefined, backend: Cluster): RetryPlan {
  const own = rule?.retry;
  if (rule === undefined || own === undefined) return backend.retry;
  let byBackend = entry.ruleRetries.get(rule);
  if (byBackend === undefined) {
    byBackend = new Map();
    entry.ruleRetries.set(rule, byBackend);
  }
  const known = byBackend.get(backend.service);
  if (known !== undefined && known.policy === backend.retry) return known.joined;
  const joined = planRouteRetry(own, backend.retry);
  byBackend.set(backend.service, { policy: backend.retry, joined });
  return joined;
}

/** Where the current snapshot is; exchanges read it once. */
export class SnapshotHolder {
  #current: Snapshot;
  readonly #listeners: ((next: Snapshot, previous: Snapshot) => void)[] = [];

  constructor(first: Snapshot) {
    this.#current = first;
  }

  get current(): Snapshot {
    return this.#current;
  }

  /** From now on new exchanges go by `next`; those in progress keep what they captured. */
  swap(next: Snapshot): void {
    const previous = this.#current;
    this.#current = next;
    for (const [service, entry] of previous.services) settleCluster(entry.cluster, next.services.get(service)?.cluster);
    for (const [service, entry] of next.services)
      if (!previous.services.has(service)) settleCluster(undefined, entry.cluster);
    for (const listener of this.#listeners) listener(next, previous);
  }

  /** Called after each swap. */
  onSwap(listener: (next: Snapshot, previous: Snapshot) => void): void {
    this.#listeners.push(listener);
  }
}
