// What several processes say about the same services, as one view: what each has of its own is added up, what they see of
// the same thing is said as they agree on it.
import type { ClusterView, EndpointView } from "../admin/cluster-view.ts";

/** @param views one list for each process */
export function joinClusters(views: readonly (readonly ClusterView[])[]): ClusterView[] {
  const services = [...new Set(views.flatMap((list) => list.map(({ service }) => service)))].sort();
  return services.flatMap((service) => {
    const same = views.flatMap((list) => list.filter((view) => view.service === service));
    const newest = same[0];
    return newest === undefined ? [] : [{ ...newest, endpoints: joinEndpoints(same) }];
  });
}

function joinEndpoints(views: readonly ClusterView[]): EndpointView[] {
  const byAddress = new Map<string, EndpointView[]>();
  for (const endpoint of views.flatMap(({ endpoints }) => endpoints)) {
    const key = `${endpoint.id} ${endpoint.address}`;
    byAddress.set(key, [...(byAddress.get(key) ?? []), endpoint]);
  }
  return [...byAddress.values()].flatMap((same) => {
    const first = same[0];
    if (first === undefined) return [];
    return [
      {
        ...first,
        parts: (same.find(({ health }) => health !== "healthy") ?? first).parts,
        health: jointHealth(same.map(({ health }) => health)),
        activeRequests: sum(same.map(({ activeRequests }) => activeRequests)),
        openConnections: sum(same.map(({ openConnections }) => openConnections)),
      },
    ];
  });
}

/** "healthy", or the first other word, with in how many processes where they do not agree. */
function jointHealth(healths: readonly string[]): string {
  const unhealthy = healths.filter((health) => health !== "healthy");
  const first = unhealthy[0];
  if (first === undefined) return "healthy";
  return unhealthy.length === healths.length ? first : `${first} in ${unhealthy.length} of ${healths.length} processes`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
