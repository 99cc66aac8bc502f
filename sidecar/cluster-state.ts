// What lives about one service while snapshots come and go: its budget, its breaker, who is ejected, who is probed. Fed
// with how attempts end; brought in line with a policy when its snapshot becomes the current one.
import { isDeepStrictEqual } from "node:util";
import type { TrafficPolicyResource } from "../rules/resource.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Random } from "../runtime/random.ts";
import type { SocketBudget } from "../runtime/socket-budget.ts";
import type { HealthVersion } from "./balance/member-set.ts";
import type { EndpointState } from "./cluster-endpoint.ts";
import { Breaker, type BreakerSettings, type BreakerState, type Verdict } from "./policy/breaker.ts";
import { hedgeDelay, LatencyPercentile } from "./policy/hedge.ts";
import { LastGood } from "./policy/last-good.ts";
import { type EjectionCause, type HostOutcome, OutlierDetector, type OutlierHost } from "./policy/outlier.ts";
import { RetryBudget } from "./policy/retry-budget.ts";
import { HealthChecker } from "./upstream/health/health-checker.ts";

/** How an attempt ended; "none": it says nothing about the endpoint; "outrun": a copy sent later answered before it. */
export type AttemptOutcome = HostOutcome | "none" | "outrun";

/** Told of what changes by itself; for logs and figures. `endpoint` is HOST:PORT, "" for the service as a whole. */
export interface ClusterEvents {
  onCircuit(service: string, endpoint: string, state: BreakerState, why: string): void;
  onEjected(service: string, endpoint: string, cause: EjectionCause, forMs: number): void;
  onReturned(service: string, endpoint: string): void;
  /** @param isRepeated it was told before, and the endpoint has not succeeded since */
  onEjectionRefused(service: string, endpoint: string, cause: EjectionCause, isRepeated: boolean): void;
  /** Active checks found it healthy (`error` is "") or unhealthy. */
  onHealth(service: string, endpoint: string, error: string): void;
  onProbe(service: string, error: string): void;
}

/** What the state of every service works with. */
interface StateTools {
  readonly clock: Clock;
  readonly random: Random;
  readonly events: ClusterEvents;
  /** Probes take theirs of it. */
  readonly sockets: SocketBudget;
}

/** What was admitted for one attempt; kept by the attempt, given back once. */
export interface BreakerTickets {
  service: number;
  endpoint: number;
}

export class ClusterState {
  readonly service: string;
  readonly budget = new RetryBudget();
  readonly health: HealthVersion = { version: 0 };
  /** Memo of the data path: counters of attempts by outcome. */
  readonly outcomes: Map<string, { value: number }> = new Map();
  /** Requests in progress to the service from this sidecar, for `maxRequests`. */
  activeRequests = 0;
  /** Of those, the ones that are tried again, for `maxRetries`. */
  activeRetries = 0;
  breaker: Breaker | undefined = undefined;
  /** Of latency, where hedges go by one. */
  percentile: LatencyPercentile | undefined = undefined;
  /** Kept for the policy's fallback, where that answers with them. */
  lastGood: LastGood | undefined = undefined;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #events: ClusterEvents;
  readonly #sockets: SocketBudget;
  #isWatching = false;
  #readsLoad = false;
  #detector: OutlierDetector | undefined = undefined;
  #endpointOf: (host: OutlierHost) => EndpointState | undefined = () => undefined;
  #checker:
    | { readonly policy: TrafficPolicyResource["healthCheck"]; readonly checker: HealthChecker<EndpointState> }
    | undefined;

  constructor(service: string, { clock, random, events, sockets }: StateTools) {
    this.service = service;
    this.#clock = clock;
    this.#random = random;
    this.#events = events;
    this.#sockets = sockets;
  }

