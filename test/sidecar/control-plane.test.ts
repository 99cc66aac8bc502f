// The sidecar and its control plane on bad days: not there yet, gone for a while under load, away at a restart; a cache
// file that is damaged; two sidecars with one identity. Every process is a real one.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { cleanUp, eventually, freePort, type RunningProgram, startProgram, temporaryFolder } from "../harness.ts";
import { RulesClient } from "../mesh.ts";
import { type Answer, type App, call, page, startHttpApp, startSidecar } from "./sidecar-process.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
  await cleanUp();
});

async function startApp(text: string): Promise<App> {
  const app = await startHttpApp(text);
  closing.push(() => app.close());
  return app;
}

function startControlPlane(data: string, grpc = "127.0.0.1:0"): Promise<RunningProgram> {
  return startProgram("weft-control-plane", ["--data", data, "--grpc", grpc, "--http", "127.0.0.1:0"]);
}

function rulesOf(controlPlane: RunningProgram): RulesClient {
  const rules = new RulesClient({ controlPlane, server: controlPlane.address("grpc") });
  closing.push(() => rules.close());
  return rules;
}

const dumpOf = async (sidecar: RunningProgram) =>
  (await (await page(sidecar, "admin", "/config_dump")).json()) as {
    configuration: { origin: string; revision: number; updatesApplied: number };
    resources: { name: string }[];
  };

const metric = async (sidecar: RunningProgram, name: string): Promise<number> => {
  const text = await (await page(sidecar, "status", "/metrics")).text();
  return Number(text.match(new RegExp(`^${name} (\\S+)$`, "m"))?.[1]);
};

const answers = (address: string, host: string) => async (): Promise<Answer | false> => {
  const answer = await call(address, host);
  return answer.status === 200 && answer;
};

const route = (backend: string) => `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: orders }
spec:
  parentRefs: [{ group: "", kind: Service, name: orders }]
  rules: [{ backendRefs: [{ name: ${backend} }] }]
`;

test("a sidecar that is there before its control plane joins when that comes", async () => {
  const server = `127.0.0.1:${await freePort()}`;
  const orders = await startApp("orders");
  const web = await startSidecar("web", { flags: ["--control-plane", server] });
  await startSidecar("orders", { app: orders.address, flags: ["--control-plane", server] });
  expect((await page(web, "status", "/healthz/ready")).status).toBe(503);
  await startControlPlane(temporaryFolder(), server);
  const answer = await eventually("orders answers", answers(web.address("outbound"), "orders"), 20_000);
  expect(answer.body).toBe("orders");
  const ready = await page(web, "status", "/healthz/ready");
  expect([ready.status, await ready.text()]).toEqual([200, expect.stringContaining("connected")]);
});

test("an app that is not up yet gets no traffic; when it is, it does", async () => {
  const controlPlane = await startControlPlane(temporaryFolder());
  const flags = ["--control-plane", controlPlane.address("grpc")];
  const port = await freePort();
  const web = await startSidecar("web", { flags });
  const orders = await startSidecar("orders", { app: `127.0.0.1:${port}`, flags });
  await eventually("orders is connected", async () => (await metric(orders, "weft_control_plane_connected")) === 1);
  expect(await call(web.address("outbound"), "orders")).toMatchObject({ status: 503, reason: "no-healthy-endpoint" });
  const app = await startHttpApp("up", port);
  closing.push(() => app.close());
  await eventually("orders answers", answers(web.address("outbound"), "orders"));
});

test("a control plane that is gone for a while costs no request, and only differences come after", async () => {
  const data = temporaryFolder();
  const first = await startControlPlane(data);
  const server = first.address("grpc");
  const [v1, v2] = [await startApp("v1"), await startApp("v2")];
  const flags = ["--control-plane", server];
  const web = await startSidecar("web", { flags });
  await startSidecar("orders", { app: v1.address, flags: [...flags, "--version", "v1"] });
  const newer = await startSidecar("orders", { app: v2.address, flags: [...flags, "--version", "v2"] });
  await rulesOf(first).apply(route("orders-v1"));
  const outbound = web.address("outbound");
  await eventually("v1 answers", async () => (await call(outbound, "orders")).body === "v1");
  await eventually("v2 is there", answers(outbound, "orders-v2"));

  const load = startLoad(outbound, "orders");
  await first.kill();
  await eventually("web has noticed", async () => (await metric(web, "weft_control_plane_connected")) === 0);
  const { configuration: before } = await dumpOf(web);
  await eventually("some traffic passed", () => load.count() > 50);
  const second = await startControlPlane(data, server);
  for (const sidecar of [web, newer]) {
    await eventually("it is back", async () => (await metric(sidecar, "weft_control_plane_connected")) === 1, 20_000);
  }
  expect((await dumpOf(web)).configuration.revision).toBe(before.revision);
  const revision = (await rulesOf(second).apply(route("orders-v2"))).revision;
  await eventually("the new rule acts", async () => (await call(outbound, "orders")).body === "v2", 20_000);
  const { configuration: after } = await dumpOf(web);
  expect(after.revision).toBe(revision);
  const { failures } = await load.stop();
  expect(failures).toEqual([]);
});

test("a control plane that comes back without its data costs no request", async () => {
  const first = await startControlPlane(temporaryFolder());
  const server = first.address("grpc");
  const app = await startApp("orders");
  const flags = ["--control-plane", server];
  const orders = await startSidecar("orders", { app: app.address, flags });
  const web = await startSidecar("web", { flags });
  const outbound = web.address("outbound");
  await eventually("orders answers", answers(outbound, "orders"));
  const load = startLoad(outbound, "orders");
  await first.kill();
  // So that web is back before orders is, and asks for what nobody has heard of.
  orders.signal("SIGSTOP");
  await startControlPlane(temporaryFolder(), server);
  await eventually("web is back", async () => (await metric(web, "weft_control_plane_connected")) === 1, 20_000);
  orders.signal("SIGCONT");
  await eventually("orders is back", async () => (await metric(orders, "weft_control_plane_connected")) === 1, 20_000);
  const before = load.count();
  await eventually("some traffic passed", () => load.count() > before + 50);
  expect((await load.stop()).failures).toEqual([]);
});

