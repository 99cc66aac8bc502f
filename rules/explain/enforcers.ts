// Who acts on the way in: the sidecars of the instances that a request may come to go by the documents of the services that
// they were started for, whatever the service is called that the request was routed to. Only their names, not what they do.
import type { RuleIndex } from "../compile.ts";
import { compileEndpoints, servicesOf, type WorkloadFacts } from "../endpoints.ts";

/** A service whose RateLimit and Fault documents act on a request. */
export interface Enforcer {
  readonly service: string;
  /** They act wherever the request comes to, not on one version's share alone. */
  readonly isCertain: boolean;
}

/**
 * Those that act on requests for these services: a service first, then its versions. Of a service without instances itself:
 * it may get some. Nobody acts at addresses that documents list.
 * @param workloads all that are registered, ready or not
 */
export function enforcersOf(
  index: RuleIndex,
  workloads: readonly WorkloadFacts[],
  services: readonly string[],
): Enforcer[] {
  const everyone = workloads.map((workload) => ({ ...workload, ready: true }));
  const instances = new Set<string>();
  const absent: string[] = [];
  let bare = 0;
  for (const service of services) {
    const { endpoints } = compileEndpoints(index, service, everyone);
    if (endpoints.length === 0) absent.push(service);
    if (!endpoints.some(({ mesh }) => mesh)) bare++;
    for (const { id, mesh } of endpoints) if (mesh) instances.add(id);
  }
  const counts = new Map<string, number>();
  for (const workload of workloads) {
    if (!instances.has(workload.id)) continue;
    for (const service of servicesOf(workload)) counts.set(service, (counts.get(service) ?? 0) + 1);
  }
  for (const service of absent) if (!counts.has(service)) counts.set(service, 0);
  const goesOneWay = bare === 0 || services.length === 1;
  const found = Array.from(counts, ([service, count]) => ({
    service,
    isCertain: goesOneWay && count === instances.size,
  }));
  return found.sort((a, b) => Number(b.isCertain) - Number(a.isCertain));
}
