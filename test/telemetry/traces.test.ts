// Traces from end to end: two sidecars and a collector, each a real process, OTLP over gRPC and over HTTP.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { ask } from "../ask.ts";
import { cleanUp, type RunningProgram, temporaryFolder } from "../harness.ts";
import { type CollectedSpan, Collector } from "../otlp/collected.ts";
import { type App, page, serviceDocument, startHttpApp, startSidecar } from "../sidecar/sidecar-process.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
  await cleanUp();
});

/** Asks again until nothing in `check` fails. */
const settles = (check: () => Promise<void>, timeout = 20_000) => vi.waitFor(check, { timeout, interval: 20 });

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";

function meshDocument(tracing: object | undefined): string {
  const spec = tracing === undefined ? {} : { tracing };
  return `${JSON.stringify({ apiVersion: "weft.mesh/v1", kind: "Mesh", metadata: { name: "mesh" }, spec })}\n---\n`;
}

const RETRY = `apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: orders }
spec:
  targetRef: { kind: Service, name: orders }
  retry: { attempts: 2, backoff: { base: 1ms, max: 2ms } }
---
`;

const ROUTE = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: orders }
spec:
  parentRefs: [{ group: "", kind: Service, name: orders }]
  rules:
    - matches: [{ path: { type: PathPrefix, value: /routed } }]
      backendRefs: [{ name: orders }]
    - backendRefs: [{ name: orders }]
