// delete, diff, validate, schema, history and rollback.
import { afterEach, expect, test } from "vitest";
import { type FakeControlPlane, FakeFailure, startFakeControlPlane } from "../../../test/cli/fake-control-plane.ts";
import { runInMemory } from "../../../test/cli/memory-shell.ts";
import { ROUTE_YAML, SERVICE_YAML, scratchFiles } from "../../../test/cli/scratch.ts";

const NOT_FOUND = 5;
const file = scratchFiles();
let controlPlane: FakeControlPlane | undefined;

afterEach(async () => {
  await controlPlane?.stop();
  controlPlane = undefined;
});

async function run(answers: Parameters<typeof startFakeControlPlane>[0], argv: readonly string[]) {
  controlPlane = await startFakeControlPlane(answers);
  return runInMemory([...argv, "--server", controlPlane.address]);
}

const ROUTE_KEY = { kind: "HTTPRoute", namespace: "default", name: "orders" };
const DELETED = { revision: 8, changes: [{ operation: 3, key: ROUTE_KEY }] };

test("delete KIND NAME... deletes by key, as one revision", async () => {
  const result = await run({ delete: () => DELETED }, ["delete", "hr", "orders", "web", "-n", "shop", "-m", "bye"]);
  expect(result).toMatchObject({ code: 0, stdout: "HTTPRoute default/orders deleted\nrevision 8\n" });
  expect(controlPlane?.requests[0]?.request).toEqual({
    keys: [
      { kind: "HTTPRoute", namespace: "shop", name: "orders" },
      { kind: "HTTPRoute", namespace: "shop", name: "web" },
    ],
    message: "bye",
    author: "tester@bench",
    ignoreMissing: false,
  });
});

test("delete -f takes the keys from files, Lists and documents that are no longer valid included", async () => {
  const list = `apiVersion: v1\nkind: List\nitems:\n- ${JSON.stringify({
    kind: "service",
    metadata: { name: "cart", namespace: "shop" },
    spec: { gone: true },
  })}\n`;
  const path = file("all.yaml", `${ROUTE_YAML}---\n# nothing\n---\n${SERVICE_YAML}---\n${list}`);
  await run({ delete: () => DELETED }, ["delete", "-f", path, "--ignore-not-found"]);
  expect(controlPlane?.requests[0]?.request).toMatchObject({
    ignoreMissing: true,
    keys: [
      ROUTE_KEY,
      { kind: "Service", namespace: "default", name: "orders" },
      { kind: "Service", namespace: "shop", name: "cart" },
    ],
  });
});

test.each([
  ["kind: HTTPRoute\nmetadata: {}\n", "bad.yaml:1:1: kind or metadata.name is missing"],
  ["- 1\n", "bad.yaml:1:1: no document"],
  ["a: b\n  c: [\n", "bad.yaml:1:4: Nested mappings are not allowed in compact mappings\n"],
])("delete -f of %j points at the place and deletes nothing", async (text, message) => {
  const result = await run({ delete: () => DELETED }, ["delete", "-f", file("bad.yaml", text)]);
  expect(result.code).toBe(2);
  expect(result.stderr).toContain(message);
  expect(controlPlane?.requests).toEqual([]);
});

test.each([[["delete"]], [["delete", "httproute"]], [["delete", "hr", "x", "-f", "y"]]])(
  "%j does not say what to delete",
  async (argv) => {
    const result = await run({ delete: () => DELETED }, argv);
    expect(result.code).toBe(2);
    expect(controlPlane?.requests).toEqual([]);
  },
);

test("deleting what is not there ends with 1 and the control plane's words", async () => {
  const gone = () => {
    throw new FakeFailure(NOT_FOUND, "no HTTPRoute default/orders");
  };
  const result = await run({ delete: gone }, ["delete", "hr", "orders"]);
  expect(result).toMatchObject({ code: 1, stderr: "error: no HTTPRoute default/orders\n" });
});

