// What policies decide per request, in one process and without sockets: choosing an endpoint and being told how the attempt
// ended, by policy. CPU of this process, so that it can be believed on a machine that others use.
import { chooseEndpoint } from "../sidecar/cluster.ts";
import { applyRules, createPath, serviceOf } from "../sidecar/proxy/testing/rig.ts";
import type { BenchOptions, BenchResult, Figure } from "./result.ts";

const TURNS = 500_000;
const WARM_UP = 50_000;
const ENDPOINTS = Array.from({ length: 10 }, (_, index) => `127.0.0.1:${index + 1}`);
/** The decisions must stay a small part of a request, which costs about 3 us of user time. */
const ALL_AT_MOST_NS = 1_500;

const POLICIES: Readonly<Record<string, string>> = {
  "round-robin": "loadBalancer: { algorithm: round-robin }, outlierDetection: { consecutiveErrors: 0 }",
  "least-request": "loadBalancer: { algorithm: least-request }, outlierDetection: { consecutiveErrors: 0 }",
  "peak-ewma": "loadBalancer: { algorithm: peak-ewma }",
  maglev: "loadBalancer: { algorithm: maglev, hashOn: { header: x-user } }",
  "circuit breaker": "circuitBreaker: {}",
  "circuit breaker per endpoint": "circuitBreaker: { scope: endpoint }",
  "outlier detection": "outlierDetection: { successRate: {}, failurePercentage: {} }",
  "hedging by percentile": "retry: { hedge: { after: p95 } }",
  "all together":
    "loadBalancer: { algorithm: peak-ewma, adaptive: true, slowStart: 30s }, circuitBreaker: { scope: endpoint }, outlierDetection: { successRate: {}, failurePercentage: {} }, retry: { hedge: { after: p95 } }",
};

export async function run({ scale, note }: BenchOptions): Promise<BenchResult> {
  const figures: Figure[] = [];
  for (const [name, policy] of Object.entries(POLICIES)) {
    note(name);
    const value = await nanosecondsOf(policy, Math.ceil(TURNS * scale));
    const isAll = name === "all together";
    figures.push({
      name,
      value,
      unit: "ns",
      ...(isAll && { target: { kind: "at-most", value: ALL_AT_MOST_NS } as const }),
    });
  }
  return {
    bench: "deciders",
    title: `A choice among ${ENDPOINTS.length} endpoints and its outcome, user CPU.`,
    figures,
  };
}

async function nanosecondsOf(policy: string, turns: number): Promise<number> {
  const path = await createPath();
  const spec = `{ targetRef: { kind: Service, name: orders }, ${policy} }`;
  applyRules(
    path,
    `${serviceOf("orders", ...ENDPOINTS)}apiVersion: weft.mesh/v1\nkind: TrafficPolicy\nmetadata: { name: orders }\nspec: ${spec}\n`,
  );
  const { current } = path.snapshots;
  const cluster = current.services.get("default/orders")?.cluster;
  if (cluster === undefined) throw new Error("the rules have no service orders");
  const { state } = cluster;
  const decide = (count: number): void => {
    for (let turn = 0; turn < count; turn++) {
      const service = state.breaker?.admit() ?? 0;
      const hash = Math.imul(turn, 2_654_435_761) >>> 0;
      const member = chooseEndpoint(cluster, cluster.set, [], hash, state.now(), current.tools);
      if (member === undefined || !state.isWatching) continue;
      const endpoint = member.state.breaker?.admit() ?? 0;
      const nowMs = state.now();
      state.report(member.state, { service, endpoint }, "success", { startedMs: nowMs - 1 }, nowMs);
    }
  };
  decide(WARM_UP);
  const before = process.cpuUsage();
  decide(turns);
  const { user } = process.cpuUsage(before);
  state.close();
  return (user * 1_000) / turns;
}
