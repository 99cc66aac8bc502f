// What was decided about requests, asked of real sidecars through a real control plane: explain --trace, tap, the
// x-weft-debug header; with worker processes, several taps, a load that is too much to show, and ends of every kind.
import { type ChildProcess, spawn } from "node:child_process";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../runtime/clock.ts";
import { type Answer, ask } from "../ask.ts";
import { cleanUp, PROGRAMS, runProgram } from "../harness.ts";
import { type Mesh, type MeshService, RulesClient, startMesh, startService } from "../mesh.ts";

const RULES = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: orders }
spec:
  parentRefs: [{ group: "", kind: Service, name: orders }]
  rules:
    - matches: [{ path: { type: PathPrefix, value: /split } }]
      backendRefs: [{ name: orders-v1, weight: 50 }, { name: orders-v2, weight: 50 }]
---
apiVersion: weft.mesh/v1
kind: Service
metadata: { name: flaky }
spec: { endpoints: [{ address: "127.0.0.1:1" }, { address: "{good}" }] }
---
apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: flaky }
spec:
  targetRef: { kind: Service, name: flaky }
  loadBalancer: { algorithm: round-robin }
  retry: { attempts: 2, on: [connect-failure], backoff: { base: 5ms, max: 10ms } }
`;

let mesh: Mesh;
let web: MeshService;
let lone: MeshService;

beforeAll(async () => {
  mesh = await startMesh();
  const [v1] = await Promise.all([startService(mesh, "orders", "v1"), startService(mesh, "orders", "v2")]);
  [web, lone] = await Promise.all([
    startService(mesh, "web", "v1", ["--concurrency", "2"]),
    startService(mesh, "lone", "v1"),
  ]);
  const rules = new RulesClient(mesh);
  const { revision } = await rules.apply(RULES.replace("{good}", v1.app.address("address")));
  await eventually(async () => {
    const answer = await call("orders", "/split");
    expect(answer.status).toBe(200);
  });
  await rules.wait(revision);
  rules.close();
});

afterAll(cleanUp);

const open: ChildProcess[] = [];
afterEach(() => {
  for (const child of open.splice(0)) child.kill("SIGKILL");
});

/** Tries until it does not throw. */
async function eventually<Value>(step: () => Value | Promise<Value>): Promise<Value> {
  const startedMs = systemClock.now();
  for (;;) {
    try {
      return await step();
    } catch (error) {
      if (systemClock.now() - startedMs > 20_000) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

function call(host: string, path: string, headers: Readonly<Record<string, string>> = {}, from = web): Promise<Answer> {
  return ask({ address: from.outbound, path, headers: { host, ...headers } });
}

function weft(...argv: string[]) {
  return runProgram("weft", argv, { env: { WEFT_SERVER: mesh.server } });
}

interface Seen {
  readonly direction: string;
  readonly target: string;
  readonly backend?: string;
  readonly version?: string;
  readonly status: number;
  readonly reason?: string;
  readonly attempts: { kind: string; address: string; outcome: string; durationMs: number; startMs: number }[];
  readonly split?: { point: number; shares: object[] };
  readonly rule?: { route: string; ruleIndex: number; match: string };
}

async function explain(id: string, ...more: string[]): Promise<{ decisions: Seen[]; silent: string[]; asked: number }> {
  return eventually(async () => {
    const { stdout, stderr } = await weft("explain", "--trace", id, "-o", "json", ...more);
    expect(stderr).toBe("");
    return JSON.parse(stdout);
  });
}

/** A traceparent and its trace id; nothing is sampled. */
function newTrace(digit: string): { id: string; headers: Record<string, string> } {
  const id = digit.repeat(32);
  return { id, headers: { traceparent: `00-${id}-${digit.repeat(16)}-00` } };
}

class Tap {
  stdout = "";
  stderr = "";
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;

  constructor(argv: readonly string[], command = "tap") {
    const env = { ...process.env, WEFT_SERVER: mesh.server };
    this.child = spawn(process.execPath, [PROGRAMS.weft, command, ...argv], { env, stdio: ["ignore", "pipe", "pipe"] });
    open.push(this.child);
    this.child.stdout?.on("data", (chunk: Buffer) => {
      this.stdout += chunk;
    });
    this.child.stderr?.on("data", (chunk: Buffer) => {
      this.stderr += chunk;
    });
    this.exited = new Promise((resolve) => this.child.once("exit", resolve));
  }

  /** Sidecars were told, all of them: the control plane says so at once, they hear of it in order. */
  async begins(): Promise<this> {
    await eventually(() => expect(this.stderr).toContain("tap: tapping"));
    return this;
  }

  get seen(): Seen[] {
    return this.stdout
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Seen);
  }
}

describe("explain --trace", () => {
  test("tells what the caller's sidecar decided and what the service's sidecar saw", async () => {
    const trace = newTrace("a");
    const { headers } = await call("orders", "/split/1", trace.headers);
    const { decisions, silent, asked } = await explain(trace.id);
    expect({ silent, asked }).toEqual({ silent: [], asked: 4 });
    const [outbound, inbound] = decisions;
    expect(decisions.map(({ direction }) => direction)).toEqual(["outbound", "inbound"]);
    const version = headers["x-version"];
    expect(outbound).toMatchObject({
      target: "/split/1",
      backend: `default/orders-${version}`,
      version,
      status: 200,
      rule: { route: "HTTPRoute default/orders", ruleIndex: 0 },
      attempts: [{ kind: "first", outcome: "answered" }],
    });
    expect(outbound!.split!.shares).toHaveLength(2);
    const isSecond = outbound!.split!.point >= 0.5;
    expect(version).toBe(isSecond ? "v2" : "v1");
    expect(inbound).toMatchObject({ target: "/split/1", status: 200 });
  });

  test("tells of retries: endpoints, outcomes, times", async () => {
    // Round-robin over two endpoints of which one refuses: of two requests one is tried twice, in whichever worker.
    const ids = ["b", "c", "d", "e"].map(newTrace);
    for (const { headers } of ids) expect((await call("flaky", "/r", headers)).status).toBe(200);
    const all = await Promise.all(ids.map(({ id }) => explain(id)));
    const retried = all.flatMap(({ decisions }) => decisions).filter(({ attempts }) => attempts.length > 1);
    expect(retried.length).toBeGreaterThan(0);
    const [refused, answered] = retried[0]!.attempts;
    expect(refused).toMatchObject({ kind: "first", address: "127.0.0.1:1", outcome: "connect-failure" });
    expect(answered).toMatchObject({ kind: "retry", outcome: "answered" });
    expect(answered!.startMs).toBeGreaterThanOrEqual(refused!.startMs + refused!.durationMs);
  });

  test("finds a request by its request id, and for people draws a tree", async () => {
    await call("orders", "/split/2", { "x-request-id": "my-own-id" });
    await explain("my-own-id");
    const { stdout, code } = await weft("explain", "--trace", "my-own-id");
    expect(code).toBe(0);
    expect(stdout).toMatch(/GET orders\/split\/2, called by default\/web/);
    expect(stdout).toMatch(/HTTPRoute default\/orders rule 0/);
    expect(stdout).toMatch(/<- chosen/);
    expect(stdout).toMatch(/: 200[^,]*, begun at \d+\.\d+m?s, took \d/);
    expect(stdout).toMatch(/first \S+ \(default\/orders-v\d v\d\): 200 answered/);
  });

  test("asks sidecars at their admin ports where it is told to", async () => {
    await call("orders", "/split/3", { "x-request-id": "direct" });
    const admin = web.sidecar.address("admin");
    const { decisions, asked } = await explain("direct", "--sidecar", admin);
    expect(asked).toBe(1);
    expect(decisions).toMatchObject([{ direction: "outbound", sidecarService: "default/web" }]);
    const dead = await weft("explain", "--trace", "direct", "--sidecar", "127.0.0.1:1");
    expect(dead).toMatchObject({ code: 3, stderr: expect.stringContaining("ECONNREFUSED") });
  });

  test("an id that nobody knows is said to be unknown, and what to do", async () => {
    const { code, stderr } = await weft("explain", "--trace", "f".repeat(32));
    expect(code).toBe(1);
    expect(stderr).toMatch(/none of 4 sidecars remembers a request/);
    expect((await weft("explain", "--trace", "")).code).toBe(2);
    expect((await weft("explain", "GET")).code).toBe(2);
  });

  test("a sidecar that stands still is named, and the answer of the others is not kept waiting", async () => {
    const trace = newTrace("9");
    await call("orders", "/split/4", trace.headers);
    await explain(trace.id);
    lone.sidecar.signal("SIGSTOP");
    try {
      const startedMs = systemClock.now();
      const { stdout, stderr, code } = await weft("explain", "--trace", trace.id);
      expect(code).toBe(0);
      expect(stdout).toContain("/split/4");
      expect(stderr).toContain("1 sidecar did not answer");
      expect(systemClock.now() - startedMs).toBeLessThan(8_000);
    } finally {
      lone.sidecar.signal("SIGCONT");
    }
  });
});

describe("x-weft-debug", () => {
  test("puts the decision into the answer's head", async () => {
    const { headers } = await call("orders", "/split/5", { "x-weft-debug": "1" });
    // Both sidecars are of this machine: the caller's stands behind the service's.
    expect(headers["x-weft-decision"]).toMatch(
      /direction=inbound.*direction=outbound, revision=\d+, service="default\/orders", route="HTTPRoute default\/orders", rule=0, split=0\.\d+, backend="default\/orders-v\d"/,
    );
    expect(headers["x-weft-decision"]).toMatch(/attempts=\("127\.0\.0\.1:\d+";kind=first;version="v\d";status=200;ms=/);
    const own = await call("nobody", "/", { "x-weft-debug": "1" });
    expect(own.headers["x-weft-decision"]).toMatch(/^direction=outbound.*reason=no-such-service/);
    expect((await call("orders", "/split/6")).headers["x-weft-decision"]).toBeUndefined();
    expect((await call("orders", "/split/7", { "x-weft-debug": "0" })).headers["x-weft-decision"]).toBeUndefined();
  });
});

describe("tap", () => {
  test("shows requests to a service as they end, through every worker, and ends with Ctrl-C", async () => {
    const tap = await new Tap(["orders", "-o", "json"]).begins();
    for (let index = 0; index < 20; index++) await call("orders", `/split/t${index}`);
    await call("flaky", "/not-this-one");
    await eventually(() => expect(tap.seen).toHaveLength(20));
    expect(tap.seen.map(({ target }) => target)).toEqual(expect.arrayContaining(["/split/t0", "/split/t19"]));
    expect(new Set(tap.seen.map(({ version }) => version))).toEqual(new Set(["v1", "v2"]));
    tap.child.kill("SIGINT");
    expect(await tap.exited).toBe(0);
    expect(tap.stderr).toContain("20 requests shown, 0 not shown");
  });

  test("filters by status, reason, route, time and header, at the sidecar", async () => {
    const taps = await Promise.all(
      [
        ["--status", "404"],
        ["--reason", "any"],
        ["--route", "orders"],
        ["--header", "x-who: me"],
        ["--slower", "1h"],
        ["orders", "--direction", "inbound"],
      ].map((argv) => new Tap([...argv, "-o", "json"]).begins()),
    );
    await call("nobody", "/a");
    await call("orders", "/split/b", { "x-who": "me" });
    await call("orders", "/other/c", { "x-who": "you" });
    const targets = (tap: Tap) => tap.seen.map(({ target }) => target);
    await eventually(() => {
      expect(taps.map(targets)).toEqual([
        ["/a", "/other/c"],
        ["/a", "/other/c"],
        ["/split/b"],
        ["/split/b"],
        [],
        ["/split/b"],
      ]);
    });
    const [byReason] = taps[1]!.seen;
    expect(byReason).toMatchObject({ status: 404, reason: "no-such-service" });
  });

  test("two taps at once each see everything", async () => {
    const taps = [await new Tap(["orders", "-o", "json"]).begins(), await new Tap(["-o", "json"]).begins()];
    for (let index = 0; index < 5; index++) await call("orders", "/split/two");
    await eventually(() => {
      // The one for all services may see the end of what went before, too.
      for (const tap of taps) expect(tap.seen.filter(({ target }) => target === "/split/two")).toHaveLength(5);
    });
  });

  test("under load shows as many as it may, and says how many it did not", async () => {
    const tap = await new Tap(["orders", "-o", "json", "--max-rps", "10"]).begins();
    let sent = 0;
    const untilMs = systemClock.now() + 2_000;
    while (systemClock.now() < untilMs) {
      const answers = await Promise.all(Array.from({ length: 10 }, () => call("orders", "/split/load")));
      sent += answers.length;
    }
    const left = () => Array.from(tap.stderr.matchAll(/(\d+) more requests? matched/g), ([, count]) => Number(count));
    await eventually(() => expect(left().reduce((sum, count) => sum + count, tap.seen.length)).toBe(sent));
    tap.child.kill("SIGINT");
    expect(await tap.exited).toBe(0);
    expect(tap.seen.length).toBeGreaterThan(0);
    expect(tap.seen.length).toBeLessThanOrEqual(60);
    expect(tap.stderr).toContain(`tap: ${tap.seen.length} requests shown, ${sent - tap.seen.length} not shown`);
  });

  test("goes on with the successor of a worker that was killed", async () => {
    const tap = await new Tap(["orders", "-o", "json"]).begins();
    const workers = async (): Promise<{ pid: number; state: string }[]> => {
      const { body } = await ask({ address: web.sidecar.address("admin"), path: "/config_dump" });
      return JSON.parse(body).workers;
    };
    const before = await workers();
    for (const { pid } of before) process.kill(pid, "SIGKILL");
    await eventually(async () => {
      const after = await workers();
      expect(after.map(({ state }) => state)).toEqual(["running", "running"]);
      for (const { pid } of after) expect(before.map((worker) => worker.pid)).not.toContain(pid);
    });
    for (let index = 0; index < 10; index++) await call("orders", `/split/again${index}`);
    await eventually(() => expect(tap.seen.map(({ target }) => target)).toHaveLength(10));
  });

  test("ends when its reader goes, and when it has shown enough", async () => {
    const piped = await new Tap(["orders"]).begins();
    piped.child.stdout?.destroy();
    const counted = await new Tap(["orders", "--count", "2"]).begins();
    await eventually(async () => {
      await call("orders", "/split/pipe");
      expect(piped.child.exitCode).toBe(0);
    });
    expect(await counted.exited).toBe(0);
    expect(counted.stdout.trim().split("\n")).toHaveLength(2);
    expect(counted.stdout).toMatch(
      /200 .*default\/web -> default\/orders-v\d v\d@127\.0\.0\.1:\d+ {2}GET orders\/split\/pipe/,
    );
  });

  test("with a control plane that is killed ends with its own exit code, and sidecars go on", async () => {
    const other = await startMesh();
    const caller = await startService(other, "solo", "v1");
    const child = new Tap(["--server", other.server, "-o", "json"]);
    await child.begins();
    await call("solo", "/x", {}, caller);
    await eventually(() => expect(child.seen).toHaveLength(1));
    await other.controlPlane.kill();
    expect(await child.exited).toBe(3);
    expect(child.stderr).toContain("lost the control plane");
    expect((await call("solo", "/y", {}, caller)).status).toBe(200);
  });
});

describe("top", () => {
  /** Requests for as long as `step` runs. */
  async function underTraffic<Value>(step: () => Promise<Value>): Promise<Value> {
    let isOver = false;
    const sending = (async () => {
      while (!isOver) {
        await Promise.all([
          call("orders", "/split/top"),
          call("orders", "/split/p"),
          call("orders", "/split/x", {}, lone),
        ]);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    })();
    try {
      return await step();
    } finally {
      isOver = true;
      await sending;
    }
  }

  interface Row {
    readonly name: string;
    readonly requestsPerSecond: number;
    readonly successRate: number;
    readonly p99Ms: number;
    readonly history: number[];
  }

  test("shows rates by service, version, caller and route, once", async () => {
    const byName = async (by: string): Promise<Map<string, Row>> => {
      const { stdout } = await weft("top", "orders", "--by", by, "-o", "json");
      return new Map((JSON.parse(stdout).rows as Row[]).map((row) => [row.name, row]));
    };
    await underTraffic(async () => {
      await eventually(async () => {
        const [services, versions, sources] = [
          await byName("service"),
          await byName("version"),
          await byName("source"),
        ];
        expect([...services.keys()]).toEqual(["default/orders"]);
        expect([...versions.keys()]).toEqual(expect.arrayContaining(["default/orders-v1 v1", "default/orders-v2 v2"]));
        expect([...sources.keys()].sort()).toEqual(["default/lone", "default/web"]);
        const [web, lone] = [sources.get("default/web")!, sources.get("default/lone")!];
        // web calls twice as often as lone.
        expect(web.requestsPerSecond / lone.requestsPerSecond).toBeGreaterThan(1.5);
        expect(web.requestsPerSecond / lone.requestsPerSecond).toBeLessThan(2.5);
        expect(services.get("default/orders")).toMatchObject({ successRate: 100, history: expect.any(Array) });
        expect(services.get("default/orders")!.p99Ms).toBeGreaterThan(0);
      });
      const routes = await byName("route");
      expect([...routes.keys()]).toEqual(["default/orders HTTPRoute default/orders 0"]);
      expect([...routes.values()][0]!.requestsPerSecond).toBeGreaterThan(0);
    });
  });

  test("with --watch goes on: lines in a pipe, a document a second, until its reader goes", async () => {
    await underTraffic(async () => {
      const lines = new Tap(["--watch"], "top");
      const documents = new Tap(["--watch", "--by", "version", "-o", "json"], "top");
      await eventually(() => {
        expect(lines.stdout.split("\n").length).toBeGreaterThan(3);
        expect(documents.stdout.split("\n").length).toBeGreaterThan(3);
      });
      expect(lines.stdout).toMatch(/^\d{4}-\S+Z\tdefault\/orders\t[\d.]+\t100\t[\d.]+\t[\d.]+\t[\d.]+$/m);
      for (const line of documents.stdout.split("\n").slice(0, -1))
        expect(JSON.parse(line)).toMatchObject({ by: "version" });
      lines.child.stdout?.destroy();
      documents.child.kill("SIGINT");
      expect(await Promise.all([lines.exited, documents.exited])).toEqual([0, 0]);
    });
  });
});

test("flags that make no sense are refused before anybody is asked", async () => {
  const answers = await Promise.all([
    weft("tap", "orders", "--status", "6"),
    weft("tap", "orders", "--direction", "up"),
    weft("tap", "orders", "-H", ": x"),
    weft("tap", "orders", "-o", "yaml"),
    weft("top", "--by", "colour"),
    weft("explain", "GET", "http://orders/", "--sidecar", "127.0.0.1:1"),
  ]);
  for (const { code, stderr } of answers) {
    expect(code).toBe(2);
    expect(stderr).not.toBe("");
  }
});
