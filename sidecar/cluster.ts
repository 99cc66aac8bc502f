// One service as a destination: its endpoints with what is alive about them (pool, requests in progress, health), its
// balancer and its retry budget. A cluster is immutable and belongs to snapshots; what lives is carried from one to
// the next, so that a change of rules or endpoints costs no connection.

import type { Endpoint, LoadBalancerAlgorithm, TrafficPolicyResource } from "../rules/resource.ts";
import { parseHostPort } from "../runtime/address.ts";
import type { Random } from "../runtime/random.ts";
import type { Balancer } from "./balance/contract.ts";
import { MemberSet, type SelectionSettings } from "./balance/member-set.ts";
import { BALANCERS } from "./balance/table.ts";
import { EndpointMember, EndpointState } from "./cluster-endpoint.ts";
import { type ClusterEvents, ClusterState } from "./cluster-state.ts";
import { planRetry, type RetryPlan } from "./policy/retry.ts";
import type { ConnectStreams } from "./upstream/stream-pool.ts";
import type { PoolTools } from "./upstream/tools.ts";

/** What clusters are built with. */
export interface ClusterTools {
  readonly pool: PoolTools;
  /** How connections that carry many requests at a time are made. */
  readonly connectStreams: ConnectStreams;
  readonly random: Random;
  /** Where this sidecar runs; "" when nobody said. */
  readonly zone: string;
  readonly events: ClusterEvents;
}

export interface Cluster {
  /** `namespace/name`; of an egress host its HOST:PORT. */
  readonly service: string;
  readonly policy: TrafficPolicyResource;
  readonly retry: RetryPlan;
  readonly state: ClusterState;
  /** The balancer and what it was built for; goes on as long as that is the same. */
  readonly balancing: {
    readonly algorithm: LoadBalancerAlgorithm;
    readonly factor: number;
    readonly balancer: Balancer;
  };
  /** Sets of ports that some endpoint has an address of its own for. */
  readonly setsByPort: ReadonlyMap<number, MemberSet<EndpointMember>>;
  /** For every other port. */
  readonly set: MemberSet<EndpointMember>;
  /** All endpoints are sidecars of the mesh. */
  readonly isMesh: boolean;
  /** By endpoint id and address. */
  readonly states: ReadonlyMap<string, EndpointState>;
}

/** An endpoint address that no connection can be made to. */
export class AddressError extends Error {
  readonly index: number;

  constructor(index: number, address: string) {
    super(`"${address}" is not HOST:PORT`);
    this.name = "AddressError";
    this.index = index;
  }
}

/**
 * The cluster of a service. Takes over from `previous` what stays; starts no connection and stops none.
 * @throws AddressError
 */
export function buildCluster(
  service: string,
  policy: TrafficPolicyResource,
  endpoints: readonly Endpoint[],
  previous: Cluster | undefined,
  tools: ClusterTools,
): Cluster {
  const states = new Map<string, EndpointState>();
  const { clock, sockets } = tools.pool;
  const state =
    previous?.state ?? new ClusterState(service, { clock, sockets, random: tools.random, events: tools.events });
  const selection = selectionOf(policy, tools.zone);
  const memberOf = (endpoint: Endpoint, index: number, address: string): EndpointMember => {
    const key = `${endpoint.id} ${address}`;
    let known = states.get(key) ?? previous?.states.get(key);
    if (known === undefined) {
      const target = parseHostPort(address);
      if (target === undefined) throw new AddressError(index, address);
      known = new EndpointState({ target, address, isMesh: endpoint.mesh }, policy, tools);
    }
    states.set(key, known);
    return new EndpointMember(endpoint, address, known);
  };
  const setOf = (port: string): MemberSet<EndpointMember> => {
    const members: EndpointMember[] = [];
    for (const [index, endpoint] of endpoints.entries()) {
      const address = endpoint.addresses[port] ?? endpoint.address;
      if (address !== "") members.push(memberOf(endpoint, index, address));
    }
    return new MemberSet(members, selection, state.health);
  };
  const ports = new Set(endpoints.flatMap((endpoint) => Object.keys(endpoint.addresses)));
  const setsByPort = new Map([...ports].map((port) => [Number(port), setOf(port)]));
  return {
    service,
    policy,
    retry: policy === previous?.policy ? previous.retry : planRetry(policy.retry),
    state,
    balancing: balancingOf(policy, previous, tools),
    setsByPort,
    set: setOf(""),
    isMesh: endpoints.length > 0 && endpoints.every(({ mesh }) => mesh),
    states,
  };
}

function selectionOf({ loadBalancer, outlierDetection }: TrafficPolicyResource, zone: string): SelectionSettings {
  const { slowStartMs, adaptive, zonePreference } = loadBalancer;
  return {
    slowStartMs,
    adaptive,
    panicThreshold: outlierDetection?.panicThreshold ?? 0,
    zone: zonePreference === undefined ? "" : zone,
    zoneMinHealthyPercent: zonePreference?.minHealthyPercent ?? 0,
  };
}

function balancingOf(
  { loadBalancer }: TrafficPolicyResource,
  previous: Cluster | undefined,
  tools: ClusterTools,
): Cluster["balancing"] {
  const { algorithm, hashBalanceFactor: factor } = loadBalancer;
  const before = previous?.balancing;
  if (before?.algorithm === algorithm && before.factor === factor) return before;
  const { random, pool } = tools;
  return {
    algorithm,
    factor,
    balancer: BALANCERS[algorithm]({ random, clock: pool.clock, hashBalanceFactor: factor }),
  };
}

/** The endpoints for a port of the service. */
export function membersFor(cluster: Cluster, port: number): MemberSet<EndpointMember> {
  if (cluster.setsByPort.size === 0) return cluster.set;
  return cluster.setsByPort.get(port) ?? cluster.set;
}

/**
 * An endpoint of `members` for one attempt; undefined when none may be used.
 * @param tried endpoints to avoid while there are others
 * @param hash of the request, for balancers that go by it
 * @param nowMs the clock's time
 */
export function chooseEndpoint(
  cluster: Cluster,
  members: MemberSet<EndpointMember>,
  tried: readonly EndpointMember[],
  hash: number,
  nowMs: number,
  tools: ClusterTools,
): EndpointMember | undefined {
  const { balancer } = cluster.balancing;
  cluster.state.refreshHealth(nowMs);
  const member = balancer.pick(members.select(nowMs, balancer.usesHash, hash, tools.random), tried, hash);
  if (tried.length === 0 || (member !== undefined && !tried.includes(member))) return member;
  return balancer.pick(members.everywhere, tried, hash) ?? member;
}

/**
 * `next` took the place of `previous`: its policy acts, pools get their new bounds, those of endpoints that left drain,
 * and what ran for a service that is gone stops.
 */
export function settleCluster(previous: Cluster | undefined, next: Cluster | undefined): void {
  if (previous === next) return;
  for (const [key, state] of previous?.states ?? []) {
    if (next?.states.get(key) === state) continue;
    state.pool.drain();
    state.streams.drain();
    state.breaker?.close();
  }
  if (previous !== undefined && next?.state !== previous.state) previous.state.close();
  if (next === undefined) return;
  next.state.settle(next.policy, [...next.states.values()]);
  if (next.policy === previous?.policy) return;
  for (const { pool, streams } of next.states.values()) {
    pool.configure(next.policy.connectionPool);
    streams.configure(next.policy.connectionPool);
  }
}
