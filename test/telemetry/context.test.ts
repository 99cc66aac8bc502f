// Trace context through two sidecars: what comes in is what goes out, in whatever form it is spoken, and a caller's
// decision is the decision of all.
import { afterEach, expect, test } from "vitest";
import { cleanUp } from "../harness.ts";
import { Collector } from "../otlp/collected.ts";
import { get, metric, SPAN, settles, startPair, TRACE, traceOf, untilTraced } from "./pair.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
  await cleanUp();
});

const OTHER = "a".repeat(32);
const MORE = { tracestate: "vendor=1,other=2", baggage: "user=jo,tier=gold;ttl=1" };

const FORMS = {
  tracecontext: (trace: string, isSampled: boolean) => ({ traceparent: `00-${trace}-${SPAN}-0${isSampled ? 1 : 0}` }),
  b3: (trace: string, isSampled: boolean) => ({ b3: `${trace}-${SPAN}-${isSampled ? 1 : 0}` }),
  b3multi: (trace: string, isSampled: boolean) => ({
    "x-b3-traceid": trace,
    "x-b3-spanid": SPAN,
    "x-b3-parentspanid": "05e3ac9a4f6e3b90",
    "x-b3-sampled": isSampled ? "1" : "0",
  }),
} as const;

/** Trace, span and decision that an app was told, in each of the forms. */
const TOLD = {
  tracecontext: /^00-([0-9a-f]{32})-([0-9a-f]{16})-0([01])$/,
  b3: /^([0-9a-f]{32})-([0-9a-f]{16})-([01])$/,
} as const;

function told(form: keyof typeof FORMS, sent: Readonly<Record<string, string | undefined>>): readonly string[] {
  if (form === "b3multi") return [sent["x-b3-traceid"] ?? "", sent["x-b3-spanid"] ?? "", sent["x-b3-sampled"] ?? ""];
  const text = (form === "b3" ? sent["b3"] : sent["traceparent"]) ?? "";
  return TOLD[form].exec(text)?.slice(1) ?? [];
}

test.each(["tracecontext", "b3", "b3multi"] as const)("%s in and out through two sidecars", async (form) => {
  const collector = await Collector.start();
  const propagation = [form, "baggage"];
  const { web } = await startPair({ endpoint: collector.grpc, sampling: 0, propagation }, { closing });
  // Nobody else decides for sampling here, so what comes is what a caller asked for.
  await untilTraced(collector, web, FORMS[form]("b".repeat(32), true));
  const sampled = await get(web, "/ok", { ...FORMS[form](TRACE, true), ...MORE });
  const spans = await traceOf(collector, TRACE, 2);
  const client = spans.find(({ kind }) => kind === "client")!;
  const server = spans.find(({ kind }) => kind === "server")!;
  expect([client.parentId, server.parentId]).toEqual([SPAN, client.spanId]);
  expect(told(form, sampled.sent)).toEqual([TRACE, server.spanId, "1"]);
  expect(sampled.sent).toMatchObject(MORE);
  expect(sampled.sent["x-b3-parentspanid"]).toBeUndefined();
  if (form === "tracecontext") expect(client.traceState).toBe(MORE.tracestate);

  const [trace, , decision] = told(form, (await get(web, "/ok", { ...FORMS[form](OTHER, false), ...MORE })).sent);
  expect([trace, decision]).toEqual([OTHER, "0"]);
  await get(web, "/ok", FORMS[form]("c".repeat(32), true));
  await traceOf(collector, "c".repeat(32), 2);
  expect(await spansOf(collector, OTHER)).toBe(0);
});

async function spansOf(collector: Collector, traceId: string): Promise<number> {
  return (await collector.spans()).filter((span) => span.traceId === traceId).length;
}

test("a caller that speaks one form is heard by one that speaks another, and all are written", async () => {
  const collector = await Collector.start();
  const propagation = ["tracecontext", "b3", "b3multi"];
  const { web } = await startPair({ endpoint: collector.grpc, sampling: 0, propagation }, { closing });
  await untilTraced(collector, web, FORMS.b3("b".repeat(32), true));
  const { sent } = await get(web, "/ok", FORMS.b3multi(TRACE, true));
  const [client, server] = (await traceOf(collector, TRACE, 2)).sort((a, b) => (a.kind < b.kind ? -1 : 1));
  expect([client?.kind, client?.parentId, server?.parentId]).toEqual(["client", SPAN, client?.spanId]);
  for (const form of ["tracecontext", "b3", "b3multi"] as const)
    expect(told(form, sent), form).toEqual([TRACE, server?.spanId, "1"]);
});

test("whom a caller left out stays left out with everything sampled, but for what the tail rule keeps", async () => {
  const collector = await Collector.start();
  const tail = { errors: true, slowerThan: "100ms", maxPerSecond: 1_000 };
  const { web } = await startPair({ endpoint: collector.grpc, sampling: 100, tail }, { closing });
  await untilTraced(collector, web);
  const unsampled = (trace: string) => FORMS.tracecontext(trace, false);
  await get(web, "/ok", unsampled(OTHER));
  await get(web, "/broken", unsampled("d".repeat(32)));
  await get(web, "/slow", unsampled("e".repeat(32)));
  const keptFor = async (trace: string) =>
    (await traceOf(collector, trace, 2)).map(({ attributes }) => attributes["weft.sampling.kept_for"]);
  expect(await keptFor("d".repeat(32))).toEqual(["error", "error"]);
  expect(await keptFor("e".repeat(32))).toEqual(["slow", "slow"]);
  expect(await spansOf(collector, OTHER)).toBe(0);
});

test("the tail rule keeps no more than its rate, and counts the rest", async () => {
  const collector = await Collector.start();
  const tail = { errors: true, maxPerSecond: 1 };
  const { web } = await startPair({ endpoint: collector.grpc, sampling: 0, tail }, { closing });
  await settles(async () => {
    await get(web, "/broken");
    expect(await metric(web, "weft_traced_requests_total")).toBeGreaterThan(0);
  });
  const before = await metric(web, "weft_traced_requests_total");
  const startedMs = performance.now();
  for (let index = 0; index < 40; index++) await get(web, "/broken");
  const seconds = (performance.now() - startedMs) / 1_000;
  const kept = await metric(web, "weft_traced_requests_total", 'why="error"');
  expect(await metric(web, "weft_traced_requests_total")).toBe(before + 40);
  expect(kept).toBeLessThanOrEqual(before + seconds + 2);
  expect(await metric(web, "weft_traced_requests_total", 'why="over-limit"')).toBeGreaterThan(0);
});
