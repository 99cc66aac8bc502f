// Spans of a request that was sent twice because its answer was late: which of the two has the answer, and what the other was.

import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { cleanUp, temporaryFolder } from "../harness.ts";
import { Collector } from "../otlp/collected.ts";
import { serviceDocument, startHttpApp, startSidecar } from "../sidecar/sidecar-process.ts";
import { get, meshDocument, SPAN, settles, traceOf } from "./pair.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
  await cleanUp();
});

test("the copy has the answer and a link to the attempt that it was faster than", async () => {
  const collector = await Collector.start();
  const slow = await startHttpApp(() => {});
  const fast = await startHttpApp("{}");
  closing.push(
    () => slow.close(),
    () => fast.close(),
  );
  // With room for a copy of each: a request without one would wait for the slow endpoint until the test gives up.
  const policy = `apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: orders }
spec:
  targetRef: { kind: Service, name: orders }
  loadBalancer: { algorithm: round-robin }
  retry: { hedge: { after: 30ms, max: 1 }, budget: { percent: 100, minPerSecond: 1000 } }
---
`;
  const file = join(temporaryFolder(), "rules.yaml");
  const mesh = meshDocument({ endpoint: collector.grpc, sampling: 0 });
  writeFileSync(file, serviceDocument("orders", slow.address, fast.address) + policy + mesh);
  const web = await startSidecar("web", { flags: ["--rules", file] });
  const sampled = (trace: string) => ({ traceparent: `00-${trace}-${SPAN}-01` });
  await settles(async () => {
    await get(web, "/", sampled("b".repeat(32)));
    expect((await collector.spans()).length).toBeGreaterThan(0);
  });
  // In turn: of a few requests one begins at the slow endpoint, and its copy has the answer.
  const sent: string[] = [];
  let hedged = "";
  await settles(async () => {
    const trace = randomBytes(16).toString("hex");
    sent.push(trace);
    expect((await get(web, "/", sampled(trace))).status).toBe(200);
    const answered = (await collector.spans()).find(
      ({ traceId, attributes: { "weft.attempt.kind": kind, "http.response.status_code": status } }) =>
        sent.includes(traceId) && kind === "hedge" && status === 200,
    );
    hedged = answered?.traceId ?? "";
    expect(hedged).not.toBe("");
  });
  const [first, copy] = (await traceOf(collector, hedged, 2)).sort(
    (a, b) => Number(a.attributes["weft.attempt"]) - Number(b.attributes["weft.attempt"]),
  );
  expect(first).toMatchObject({ parentId: SPAN, links: [] });
  expect(first!.attributes).toMatchObject({ "weft.attempt.kind": "first", "error.type": "aborted" });
  expect(first!.attributes).not.toHaveProperty("http.response.status_code");
  expect(copy).toMatchObject({ parentId: SPAN, links: [first!.spanId], error: false });
  expect(copy!.attributes).toMatchObject({ "weft.attempt.kind": "hedge", "http.response.status_code": 200 });
});
