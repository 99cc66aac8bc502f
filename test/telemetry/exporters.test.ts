// Collectors that are not there, go away, hang or refuse, while requests go on: requests feel nothing, what is lost is
// counted, what waits is bounded, and when the collector is back everything arrives again. Traces, logs and metrics.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { ask } from "../ask.ts";
import { cleanUp, freePort, type RunningProgram, temporaryFolder } from "../harness.ts";
import { Collector } from "../otlp/collected.ts";
import { serviceDocument, startHttpApp, startSidecar } from "../sidecar/sidecar-process.ts";
import { metric, settles } from "./pair.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
  await cleanUp();
});

type Protocol = "grpc" | "http";

interface Rig {
  readonly web: RunningProgram;
  readonly ports: { readonly grpc: number; readonly http: number };
}

/** A sidecar that sends traces, logs and metrics to a collector on ports at which nobody listens yet. */
async function startWeb(protocol: Protocol, env: Readonly<Record<string, string>> = {}): Promise<Rig> {
  const app = await startHttpApp("good");
  closing.push(() => app.close());
  const ports = { grpc: await freePort(), http: await freePort() };
  const target = { endpoint: `127.0.0.1:${ports[protocol]}`, protocol };
  const spec = {
    tracing: { ...target, sampling: 100 },
    accessLog: { enabled: true, otlp: target },
    metrics: { otlp: { ...target, interval: "300ms" } },
  };
  const rules = join(temporaryFolder(), "rules.yaml");
  const mesh = { apiVersion: "weft.mesh/v1", kind: "Mesh", metadata: { name: "mesh" }, spec };
  writeFileSync(rules, `${serviceDocument("orders", app.address)}${JSON.stringify(mesh)}\n`);
  return { web: await startSidecar("web", { flags: ["--rules", rules], env }), ports };
}

const get = ({ web }: Rig) => ask({ address: web.address("outbound"), headers: { host: "orders" } });

/** So many requests, of which every one is answered. @returns milliseconds of the slowest */
async function burst(rig: Rig, count: number): Promise<number> {
  let slowestMs = 0;
  for (let done = 0; done < count; done += 20) {
    const startedMs = performance.now();
    const answers = await Promise.all(Array.from({ length: 20 }, () => get(rig)));
    slowestMs = Math.max(slowestMs, performance.now() - startedMs);
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
  }
  return slowestMs;
}

const items = ({ web }: Rig, signal: string, outcome: string) =>
  metric(web, "weft_telemetry_items_total", `signal="${signal}",outcome="${outcome}"`);

/** All three signals arrive, of requests made from now on. */
async function arrives(rig: Rig, collector: Collector): Promise<void> {
  await settles(async () => {
    await burst(rig, 20);
    const { traces, logs, metrics } = await collector.received();
    expect(Math.min(traces.length, logs.length, metrics.length)).toBeGreaterThan(0);
  }, 60_000);
}

describe.each(["grpc", "http"] as const)("OTLP over %s", (protocol) => {
  test("a collector that is gone at the start, comes, is killed and comes back", async () => {
    const rig = await startWeb(protocol);
    await settles(async () => {
      await burst(rig, 40);
      for (const signal of ["traces", "logs"]) expect(await items(rig, signal, "failed"), signal).toBeGreaterThan(0);
      expect(await metric(rig.web, "weft_metrics_pushes_total", 'outcome="failed"')).toBeGreaterThan(0);
    }, 60_000);
    const first = await Collector.start(rig.ports);
    await arrives(rig, first);
    await first.kill();
    await burst(rig, 200);
    const second = await Collector.start(rig.ports);
    await arrives(rig, second);
    // The collector has it before the sidecar has heard so.
    await settles(async () => {
      for (const signal of ["traces", "logs", "metrics"])
        for (const text of [/(does|do) not reach the collector/, /reach(es)? the collector again/])
          expect(saidOf(rig, signal), signal).toMatch(text);
    }, 60_000);
    expect(await metric(rig.web, "weft_internal_errors_total")).toBe(0);
  }, 120_000);

  test("the SDK's variables give credentials and compression", async () => {
    const env = { OTEL_EXPORTER_OTLP_HEADERS: "api-key=abc", OTEL_EXPORTER_OTLP_COMPRESSION: "gzip" };
    const rig = await startWeb(protocol, env);
    const collector = await Collector.start(rig.ports);
    await arrives(rig, collector);
    const { lastHeaders } = await collector.received();
    expect(lastHeaders).toMatchObject({ "api-key": "abc" });
    if (protocol === "http") expect(lastHeaders).toMatchObject({ "content-encoding": "gzip" });
  }, 60_000);

  test("a collector that refuses costs what it was sent, and nothing of what comes later", async () => {
    const rig = await startWeb(protocol);
    const collector = await Collector.start(rig.ports);
    await arrives(rig, collector);
    await collector.mode("refuse");
    await settles(async () => {
      await burst(rig, 40);
      for (const signal of ["traces", "logs"]) expect(await items(rig, signal, "failed"), signal).toBeGreaterThan(0);
    }, 60_000);
    await collector.mode("serve");
    const before = (await collector.received()).traces.length;
    await settles(async () => {
      await burst(rig, 20);
      expect((await collector.received()).traces.length).toBeGreaterThan(before);
    }, 60_000);
  }, 120_000);

  test("a collector that hangs: no request waits, few items do, what is dropped is counted, then all flows again", async () => {
    const rig = await startWeb(protocol);
    const collector = await Collector.start(rig.ports);
    await arrives(rig, collector);
    const calmMs = await burst(rig, 400);
    await collector.mode("hang");
    const hungMs = await burst(rig, 6_000);
    expect(hungMs).toBeLessThan(Math.max(1_000, 10 * calmMs));
    for (const signal of ["traces", "logs"]) {
      const [exported, dropped, failed] = await Promise.all(
        ["exported", "dropped", "failed"].map((outcome) => items(rig, signal, outcome)),
      );
      expect(dropped, signal).toBeGreaterThan(3_000);
      const made = await metric(rig.web, "weft_requests_total");
      // What waits, and what is on its way, is the rest.
      const rest = made - (exported! + dropped! + failed!);
      expect(rest, signal).toBeGreaterThanOrEqual(0);
      expect(rest, signal).toBeLessThanOrEqual(1_024 + 256 + 100);
    }
    await collector.mode("serve");
    const received = (await collector.received()).logs.length;
    await settles(async () => {
      await burst(rig, 20);
      expect((await collector.received()).logs.length).toBeGreaterThan(received);
    }, 60_000);
  }, 120_000);
});

function saidOf({ web }: Rig, signal: string): string {
  const lines = web.stderr.split("\n").filter((line) => line.startsWith("{"));
  const parsed = lines.map((line) => JSON.parse(line) as { signal?: string; msg: string });
  return parsed
    .filter((line) => line.signal === signal || (signal === "metrics" && line.msg.startsWith("metrics ")))
    .map(({ msg }) => msg)
    .join("\n");
}
