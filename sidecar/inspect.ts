// What the admin pages show of the sidecar: plain data made of its parts. How it is laid out on a page is admin/.
import type { EndpointHealth } from "../proto/gen/weft/v1/discovery.ts";
import type { ClusterView, EndpointView } from "./admin/cluster-view.ts";
import { type EndpointMember, healthInWords, healthParts } from "./cluster-endpoint.ts";
import type { Configuration } from "./discovery/configuration.ts";
import type { Registration, Source } from "./discovery/source.ts";
import type { ServiceEntry, Snapshot } from "./snapshot.ts";

/** Everything that the sidecar acts on, with versions; resources by name. */
export function configDump(
  registration: Registration,
  programVersion: string,
  configuration: Configuration,
  source: Source,
): object {
  const { origin, revision, appliedAtMs, lastRefusal, appliedCount, refusedCount, held } = configuration;
  return {
    sidecar: { ...registration, programVersion },
    configuration: {
      origin,
      revision,
      appliedAt: appliedAtMs === 0 ? null : new Date(appliedAtMs).toISOString(),
      updatesApplied: appliedCount,
      updatesRefused: refusedCount,
      lastRefusal: lastRefusal ?? null,
    },
    source: source.status,
    resources: [...held.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
  };
}

export function clusterViews(snapshot: Snapshot): ClusterView[] {
  return [...snapshot.services.values()].map(clusterView).sort((a, b) => (a.service < b.service ? -1 : 1));
}

function clusterView({ service, resource, cluster }: ServiceEntry): ClusterView {
  // Ejections end when they are looked at, and nobody may have asked for the service since.
  cluster.state.refreshHealth(cluster.state.now());
  const members = [cluster.set, ...cluster.setsByPort.values()].flatMap((set) => [...set.members]);
  const byAddress = new Map(members.map((member) => [`${member.endpoint.id} ${member.address}`, member]));
  return {
    service,
    algorithm: cluster.policy.loadBalancer.algorithm,
    circuit: cluster.state.breaker?.state ?? "none",
    ports: resource.ports.map(({ port, protocol }) => `${port}/${protocol}`),
    rules: resource.rules.length,
    endpoints: [...byAddress.values()].map(endpointView),
  };
}

function endpointView({ endpoint, address, weight, share, state }: EndpointMember): EndpointView {
  const { pool, streams, outlier, breaker, active } = state;
  return {
    id: endpoint.id,
    address,
    version: endpoint.version,
    zone: endpoint.zone,
    weight,
    share,
    health: healthInWords(state),
    parts: healthParts(state),
    activeCheck: active.state,
    ejections: outlier.ejections,
    circuit: breaker?.state ?? "none",
    activeRequests: state.activeRequests,
    openConnections:
      pool.idleCount +
      pool.leasedCount +
      pool.connectingCount +
      streams.idleCount +
      streams.activeCount +
      streams.connectingCount,
  };
}

/** What the control plane is told of them: those that get no traffic. */
export function unhealthyEndpoints(views: readonly ClusterView[]): EndpointHealth[] {
  return views.flatMap(({ service, endpoints }) =>
    endpoints
      .filter(({ health }) => health !== "healthy")
      .map(({ address, parts }) => ({ service, address, ...parts })),
  );
}
