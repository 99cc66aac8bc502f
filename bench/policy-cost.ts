// User CPU per request of each field of a TrafficPolicy, alone and all together, over a sidecar whose policy does as
// little as can be. On the way out; what is enforced on the way in has costs in nanoseconds (docs/performance.md).
import type { Peer } from "./peers/contract.ts";
import { weftWithRules } from "./peers/weft.ts";
import { median, ProxyField, type Sampled, SMALL, userUs } from "./proxy-field.ts";
import type { BenchOptions, BenchResult, Figure } from "./result.ts";

const CONNECTIONS = 64;
const ROUNDS = 9;
const ROUND_MS = 1_000;
const ALL_AT_MOST = 1.5;

const NOTHING = {
  connectionPool: { maxConnections: 16_384, maxPendingRequests: 16_384, maxRequests: 16_384, idleTimeout: "60s" },
  loadBalancer: { algorithm: "round-robin" },
  timeout: { request: "0s", perTry: "0s" },
  retry: { attempts: 0 },
  outlierDetection: { consecutiveErrors: 0 },
};

const POLICIES: Readonly<Record<string, object>> = {
  timeouts: { timeout: { request: "15s", perTry: "5s", idle: "5m" } },
  retries: { retry: { attempts: 2 } },
  "retries and hedging": { retry: { attempts: 2, hedge: { after: "p99" } } },
  "circuit breaker": { circuitBreaker: {} },
  "circuit breaker per endpoint": { circuitBreaker: { scope: "endpoint" } },
  "outlier detection": { outlierDetection: { consecutiveErrors: 5, successRate: {}, failurePercentage: {} } },
  "health checks": { healthCheck: { tcp: {}, interval: "1s" } },
  "least-request": { loadBalancer: { algorithm: "least-request" } },
  "peak-ewma": { loadBalancer: { algorithm: "peak-ewma" } },
  maglev: { loadBalancer: { algorithm: "maglev", hashOn: { header: "user-agent" } } },
  "adaptive weights, slow start": { loadBalancer: { algorithm: "least-request", adaptive: true, slowStart: "30s" } },
  "last good response": { fallback: { staleFor: "1m" } },
  all: {
    timeout: { request: "15s", perTry: "5s", idle: "5m" },
    retry: { attempts: 2, hedge: { after: "p99" } },
    circuitBreaker: { scope: "endpoint" },
    outlierDetection: { consecutiveErrors: 5, successRate: {}, failurePercentage: {} },
    healthCheck: { tcp: {}, interval: "1s" },
    loadBalancer: { algorithm: "peak-ewma", adaptive: true, slowStart: "30s" },
    fallback: { status: 200, body: "fallback" },
  },
};

function peer(name: string, policy: object): Peer {
  return weftWithRules(name, (endpointPorts) => {
    const endpoints = endpointPorts.map((port) => ({ address: `127.0.0.1:${port}` }));
    const document = (kind: string, metadata: object, spec: object) =>
      JSON.stringify({ apiVersion: "weft.mesh/v1", kind, metadata, spec });
    const targetRef = { kind: "Service", name: "orders" };
    return [
      document("Service", { name: "orders" }, { ports: [{ port: 80 }], endpoints }),
      document("TrafficPolicy", { name: "orders" }, { targetRef, ...NOTHING, ...policy }),
      document("Mesh", { name: "mesh" }, { headers: { forwarded: false, requestId: false } }),
    ].join("\n---\n");
  });
}

export async function run({ scale, note }: BenchOptions): Promise<BenchResult> {
  const peers = [peer("none", {}), ...Object.entries(POLICIES).map(([name, policy]) => peer(name, policy))];
  const field = await ProxyField.start(peers, note);
  const rounds = Math.max(3, Math.round(ROUNDS * scale));
  const durationMs = Math.max(200, ROUND_MS * Math.min(1, scale));
  try {
    await field.load.use(SMALL);
    note(`${rounds} rounds of ${field.peers.length} sidecars`);
    const sampled = await field.rounds(rounds, (one) => field.load.closedLoop(one, CONNECTIONS, durationMs));
    return {
      bench: "policy-cost",
      title: `User CPU per request by policy, ${CONNECTIONS} connections, medians of ${rounds} interleaved rounds.`,
      figures: figuresOf(sampled),
    };
  } finally {
    await field.stop();
  }
}

function figuresOf(sampled: readonly Sampled[]): Figure[] {
  const [none, ...others] = sampled;
  if (none === undefined) return [];
  const base = median(none, userUs);
  const figures: Figure[] = [{ name: "none", value: base, unit: "us user" }];
  for (const one of others) {
    const value = median(one, userUs);
    const isAll = one.name === "all";
    figures.push({
      name: isAll ? "all together, against none" : `+ ${one.name}`,
      value: isAll ? value / base : value - base,
      unit: isAll ? "ratio" : "us user",
      ...(isAll && { target: { kind: "at-most", value: ALL_AT_MOST } as const, detail: `${value.toFixed(2)} us` }),
    });
  }
  return figures;
}