  /** From now on this policy acts on these endpoints. What is known of those that stay, stays. */
  settle(policy: TrafficPolicyResource, endpoints: readonly EndpointState[]): void {
    this.#settleBreakers(policy.circuitBreaker, endpoints);
    this.#settleOutliers(policy.outlierDetection, endpoints);
    this.#settleChecks(policy.healthCheck, endpoints);
    const { loadBalancer, circuitBreaker, outlierDetection } = policy;
    this.#readsLoad = loadBalancer.adaptive;
    this.lastGood = (policy.fallback?.staleForMs ?? 0) > 0 ? (this.lastGood ?? new LastGood()) : undefined;
    this.percentile = percentileFor(policy.retry.hedge?.after, this.percentile);
    const goesByLatency = loadBalancer.algorithm === "peak-ewma" || loadBalancer.adaptive;
    this.#isWatching =
      goesByLatency || circuitBreaker !== undefined || judgesAnswers(outlierDetection) || this.percentile !== undefined;
    this.health.version++;
  }

  /** The service is gone: nothing of it runs by itself any more. */
  close(): void {
    this.breaker?.close();
    this.breaker = undefined;
    this.#checker?.checker.close();
    this.#checker = undefined;
  }

  /** Ejections that are over end here; ask before a choice. */
  refreshHealth(nowMs: number): void {
    this.#detector?.sweep(nowMs);
  }

  now(): number {
    return this.#clock.now();
  }

  /** Anything is decided by how attempts end. */
  get isWatching(): boolean {
    return this.#isWatching;
  }

  /** Loads that endpoints report with their answers are wanted. */
  get readsLoad(): boolean {
    return this.#readsLoad;
  }

  /** An attempt at `endpoint` failed, or its answer began. @param attempt when it began, by the clock */
  report(
    endpoint: EndpointState,
    tickets: BreakerTickets,
    outcome: AttemptOutcome,
    attempt: { readonly startedMs: number },
    nowMs: number,
  ): void {
    this.#settle(endpoint, tickets, verdictOf(outcome), nowMs);
    if (outcome === "none") return;
    if (outcome !== "outrun") this.#detector?.report(endpoint.outlier, outcome, nowMs);
    // A failure is often fast; it must not make its endpoint look like the best of all.
    const { latency } = endpoint;
    const latencyMs = nowMs - attempt.startedMs;
    // What was outrun would have taken longer still: left out, the percentile would sink with every copy.
    if (outcome === "success" || outcome === "outrun") this.percentile?.observe(latencyMs);
    latency.observe(outcome === "success" ? latencyMs : Math.max(latencyMs, latency.estimateMs(nowMs)), nowMs);
  }

  /** An attempt that breakers let through is not made. */
  giveBack(endpoint: EndpointState, tickets: BreakerTickets, nowMs: number): void {
    this.#settle(endpoint, tickets, "none", nowMs);
  }

