// The main job, end to end with real processes: a rule typed into the CLI changes where live traffic goes, and a
// change costs no request.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ask } from "../ask.ts";
import { cleanUp, eventually, freePort, REPOSITORY, runProgram, temporaryFolder } from "../harness.ts";
import { type Mesh, type MeshService, RulesClient, startMesh, startService, startSidecar } from "../mesh.ts";
import { checkAnswer, numberedRule } from "../rule-changes.ts";
import { SteadyLoad } from "../steady-load.ts";

let mesh: Mesh;
let web: MeshService;

beforeAll(async () => {
  mesh = await startMesh();
  [web] = await Promise.all([
    startService(mesh, "web", "v1"),
    startService(mesh, "orders", "v1"),
    startService(mesh, "orders", "v2"),
  ]);
}, 60_000);

afterAll(cleanUp);

function weft(...args: string[]) {
  return runProgram("weft", ["--server", mesh.server, ...args]);
}

/** How many of `count` requests from web each version of orders answered. */
async function versionsOf(count: number): Promise<Record<string, number>> {
  const versions: Record<string, number> = {};
  for (let sent = 0; sent < count; sent++) {
    const answer = await ask({ address: web.outbound, headers: { host: "orders" } });
    const version = answer.status === 200 ? String(answer.headers["x-version"]) : `status ${answer.status}`;
    versions[version] = (versions[version] ?? 0) + 1;
  }
  return versions;
}

function rule(backends: string): string {
  const file = join(temporaryFolder(), "rule.yaml");
  writeFileSync(
    file,
    `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: orders }
spec:
  parentRefs: [{ group: "", kind: Service, name: orders }]
  rules: [{ backendRefs: [${backends}] }]
`,
  );
  return file;
}

describe("a rule typed into the CLI", () => {
  it("is not needed for traffic to flow: a service is balanced over its versions", async () => {
    const versions = await eventually("both versions answer", async () => {
      const seen = await versionsOf(20);
      return Object.keys(seen).toSorted().join() === "v1,v2" && seen;
    });
    expect(versions["v1"]).toBeGreaterThan(0);
  });

  it("moves all traffic by the time that apply --wait returns", async () => {
    for (const version of ["v2", "v1", "v2"]) {
      const applied = await weft("apply", "-f", rule(`{ name: orders-${version}, port: 80 }`), "--wait");
      expect(applied.code, applied.stderr).toBe(0);
      expect(await versionsOf(20)).toEqual({ [version]: 20 });
    }
  });

  it("splits traffic by its weights", async () => {
    const file = rule("{ name: orders-v1, port: 80, weight: 75 }, { name: orders-v2, port: 80, weight: 25 }");
    expect((await weft("apply", "-f", file, "--wait")).code).toBe(0);
    const { v1 = 0, v2 = 0, ...others } = await versionsOf(400);
    expect(others).toEqual({});
    // 25 % of 400 is 100 with a standard deviation of 8.7: five of them to each side.
    expect(v2).toBeGreaterThan(56);
    expect(v2).toBeLessThan(144);
    expect(v1 + v2).toBe(400);
  });

  it("is explained before it is believed", async () => {
    await weft("apply", "-f", rule("{ name: orders-v2, port: 80 }"), "--wait");
    const explained = await weft("explain", "GET", "http://orders/", "--from", "web");
    expect(explained.code, explained.stderr).toBe(0);
    expect(explained.stdout).toContain("orders-v2");
  });

  it("is taken back by a rollback", async () => {
    await weft("apply", "-f", rule("{ name: orders-v1, port: 80 }"), "--wait");
    const before = JSON.parse((await weft("history", "-o", "json")).stdout) as unknown;
    expect(JSON.stringify(before)).toContain("revision");
    const applied = await weft("apply", "-f", rule("{ name: orders-v2, port: 80 }"), "--wait", "-o", "json");
    const revision = (JSON.parse(applied.stdout) as { revision: number }).revision;
    expect(await versionsOf(10)).toEqual({ v2: 10 });
    const rolledBack = await weft("rollback", "--to", String(Number(revision) - 1));
    expect(rolledBack.code, rolledBack.stderr).toBe(0);
    await eventually("v1 answers again", async () => (await versionsOf(5))["v1"] === 5);
  });

  it("leaves everything as it is when it is wrong", async () => {
    await weft("apply", "-f", rule("{ name: orders-v1, port: 80 }"), "--wait");
    const refused = await weft("apply", "-f", rule("{ nam: orders-v2, port: 80 }"), "--wait");
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/rule\.yaml:6:\d+: spec\.rules\[0\]\.backendRefs\[0\]/);
    expect(await versionsOf(10)).toEqual({ v1: 10 });
  });
});

