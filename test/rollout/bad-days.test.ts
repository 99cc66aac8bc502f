// Bad days of a release, each with real processes: what breaks, what the release does about it, and what it says.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { cleanUp, eventually, temporaryFolder } from "../harness.ts";
import { startSidecar } from "../mesh.ts";
import { ReleaseMesh, rolloutDocument } from "./release-mesh.ts";

/** Long enough that it never ends by itself while a test looks. */
const LONG = "{ weight: 20, hold: 10m }, { weight: 100 }";

let mesh: ReleaseMesh;

beforeAll(async () => {
  mesh = await ReleaseMesh.start(temporaryFolder());
});

afterEach(async () => {
  await Promise.all(["v1", "v2"].map((version) => mesh.behave(version, {})));
  await mesh.remove();
});

afterAll(async () => {
  mesh.close();
  await cleanUp();
});

function rolledBack({ phase }: { readonly phase: string }): boolean {
  return phase === "rolled-back";
}

describe("a canary that harms", () => {
  it("in half of its answers is gone within two analysis intervals of the first", async () => {
    const load = mesh.load(200, { mayFail: true });
    await mesh.release(LONG, "successRate: { min: 99 }");
    await mesh.until("v2 is judged", ({ canarySide }) => (canarySide?.requests ?? 0) > 60);
    await mesh.behave("v2", { failShare: 0.5 });
    const brokenMs = Date.now();
    await mesh.until("v2 is rolled back", rolledBack);
    await eventually("v2 gets nothing", async () => {
      const { lastMs } = await mesh.seen("v2");
      return Date.now() - lastMs > 300;
    });
    const { lastMs } = await mesh.seen("v2");
    await load.stop();
    // The interval of this release is one second, and reports come every second.
    expect(lastMs - brokenMs).toBeLessThan(2_500);
  });

  it("only by being slow is rolled back for it", async () => {
    await mesh.behave("v2", { delayMs: 40 });
    const load = mesh.load(200);
    await mesh.release(LONG, "latency: { p95: { max: 20ms } }");
    const { message } = await mesh.until("v2 is rolled back", rolledBack);
    expect(message).toContain("p95 at most 20ms");
    expect((await load.stop()).failures).toEqual([]);
  });

  it("only on some routes is rolled back, and the routes are named", async () => {
    const route = join(temporaryFolder(), "routes.yaml");
    writeFileSync(route, ROUTES);
    expect((await mesh.weft("apply", "-f", route)).code).toBe(0);
    await mesh.behave("v2", { failShare: 0.2, path: "/pay" });
    const loads = [mesh.load(80, { mayFail: true }), mesh.load(40, { mayFail: true, path: "/pay" })];
    await mesh.release(LONG, "", "  onFailure: pause\n");
    const { message } = await mesh.until("v2 has failed", ({ phase, message: text }) => phase === "paused" && /most failures/.test(text)); // biome-ignore format: one thought
    expect(message).toMatch(/most failures are on HTTPRoute default\/orders 0: \d+ of \d+ failed/);
    await Promise.all(loads.map((load) => load.stop()));
    await mesh.weft("delete", "httproute", "orders");
  });
});

describe("no traffic", () => {
  it("is no verdict: the step is held for as long as it lasts, and goes on with the requests", async () => {
    await mesh.release("{ weight: 50 }, { weight: 100 }");
    await mesh.until("two analyses are over", ({ verdictAtMs, startedAtMs }) => verdictAtMs > startedAtMs + 2_000);
    expect(await mesh.status()).toMatchObject({ step: 1, verdict: "not-yet", phase: "progressing" });
    const { stdout } = await mesh.weft("rollout", "status");
    expect(stdout).toContain("0 of the 20 requests");
    const load = mesh.load(100);
    await mesh.until("it is promoted", ({ phase }) => phase === "promoted");
    expect((await load.stop()).failures).toEqual([]);
  });
});

