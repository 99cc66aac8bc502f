// The CLI against the real control plane, both as processes: what is applied is what is got, listed, compared,
// taken back and deleted.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { cleanUp, type RunResult, runProgram, startProgram, temporaryFolder } from "../harness.ts";
import { ROUTE_YAML, SERVICE_YAML } from "./scratch.ts";

let server: string;
let folder: string;

beforeAll(async () => {
  folder = temporaryFolder();
  const data = join(folder, "data");
  const controlPlane = await startProgram("weft-control-plane", [
    "--data",
    data,
    "--grpc",
    "127.0.0.1:0",
    "--http",
    "127.0.0.1:0",
  ]);
  server = controlPlane.address("grpc");
});

afterAll(cleanUp);

function weft(argv: readonly string[], input?: string): Promise<RunResult> {
  const env = { WEFT_SERVER: server, WEFT_AUTHOR: "ann" };
  return runProgram("weft", argv, input === undefined ? { env } : { env, input });
}

function rules(name: string, content: string): string {
  const path = join(folder, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, content);
  return path;
}

async function revision(): Promise<number> {
  const { stdout } = await weft(["history", "--limit", "1", "-o", "json"]);
  return JSON.parse(stdout).revisions[0]?.revision ?? 0;
}

test("one bad document among twenty good ones: nothing is applied, and the place is named", async () => {
  const good = Array.from({ length: 20 }, (_, index) => SERVICE_YAML.replace("orders", `good-${index}`));
  const bad = ROUTE_YAML.replace("weight: 5", "weihgt: 5");
  const path = rules("mixed.yaml", [...good.slice(0, 10), bad, ...good.slice(10)].join("---\n"));
  const result = await weft(["apply", "-f", path]);
  expect(result.code).toBe(2);
  expect(result.stderr).toMatch(
    /mixed\.yaml:57:\d+: spec\.rules\[0\]\.backendRefs\[1\]\.weihgt: .*\(did you mean weight\?\)/,
  );
  expect(result.stderr).toContain("error: nothing was applied");
  expect(await weft(["get", "-A", "-o", "json"])).toMatchObject({ stdout: expect.stringMatching(/"items": \[\]/) });
  expect(await revision()).toBe(0);
});

const HEAD = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: { name: bad }\n";
const PARENT = "spec:\n  parentRefs: [{ kind: Service, name: orders }]\n";

test.each([
  ["YAML without an end", `${HEAD}spec: {`, /bad\.yaml:4:8: /],
  ["a tab for indentation", `${HEAD}spec:\n\tparentRefs: []\n`, /bad\.yaml:5:1: /],
  ["JSON that stops", '{ "kind": "Service", ', /bad\.yaml:1:\d+: /],
  ["a word", "orders", /bad\.yaml:1:1: /],
  ["an unknown kind", HEAD.replace("HTTPRoute", "HTTPRout"), /bad\.yaml:2:7: kind: .*did you mean HTTPRoute/],
  ["a kind of another group", HEAD.replace("gateway.networking.k8s.io/v1", "v1"), /bad\.yaml:1:13: apiVersion: /],
  [
    "an unknown field",
    `${HEAD}${PARENT}  rules: [{ backendRef: [] }]\n`,
    /bad\.yaml:6:13: spec\.rules\[0\]\.backendRef: .*did you mean backendRefs/,
  ],
  [
    "an unknown value",
    `${HEAD}${PARENT}  rules: [{ matches: [{ path: { type: Prefix, value: / } }] }]\n`,
    /bad\.yaml:6:39: spec\.rules\[0\]\.matches\[0\]\.path\.type: .*did you mean PathPrefix/,
  ],
  [
    "a value of the wrong type",
    `${HEAD}${PARENT}  rules: [{ timeouts: { request: 5 } }]\n`,
    /bad\.yaml:6:34: spec\.rules\[0\]\.timeouts\.request: .*expected /,
  ],
  ["the same document twice", `${SERVICE_YAML}---\n${SERVICE_YAML}`, /bad\.yaml:\d+:\d+: .*Service default\/orders/],
])("%s is refused with its place, by validate and apply alike", async (_what, content, place) => {
  const before = await revision();
  const path = rules("bad.yaml", content);
  const results = await Promise.all(["validate", "apply"].map((command) => weft([command, "-f", path])));
  for (const result of results) {
    expect(result).toMatchObject({ code: 2, stdout: "" });
    expect(result.stderr).toMatch(place);
  }
  expect(await revision()).toBe(before);
});

