// Trace context through the data path: what the next hop is told, what is decided, and which spans come of it.
import { afterEach, describe, expect, test } from "vitest";
import { compileMeshSpec } from "../../rules/compile/mesh.ts";
import type { MeshSpec } from "../../rules/schema/mesh.ts";
import { seededRandom } from "../../runtime/random.ts";
import type { ExchangeRecord } from "../observe/exchange-record.ts";
import { CellFamily } from "../observe/families.ts";
import type { MirrorSpan } from "../observe/tracing/mirror-span.ts";
import { Tracing } from "../observe/tracing/tracing.ts";
import {
  answering,
  cleanUp,
  exchangeBytes,
  inboundRig,
  ok,
  outboundRig,
  type Rig,
  serviceOf,
  until,
} from "./testing/rig.ts";

afterEach(cleanUp);

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";
const SAMPLED = `traceparent: 00-${TRACE}-${SPAN}-01`;
const UNSAMPLED = `traceparent: 00-${TRACE}-${SPAN}-00`;

interface Written {
  readonly why: string;
  readonly spanId: string;
  readonly parentId: string;
  readonly traceId: string;
  readonly attemptSpans: readonly string[];
}

/** Turns tracing on in a rig, with a writer that keeps what it is told. */
function traced({ path }: Rig, spec: Partial<NonNullable<MeshSpec["tracing"]>> = {}) {
  const settings = compileMeshSpec({ tracing: { endpoint: "collector:4317", ...spec } }).tracing!;
  const written: Written[] = [];
  const mirrors: MirrorSpan[] = [];
  const why = new CellFamily("counter", "weft_traced_requests_total", "", ["why"]);
  const writer = {
    exchange: (record: ExchangeRecord, kept: string) => {
      const { trace } = record;
      written.push({
        why: kept,
        spanId: trace.spanId,
        parentId: trace.incoming.parentId,
        traceId: trace.traceId,
        attemptSpans: record.listAttempts().map(({ spanId }) => spanId),
      });
    },
    mirror: (span: MirrorSpan) => void mirrors.push(span),
    close: () => Promise.resolve(),
  };
  const tracing = new Tracing({
    settings,
    writer,
    clock: path.clock,
    random: seededRandom(7),
    share: 1,
    traced: why,
  });
  path.tracing = tracing;
  path.observers.push(tracing);
  const counted = () => Object.fromEntries([...why.cells.entries.values()].map((e) => [e.values[0], e.value.value]));
  return { written, mirrors, counted };
}

const request = (...fields: string[]) =>
  `GET /a HTTP/1.1\r\nHost: orders\r\n${fields.map((field) => `${field}\r\n`).join("")}Connection: close\r\n\r\n`;

/** An endpoint that answers with these, one after the other and then the last again, and what it was sent. */
async function recording(...answers: string[]) {
  const heads: string[] = [];
  const endpoint = await answering((head, index) => {
    heads.push(head);
    return answers[Math.min(index, answers.length - 1)] ?? "";
  });
  return { endpoint, heads };
}

const lineOf = (head: string | undefined, name: string) =>
  [...(head ?? "").matchAll(new RegExp(`^${name}: (.*)\r$`, "gim"))].map((match) => match[1]);

const ERROR = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
const RETRY = `
apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: orders }
spec:
  targetRef: { kind: Service, name: orders }
  retry: { attempts: 2, backoff: { base: 1ms, max: 2ms } }
---
`;

