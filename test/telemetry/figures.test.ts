// Every figure that docs/metrics.md lists, made to move in real processes by what it counts, and read as a scraper reads it.
// What no input moves in the time of a test is named at the end, with where it is tested.
import { readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask } from "../ask.ts";
import { closeClients, FakeSidecar } from "../control-plane/client.ts";
import { cleanUp, eventually, REPOSITORY, type RunningProgram, temporaryFolder } from "../harness.ts";
import { RulesClient, startMesh, startService } from "../mesh.ts";
import { Collector } from "../otlp/collected.ts";
import { page, serviceDocument, startHttpApp, startSidecar } from "../sidecar/sidecar-process.ts";
import { readExposition, type Sample } from "./exposition.ts";

const closing: (() => unknown)[] = [];
/** Families that were seen above zero. */
const moved = new Set<string>();

afterAll(async () => {
  closeClients();
  for (const close of closing) await close();
  await cleanUp();
});

async function startApp(handler: Parameters<typeof startHttpApp>[0]): Promise<string> {
  const app = await startHttpApp(handler);
  closing.push(() => app.close());
  return app.address;
}

/** Answers what an app holds back, again and again. */
function answerAll(take: () => (() => void)[]): NodeJS.Timeout {
  return setInterval(() => {
    for (const answer of take()) answer();
  }, 10);
}