test("what get -o yaml and -o json print applies again unchanged, List and all", async () => {
  const path = rules("orders.yaml", `${ROUTE_YAML}---\n${SERVICE_YAML}`);
  const first = await weft(["apply", "-f", path, "-m", "first", "--wait"]);
  expect(first.code).toBe(0);
  expect(first.stdout).toMatch(/HTTPRoute default\/orders created\nService default\/orders created\nrevision 1\n/);
  for (const format of ["yaml", "json"]) {
    const { stdout } = await weft(["get", "-o", format]);
    const again = await weft(["apply", "-f", "-"], stdout);
    expect(again.stdout).toBe(
      "HTTPRoute default/orders unchanged\nService default/orders unchanged\nrevision 1 (unchanged)\n",
    );
  }
});

test("diff shows the change, apply makes it, history tells of it, rollback takes it back", async () => {
  const changed = ROUTE_YAML.replace("weight: 5", "weight: 50");
  const diff = await weft(["diff", "-f", "-", "--exit-code"], changed);
  expect(diff.code).toBe(1);
  expect(diff.stdout).toMatch(/^-\s+weight: 5$\n^\+\s+weight: 50$/m);
  expect((await weft(["apply", "-f", "-", "-m", "more v2"], changed)).stdout).toContain(
    "orders configured\nrevision 2\n",
  );
  expect(await weft(["diff", "-f", "-", "--exit-code"], changed)).toMatchObject({ code: 0, stdout: "" });
  const history = await weft(["history", "httproute", "orders"]);
  expect(history.stdout).toMatch(/^2 +\d+s +ann +apply +1 configured +more v2\n1 +\d+s +ann +apply +.*first$/m);
  expect((await weft(["rollback", "--to", "1", "--dry-run"])).stdout).toBe(
    "HTTPRoute default/orders configured (dry run)\n",
  );
  expect((await weft(["rollback", "--to", "1", "-m", "too much", "--wait"])).code).toBe(0);
  expect(await weft(["diff", "-f", "-"], ROUTE_YAML)).toMatchObject({ code: 0, stdout: "" });
});

test("--prune in a namespace leaves the others alone", async () => {
  const cart = SERVICE_YAML.replace("orders", "cart");
  expect((await weft(["apply", "-f", "-", "-n", "shop"], `${cart}---\n${SERVICE_YAML}`)).code).toBe(0);
  const pruned = await weft(["apply", "-f", "-", "-n", "shop", "--prune"], cart);
  expect(pruned.stdout).toContain("Service shop/orders deleted\n");
  const { items } = JSON.parse((await weft(["get", "service", "-A", "-o", "json"])).stdout);
  const names = items.map(({ metadata }: { metadata: { namespace: string; name: string } }) => metadata);
  expect(names).toMatchObject([
    { namespace: "default", name: "orders" },
    { namespace: "shop", name: "cart" },
  ]);
});