describe("outbound", () => {
  test("while tracing is off the context goes through untouched", async () => {
    const { endpoint, heads } = await recording(ok("good"));
    const rig = await outboundRig({ rules: serviceOf("orders", endpoint.address) });
    await exchangeBytes(rig.port, request(SAMPLED, "tracestate: a=1", "baggage: k=v"));
    expect(lineOf(heads[0], "traceparent")).toEqual([SAMPLED.slice(13)]);
    expect(lineOf(heads[0], "tracestate")).toEqual(["a=1"]);
  });

  test("a sampled caller's trace goes on under the attempt's own span", async () => {
    const { endpoint, heads } = await recording(ok("good"));
    const rig = await outboundRig({ rules: serviceOf("orders", endpoint.address) });
    const { written } = traced(rig, { sampling: 0 });
    await exchangeBytes(rig.port, request(SAMPLED, "tracestate: a=1", "baggage: k=v"));
    expect(written).toEqual([
      { why: "", traceId: TRACE, parentId: SPAN, spanId: expect.any(String), attemptSpans: [written[0]!.spanId] },
    ]);
    expect(lineOf(heads[0], "traceparent")).toEqual([`00-${TRACE}-${written[0]!.spanId}-01`]);
    expect(written[0]!.spanId).not.toBe(SPAN);
    expect(lineOf(heads[0], "tracestate")).toEqual(["a=1"]);
    expect(lineOf(heads[0], "baggage")).toEqual(["k=v"]);
  });

  test("who begins a trace decides by the sampling, and says so to everybody behind", async () => {
    const { endpoint, heads } = await recording(ok("good"));
    const rig = await outboundRig({ rules: serviceOf("orders", endpoint.address) });
    const all = traced(rig, { sampling: 100 });
    await exchangeBytes(rig.port, request());
    expect(lineOf(heads[0], "traceparent")).toEqual([`00-${all.written[0]!.traceId}-${all.written[0]!.spanId}-01`]);
    expect(all.written[0]!.parentId).toBe("");
    const none = traced(rig, { sampling: 0 });
    await exchangeBytes(rig.port, request());
    expect(lineOf(heads[1], "traceparent")[0]).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
    expect(none.written).toEqual([]);
  });

  test("a caller that is not sampled stays so, whatever the sampling", async () => {
    const { endpoint, heads } = await recording(ok("good"));
    const rig = await outboundRig({ rules: serviceOf("orders", endpoint.address) });
    const { written } = traced(rig, { sampling: 100 });
    await exchangeBytes(rig.port, request(UNSAMPLED));
    expect(written).toEqual([]);
    expect(lineOf(heads[0], "traceparent")[0]).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`));
  });

  test("where no tail rule could want it, an unsampled context is passed on as it came", async () => {
    const { endpoint, heads } = await recording(ok("good"));
    const rig = await outboundRig({ rules: serviceOf("orders", endpoint.address) });
    traced(rig, { sampling: 100, tail: { errors: false } });
    await exchangeBytes(rig.port, request(UNSAMPLED));
    expect(lineOf(heads[0], "traceparent")).toEqual([UNSAMPLED.slice(13)]);
  });

  test("a malformed context begins a new trace and takes its state with it", async () => {
    const { endpoint, heads } = await recording(ok("good"));
    const rig = await outboundRig({ rules: serviceOf("orders", endpoint.address) });
    const { written } = traced(rig, { sampling: 100 });
    await exchangeBytes(rig.port, request(`traceparent: 00-${TRACE}-${SPAN}`, "tracestate: a=1"));
    expect(lineOf(heads[0], "traceparent")).toEqual([`00-${written[0]!.traceId}-${written[0]!.spanId}-01`]);
    expect(written[0]!.traceId).not.toBe(TRACE);
    expect(lineOf(heads[0], "tracestate")).toEqual([]);
  });

  test.each([
    { propagation: ["b3"] as const, sent: [`b3: ${TRACE}-${SPAN}-1`], name: "b3" },
    {
      propagation: ["b3multi"] as const,
      sent: [
        `X-B3-TraceId: ${TRACE}`,
        `X-B3-SpanId: ${SPAN}`,
        "X-B3-Sampled: 1",
        "X-B3-ParentSpanId: 1234567812345678",
      ],
      name: "x-b3-spanid",
    },
  ])("B3 goes in and out: $name", async ({ propagation, sent, name }) => {
    const { endpoint, heads } = await recording(ok("good"));
    const rig = await outboundRig({ rules: serviceOf("orders", endpoint.address) });
    const { written } = traced(rig, { sampling: 0, propagation: [...propagation] });
    await exchangeBytes(rig.port, request(...sent));
    expect(written[0]).toMatchObject({ traceId: TRACE, parentId: SPAN });
    expect(lineOf(heads[0], name)).toHaveLength(1);
    expect(lineOf(heads[0], name)[0]).toContain(written[0]!.spanId);
    expect(lineOf(heads[0], "x-b3-parentspanid")).toEqual([]);
    expect(heads[0]).not.toContain(SPAN);
  });

  test("each attempt is a span of its own, and its endpoint is told which", async () => {
    const { endpoint, heads } = await recording(ERROR, ERROR, ok("good"));
    const rig = await outboundRig({ rules: serviceOf("orders", endpoint.address) + RETRY });
    const { written } = traced(rig, { sampling: 100 });
    expect(await exchangeBytes(rig.port, request())).toContain("good");
    const [trace] = written;
    expect(new Set(trace!.attemptSpans).size).toBe(3);
    expect(heads.map((head) => lineOf(head, "traceparent")[0])).toEqual(
      trace!.attemptSpans.map((span) => `00-${trace!.traceId}-${span}-01`),
    );
  });

  test("the tail rule keeps what failed though it was not sampled, up to its rate", async () => {
    const { endpoint } = await recording(ERROR);
    const rig = await outboundRig({ rules: serviceOf("orders", endpoint.address) });
    const { written, counted } = traced(rig, { sampling: 0, tail: { maxPerSecond: 2 } });
    for (let index = 0; index < 4; index++) await exchangeBytes(rig.port, request("x: y").replace("GET", "POST"));
    expect(counted()["error"]! + counted()["over-limit"]!).toBe(4);
    expect(counted()["error"]).toBeGreaterThanOrEqual(2);
    expect(written.map(({ why }) => why)).toEqual(written.map(() => "error"));
    expect(written).toHaveLength(counted()["error"]!);
  });

  test("a request that nobody was tried for is one span", async () => {
    const rig = await outboundRig({ rules: serviceOf("orders", "127.0.0.1:1") });
    const { written } = traced(rig, { sampling: 100 });
    await exchangeBytes(rig.port, request().replace("orders", "nobody.example.com"));
    expect(written).toMatchObject([{ attemptSpans: [], parentId: "" }]);
  });

  test("a copy is a span of its own that points at the request it copies", async () => {
    const [primary, copy] = [await recording(ok("good")), await recording(ok("copy"))];
    const route = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: orders }
spec:
  parentRefs: [{ group: "", kind: Service, name: orders }]
  rules:
    - filters: [{ type: RequestMirror, requestMirror: { backendRef: { name: shadow } } }]
      backendRefs: [{ name: orders }]
---
`;
    const rules = serviceOf("orders", primary.endpoint.address) + serviceOf("shadow", copy.endpoint.address) + route;
    const rig = await outboundRig({ rules });
    const { written, mirrors } = traced(rig, { sampling: 100 });
    await exchangeBytes(rig.port, request());
    await until(() => mirrors.length === 1);
    const [mirror] = mirrors;
    expect(mirror).toMatchObject({
      primaryId: written[0]!.spanId,
      traceId: written[0]!.traceId,
      status: 200,
      outcome: "",
    });
    expect(lineOf(copy.heads[0], "traceparent")).toEqual([`00-${mirror!.traceId}-${mirror!.spanId}-01`]);
    expect(lineOf(primary.heads[0], "traceparent")).toEqual([`00-${mirror!.traceId}-${written[0]!.spanId}-01`]);
  });
});

test("inbound: the app is told of the server span, whose parent is the caller's", async () => {
  const { endpoint, heads } = await recording(ok("good"));
  const rig = await inboundRig(endpoint.address);
  const { written } = traced(rig, { sampling: 0 });
  await exchangeBytes(rig.port, request(SAMPLED));
  expect(written[0]).toMatchObject({ traceId: TRACE, parentId: SPAN });
  expect(lineOf(heads[0], "traceparent")).toEqual([`00-${TRACE}-${written[0]!.spanId}-01`]);
});

test("a connection's next request carries nothing of the one before", async () => {
  const app = await answering(ok("good"));
  const rig = await inboundRig(app.address);
  const { written } = traced(rig, { sampling: 100 });
  const [first, second] = [request(SAMPLED).replace("Connection: close\r\n", ""), request()];
  await exchangeBytes(rig.port, first + second);
  expect(written).toHaveLength(2);
  expect(written[0]).toMatchObject({ traceId: TRACE, parentId: SPAN });
  expect(written[1]!.parentId).toBe("");
  expect(written[1]!.traceId).not.toBe(TRACE);
});
