// What the spans of single requests say, of two sidecars and a collector that are real processes. All tests share them, and
// each has a trace of its own.
import { afterAll, beforeAll, expect, test } from "vitest";
import { cleanUp, type RunningProgram } from "../harness.ts";
import { Collector } from "../otlp/collected.ts";
import { get, newTrace, SPAN, startPair, traceOf, untilTraced } from "./pair.ts";

const closing: (() => unknown)[] = [];
let collector: Collector;
let web: RunningProgram;

beforeAll(async () => {
  collector = await Collector.start();
  ({ web } = await startPair({ endpoint: collector.grpc, sampling: 100 }, { closing }));
  await untilTraced(collector, web);
});

afterAll(async () => {
  for (const close of closing.splice(0)) await close();
  await cleanUp();
});

test("what clients make long is cut in spans", async () => {
  const { trace, parent } = newTrace();
  const headers = { traceparent: parent, "user-agent": "a".repeat(3_000) };
  await get(web, `/${"p".repeat(3_000)}?q=${"q".repeat(3_000)}`, headers);
  const spans = await traceOf(collector, trace, 2);
  const lengths = spans.flatMap(({ attributes }) =>
    ["url.full", "url.path", "url.query", "user_agent.original"].flatMap((name) => {
      const value = attributes[name];
      return typeof value === "string" ? [`${name} ${value.length}`] : [];
    }),
  );
  expect(lengths.sort()).toEqual(["url.full 1024", "url.path 1024", "url.query 1024", "user_agent.original 1024"]);
});

test("retries are spans of one trace, each with a link to the one before", async () => {
  const { trace, parent } = newTrace();
  expect((await get(web, "/flaky", { traceparent: parent })).status).toBe(200);
  const spans = await traceOf(collector, trace, 4);
  const [first, second] = spans
    .filter(({ kind }) => kind === "client")
    .sort((a, b) => Number(a.attributes["weft.attempt"]) - Number(b.attributes["weft.attempt"]));
  expect(first).toMatchObject({ error: true, links: [] });
  expect(first!.attributes).toMatchObject({ "http.response.status_code": 503, "error.type": "503" });
  expect(second).toMatchObject({ error: false, links: [first!.spanId] });
  expect(second!.attributes).toMatchObject({
    "http.request.resend_count": 1,
    "weft.attempt": 2,
    "weft.attempt.kind": "retry",
  });
  const parents = spans.filter(({ kind }) => kind === "server").map(({ parentId }) => parentId);
  expect(parents.sort()).toEqual([first!.spanId, second!.spanId].sort());
});

test("a copy of a request is a span of its own, with a link to the request", async () => {
  const { trace, parent } = newTrace();
  await get(web, "/mirrored", { traceparent: parent });
  const spans = await traceOf(collector, trace, 4);
  const clients = spans.filter(({ kind }) => kind === "client");
  const primary = clients.find(({ attributes }) => attributes["weft.attempt.kind"] === "first")!;
  const copy = clients.find(({ attributes }) => attributes["weft.attempt.kind"] === "mirror")!;
  expect(copy).toMatchObject({ links: [primary.spanId], parentId: SPAN, error: false });
  expect(copy.attributes).toMatchObject({ "http.response.status_code": 200, "weft.backend": "default/orders" });
  const parents = spans.filter(({ kind }) => kind === "server").map(({ parentId }) => parentId);
  expect(parents.sort()).toEqual([primary.spanId, copy.spanId].sort());
});

test("an answer that the mesh makes itself says its reason, and is one span", async () => {
  const { trace, parent } = newTrace();
  await get(web, "/", { host: "nobody", traceparent: parent });
  const [span] = await traceOf(collector, trace, 1);
  expect(span).toMatchObject({ kind: "client", error: true, parentId: SPAN });
  expect(span!.attributes).toMatchObject({ "error.type": "no-such-service", "weft.reason": "no-such-service" });
});