test("an instance that is killed costs no request that may be repeated, though its lease goes on", async () => {
  const controlPlane = await startControlPlane(temporaryFolder());
  const flags = ["--control-plane", controlPlane.address("grpc")];
  const apps = [await startApp("orders"), await startApp("orders")];
  const [doomed] = await Promise.all(apps.map(({ address }) => startSidecar("orders", { app: address, flags })));
  const web = await startSidecar("web", { flags });
  const outbound = web.address("outbound");
  await eventually("orders answers", answers(outbound, "orders"));
  const load = startLoad(outbound, "orders");
  await eventually("some traffic passed", () => load.count() > 50);
  await doomed?.kill();
  const before = load.count();
  await eventually("more traffic passed", () => load.count() > before + 200);
  expect((await load.stop()).failures).toEqual([]);
});

test("restarted with the control plane away, it starts from its cache, ready at once", async () => {
  const controlPlane = await startControlPlane(temporaryFolder());
  const orders = await startApp("orders");
  const cache = join(temporaryFolder(), "web.cache");
  const flags = ["--control-plane", controlPlane.address("grpc")];
  await startSidecar("orders", { app: orders.address, flags });
  const before = await startSidecar("web", { flags: [...flags, "--cache", cache, "--drain", "1s"] });
  await eventually("orders answers", answers(before.address("outbound"), "orders"));
  await eventually("the cache is written", async () => (await metric(before, "weft_cache_saved_seconds")) > 0);
  expect(await before.stop()).toEqual({ code: 0, signal: null });
  const held = (await eventually("the file is there", () => readFileSync(cache, "utf8"))).length;
  expect(held).toBeGreaterThan(100);
  await controlPlane.kill();

  const after = await startSidecar("web", { flags: [...flags, "--cache", cache] });
  const ready = await page(after, "status", "/healthz/ready");
  expect([ready.status, await ready.text()]).toEqual([200, expect.stringContaining("from cache")]);
  expect(await call(after.address("outbound"), "orders")).toMatchObject({ status: 200, body: "orders" });
  expect((await dumpOf(after)).configuration.origin).toBe("cache");
  // Killed, not ended: what is on disk stays whole.
  await after.kill();

  const damaged = readFileSync(cache);
  damaged[damaged.length - 10] = (damaged[damaged.length - 10] ?? 0) ^ 1;
  writeFileSync(cache, damaged);
  const again = await startSidecar("web", { flags: [...flags, "--cache", cache] });
  expect(again.stderr).toContain("cache file refused");
  expect(again.stderr).toContain("checksum");
  expect((await page(again, "status", "/healthz/ready")).status).toBe(503);
  expect(await call(again.address("outbound"), "orders")).toMatchObject({ reason: "control-plane-unavailable" });
});

test("a second sidecar with the same identity: the first says so, goes on and can be told apart by --id", async () => {
  const controlPlane = await startControlPlane(temporaryFolder());
  const orders = await startApp("orders");
  const flags = ["--control-plane", controlPlane.address("grpc")];
  await startSidecar("orders", { app: orders.address, flags });
  const first = await startSidecar("web", { flags: [...flags, "--id", "web-1"] });
  await eventually("orders answers", answers(first.address("outbound"), "orders"));
  await startSidecar("web", { flags: [...flags, "--id", "web-1"] });
  await eventually("the first says so", () => first.stderr.includes("another sidecar with this identity"));
  expect(first.stderr).toContain("--id");
  expect(await call(first.address("outbound"), "orders")).toMatchObject({ status: 200 });
});

test("a sidecar that ends in order is withdrawn before it stops answering: no request is lost", async () => {
  const controlPlane = await startControlPlane(temporaryFolder());
  const [one, two] = [await startApp("one"), await startApp("two")];
  const flags = ["--control-plane", controlPlane.address("grpc")];
  const web = await startSidecar("web", { flags });
  const leaving = await startSidecar("orders", { app: one.address, flags: [...flags, "--drain", "3s"] });
  await startSidecar("orders", { app: two.address, flags });
  const outbound = web.address("outbound");
  const seen = new Set<string>();
  await eventually("both answer", async () => {
    seen.add((await call(outbound, "orders")).body);
    return seen.has("one") && seen.has("two");
  });
  const load = startLoad(outbound, "orders");
  await eventually("traffic flows", () => load.count() > 20);
  expect(await leaving.stop()).toEqual({ code: 0, signal: null });
  const atEnd = load.count();
  await eventually("traffic goes on", () => load.count() > atEnd + 20);
  expect((await load.stop()).failures).toEqual([]);
});

/** Calls one after the other, four at a time, until it is stopped. */
function startLoad(address: string, host: string) {
  const failures: string[] = [];
  let count = 0;
  let stopped = false;
  const worker = async (): Promise<void> => {
    while (!stopped) {
      const answer = await call(address, host).catch((error: unknown) => ({
        status: 0,
        reason: String(error),
        body: "",
      }));
      count++;
      if (answer.status !== 200) failures.push(`${answer.status} ${answer.reason}`);
    }
  };
  const workers = Array.from({ length: 4 }, worker);
  return {
    count: () => count,
    stop: async () => {
      stopped = true;
      await Promise.all(workers);
      return { failures, count };
    },
  };
}