const body = (weight: number) => Buffer.from(JSON.stringify({ kind: "HTTPRoute", spec: { a: 1, weight, z: [1, 2] } }));
const DIFF = {
  revision: 4,
  changes: [
    { operation: 2, key: ROUTE_KEY, before: body(5), after: body(50) },
    { operation: 4, key: { ...ROUTE_KEY, name: "same" }, before: body(5), after: body(5) },
    { operation: 3, key: { ...ROUTE_KEY, name: "old" }, before: Buffer.from('{"kind":"HTTPRoute"}') },
  ],
};

test("diff is a unified diff of what changes, and exit code 0", async () => {
  const result = await run({ diff: () => DIFF }, ["diff", "--prune", "-f", file("a.yaml", ROUTE_YAML)]);
  expect(result).toEqual({
    code: 0,
    stderr: "",
    stdout: [
      "--- HTTPRoute default/orders (stored)",
      "+++ HTTPRoute default/orders (given)",
      "@@ -2,7 +2,7 @@",
      " metadata: {}",
      " spec:",
      "   a: 1",
      "-  weight: 5",
      "+  weight: 50",
      "   z:",
      "     - 1",
      "     - 2",
      "--- HTTPRoute default/old (stored)",
      "+++ /dev/null",
      "@@ -1,2 +0,0 @@",
      "-kind: HTTPRoute",
      "-metadata: {}",
      "",
    ].join("\n"),
  });
});

test("diff --exit-code ends with 1 only when something differs", async () => {
  const path = file("a.yaml", ROUTE_YAML);
  expect((await run({ diff: () => DIFF }, ["diff", "--exit-code", "-f", path])).code).toBe(1);
  await controlPlane?.stop();
  const same = { revision: 4, changes: [DIFF.changes[1]] };
  expect(await run({ diff: () => same }, ["diff", "--exit-code", "-f", path])).toMatchObject({ code: 0, stdout: "" });
});

test("diff of rules with errors ends with 2", async () => {
  const errors = { diagnostics: [{ severity: 2, file: "a.yaml", line: 1, column: 1, message: "unknown kind" }] };
  const result = await run({ diff: () => errors }, ["diff", "-f", file("a.yaml", ROUTE_YAML)]);
  expect(result).toMatchObject({ code: 2, stdout: "" });
  expect(result.stderr).toContain("a.yaml:1:1: unknown kind\n");
});

test("validate needs no control plane, and does not guess which services run", async () => {
  const path = file("a.yaml", `${ROUTE_YAML}---\n${SERVICE_YAML}`);
  const result = await runInMemory(["validate", "-f", path, "--server", "127.0.0.1:1", "--strict"]);
  expect(result).toMatchObject({ code: 0, stdout: "2 documents valid, 0 warnings\n", stderr: "" });
});

test("validate counts warnings", async () => {
  const path = file("a.yaml", ROUTE_YAML.replace("spec:", 'spec:\n  hostnames: ["orders.example"]'));
  const result = await runInMemory(["validate", "-f", path]);
  expect(result.code).toBe(0);
  expect(result.stdout).toBe("1 document valid, 1 warning\n");
  expect(result.stderr).toMatch(/^warning: .*a\.yaml:\d+:\d+: spec\.hostnames: hostnames have no effect/);
  expect((await runInMemory(["validate", "-f", path, "--strict"])).code).toBe(2);
});

test("validate points at every error and ends with 2", async () => {
  const path = file("a.yaml", ROUTE_YAML.replace("weight: 95", "wieght: 95").replace("parentRefs", "parentRef"));
  const result = await runInMemory(["validate", "-f", path]);
  expect(result.code).toBe(2);
  expect(result.stdout).toBe("");
  expect(result.stderr).toMatch(
    /a\.yaml:7:\d+: spec\.rules\[0\]\.backendRefs\[0\]\.wieght: .*\(did you mean weight\?\)/,
  );
  expect(result.stderr).toMatch(/a\.yaml:5:\d+: spec\.parentRef: .*\(did you mean parentRefs\?\)/);
});

test("validate of nothing is a mistake, as it is for apply", async () => {
  const result = await runInMemory(["validate", "-f", "-"], { stdin: "# no documents\n---\n" });
  expect(result).toMatchObject({ code: 2, stdout: "", stderr: "error: there are no documents in the input\n" });
});

