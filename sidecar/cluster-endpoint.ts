// One endpoint of a cluster: what lives as long as its address is known (pool, requests in progress, health, latency),
// and how one snapshot sees it. Its health is an overlay: the lease (it is in the snapshot), active checks, passive ones.
import type { Endpoint, TrafficPolicyResource } from "../rules/resource.ts";
import type { HostPort } from "../runtime/address.ts";
import { PeakEwma } from "./balance/latency.ts";
import type { Member } from "./balance/member-set.ts";
import type { Breaker } from "./policy/breaker.ts";
import { OutlierHost } from "./policy/outlier.ts";
import { ActiveHealth } from "./upstream/health/active-health.ts";
import type { ProbedHost } from "./upstream/health/health-checker.ts";
import { Pool } from "./upstream/pool.ts";
import { type ConnectStreams, StreamPool } from "./upstream/stream-pool.ts";
import type { PoolTools } from "./upstream/tools.ts";

/** What endpoints are built with. */
export interface EndpointTools {
  readonly pool: PoolTools;
  readonly connectStreams: ConnectStreams;
}

/** Where an endpoint is, and what listens there. */
export interface EndpointPlace {
  readonly target: HostPort;
  /** HOST:PORT. */
  readonly address: string;
  /** A sidecar. */
  readonly isMesh: boolean;
}

/** What outlives snapshots of one endpoint address. */
export class EndpointState implements ProbedHost {
  readonly target: HostPort;
  /** HOST:PORT. */
  readonly address: string;
  /** Connections of HTTP/1.1. */
  readonly pool: Pool;
  /** Connections of HTTP/2. */
  readonly streams: StreamPool;
  readonly latency = new PeakEwma();
  readonly active = new ActiveHealth();
  readonly outlier: OutlierHost;
  /** Where breakers are per endpoint. */
  breaker: Breaker | undefined = undefined;
  activeRequests = 0;
  /** Since when it takes traffic; slow start counts from here. */
  healthySinceMs: number;
  /** 0..1 as the endpoint reports it; negative: it does not. */
  utilization = -1;

  constructor({ target, address, isMesh }: EndpointPlace, policy: TrafficPolicyResource, tools: EndpointTools) {
    this.target = target;
    this.address = address;
    this.pool = new Pool(target, policy.connectionPool, tools.pool);
    const streamTools = { connect: tools.connectStreams, sockets: tools.pool.sockets };
    this.streams = new StreamPool(target, policy.connectionPool, streamTools, isMesh);
    this.outlier = new OutlierHost(address);
    this.healthySinceMs = tools.pool.clock.now();
  }

  get isHealthy(): boolean {
    if (this.outlier.isEjected || this.outlier.isOut) return false;
    return this.breaker === undefined || this.breaker.isAdmitting;
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

  get condition(): string {
    return healthInWords(this.state);
  }
}

/** Why the endpoint gets no traffic, by part of the overlay; "" where a part has nothing against it. */
export interface HealthParts {
  /** Error of the last active check. */
  readonly active: string;
  /** Cause of its ejection. */
  readonly passive: string;
  /** State of its circuit breaker. */
  readonly circuit: "" | "open" | "half-open";
}

export function healthParts({ active, outlier, breaker }: EndpointState): HealthParts {
  const circuit = breaker === undefined || breaker.state === "closed" ? "" : breaker.state;
  return { active: outlier.isOut ? active.lastError : "", passive: outlier.isEjected ? outlier.cause : "", circuit };
}

/** "healthy", or every reason why the endpoint gets no traffic, each by the part of the overlay that says so. */
export function healthInWords(state: EndpointState): string {
  const { active, passive, circuit } = healthParts(state);
  const reasons: string[] = [];
  if (active !== "") reasons.push(`active check: ${active}`);
  if (passive !== "") reasons.push(`ejected: ${passive}`);
  if (circuit !== "") reasons.push(`circuit ${circuit}`);
  return reasons.length === 0 ? "healthy" : reasons.join("; ");
}
