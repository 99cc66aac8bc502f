// `--concurrency N`: one sidecar in several processes. One registration, one set of figures, one configuration that all
// of them act on; a process that dies takes its own connections with it and nothing else. Every process is a real one.
import { readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { ask } from "../ask.ts";
import { cleanUp, eventually, type RunningProgram, runProgram, startProgram, temporaryFolder } from "../harness.ts";
import { RulesClient, startMesh, startService } from "../mesh.ts";
import { SteadyLoad } from "../steady-load.ts";
import {
  type App,
  call,
  page,
  serviceDocument,
  sidecarArguments,
  startHttpApp,
  startSidecar,
} from "./sidecar-process.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
  await cleanUp();
});

async function startApp(handler: Parameters<typeof startHttpApp>[0]): Promise<App> {
  const app = await startHttpApp(handler);
  closing.push(() => app.close());
  return app;
}

interface Worker {
  readonly pid: number;
  readonly state: string;
  readonly restarts: number;
  readonly requests: number;
}

async function workersOf(sidecar: RunningProgram): Promise<Worker[]> {
  const dump = (await (await page(sidecar, "admin", "/config_dump")).json()) as { workers: Worker[] };
  return dump.workers;
}

/** The sum of all samples of a metric whose labels contain `labels`. */
async function metric(sidecar: RunningProgram, name: string, labels = ""): Promise<number> {
  const text = await (await page(sidecar, "status", "/metrics")).text();
  const lines = text.split("\n").filter((line) => new RegExp(`^${name}[{ ]`).test(line) && line.includes(labels));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

function rulesFile(...documents: string[]): string {
  const file = join(temporaryFolder(), "rules.yaml");
  writeFileSync(file, documents.join(""));
  return file;
}

function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

/** Two processes for the app's calls to `orders`. */
async function startPair(flags: readonly string[] = []): Promise<RunningProgram> {
  const orders = await startApp("fine");
  const rules = rulesFile(serviceDocument("orders", orders.address));
  return startSidecar("web", { flags: ["--rules", rules, "--concurrency", "2", ...flags] });
}

async function callMany(address: string, host: string, count: number): Promise<void> {
  for (let done = 0; done < count; done += 20) {
    const answers = await Promise.all(Array.from({ length: 20 }, () => call(address, host)));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
  }
}

describe("two processes", () => {
  test("share the ports, both serve, and their figures add up", async () => {
    const sidecar = await startPair();
    const outbound = sidecar.address("outbound");
    await callMany(outbound, "orders", 100);
    expect(await metric(sidecar, "weft_requests_total", 'direction="outbound"')).toBe(100);
    expect(await metric(sidecar, "weft_request_duration_seconds_count", 'direction="outbound"')).toBe(100);
    expect(await metric(sidecar, "weft_client_connections_total", 'outcome="accepted"')).toBe(100);
    expect(await metric(sidecar, "weft_endpoints", 'health="healthy"')).toBe(1);
    expect(await metric(sidecar, "weft_workers")).toBe(2);
    const workers = await workersOf(sidecar);
    expect(workers.map(({ requests }) => requests).reduce((a, b) => a + b, 0)).toBe(100);
    // The kernel picks by a hash of addresses and ports: all 100 at one of two has a probability of 2^-99.
    for (const worker of workers) expect(worker.requests).toBeGreaterThan(0);
  });

  test("are one service in /clusters, with the connections of both", async () => {
    const sidecar = await startPair();
    await callMany(sidecar.address("outbound"), "orders", 60);
    const clusters = (await (await page(sidecar, "admin", "/clusters?format=json")).json()) as {
      service: string;
      endpoints: { health: string; openConnections: number }[];
    }[];
    expect(clusters.map(({ service }) => service)).toEqual(["default/orders"]);
    expect(clusters[0]?.endpoints).toHaveLength(1);
    expect(clusters[0]?.endpoints[0]?.health).toBe("healthy");
    expect(clusters[0]?.endpoints[0]?.openConnections).toBeGreaterThanOrEqual(2);
  });

  test("can be profiled one by one, and readiness says how many serve", async () => {
    const sidecar = await startPair();
    const profile = await page(sidecar, "admin", "/profile?seconds=0.1&worker=2");
    expect(((await profile.json()) as { nodes: unknown[] }).nodes.length).toBeGreaterThan(0);
    expect((await page(sidecar, "admin", "/profile?seconds=0.1&worker=3")).status).toBe(404);
    const ready = await page(sidecar, "status", "/healthz/ready");
    expect([ready.status, await ready.text()]).toEqual([
      200,
      expect.stringContaining("worker processes: 2 of 2 serve\n"),
    ]);
  });

  test("refuse a port that another sidecar's processes share, instead of taking half of its traffic", async () => {
    const first = await startPair();
    const args = ["--service", "thief", "--concurrency", "2", "--outbound", first.address("outbound")];
    const result = await runProgram("weft-sidecar", [...args, "--admin", "off", "--status", "off"]);
    expect(result.code).toBe(1);
    expect(result.stderr).toContain(`cannot listen on --outbound ${first.address("outbound")}: the address is in use`);
  });
});

describe("rules", () => {
  test("are acted on by both before apply --wait says so, and on-demand services come to both", async () => {
    const mesh = await startMesh();
    await Promise.all([startService(mesh, "orders", "v1"), startService(mesh, "orders", "v2")]);
    const flags = ["--control-plane", mesh.server, "--concurrency", "2"];
    const caller = await startSidecar("web", { flags });
    const outbound = caller.address("outbound");
    await eventually("orders answers", async () => (await call(outbound, "orders")).status === 200);
    const rules = new RulesClient(mesh);
    closing.push(() => rules.close());
    for (const version of ["v1", "v2", "v1", "v2"]) {
      const { revision } = await rules.apply(`apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: orders }
spec:
  parentRefs: [{ group: "", kind: Service, name: orders }]
  rules: [{ backendRefs: [{ name: orders-${version} }] }]
`);
      await rules.wait(revision);
      const answers = await Promise.all(
        Array.from({ length: 30 }, () => ask({ address: outbound, headers: { host: "orders" } })),
      );
      expect([...new Set(answers.map(({ headers }) => headers["x-version"]))]).toEqual([version]);
    }
    expect(await metric(caller, "weft_snapshot_revision")).toBeGreaterThan(0);
    expect(await call(outbound, "nobody")).toMatchObject({ status: 404, reason: "no-such-service" });
    for (const worker of await workersOf(caller)) expect(worker.requests).toBeGreaterThan(0);
  }, 60_000);
});

describe("a process that is killed", () => {
  test("loses its own connections only, comes back with the configuration, and is counted", async () => {
    const sidecar = await startPair();
    const outbound = sidecar.address("outbound");
    const before = await workersOf(sidecar);
    const load = new SteadyLoad({
      address: outbound,
      host: "orders",
      requestsPerSecond: 200,
      check: ({ status }) => (status === 200 ? undefined : `status ${status}`),
    });
    const sentBefore = await eventually("load", async () => {
      const total = await metric(sidecar, "weft_requests_total", 'direction="outbound"');
      return total > 100 && total;
    });
    const victim = before[0]?.pid ?? 0;
    process.kill(victim, "SIGKILL");
    await eventually("a successor", async () => {
      const now = await workersOf(sidecar);
      return now[0]?.pid !== victim && now.every(({ state }) => state === "running") && now[0]?.restarts === 1;
    });
    // Connections of the load that are kept alive may all be the other process's, so there have to be new ones.
    await eventually("the successor serves", async () => {
      await ask({ address: outbound, headers: { host: "orders" } });
      return ((await workersOf(sidecar))[0]?.requests ?? 0) > 0;
    });
    // A successor may be there within a few hundred milliseconds; the load is to go on past that.
    await eventually("load after it", async () => {
      const total = await metric(sidecar, "weft_requests_total", 'direction="outbound"');
      return total > sentBefore + 150;
    });
    const result = await load.stop();
    // At most what was on the wire of one process: connections, not seconds.
    expect(result.failures.length, result.failures.join("; ")).toBeLessThan(64);
    expect(result.sent).toBeGreaterThan(200);
    expect((await workersOf(sidecar))[1]?.pid).toBe(before[1]?.pid);
    expect(await metric(sidecar, "weft_worker_restarts_total")).toBe(1);
    expect(await metric(sidecar, "weft_requests_total", 'direction="outbound"')).toBeGreaterThanOrEqual(sentBefore);
    expect(sidecar.stderr).toContain("a worker process has ended, and its connections with it; starting another");
  }, 60_000);

  test("again and again comes back ever more slowly", async () => {
    const sidecar = await startPair();
    for (const restarts of [1, 2, 3]) {
      const [first] = await workersOf(sidecar);
      process.kill(first?.pid ?? 0, "SIGKILL");
      await eventually("a successor", async () => {
        const [now] = await workersOf(sidecar);
        return now?.restarts === restarts && now.state === "running";
      });
    }
    const pauses = [...sidecar.stderr.matchAll(/"retryInMs":(\d+)/g)].map((match) => Number(match[1]));
    expect(pauses).toHaveLength(3);
    // Between half of 100, 200, 400 ms and all of it.
    expect(pauses[2]).toBeGreaterThanOrEqual(200);
    expect(await call(sidecar.address("outbound"), "orders")).toMatchObject({ status: 200 });
  });
});

describe("the end", () => {
  test("of the parent, however sudden, is the end of its processes", async () => {
    const sidecar = await startPair();
    const pids = (await workersOf(sidecar)).map(({ pid }) => pid);
    expect(pids.filter(isRunning)).toHaveLength(2);
    await sidecar.kill();
    await eventually("the workers are gone", () => pids.every((pid) => !isRunning(pid)));
  });

  test("by SIGTERM to the whole group waits for requests in flight, and none is lost", async () => {
    const arrived: (() => void)[] = [];
    const app = await startApp((_request, answer) => void arrived.push(() => answer.end("late")));
    const flags = ["--rules", rulesFile(serviceDocument("nobody")), "--concurrency", "2"];
    const sidecar = await startSidecar("web", { app: app.address, flags });
    const pids = (await workersOf(sidecar)).map(({ pid }) => pid);
    const inbound = sidecar.address("inbound");
    const answers = Array.from({ length: 40 }, () => ask({ address: inbound, headers: { host: "web" } }));
    await eventually("all are in flight", () => arrived.length === 40);
    sidecar.signal("SIGTERM");
    for (const pid of pids) process.kill(pid, "SIGTERM");
    await eventually("it takes no more", () => refuses(inbound));
    for (const answer of arrived) answer();
    for (const { status, headers, body } of await Promise.all(answers)) {
      expect([status, headers.connection, body]).toEqual([200, "close", "late"]);
    }
    // The app that somebody else stops: its port closing ends the sidecar.
    closing.splice(0);
    await app.close();
    expect(await sidecar.exited).toEqual({ code: 0, signal: null });
    expect(pids.filter(isRunning)).toEqual([]);
  }, 60_000);

  test("of a wrapped app is the sidecar's, with all its processes and the app's code", async () => {
    const args = sidecarArguments("web", {
      flags: ["--rules", rulesFile(serviceDocument("nobody")), "--concurrency", "2"],
      command: [process.execPath, "-e", "setTimeout(() => process.exit(7), 300)"],
    });
    const sidecar = await startProgram("weft-sidecar", args);
    expect(await sidecar.exited).toEqual({ code: 7, signal: null });
  });
});

function refuses(address: string): Promise<boolean> {
  const { hostname, port } = new URL(`http://${address}`);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port) });
    socket.on("connect", () => {
      socket.destroy();
      resolve(false);
    });
    socket.on("error", () => resolve(true));
  });
}