describe("people", () => {
  it("who give opposite commands are told whose came first", async () => {
    await mesh.release(LONG);
    const said = await Promise.allSettled([mesh.say("abort", "ann"), mesh.say("promote", "bob")]);
    const refused = said.filter(({ status }) => status === "rejected");
    expect(refused).toHaveLength(1);
    expect(String((refused[0] as PromiseRejectedResult).reason)).toMatch(/rolled back \d+ s ago: aborted by ann/);
    expect(await mesh.status()).toMatchObject({ phase: "rolled-back", weight: 0 });
    expect((await mesh.weft("rollout", "promote", "orders")).code).toBe(1);
  });

  it("who promote what both saw at one step take one step", async () => {
    await mesh.release(
      "{ weight: 5, hold: 10m }, { weight: 10, hold: 10m }, { weight: 20, hold: 10m }, { weight: 100 }",
    );
    await mesh.say("promote", "ann");
    const refused = await mesh.weft("rollout", "promote", "orders");
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/ann moved the release on to step 2 \d s ago; .* add --step 2, or/);
    expect(await mesh.status()).toMatchObject({ step: 2 });
    expect((await mesh.weft("rollout", "promote", "orders", "--step", "2")).code).toBe(0);
    expect(await mesh.status()).toMatchObject({ step: 3 });
  });

  it("who edit the route in the middle get their edit, and the release keeps its weight", async () => {
    await mesh.release("{ weight: 50, hold: 10m }, { weight: 100 }");
    const route = join(temporaryFolder(), "edited.yaml");
    writeFileSync(route, EDITED);
    expect((await mesh.weft("apply", "-f", route, "--wait")).code).toBe(0);
    const versions = new Set<string>();
    for (let sent = 0; sent < 20; sent++) versions.add(await mesh.ask());
    expect([...versions].sort()).toEqual(["v1", "v2"]);
    expect(await mesh.ask({}, "/closed")).toBe("status 404 no-route");
    await mesh.weft("delete", "httproute", "orders");
  });

  it("who start one that was rolled back again have it begin anew, with what they changed", async () => {
    await mesh.release(LONG);
    await mesh.say("abort", "ann");
    await mesh.release("{ weight: 10, hold: 10m }, { weight: 100 }");
    expect(await mesh.status()).toMatchObject({ phase: "progressing", step: 1, weight: 10 });
    await mesh.say("abort", "ann");
    const flags = ["--service", "orders", "--stable", "orders-v1", "--canary", "orders-v2", "--steps", "15,100"];
    expect((await mesh.weft("rollout", "start", ...flags)).code).toBe(0);
    expect(await mesh.status()).toMatchObject({ phase: "progressing", step: 1, wantedWeight: 15 });
  });

  it("who promoted by mistake undo it with the command that the status ends with", async () => {
    await mesh.release("{ weight: 100 }");
    await mesh.until("it has everything", ({ weight }) => weight === 100);
    await mesh.say("promote", "ann");
    const { next } = JSON.parse((await mesh.weft("rollout", "status", "-o", "json")).stdout);
    const [, ...args] = next[0].command.split(" ");
    expect((await mesh.weft(...args)).code).toBe(0);
    expect(await mesh.status()).toMatchObject({ stable: "orders-v2", canary: "orders-v1", weight: 100 });
    await mesh.settled();
    for (let sent = 0; sent < 5; sent++) expect(await mesh.ask()).toBe("v1");
  });

  it("who edit the steps find the release at what it has reached; steps that go down are refused", async () => {
    await mesh.release("{ weight: 20, hold: 10m }, { weight: 60, hold: 10m }, { weight: 100 }");
    await mesh.say("promote");
    expect(await mesh.status()).toMatchObject({ step: 2, weight: 60 });
    await mesh.release("{ weight: 60, hold: 10m }, { weight: 100 }");
    expect(await mesh.status()).toMatchObject({ step: 1, weight: 60, phase: "progressing" });
    const down = join(temporaryFolder(), "down.yaml");
    writeFileSync(down, rolloutDocument("{ weight: 50 }, { weight: 20 }"));
    const refused = await mesh.weft("rollout", "start", "-f", down);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/steps\[1\]\.weight: weight 20 is below the 50 of a step before it/);
    expect(await mesh.status()).toMatchObject({ step: 1, weight: 60 });
  });
});