/** A server that says back what it hears. */
async function startEcho(): Promise<string> {
  const server = createServer((socket) => socket.on("error", () => {}).pipe(socket));
  closing.push(() => server.close());
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const DEAD = "127.0.0.1:1";

function document(kind: string, name: string, spec: string): string {
  return `apiVersion: weft.mesh/v1\nkind: ${kind}\nmetadata: { name: ${name} }\nspec: ${spec}\n---\n`;
}

const policy = (name: string, spec: string): string =>
  document("TrafficPolicy", name, `{ targetRef: { kind: Service, name: ${name} }, ${spec} }`);

async function figures(address: string): Promise<Sample[]> {
  const families = readExposition(await (await fetch(`http://${address}/metrics`)).text(), "prometheus");
  for (const { name, samples } of families.values()) if (samples.some(({ value }) => value > 0)) moved.add(name);
  return [...families.values()].flatMap(({ samples }) => samples);
}

/** Resolves once the samples of this name and these labels together are at least `atLeast`. */
async function reaches(
  address: string,
  name: string,
  labels: Readonly<Record<string, string>>,
  atLeast = 1,
): Promise<void> {
  await eventually(`${name} ${JSON.stringify(labels)} >= ${atLeast}`, async () => {
    const found = (await figures(address)).filter(
      (sample) =>
        sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
    );
    return found.length > 0 && found.reduce((sum, { value }) => sum + value, 0) >= atLeast;
  });
}

describe("a sidecar's figures of what its app calls", () => {
  let web: RunningProgram;
  let at = "";
  let late: (() => void)[] = [];

  const get = (host: string, path = "/", method = "GET") => {
    const body = method === "GET" ? {} : { "content-length": "0" };
    return ask({ address: web.address("outbound"), path, method, headers: { host, ...body } });
  };

  beforeAll(async () => {
    const good = await startApp("good");
    const broken = await startApp((_, answer) => answer.writeHead(503).end());
    const slow = await startApp((_, answer) => late.push(() => answer.end("late")));
    const collector = await Collector.start();
    const [grpc] = [collector.grpc];
    const spec = `{ tracing: { endpoint: "${grpc}", sampling: 100 }, metrics: { otlp: { endpoint: "${grpc}", interval: 200ms } } }`;
    const route = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: mirrored }
spec:
  parentRefs: [{ group: "", kind: Service, name: good }]
  rules:
    - filters: [{ type: RequestMirror, requestMirror: { backendRef: { name: shadow } } }]
      backendRefs: [{ name: good }]
---
`;
    const rules = [
      document("Mesh", "mesh", spec),
      serviceDocument("good", good),
      serviceDocument("shadow", good),
      route,
      serviceDocument("flaky", DEAD, good),
      policy("flaky", "loadBalancer: { algorithm: round-robin }, outlierDetection: { consecutiveErrors: 1 }"),
      document(
        "Service",
        "bytes",
        `{ ports: [{ port: 25, protocol: tcp }], endpoints: [{ address: "${await startEcho()}" }] }`,
      ),
      serviceDocument("probed", DEAD, good),
      policy("probed", "healthCheck: { http: { path: / }, interval: 200ms }"),
      serviceDocument("lone", broken),
      policy("lone", "outlierDetection: { consecutiveErrors: 1 }, retry: { on: [5xx], backoff: { base: 1ms } }"),
      serviceDocument("open", broken),
      policy(
        "open",
        "circuitBreaker: { volumeThreshold: 2, errorThresholdPercentage: 1 }, fallback: { status: 200, body: instead }, retry: { attempts: 0 }",
      ),
      serviceDocument("slow", slow),
      policy("slow", "connectionPool: { maxConnections: 1 }"),
      serviceDocument("racy", slow, good),
      policy("racy", "loadBalancer: { algorithm: round-robin }, retry: { hedge: { after: 20ms, max: 1 } }"),
    ];
    const file = join(temporaryFolder(), "rules.yaml");
    writeFileSync(file, rules.join(""));
    web = await startSidecar("web", { flags: ["--rules", file, "--concurrency", "2"] });
    at = web.address("status");
  }, 60_000);

  test("requests, their sizes and times, and attempts apart from them", async () => {
    for (let index = 0; index < 5; index++) expect((await get("good", "/a")).status).toBe(200);
    expect((await get("nobody")).status).toBe(404);
    const labels = {
      direction: "outbound",
      service: "default/good",
      backend: "default/good",
      source: "default/web",
      method: "GET",
    };
    await reaches(
      at,
      "weft_requests_total",
      { ...labels, status: "200", reason: "", route: "HTTPRoute default/mirrored" },
      5,
    );
    await reaches(at, "weft_requests_total", { service: "other", status: "404", reason: "no-such-service" });
    await reaches(at, "weft_request_duration_seconds_count", { ...labels, status_class: "2xx" }, 5);
    await reaches(at, "weft_response_size_bytes_sum", labels, 5 * "good".length);
    await reaches(at, "weft_attempts_total", { service: "default/good", outcome: "answered" }, 5);
    await reaches(at, "weft_attempt_duration_seconds_count", { service: "default/good" }, 5);
    await reaches(at, "weft_mirrored_requests_total", { service: "default/shadow", outcome: "answered" }, 5);
    await reaches(at, "weft_client_connections_total", { direction: "outbound", outcome: "accepted" }, 6);
    expect((await get("good", "/a", "POST")).status).toBe(200);
    await reaches(at, "weft_requests_total", { ...labels, method: "POST" });
  });

  test("retries and those not made, budgets, ejections and those refused, active checks", async () => {
    for (let index = 0; index < 8; index++) expect((await get("flaky")).status).toBe(200);
    await reaches(at, "weft_attempts_total", { service: "default/flaky", outcome: "connect-failure" });
    await reaches(at, "weft_retries_total", { service: "default/flaky", cause: "connect-failure" });
    await reaches(at, "weft_outlier_ejections_total", { service: "default/flaky" });
    await reaches(at, "weft_endpoints", { service: "default/flaky", health: "unhealthy" });
    await reaches(at, "weft_endpoints", { service: "default/flaky", health: "healthy" });
    await reaches(at, "weft_health_check_probes_total", { service: "default/probed", outcome: "failed" });
    await reaches(at, "weft_health_check_probes_total", { service: "default/probed", outcome: "passed" });
    await reaches(at, "weft_retry_budget_available", { service: "default/flaky" });
    for (let index = 0; index < 4; index++) expect((await get("lone", "/", "POST")).status).toBe(503);
    await reaches(at, "weft_retries_skipped_total", { service: "default/lone", why: "not-repeatable" }, 4);
    await reaches(at, "weft_outlier_ejections_refused_total", { service: "default/lone" });
  });

  test("breakers and fallbacks", async () => {
    for (let index = 0; index < 12; index++) await get("open");
    await reaches(at, "weft_circuit_breaker_transitions_total", { service: "default/open", state: "open" });
    await reaches(at, "weft_circuit_breakers", { service: "default/open", state: "open" });
    await reaches(at, "weft_fallbacks_total", { service: "default/open", kind: "answer" });
  });

  test("pools: open, idle, pending and how long was waited; requests in progress; copies of late ones", async () => {
    const waiting = Array.from({ length: 6 }, () => get("slow"));
    await reaches(at, "weft_pool_pending_requests", { service: "default/slow" }, 4);
    await reaches(at, "weft_pool_connections", { service: "default/slow", state: "active" });
    await reaches(at, "weft_requests_active", { direction: "outbound" }, 6);
    await reaches(at, "weft_client_connections_active", { direction: "outbound" }, 6);
    const answering = answerAll(() => late.splice(0));
    expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual(waiting.map(() => 200));
    await reaches(at, "weft_pool_wait_seconds_count", { service: "default/slow" }, 4);
    await reaches(at, "weft_pool_connections", { service: "default/slow", state: "idle" });
    clearInterval(answering);
    late = [];
    for (let index = 0; index < 4; index++) expect((await get("racy")).status).toBe(200);
    await reaches(at, "weft_hedges_total", { service: "default/racy", outcome: "won" });
  });

  test("calls of gRPC by code, and what breaks the rules of HTTP/2", async () => {
    const headers = { host: "nobody", "content-type": "application/grpc", te: "trailers" };
    await ask({ address: web.address("outbound"), path: "/a.B/C", method: "POST", headers });
    await reaches(at, "weft_grpc_requests_total", {
      direction: "outbound",
      service: "other",
      grpc_code: "UNIMPLEMENTED",
    });
    const { hostname, port } = new URL(`http://${web.address("outbound")}`);
    const socket = connect(Number(port), hostname);
    socket.on("error", () => {}).write(`PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${"\0".repeat(64)}`);
    await reaches(at, "weft_http2_refusals_total", { side: "outbound" });
    socket.destroy();
  });

  test("tunnels, and the bytes in them", async () => {
    const { hostname, port } = new URL(`http://${web.address("outbound")}`);
    const socket = connect(Number(port), hostname);
    socket.on("error", () => {}).on("data", (chunk) => chunk.includes("200") && socket.write("hello"));
    socket.write("CONNECT bytes:25 HTTP/1.1\r\nHost: bytes:25\r\n\r\n");
    const labels = { direction: "outbound", service: "default/bytes" };
    await reaches(at, "weft_tunnels", labels);
    await reaches(at, "weft_tunnels_opened_total", labels);
    for (const flow of ["sent", "received"]) await reaches(at, "weft_tunnel_bytes_total", { ...labels, flow }, 5);
    socket.destroy();
  });

  test("telemetry's own: spans, pushes; processes, their event loop, garbage and heap; worker processes", async () => {
    await reaches(at, "weft_traced_requests_total", { why: "sampled" });
    await reaches(at, "weft_telemetry_items_total", { signal: "traces", outcome: "exported" });
    await reaches(at, "weft_metrics_pushes_total", { outcome: "exported" });
    for (const name of ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds"])
      await reaches(at, name, {}, 0.001);
    for (const name of ["nodejs_heap_used_bytes", "nodejs_heap_limit_bytes", "nodejs_external_memory_bytes"])
      await reaches(at, name, {}, 1_000);
    await reaches(at, "nodejs_eventloop_utilization", {}, 0.000_01);
    await reaches(at, "nodejs_eventloop_delay_seconds", { percentile: "100" }, 0.000_001);
    await reaches(at, "nodejs_gc_runs_total", { kind: "minor" });
    await reaches(at, "nodejs_gc_seconds_total", { kind: "minor" }, 0.000_001);
    await reaches(at, "weft_workers", {}, 2);
    const dump = (await (await page(web, "admin", "/config_dump")).json()) as { workers: { pid: number }[] };
    process.kill(dump.workers[0]!.pid, "SIGKILL");
    await reaches(at, "weft_worker_restarts_total", {});
    await reaches(at, "weft_rules_valid", {});
  });
});

test("a sidecar's figures of what its app is asked: limits, queues, faults", async () => {
  const held: (() => void)[] = [];
  const app = await startApp((_, answer) => held.push(() => answer.end("fine")));
  const target = "targetRef: { kind: Service, name: orders }";
  const limits = "limits: [{ name: few, requests: 3, per: 1h, match: { path: { type: PathPrefix, value: /few } } }]";
  const rules = [
    document("RateLimit", "orders", `{ ${target}, ${limits}, concurrency: { max: 1, queue: 5, queueTimeout: 10s } }`),
    document("Fault", "late", `{ ${target}, delay: { percent: 100, duration: 5ms } }`),
  ];
  const file = join(temporaryFolder(), "rules.yaml");
  writeFileSync(file, rules.join(""));
  const orders = await startSidecar("orders", { app, flags: ["--rules", file] });
  const at = orders.address("status");
  const call = (path: string) =>
    ask({ address: orders.address("inbound"), path, headers: { host: "orders", "x-weft-source": "default/web" } });
  const waiting = [1, 2, 3].map(() => call("/a"));
  await reaches(at, "weft_concurrency", { what: "waiting" }, 2);
  await reaches(at, "weft_concurrency", { what: "in-flight" });
  await reaches(at, "weft_concurrency", { what: "limit" });
  const answering = answerAll(() => held.splice(0));
  await Promise.all(waiting);
  await reaches(at, "weft_concurrency_queue_seconds_count", {}, 2);
  await reaches(at, "weft_faults_injected_total", { kind: "delay" }, 3);
  const statuses = (await Promise.all([1, 2, 3, 4, 5].map(() => call("/few")))).map(({ status }) => status);
  clearInterval(answering);
  expect(statuses.filter((status) => status === 429)).toHaveLength(2);
  await reaches(at, "weft_limited_requests_total", { decision: "refused" }, 2);
  await reaches(
    at,
    "weft_requests_total",
    { direction: "inbound", service: "default/orders", source: "default/web" },
    3,
  );
  await reaches(at, "weft_app_listening", {});
});

test("control stream and control plane: revision, age, what is refused; commit to ACK, and each sidecar's state", async () => {
  const mesh = await startMesh();
  const cache = join(temporaryFolder(), "cache");
  await startService(mesh, "orders", "v1");
  const web = await startService(mesh, "web", "v1", ["--cache", cache]);
  const [plane, at] = [mesh.controlPlane.address("http"), web.sidecar.address("status")];
  await eventually(
    "orders answers",
    async () => (await ask({ address: web.outbound, headers: { host: "orders" } })).status === 200,
  );
  // Known to web already: its endpoints change.
  await startService(mesh, "orders", "v2");
  const rules = new RulesClient(mesh);
  const { revision } = await rules.apply(policy("orders", "timeout: { request: 9s }"));
  await rules.wait(revision);
  await reaches(at, "weft_snapshot_revision", {}, revision);
  await reaches(at, "weft_control_plane_connected", {});
  const recently = Date.now() / 1_000 - 60;
  for (const name of [
    "weft_control_plane_last_heard_seconds",
    "weft_configuration_applied_seconds",
    "weft_cache_saved_seconds",
  ])
    await reaches(at, name, {}, recently);
  await reaches(at, "weft_configuration_updates_total", { outcome: "applied" });
  for (const name of ["weft_configuration_resources", "weft_subscriptions"]) await reaches(at, name, {});
  const id = String(web.sidecar.ready["id"]);
  for (const name of ["weft_revision", "weft_pushed_revision"]) await reaches(plane, name, {}, revision);
  await reaches(plane, "weft_push_duration_seconds_count", { trigger: "rules" });
  await reaches(plane, "weft_push_duration_seconds_count", { trigger: "endpoints" });
  await reaches(plane, "weft_sidecars_connected", {}, 3);
  await reaches(plane, "weft_sidecars", { state: "synced" }, 3);
  await reaches(plane, "weft_sidecar_state", { sidecar: id, service: "default/web", state: "synced" });
  await reaches(plane, "weft_sidecar_revision", { sidecar: id }, revision);
  await reaches(plane, "weft_sidecar_last_push_seconds", { sidecar: id }, 0.000_001);
  await reaches(plane, "weft_workloads", { ready: "true" }, 3);
  await reaches(plane, "weft_documents", { kind: "TrafficPolicy" });
  await reaches(plane, "weft_compiled_resources", {});

  const release = `{ service: orders, stable: orders-v1, canary: orders-v2, steps: [{ weight: 50, hold: 1h }, { weight: 100 }] }`;
  await rules.apply(document("Rollout", "orders", release));
  await eventually("the release is counted", async () => {
    await ask({ address: web.outbound, headers: { host: "orders" } });
    const found = (await figures(at)).filter(({ name }) => name.startsWith("weft_rollout_request"));
    return new Set(found.map(({ labels }) => labels["backend"])).size === 2;
  });
  await reaches(at, "weft_rollout_requests_total", { service: "default/orders", kind: "request", outcome: "ok" });
  await reaches(at, "weft_rollout_request_duration_seconds_count", { service: "default/orders", kind: "request" });

  const refusing = new FakeSidecar(mesh.server, {
    workload: { id: "refuses" },
    hello: { subscriptions: ["default/orders"] },
  });
  await refusing.holds("service:default/orders");
  refusing.answer = () => ({ resource: "service:default/orders", fieldPath: "x", reason: "no" });
  await rules.apply(policy("orders", "timeout: { request: 8s }"));
  await reaches(plane, "weft_push_refusals_total", {});
  await reaches(plane, "weft_sidecars_refusing", {});
  await reaches(plane, "weft_sidecar_state", { sidecar: "refuses", state: "refused" });
  rules.close();
  await mesh.controlPlane.kill();
  await reaches(at, "weft_control_plane_failed_attempts", {});
  expect((await figures(at)).find(({ name }) => name === "weft_control_plane_connected")?.value).toBe(0);
}, 90_000);

/** What does not move here, and where it does. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  weft_expired_requests_total: "a series is idle for an hour first: sidecar/observe/series-budget*.test.ts",
  weft_expired_request_duration_seconds: "the same",
  weft_internal_errors_total: "a bug, or there is none to show",
  weft_store_write_failures_total: "somebody locks the store: test/control-plane/store-failure.test.ts",
};

test("all of them were seen to move", () => {
  const documented = readFileSync(join(REPOSITORY, "docs/metrics.md"), "utf8").matchAll(/^\| `(weft_\w+)` \| \w+ \|/gm);
  const still = Array.from(documented, ([, name = ""]) => name).filter((name) => !moved.has(name));
  expect(still.sort()).toEqual(Object.keys(ELSEWHERE).sort());
});
