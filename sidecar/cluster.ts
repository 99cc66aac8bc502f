// One service as a destination: its endpoints with what is alive about them (pool, requests in progress, health), its
// balancer and its retry budget. A cluster is immutable and belongs to snapshots; what lives is carried from one to
// the next, so that a change of rules or endpoints costs no connection.

import type { Endpoint, LoadBalancerAlgorithm, TrafficPolicyResource } from "../rules/resource.ts";
import { type HostPort, parseHostPort } from "../runtime/address.ts";
import type { Random } from "../runtime/random.ts";
import { type Balancer, type CandidateSet, candidateSet } from "./balance/contract.ts";
import { PeakEwma } from "./balance/latency.ts";
import type { Member } from "./balance/member-set.ts";
import { BALANCERS } from "./balance/table.ts";
import { planRetry, type RetryPlan } from "./policy/retry.ts";
import { RetryBudget } from "./policy/retry-budget.ts";
import { Pool } from "./upstream/pool.ts";
import type { PoolTools } from "./upstream/tools.ts";

/** What clusters are built with. */
export interface ClusterTools {
  readonly pool: PoolTools;
  readonly random: Random;
}

/** What outlives snapshots of one endpoint address. */
export class EndpointState {
  readonly pool: Pool;
  activeRequests = 0;
  isHealthy = true;
  readonly latency = new PeakEwma();
  /** Since when it takes traffic. */
  healthySinceMs: number;
  /** 0..1 as the endpoint reports it; negative: it does not. */
  utilization = -1;

  constructor(target: HostPort, policy: TrafficPolicyResource, tools: ClusterTools) {
    this.pool = new Pool(target, policy.connectionPool, tools.pool);
    this.healthySinceMs = tools.pool.clock.now();
  }
}

/** One endpoint in one snapshot. */
export class EndpointMember implements Member {
  readonly endpoint: Endpoint;
  /** HOST:PORT that this member stands for. */
  readonly address: string;
  readonly weight: number;
  share: number;
  credit = 0;
  readonly state: EndpointState;

  constructor(endpoint: Endpoint, address: string, state: EndpointState) {
    this.endpoint = endpoint;
    this.address = address;
    this.weight = endpoint.weight;
    this.share = endpoint.weight;
    this.state = state;
  }

  get key(): string {
    return this.address;
  }

  get zone(): string {
    return this.endpoint.zone;
  }

  get latency(): PeakEwma {
    return this.state.latency;
  }

  get healthySinceMs(): number {
    return this.state.healthySinceMs;
  }

  get utilization(): number {
    return this.state.utilization;
  }

  get activeRequests(): number {
    return this.state.activeRequests;
  }

  get isHealthy(): boolean {
    return this.state.isHealthy;
  }
}

/** What outlives snapshots of one service. */
export interface ClusterState {
  readonly budget: RetryBudget;
  readonly algorithm: LoadBalancerAlgorithm;
  readonly balancer: Balancer;
  /** Requests in progress to the service from this sidecar, for `maxRequests`. */
  activeRequests: number;
  /** Memo of the data path: counters of attempts by outcome. */
  readonly outcomes: Map<string, { value: number }>;
}

export interface Cluster {
  /** `namespace/name`; of an egress host its HOST:PORT. */
  readonly service: string;
  readonly policy: TrafficPolicyResource;
  readonly retry: RetryPlan;
  readonly state: ClusterState;
  /** Sets of ports that some endpoint has an address of its own for. */
  readonly setsByPort: ReadonlyMap<number, CandidateSet<EndpointMember>>;
  /** For every other port. */
  readonly set: CandidateSet<EndpointMember>;
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
  const memberOf = (endpoint: Endpoint, index: number, address: string): EndpointMember => {
    const key = `${endpoint.id} ${address}`;
    let state = states.get(key) ?? previous?.states.get(key);
    if (state === undefined) {
      const target = parseHostPort(address);
      if (target === undefined) throw new AddressError(index, address);
      state = new EndpointState(target, policy, tools);
    }
    states.set(key, state);
    return new EndpointMember(endpoint, address, state);
  };
  const setOf = (port: string): CandidateSet<EndpointMember> => {
    const members: EndpointMember[] = [];
    for (const [index, endpoint] of endpoints.entries()) {
      const address = endpoint.addresses[port] ?? endpoint.address;
      if (address !== "") members.push(memberOf(endpoint, index, address));
    }
    return candidateSet(members);
  };
  const ports = new Set(endpoints.flatMap((endpoint) => Object.keys(endpoint.addresses)));
  const setsByPort = new Map([...ports].map((port) => [Number(port), setOf(port)]));
  return {
    service,
    policy,
    retry: policy === previous?.policy ? previous.retry : planRetry(policy.retry),
    state: clusterState(policy, previous, tools),
    setsByPort,
    set: setOf(""),
    states,
  };
}

function clusterState(policy: TrafficPolicyResource, previous: Cluster | undefined, tools: ClusterTools): ClusterState {
  const algorithm = policy.loadBalancer.algorithm;
  if (previous !== undefined && previous.state.algorithm === algorithm) return previous.state;
  return {
    budget: previous?.state.budget ?? new RetryBudget(),
    algorithm,
    balancer: BALANCERS[algorithm]({ random: tools.random, clock: tools.pool.clock, hashBalanceFactor: 0 }),
    activeRequests: 0,
    outcomes: new Map(),
  };
}

/** The endpoints for a port of the service. */
export function membersFor(cluster: Cluster, port: number): CandidateSet<EndpointMember> {
  if (cluster.setsByPort.size === 0) return cluster.set;
  return cluster.setsByPort.get(port) ?? cluster.set;
}

/** After `next` took the place of `previous`: pools get their new bounds, pools of endpoints that left drain. */
export function settleCluster(previous: Cluster | undefined, next: Cluster | undefined): void {
  if (previous === next) return;
  for (const [key, state] of previous?.states ?? []) {
    if (next?.states.get(key) !== state) state.pool.drain();
  }
  if (next === undefined || next.policy === previous?.policy) return;
  for (const state of next.states.values()) state.pool.configure(next.policy.connectionPool);
}