describe("a store that cannot be written", () => {
  it("does not keep a release from going back, and says what is not stored", async () => {
    await mesh.release(LONG);
    await eventually("v2 gets requests", async () => (await mesh.ask()) === "v2");
    const other = new DatabaseSync(join(mesh.data, "weft.db"));
    other.exec("BEGIN IMMEDIATE");
    const refused = await mesh.weft("rollout", "promote", "orders");
    const aborted = await mesh.weft("rollout", "abort", "orders");
    const watched = await mesh.weft("rollout", "status", "orders", "--watch", "--wait=10s");
    const { phase, message } = await mesh.status();
    await mesh.settled();
    const answers = new Set<string>();
    for (let sent = 0; sent < 20; sent++) answers.add(await mesh.ask());
    other.close();
    expect([refused.code, aborted.code, phase]).toEqual([1, 0, "rolled-back"]);
    expect([...answers]).toEqual(["v1"]);
    expect(message).toMatch(/^all traffic is back at orders-v1: aborted by .*; not stored, .*: database is locked$/);
    expect(aborted.stdout).toContain("not stored, so a restart of the control plane would forget it");
    expect(watched.stdout).toContain("all traffic is back at orders-v1");
    await mesh.until("it is stored", ({ message: now }) => !now.includes("not stored"));
    expect((await mesh.events()).at(-1)?.type).toBe("rolled-back");
  });
});

describe("figures", () => {
  it("of a sidecar that is cut off are missed by name, and the others are judged by", async () => {
    const other = await startSidecar(mesh.mesh, "web", "v1", "127.0.0.1:9");
    const load = mesh.load(50);
    expect(await mesh.askAt(other, {})).toMatch(/^v/);
    await mesh.release(LONG);
    await mesh.until("both report", ({ reportingSidecars }) => reportingSidecars >= 2);
    other.signal("SIGSTOP");
    const { silentSidecars, message } = await mesh.until("one is missed", (now) => now.silentSidecars.length === 1);
    expect(message).toContain("no figures from 1 calling sidecar");
    expect(silentSidecars).toHaveLength(1);
    const before = (await mesh.status()).canarySide?.requests ?? 0;
    await mesh.until("the others still count", ({ canarySide }) => (canarySide?.requests ?? 0) > before);
    other.signal("SIGCONT");
    await mesh.until("it is heard again", (now) => now.silentSidecars.length === 0);
    await other.kill();
    await load.stop();
  });

  it("of a sidecar whose clock is wrong by five minutes count like all others", async () => {
    const hook = join(temporaryFolder(), "clock.mjs");
    writeFileSync(hook, "const now = Date.now; Date.now = () => now() - 300_000;\n");
    const late = await startSidecar(mesh.mesh, "web", "v1", "127.0.0.1:9", [], { NODE_OPTIONS: `--import=${hook}` });
    await mesh.behave("v2", { failShare: 0.5 });
    const load = mesh.load(100, { mayFail: true, from: late });
    await mesh.release(LONG);
    const { silentSidecars } = await mesh.until("v2 is rolled back", rolledBack);
    expect(silentSidecars).toEqual([]);
    await load.stop();
    await late.kill();
  });
});

const ROUTES = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: orders }
spec:
  parentRefs: [{ group: "", kind: Service, name: orders }]
  rules:
    - { matches: [{ path: { type: PathPrefix, value: /pay } }], backendRefs: [{ name: orders, port: 80 }] }
    - { backendRefs: [{ name: orders, port: 80 }] }
`;

const EDITED = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: orders }
spec:
  parentRefs: [{ group: "", kind: Service, name: orders }]
  rules: [{ matches: [{ path: { type: Exact, value: / } }], backendRefs: [{ name: orders-v1, port: 80 }] }]
`;
