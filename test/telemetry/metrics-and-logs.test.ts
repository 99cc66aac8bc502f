// Metrics and access log records by OTLP, and sums that are equal whatever callers invent: real sidecars, a real collector.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { ask } from "../ask.ts";
import { cleanUp, temporaryFolder } from "../harness.ts";
import { Collector, plain } from "../otlp/collected.ts";
import { page, serviceDocument, startHttpApp, startSidecar } from "../sidecar/sidecar-process.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
  await cleanUp();
});

const settles = (check: () => Promise<void>, timeout = 20_000) => vi.waitFor(check, { timeout, interval: 20 });

async function startWeb(spec: object, flags: readonly string[] = []) {
  const app = await startHttpApp((incoming, answer) => {
    answer.statusCode = incoming.url?.startsWith("/broken") === true ? 500 : 200;
    if (incoming.url?.startsWith("/cut") === true) {
      answer.setHeader("content-length", 100);
      answer.write("go", () => answer.destroy());
    } else answer.end("good");
  });
  closing.push(() => app.close());
  const file = join(temporaryFolder(), "rules.yaml");
  const mesh = { apiVersion: "weft.mesh/v1", kind: "Mesh", metadata: { name: "mesh" }, spec };
  writeFileSync(file, `${serviceDocument("orders", app.address)}${JSON.stringify(mesh)}\n`);
  const web = await startSidecar("web", { flags: ["--rules", file, ...flags] });
  return { web, file, outbound: web.address("outbound") };
}

test.each(["grpc", "http"] as const)("metrics are pushed over %s beside /metrics", async (protocol) => {
  const collector = await Collector.start();
  const endpoint = protocol === "grpc" ? collector.grpc : collector.http;
  const { web, outbound } = await startWeb({ metrics: { otlp: { endpoint, protocol, interval: "200ms" } } });
  for (let index = 0; index < 5; index++) await ask({ address: outbound, headers: { host: "orders" } });
  await settles(async () => {
    const { metrics } = await collector.received();
    const last = metrics.at(-1);
    expect(plain(last?.resource.attributes ?? [])).toMatchObject({ "service.name": "web" });
    const families = last?.scope_metrics.flatMap((scope) => scope.metrics) ?? [];
    const requests = families.find(({ name }) => name === "weft_requests_total")?.sum;
    expect(requests?.is_monotonic).toBe(true);
    expect(requests?.data_points.map(({ as_double, as_int }) => as_double ?? Number(as_int))).toEqual([5]);
    const duration = families.find(({ name }) => name === "weft_request_duration_seconds");
    expect(duration?.unit).toBe("s");
    expect(Number(duration?.histogram?.data_points[0]?.count)).toBe(5);
  });
  // The collector has them before the sidecar hears that it has.
  await settles(async () => {
    const text = await (await page(web, "status", "/metrics")).text();
    expect(text).toMatch(/^weft_metrics_pushes_total\{outcome="exported"\}/m);
  });
});

test("access log records are sent by OTLP, without secrets", async () => {
  const collector = await Collector.start();
  const accessLog = { enabled: true, otlp: { endpoint: collector.grpc }, headers: ["x-user", "authorization"] };
  const { outbound } = await startWeb({ accessLog });
  await settles(async () => {
    const headers = { host: "orders", "x-user": "jo", authorization: "Bearer hush" };
    await ask({ address: outbound, path: "/broken?token=hush", headers });
    const { logs } = await collector.received();
    const records = logs.flatMap(({ scope_logs }) => scope_logs.flatMap(({ log_records }) => log_records));
    expect(records.length).toBeGreaterThan(0);
    expect(plain(records[0]!.attributes)).toMatchObject({
      "http.request.method": "GET",
      "http.response.status_code": 500,
      "error.type": "500",
      "http.request.header.x-user": "jo",
      "http.request.header.authorization": "REDACTED",
      "url.query": "token=REDACTED",
    });
    expect(JSON.stringify(logs)).not.toContain("hush");
  });
});

test("access log records by OTLP are small, whatever a client sends", async () => {
  const collector = await Collector.start();
  const accessLog = { enabled: true, otlp: { endpoint: collector.grpc }, headers: ["x-user"] };
  const { outbound } = await startWeb({ accessLog });
  await settles(async () => {
    const long = "a".repeat(7_000);
    await ask({ address: outbound, path: `/broken?q=${long}`, headers: { host: "orders", "x-user": long } });
    const { logs } = await collector.received();
    const records = logs.flatMap(({ scope_logs }) => scope_logs.flatMap(({ log_records }) => log_records));
    expect(records.length).toBeGreaterThan(0);
    expect(plain(records[0]!.attributes)).toMatchObject({
      "url.query": `q=${"a".repeat(1_022)}`,
      "http.request.header.x-user": "a".repeat(1_024),
    });
    expect(JSON.stringify(records[0]).length).toBeLessThan(8_000);
  });
});

test("access log records have the severity of what became of the request, whatever status it began with", async () => {
  const collector = await Collector.start();
  const { outbound } = await startWeb({ accessLog: { enabled: true, otlp: { endpoint: collector.grpc } } });
  const asked = [
    ["orders", "/good", "INFO"],
    ["orders", "/broken", "ERROR"],
    ["orders", "/cut", "ERROR"],
    ["nobody", "/unknown", "INFO"],
  ] as const;
  await settles(async () => {
    for (const [host, path] of asked) await ask({ address: outbound, path, headers: { host } }).catch(() => {});
    const { logs } = await collector.received();
    const records = logs.flatMap(({ scope_logs }) => scope_logs.flatMap(({ log_records }) => log_records));
    const severities = new Map(
      records.map(({ attributes, severity_number, severity_text }) => [
        plain(attributes)["url.path"],
        [severity_number, severity_text],
      ]),
    );
    for (const [, path, severity] of asked)
      expect(severities.get(path), path).toEqual([`SEVERITY_NUMBER_${severity}`, severity]);
  });
});

test("whatever callers invent, series stay few and the figures are equal to the access log", async () => {
  const REQUESTS = 5_000;
  const log = join(temporaryFolder(), "access.log");
  const { web, outbound } = await startWeb({
    accessLog: { enabled: true, file: log, headers: ["x-user"] },
    metrics: { maxSeries: 500 },
  });
  const methods = ["GET", "POST", "BREW", "X-CUSTOM", "PUT"];
  for (let index = 0; index < REQUESTS; index += 50) {
    await Promise.all(
      Array.from({ length: 50 }, (_, offset) => {
        const number = index + offset;
        const host = number % 2 === 0 ? "orders" : `host-${number}.example.com`;
        const headers = { host, "x-user": `user-${number}`, "x-weft-source": `default/caller-${number}` };
        return ask({ address: outbound, path: `/path-${number}?q=${number}`, method: methods[number % 5]!, headers });
      }),
    );
  }
  const text = await (await page(web, "status", "/metrics")).text();
  const samples = text.split("\n").filter((line) => line.startsWith("weft_requests_total{"));
  const counted = samples.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
  expect(counted).toBe(REQUESTS);
  expect(samples.length).toBeLessThan(50);
  await settles(async () => {
    const lines = readFileSync(log, "utf8").trimEnd().split("\n");
    expect(lines).toHaveLength(REQUESTS);
    const byStatus = Map.groupBy(lines, (line) => JSON.parse(line).status as number);
    for (const [status, of] of byStatus) {
      const same = samples.filter((line) => line.includes(`status="${status}"`));
      const sum = same.reduce((total, line) => total + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
      expect(sum, String(status)).toBe(of.length);
    }
  });
});