test("two applies at the same time are both whole, both in the history", async () => {
  const before = await revision();
  const applied = await Promise.all(
    [1, 2, 3, 4].map((number) =>
      weft(["apply", "-f", "-", "-m", `parallel ${number}`], SERVICE_YAML.replace("orders", `p${number}`)),
    ),
  );
  expect(applied.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
  const { revisions } = JSON.parse((await weft(["history", "--limit", "4", "-o", "json"])).stdout);
  expect(revisions.map((entry: { revision: number }) => entry.revision)).toEqual([4, 3, 2, 1].map((n) => before + n));
  expect(new Set(revisions.map((entry: { message: string }) => entry.message)).size).toBe(4);
});

test("a 10 MB file, many files that are too much together, and text that is no UTF-8 are refused as input", async () => {
  const big = await weft(["apply", "-f", rules("big.yaml", `# ${"x".repeat(10_000_000)}`)]);
  expect(big).toMatchObject({ code: 2, stdout: "" });
  expect(big.stderr).toContain("big.yaml: too large; expected at most 4 MiB");
  for (let index = 0; index < 3; index++) rules(`many/${index}.yaml`, `# ${"x".repeat(2_000_000)}`);
  const many = await weft(["apply", "-f", join(folder, "many")]);
  expect(many).toMatchObject({ code: 2 });
  expect(many.stderr).toContain("the 3 files together: too large");
  const path = join(folder, "latin1.yaml");
  writeFileSync(path, Buffer.from("kind: Caf\xe9", "latin1"));
  for (const command of ["apply", "validate"]) {
    const result = await weft([command, "-f", path]);
    expect(result.code).toBe(2);
    expect(result.stderr).toContain("latin1.yaml: is not UTF-8 text");
  }
});

test("explain shows the stored route, and what if another were applied", async () => {
  const stored = await weft(["explain", "get", "orders/api?x=1"]);
  expect(stored.code).toBe(0);
  expect(stored.stdout).toMatch(
    /^GET http:\/\/orders\/api\?x=1\n├─ service: default\/orders port 80 \(revision \d+\)\n/,
  );
  expect(stored.stdout).toMatch(/─ route: HTTPRoute default\/orders rule 0\n/);
  expect(stored.stdout).toMatch(/ 95 % {2}default\/orders-v1 \(weight 95\)/);
  const other = rules("other.yaml", ROUTE_YAML.replace("weight: 95", "weight: 15"));
  const whatIf = await weft(["explain", "GET", "orders/", "-f", other, "-o", "json"]);
  expect(JSON.parse(whatIf.stdout).backends).toMatchObject([{ share: 75 }, { share: 25 }]);
  const unknown = await weft(["explain", "GET", "http://nowhere/"]);
  expect(unknown).toMatchObject({ code: 0, stdout: expect.stringContaining("answer: 404 no-such-service") });
  const bad = await weft(["explain", "GET", "orders/", "-f", rules("bad.yaml", "kind: Nothing")]);
  expect(bad.code).toBe(2);
});

test("delete -f deletes what the file names, and says when it is gone already", async () => {
  const path = rules("orders.yaml", `${ROUTE_YAML}---\n${SERVICE_YAML}`);
  expect((await weft(["delete", "-f", path])).stdout).toMatch(
    /^HTTPRoute default\/orders deleted\nService default\/orders deleted\nrevision \d+\n$/,
  );
  const again = await weft(["delete", "-f", path]);
  expect(again.code).toBe(1);
  expect(again.stderr).toContain("HTTPRoute default/orders does not exist");
  expect((await weft(["delete", "-f", path, "--ignore-not-found"])).code).toBe(0);
});

test("check, version and every listing answer", async () => {
  for (const argv of [["services"], ["sidecars"], ["endpoints"], ["history"], ["version"], ["get", "-A"]]) {
    const ask = async (format: string) => {
      const result = await weft([...argv, "-o", format]);
      expect([argv, format, result.code, result.stderr]).toEqual([argv, format, 0, ""]);
      if (format === "json") JSON.parse(result.stdout);
    };
    await Promise.all(["table", "wide", "json", "yaml"].map(ask));
  }
  const check = JSON.parse((await weft(["check", "-o", "json"])).stdout);
  expect(check.checks).toContainEqual(
    expect.objectContaining({ group: "control plane", name: "health", status: "ok" }),
  );
});