  #settle(endpoint: EndpointState, tickets: BreakerTickets, verdict: Verdict, nowMs: number): void {
    this.breaker?.settle(tickets.service, verdict, nowMs);
    endpoint.breaker?.settle(tickets.endpoint, verdict, nowMs);
  }

  /** For services where nobody is told how attempts end: no connection to `endpoint` could be made. */
  reportUnreachable(endpoint: EndpointState): void {
    this.#detector?.report(endpoint.outlier, "connect-failure", this.#clock.now());
  }

  #settleBreakers(policy: TrafficPolicyResource["circuitBreaker"], endpoints: readonly EndpointState[]): void {
    const ofService = policy?.scope === "service" ? policy : undefined;
    const ofEndpoints = policy?.scope === "endpoint" ? policy : undefined;
    this.breaker = this.#breakerFor(ofService, this.breaker, "");
    for (const endpoint of endpoints)
      endpoint.breaker = this.#breakerFor(ofEndpoints, endpoint.breaker, endpoint.address);
  }

  #breakerFor(
    settings: BreakerSettings | undefined,
    current: Breaker | undefined,
    endpoint: string,
  ): Breaker | undefined {
    if (settings === undefined) {
      current?.close();
      return undefined;
    }
    if (current === undefined)
      return new Breaker(settings, (state, why) => {
        this.health.version++;
        this.#events.onCircuit(this.service, endpoint, state, why);
      });
    current.configure(settings);
    return current;
  }

  #settleOutliers(policy: TrafficPolicyResource["outlierDetection"], endpoints: readonly EndpointState[]): void {
    if (policy === undefined) {
      this.#detector?.clear();
      this.#detector = undefined;
      return;
    }
    if (this.#detector === undefined) this.#detector = this.#buildDetector(policy);
    else this.#detector.configure(policy);
    const byHost = new Map(endpoints.map((endpoint) => [endpoint.outlier, endpoint]));
    this.#endpointOf = (host) => byHost.get(host);
    this.#detector.setHosts([...byHost.keys()]);
  }

  #buildDetector(policy: NonNullable<TrafficPolicyResource["outlierDetection"]>): OutlierDetector {
    const events = this.#events;
    const listener = {
      onEjected: (host: OutlierHost, cause: EjectionCause, forMs: number) => {
        this.health.version++;
        events.onEjected(this.service, host.name, cause, forMs);
      },
      onReturned: (host: OutlierHost) => {
        this.#noteReturn(this.#endpointOf(host));
        events.onReturned(this.service, host.name);
      },
      onRefused: (host: OutlierHost, cause: EjectionCause, isRepeated: boolean) =>
        events.onEjectionRefused(this.service, host.name, cause, isRepeated),
    };
    return new OutlierDetector(policy, listener, this.#clock.now());
  }

  #settleChecks(policy: TrafficPolicyResource["healthCheck"], endpoints: readonly EndpointState[]): void {
    if (this.#checker !== undefined && !isDeepStrictEqual(this.#checker.policy, policy)) {
      this.#checker.checker.close();
      this.#checker = undefined;
    }
    if (policy === undefined) {
      for (const { outlier, active } of endpoints) {
        outlier.isOut = false;
        active.reset();
      }
      return;
    }
    this.#checker ??= { policy, checker: this.#buildChecker(policy) };
    this.#checker.checker.setHosts(endpoints);
  }

  #buildChecker(policy: NonNullable<TrafficPolicyResource["healthCheck"]>): HealthChecker<EndpointState> {
    return new HealthChecker<EndpointState>(
      { ...policy, kind: policy.probe },
      {
        clock: this.#clock,
        random: this.#random,
        sockets: this.#sockets,
        onChange: (endpoint) => {
          endpoint.outlier.isOut = endpoint.active.state === "unhealthy";
          if (endpoint.outlier.isOut) this.health.version++;
          else this.#noteReturn(endpoint);
          this.#events.onHealth(
            this.service,
            endpoint.address,
            endpoint.outlier.isOut ? endpoint.active.lastError : "",
          );
        },
        onProbe: (_, error) => this.#events.onProbe(this.service, error),
      },
    );
  }

  /** An endpoint that comes back starts slowly again. */
  #noteReturn(endpoint: EndpointState | undefined): void {
    this.health.version++;
    if (endpoint !== undefined) endpoint.healthySinceMs = this.#clock.now();
  }
}

/** Do ejections depend on what endpoints answer, and not on connections alone? */
function judgesAnswers(outliers: TrafficPolicyResource["outlierDetection"]): boolean {
  if (outliers === undefined) return false;
  const { consecutiveErrors, consecutiveGatewayErrors, successRate, failurePercentage } = outliers;
  const judgesMany = successRate !== undefined || failurePercentage !== undefined;
  return judgesMany || consecutiveErrors > 0 || consecutiveGatewayErrors > 0;
}

/** What was observed goes on as long as the same percentile is asked for. */
function percentileFor(after: number | string | undefined, before: LatencyPercentile | undefined) {
  const delay = after === undefined ? undefined : hedgeDelay(after);
  if (delay?.type !== "percentile") return undefined;
  return before?.share === delay.share ? before : new LatencyPercentile(delay.share);
}

function verdictOf(outcome: AttemptOutcome): Verdict {
  if (outcome === "none" || outcome === "outrun") return "none";
  return outcome === "success" ? "success" : "failure";
}
