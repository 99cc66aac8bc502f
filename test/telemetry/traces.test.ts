// Traces from end to end: two sidecars and a collector, each a real process, OTLP over gRPC and over HTTP.
import { afterEach, describe, expect, test } from "vitest";
import { cleanUp } from "../harness.ts";
import { Collector } from "../otlp/collected.ts";
import { get, metric, SPAN, settles, startPair, TRACE, traceOf, untilTraced } from "./pair.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
  await cleanUp();
});

describe.each(["grpc", "http"] as const)("OTLP over %s", (protocol) => {
  test("a request is one client span and one server span, in the caller's trace", async () => {
    const collector = await Collector.start();
    const endpoint = protocol === "grpc" ? collector.grpc : collector.http;
    const resourceAttributes = { "deployment.environment.name": "test" };
    const tracing = { endpoint, protocol, sampling: 100, resourceAttributes };
    const { web, orders } = await startPair(tracing, { closing });
    await untilTraced(collector, web);
    const headers = { traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: "vendor=1", "user-agent": "tests/1" };
    const { sent } = await get(web, "/routed/a?b=1&token=hush", headers);
    const spans = await traceOf(collector, TRACE, 2);
    const client = spans.find(({ kind }) => kind === "client")!;
    const server = spans.find(({ kind }) => kind === "server")!;
    expect(client).toMatchObject({ name: "GET", parentId: SPAN, traceState: "vendor=1", error: false, links: [] });
    expect(server).toMatchObject({ name: "GET", parentId: client.spanId, traceState: "vendor=1", error: false });
    expect(sent["traceparent"]).toBe(`00-${TRACE}-${server.spanId}-01`);
    expect(client.attributes).toMatchObject({
      "http.request.method": "GET",
      "url.full": "http://orders/routed/a?b=1&token=REDACTED",
      "server.address": "orders",
      "network.peer.address": "127.0.0.1",
      "http.response.status_code": 200,
      "weft.service": "default/orders",
      "weft.backend": "default/orders",
      "weft.route": "HTTPRoute default/orders",
      "weft.rule": 0,
      "weft.split.backend": 0,
      "weft.split.point": expect.any(Number),
      "server.port": 80,
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
      "service.instance.id": orders.ready["id"],
      "deployment.environment.name": "test",
    });
    expect(client.resource).toMatchObject({ "service.name": "web", "service.instance.id": web.ready["id"] });
    expect(client.durationMs).toBeGreaterThan(0);
    expect(server.durationMs).toBeGreaterThan(0);
  });
});

test("sampling is honoured, errors are kept all the same, and settings change at run time", async () => {
  const collector = await Collector.start();
  const tracing = { endpoint: collector.grpc, sampling: 100 };
  const { web, rules } = await startPair(tracing, { closing });
  await untilTraced(collector, web);
  rules({ ...tracing, sampling: 0 });
  let last = "";
  await settles(async () => {
    last = (await get(web, "/ok")).sent["traceparent"] ?? "";
    expect(last.endsWith("-00")).toBe(true);
  }, 20_000);
  const broken = await get(web, "/broken");
  const traceId = (broken.sent["traceparent"] ?? "").slice(3, 35);
  const kept = await traceOf(collector, traceId, 2);
  expect(kept.map(({ attributes }) => attributes["weft.sampling.kept_for"])).toEqual(["error", "error"]);
  expect(kept.find(({ kind }) => kind === "server")!.parentId).toBe(kept.find(({ kind }) => kind === "client")!.spanId);
  expect((await collector.spans()).filter((span) => span.traceId === last.slice(3, 35))).toEqual([]);
  rules(undefined);
  await settles(async () => {
    const before = await metric(web, "weft_traced_requests_total");
    await get(web, "/broken");
    expect(await metric(web, "weft_traced_requests_total")).toBe(before);
  }, 20_000);
});

test("with --concurrency every process traces", async () => {
  const collector = await Collector.start();
  const { web } = await startPair(
    { endpoint: collector.http, protocol: "http", sampling: 100 },
    {
      flags: ["--concurrency", "2"],
      closing,
    },
  );
  await untilTraced(collector, web);
  await settles(async () => {
    for (let index = 0; index < 20; index++) await get(web, "/ok");
    expect(await metric(web, "weft_telemetry_items_total", 'signal="traces",outcome="exported"')).toBeGreaterThan(20);
  }, 20_000);
});

test("a collector that hangs, and one that is gone, cost requests nothing, and drops are counted", async () => {
  const collector = await Collector.start();
  const { web } = await startPair({ endpoint: collector.grpc, sampling: 100 }, { closing });
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