test("validate -o json is one document either way", async () => {
  const good = await runInMemory(["validate", "-f", "-", "-o", "json"], { stdin: SERVICE_YAML });
  expect(JSON.parse(good.stdout)).toEqual({
    valid: true,
    documents: [{ kind: "Service", namespace: "default", name: "orders" }],
    diagnostics: [],
  });
  const bad = await runInMemory(["validate", "-f", "-", "-o", "json"], { stdin: "kind: [" });
  expect(bad.code).toBe(2);
  expect(JSON.parse(bad.stdout)).toMatchObject({ error: { code: "invalid-rules" }, diagnostics: [{ file: "-" }] });
});

test("schema prints one kind, or all in one schema", async () => {
  const one = JSON.parse((await runInMemory(["schema", "tp"])).stdout);
  expect(one).toMatchObject({ title: "TrafficPolicy", type: "object" });
  const all = JSON.parse((await runInMemory(["schema"])).stdout);
  expect(all.oneOf).toContainEqual({ $ref: "#/$defs/HTTPRoute" });
  expect(Object.keys(all.$defs)).toHaveLength(all.oneOf.length);
  expect((await runInMemory(["schema", "nothing"])).code).toBe(2);
});

const HISTORY = {
  revisions: [
    {
      revision: 3,
      atMs: Date.now() - 90_000,
      author: "ann@laptop",
      message: "slow v2\u001b[2Jout",
      cause: "rollback",
      changes: [
        { operation: 2, key: ROUTE_KEY },
        { operation: 3, key: { ...ROUTE_KEY, name: "old" } },
      ],
    },
    {
      revision: 2,
      atMs: Date.now() - 7_200_000,
      author: "ci",
      cause: "apply",
      changes: [{ operation: 1, key: ROUTE_KEY }],
    },
  ],
};

test("history lists revisions, and shows no control characters of anyone's", async () => {
  const result = await run({ history: () => HISTORY }, ["history"]);
  expect(result.stdout).toMatch(/^REVISION +AGE +AUTHOR +CAUSE +CHANGES +MESSAGE\n/);
  expect(result.stdout).toMatch(/^3 +9\ds +ann@laptop +rollback +1 configured, 1 deleted +slow v2\\x1b\[2Jout$/m);
  expect(result.stdout).toMatch(/^2 +2h +ci +apply +1 created +<none>$/m);
  expect(controlPlane?.requests[0]?.request).toEqual({ limit: 50, before: 0, key: undefined });
});

test("history KIND NAME --limit asks for that document's revisions", async () => {
  await run({ history: () => HISTORY }, ["history", "httproute", "orders", "--limit", "5", "--before", "9"]);
  expect(controlPlane?.requests[0]?.request).toEqual({ limit: 5, before: 9, key: ROUTE_KEY });
});

test("history -o json has the time in RFC 3339", async () => {
  const { stdout } = await run({ history: () => HISTORY }, ["history", "-o", "json"]);
  const { revisions } = JSON.parse(stdout);
  expect(revisions[0]).toMatchObject({ revision: 3, author: "ann@laptop", cause: "rollback" });
  expect(new Date(revisions[0].at).getTime()).toBe(HISTORY.revisions[0]?.atMs);
  expect(revisions[0].changes[1]).toEqual({ operation: "deleted", ...ROUTE_KEY, name: "old" });
});

test("rollback reports the new revision, and a dry run only the changes", async () => {
  const answers = { rollback: () => ({ revision: 13, changes: [{ operation: 2, key: ROUTE_KEY }] }) };
  const real = await run(answers, ["rollback", "--to", "12", "-m", "slow"]);
  expect(real).toMatchObject({ code: 0, stdout: "HTTPRoute default/orders configured\nrevision 13\n" });
  expect(controlPlane?.requests[0]?.request).toEqual({
    to: 12,
    message: "slow",
    author: "tester@bench",
    dryRun: false,
  });
  await controlPlane?.stop();
  const dry = await run(answers, ["rollback", "--to", "12", "--dry-run"]);
  expect(dry.stdout).toBe("HTTPRoute default/orders configured (dry run)\n");
});