---
`;

interface Pair {
  readonly web: RunningProgram;
  readonly orders: RunningProgram;
  readonly rules: (tracing: object | undefined) => void;
}

/** `web` calls `orders`, each with its sidecar; the app of `orders` answers with what `answer` gives. */
async function startPair(tracing: object | undefined, flags: readonly string[] = []): Promise<Pair & { app: App }> {
  let calls = 0;
  const app = await startHttpApp((incoming, answer) => {
    if (incoming.url?.startsWith("/flaky") === true && calls++ % 2 === 0) answer.statusCode = 503;
    if (incoming.url?.startsWith("/broken") === true) answer.statusCode = 500;
    answer.end(incoming.headers["traceparent"] ?? "");
  });
  closing.push(() => app.close());
  const folder = temporaryFolder();
  const file = join(folder, "rules.yaml");
  const ordersFile = join(folder, "orders.yaml");
  writeFileSync(ordersFile, meshDocument(tracing));
  const orders = await startSidecar("orders", { app: app.address, flags: ["--rules", ordersFile, "--version", "v2"] });
  const write = (settings: object | undefined) =>
    writeFileSync(file, serviceDocument("orders", orders.address("inbound")) + RETRY + ROUTE + meshDocument(settings));
  write(tracing);
  const web = await startSidecar("web", { flags: ["--rules", file, ...flags] });
  return { web, orders, app, rules: write };
}

const get = (web: RunningProgram, path: string, headers: Record<string, string> = {}) =>
  ask({ address: web.address("outbound"), path, headers: { host: "orders", ...headers } });

/** Asks until a trace arrives: tracing begins when its SDK is loaded. */
async function untilTraced(collector: Collector, web: RunningProgram): Promise<void> {
  await settles(async () => {
    await get(web, "/warm");
    const services = new Set((await collector.spans()).map(({ resource }) => resource["service.name"]));
    expect([...services].sort()).toEqual(["orders", "web"]);
  }, 20_000);
}

/** The spans of one trace, once there are so many. */
async function traceOf(collector: Collector, traceId: string, count: number): Promise<CollectedSpan[]> {
  let spans: CollectedSpan[] = [];
  await settles(async () => {
    spans = (await collector.spans()).filter((span) => span.traceId === traceId);
    expect(spans).toHaveLength(count);
  }, 20_000);
  return spans;
}

async function metric(program: RunningProgram, name: string, labels = ""): Promise<number> {
  const text = await (await page(program, "status", "/metrics")).text();
  const lines = text.split("\n").filter((line) => line.startsWith(name) && line.includes(labels));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

describe.each(["grpc", "http"] as const)("OTLP over %s", (protocol) => {
  test("a request is one client span and one server span, in the caller's trace", async () => {
    const collector = await Collector.start();
    const endpoint = protocol === "grpc" ? collector.grpc : collector.http;
    const { web } = await startPair({
      endpoint,
      protocol,
      sampling: 100,
      resourceAttributes: { "deployment.environment.name": "test" },
    });
    await untilTraced(collector, web);
    const headers = { traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: "vendor=1", "user-agent": "tests/1" };
    const { body } = await get(web, "/routed/a?b=1&token=hush", headers);
    const spans = await traceOf(collector, TRACE, 2);
    const client = spans.find(({ kind }) => kind === "client")!;
    const server = spans.find(({ kind }) => kind === "server")!;
    expect(client).toMatchObject({ name: "GET", parentId: SPAN, traceState: "vendor=1", error: false, links: [] });
    expect(server).toMatchObject({ name: "GET", parentId: client.spanId, traceState: "vendor=1", error: false });
    expect(body).toBe(`00-${TRACE}-${server.spanId}-01`);
    expect(client.attributes).toMatchObject({
      "http.request.method": "GET",
      "url.full": "http://orders/routed/a?b=1&token=REDACTED",
      "server.address": "orders",
      "network.peer.address": "127.0.0.1",
      "http.response.status_code": 200,
      "weft.service": "default/orders",
      "weft.backend": "default/orders",
      "weft.route": "HTTPRoute default/orders",
      "weft.attempt": 1,
      "weft.attempt.kind": "first",
    });
    expect(server.attributes).toMatchObject({
      "http.request.method": "GET",
      "url.path": "/routed/a",
      "url.query": "b=1&token=REDACTED",
      "http.response.status_code": 200,
      "user_agent.original": "tests/1",
      "client.address": "127.0.0.1",
    });
    expect(server.resource).toMatchObject({
      "service.name": "orders",
      "service.namespace": "default",
      "service.version": "v2",
      "deployment.environment.name": "test",
    });
    expect(client.durationMs).toBeGreaterThan(0);
    expect(server.durationMs).toBeGreaterThan(0);
  });
});

test("retries are spans of one trace, each with a link to the one before", async () => {
  const collector = await Collector.start();
  const { web } = await startPair({ endpoint: collector.grpc, sampling: 100 });
  await untilTraced(collector, web);
  expect((await get(web, "/flaky", { traceparent: `00-${TRACE}-${SPAN}-01` })).status).toBe(200);
  const spans = await traceOf(collector, TRACE, 4);
  const [first, second] = spans
    .filter(({ kind }) => kind === "client")
    .sort((a, b) => Number(a.attributes["weft.attempt"]) - Number(b.attributes["weft.attempt"]));
  expect(first).toMatchObject({ error: true, links: [] });
  expect(first!.attributes).toMatchObject({ "http.response.status_code": 503, "error.type": "503" });
  expect(second).toMatchObject({ error: false, links: [first!.spanId] });
  expect(second!.attributes).toMatchObject({ "http.request.resend_count": 1, "weft.attempt.kind": "retry" });
  const parents = spans.filter(({ kind }) => kind === "server").map(({ parentId }) => parentId);
  expect(parents.sort()).toEqual([first!.spanId, second!.spanId].sort());
});

test("sampling is honoured, errors are kept all the same, and settings change at run time", async () => {
  const collector = await Collector.start();
  const tracing = { endpoint: collector.grpc, sampling: 100 };
  const { web, rules } = await startPair(tracing);
  await untilTraced(collector, web);
  rules({ ...tracing, sampling: 0 });
  let last = "";
  await settles(async () => {
    last = (await get(web, "/ok")).body;
    expect(last.endsWith("-00")).toBe(true);
  }, 20_000);
  const broken = await get(web, "/broken");
  const traceId = broken.body.slice(3, 35);
  const kept = await traceOf(collector, traceId, 2);
  expect(kept.map(({ attributes }) => attributes["weft.sampling.kept_for"])).toEqual(["error", "error"]);
  expect(kept.find(({ kind }) => kind === "server")!.parentId).toBe(kept.find(({ kind }) => kind === "client")!.spanId);
  expect((await collector.spans()).filter((span) => span.traceId === last.slice(3, 35))).toEqual([]);
  rules(undefined);
  await settles(async () => expect((await get(web, "/ok", { traceparent: "as it came" })).body).not.toContain("x"));
  await settles(async () => {
    const before = await metric(web, "weft_traced_requests_total");
    await get(web, "/broken");
    expect(await metric(web, "weft_traced_requests_total")).toBe(before);
  }, 20_000);
});

test("with --concurrency every process traces", async () => {
  const collector = await Collector.start();
  const { web } = await startPair({ endpoint: collector.http, protocol: "http", sampling: 100 }, [
    "--concurrency",
    "2",
  ]);
  await untilTraced(collector, web);
  await settles(async () => {
    for (let index = 0; index < 20; index++) await get(web, "/ok");
    expect(await metric(web, "weft_telemetry_items_total", 'signal="traces",outcome="exported"')).toBeGreaterThan(20);
  }, 20_000);
});

test("a collector that hangs, and one that is gone, cost requests nothing, and drops are counted", async () => {
  const collector = await Collector.start();
  const { web } = await startPair({ endpoint: collector.grpc, sampling: 100 });
  await untilTraced(collector, web);
  await collector.hang(true);
  const burst = async (count: number): Promise<void> => {
    for (let index = 0; index < count; index += 50)
      await Promise.all(Array.from({ length: 50 }, () => get(web, "/ok")));
  };
  await burst(3_000);
  expect(await metric(web, "weft_telemetry_items_total", 'outcome="dropped"')).toBeGreaterThan(0);
  await collector.kill();
  await burst(200);
  await settles(async () => {
    expect(await metric(web, "weft_telemetry_items_total", 'outcome="failed"')).toBeGreaterThan(0);
  }, 30_000);
  expect(await metric(web, "weft_requests_total", 'status="200"')).toBeGreaterThan(3_200);
  expect(await metric(web, "weft_internal_errors_total")).toBe(0);
});