describe("rule changes under load", () => {
  it("cost no request, and no request is answered by a mixture of two revisions", async () => {
    const rules = new RulesClient(mesh);
    const live: { number: number; atMs: number }[] = [];
    const change = async (number: number): Promise<void> => {
      const { revision } = await rules.apply(numberedRule(number));
      await rules.wait(revision);
      live.push({ number, atMs: performance.now() });
    };
    await change(1);
    const load = new SteadyLoad({
      address: web.outbound,
      host: "orders",
      requestsPerSecond: 500,
      check: (answer, sentMs) => checkAnswer(answer, live.findLast(({ atMs }) => atMs <= sentMs)?.number ?? 0),
    });
    for (let number = 2; number <= 101; number++) await change(number);
    const { sent, failures } = await load.stop();
    rules.close();
    expect([...new Set(failures)]).toEqual([]);
    expect(sent).toBeGreaterThan(500);
  }, 120_000);

  it("cost no request either when the control plane does not wait between them", async () => {
    const rules = new RulesClient(mesh);
    const load = new SteadyLoad({
      address: web.outbound,
      host: "orders",
      requestsPerSecond: 500,
      check: (answer) => checkAnswer(answer, 0),
    });
    let revision = 0;
    for (let number = 102; number <= 201; number++) ({ revision } = await rules.apply(numberedRule(number)));
    await rules.wait(revision);
    const last = await ask({ address: web.outbound, headers: { host: "orders" } });
    const { failures } = await load.stop();
    rules.close();
    expect([...new Set(failures)]).toEqual([]);
    expect(last.headers["x-rule"]).toBe("201");
  }, 120_000);
});

describe("a sidecar around its service", () => {
  it("starts the service when it is ready and ends with the service's exit code", async () => {
    const script = join(temporaryFolder(), "job.mjs");
    writeFileSync(
      script,
      `import { request } from "node:http";
const [, , outbound] = process.argv;
request("http://" + outbound + "/", { headers: { host: "orders" } }, (response) => {
  response.resume();
  response.on("end", () => process.exit(response.statusCode === 200 ? 7 : 8));
}).end();
`,
    );
    const port = await freePort();
    const job = await startSidecar(mesh, "job", "v1", "127.0.0.1:1", [
      ...["--outbound", `127.0.0.1:${port}`],
      ...["--", process.execPath, script, `127.0.0.1:${port}`],
    ]);
    expect(await job.exited).toEqual({ code: 7, signal: null });
  });

  it("is found by others for as long as it lives", async () => {
    const { sidecar } = await startService(mesh, "stock", "v1", ["--drain", "1s"]);
    const ready = await weft("endpoints", "stock", "-o", "json");
    expect(ready.stdout).toContain(sidecar.address("inbound"));
    expect((await sidecar.stop()).code).toBe(0);
    await eventually("its endpoint is gone", async () => {
      const { stdout } = await weft("endpoints", "stock", "-o", "json");
      return !stdout.includes(sidecar.address("inbound"));
    });
  });
});

it("the example rules of the shop are valid, every one", async () => {
  const rules = join(REPOSITORY, "examples/shop/rules");
  for (const file of ["shop.yaml", "orders-50-50.yaml", "orders-testers.yaml", "orders-v2.yaml"]) {
    const validated = await runProgram("weft", ["validate", "-f", join(rules, file)]);
    expect(validated.code, `${file}: ${validated.stderr}`).toBe(0);
  }
});
