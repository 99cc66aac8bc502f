// Policies with real processes: each word that a policy answers with, a caller's sidecar and a service's sidecar in a
// row, and rules that change while requests pass.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { cleanUp, eventually, temporaryFolder } from "../harness.ts";
import { type App, call, page, serviceDocument, startHttpApp, startSidecar } from "./sidecar-process.ts";

const apps: App[] = [];
afterEach(async () => {
  await cleanUp();
  for (const app of apps.splice(0)) await app.close();
});

function document(kind: string, spec: string): string {
  return `apiVersion: weft.mesh/v1
kind: ${kind}
metadata: { name: orders }
spec:
  targetRef: { kind: Service, name: orders }
${spec}---
`;
}

async function startApp(handler: Parameters<typeof startHttpApp>[0]): Promise<App> {
  const app = await startHttpApp(handler);
  apps.push(app);
  return app;
}

/** A sidecar beside `app` as the service orders, and its rules in a folder. */
async function startService(app: App, rules: string) {
  const folder = temporaryFolder();
  const file = join(folder, "rules.yaml");
  writeFileSync(file, rules);
  const sidecar = await startSidecar("orders", { flags: ["--rules", folder], app: app.address });
  return { address: sidecar.address("inbound"), sidecar, change: (text: string) => writeFileSync(file, text) };
}

test("rate-limited, until the rule is gone", async () => {
  const service = await startService(
    await startApp("fine"),
    document("RateLimit", "  limits: [{ requests: 1, per: 1h }]\n"),
  );
  expect(await call(service.address, "orders")).toMatchObject({ status: 200, body: "fine" });
  expect(await call(service.address, "orders")).toMatchObject({ status: 429, reason: "rate-limited" });
  const metrics = await (await page(service.sidecar, "status", "/metrics")).text();
  expect(metrics).toContain('weft_limited_requests_total{limit="orders-0",decision="refused"} 1');
  service.change(`${serviceDocument("orders", "127.0.0.1:9")}`);
  await eventually("requests pass", async () => (await call(service.address, "orders")).status === 200);
});

test("concurrency-limited", async () => {
  const waiting: (() => void)[] = [];
  const service = await startService(
    await startApp((_, answer) => waiting.push(() => answer.end("fine"))),
    document("RateLimit", "  concurrency: { max: 1 }\n"),
  );
  const first = call(service.address, "orders");
  await eventually("the first is at the app", () => waiting.length === 1);
  expect(await call(service.address, "orders")).toMatchObject({ status: 503, reason: "concurrency-limited" });
  waiting[0]?.();
  expect(await first).toMatchObject({ status: 200 });
});

test("fault-injected at the service is retried by the caller as any failure is", async () => {
  const service = await startService(
    await startApp("fine"),
    document("Fault", "  abort: { percent: 100, status: 503 }\n"),
  );
  expect(await call(service.address, "orders")).toMatchObject({ status: 503, reason: "fault-injected" });
  const folder = temporaryFolder();
  const spare = await startApp("spare");
  writeFileSync(
    join(folder, "rules.yaml"),
    serviceDocument("orders", service.address).replace("endpoints: [", `endpoints: [{ address: "${spare.address}" }, `),
  );
  const caller = await startSidecar("web", { flags: ["--rules", folder] });
  for (let turn = 0; turn < 6; turn++)
    expect(await call(caller.address("outbound"), "orders")).toMatchObject({ body: "spare" });
});

test("circuit-open, its fallback, and closed again when the service recovers", async () => {
  let isBroken = true;
  const app = await startApp((_, answer) => {
    answer.statusCode = isBroken ? 500 : 200;
    answer.end("app");
  });
  const folder = temporaryFolder();
  const file = join(folder, "rules.yaml");
  const rules = (more: string) =>
    serviceDocument("orders", app.address) +
    document("TrafficPolicy", `  circuitBreaker: { volumeThreshold: 3, resetTimeout: 1s }\n${more}`);
  writeFileSync(file, rules(""));
  const caller = await startSidecar("web", { flags: ["--rules", folder] });
  const ask = () => call(caller.address("outbound"), "orders");
  for (let turn = 0; turn < 3; turn++) expect(await ask()).toMatchObject({ status: 500, body: "app" });
  expect(await ask()).toMatchObject({ status: 503, reason: "circuit-open" });
  expect(caller.stderr).toContain('"state":"open","why":"3 of 3 failed"');
  writeFileSync(file, rules('  fallback: { body: "yesterday" }\n'));
  await eventually("the fallback answers", async () => (await ask()).body === "yesterday");
  isBroken = false;
  await eventually("the service answers", async () => (await ask()).body === "app");
  const metrics = await (await page(caller, "status", "/metrics")).text();
  expect(metrics).toContain('weft_circuit_breakers{service="default/orders",state="closed"} 1');
});

test("an endpoint that is ejected, or fails its health check, says so on the admin page", async () => {
  const bad = await startApp((_, answer) => {
    answer.statusCode = 500;
    answer.end("bad");
  });
  const good = await startApp("good");
  const folder = temporaryFolder();
  const file = join(folder, "rules.yaml");
  const services = serviceDocument("orders", good.address).replace(
    "endpoints: [",
    `endpoints: [{ address: "${bad.address}" }, `,
  );
  const outliers = "  outlierDetection: { consecutiveErrors: 1, baseEjectionTime: 1h, maxEjectionTime: 1h }\n";
  writeFileSync(file, services + document("TrafficPolicy", `  loadBalancer: { algorithm: round-robin }\n${outliers}`));
  const caller = await startSidecar("web", { flags: ["--rules", folder] });
  const clusters = async () => (await page(caller, "admin", "/clusters")).text();
  await eventually("it is ejected", async () => {
    await call(caller.address("outbound"), "orders");
    return (await clusters()).includes(`${bad.address}::health::ejected: consecutive-errors`);
  });
  const check = "  healthCheck: { http: { path: / }, interval: 50ms, unhealthyThreshold: 1 }\n";
  writeFileSync(file, services + document("TrafficPolicy", check));
  await eventually("the check fails", async () =>
    (await clusters()).includes(`${bad.address}::health::active check: status 500`),
  );
  for (let turn = 0; turn < 4; turn++)
    expect(await call(caller.address("outbound"), "orders")).toMatchObject({ body: "good" });
});
