// Figures that are read off the pools when somebody asks, instead of being kept on the hot path.
import type { Cluster } from "../cluster.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { Snapshot } from "../snapshot.ts";

/** Brings the gauges of pools and endpoints up to date. */
export function readGauges(metrics: Metrics, snapshot: Snapshot, nowMs: number): void {
  for (const { service, cluster } of snapshot.services.values()) readCluster(metrics, service, cluster, nowMs);
}

function readCluster(metrics: Metrics, service: string, cluster: Cluster, nowMs: number): void {
  const sum = { idle: 0, active: 0, connecting: 0, pending: 0, healthy: 0, unhealthy: 0 };
  for (const { pool, streams, isHealthy } of cluster.states.values()) {
    sum.idle += pool.idleCount + streams.idleCount;
    sum.active += pool.leasedCount + streams.activeCount;
    sum.connecting += pool.connectingCount + streams.connectingCount;
    sum.pending += pool.pendingCount + streams.pendingCount;
    if (isHealthy) sum.healthy++;
    else sum.unhealthy++;
  }
  metrics.poolConnections.cell(service, "idle").value = sum.idle;
  metrics.poolConnections.cell(service, "active").value = sum.active;
  metrics.poolConnections.cell(service, "connecting").value = sum.connecting;
  metrics.poolPending.cell(service).value = sum.pending;
  metrics.endpoints.cell(service, "healthy").value = sum.healthy;
  metrics.endpoints.cell(service, "unhealthy").value = sum.unhealthy;
  const { budget } = cluster.state;
  metrics.retryBudget.cell(service).value = budget.available(nowMs, cluster.retry.budget);
  readCircuits(metrics, service, cluster);
}

function readCircuits(metrics: Metrics, service: string, cluster: Cluster): void {
  const sum = { closed: 0, open: 0, "half-open": 0 };
  let breakers = 0;
  for (const { breaker } of [cluster.state, ...cluster.states.values()]) {
    if (breaker === undefined) continue;
    breakers++;
    sum[breaker.state]++;
  }
  // The policy may have lost its breaker since the last reading.
  if (breakers === 0) return metrics.circuits.cells.drop(([of]) => of === service);
  for (const [state, count] of Object.entries(sum)) metrics.circuits.cell(service, state).value = count;
}
