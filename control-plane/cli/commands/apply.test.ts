// weft apply against a control plane that answers what each case says.
import { afterEach, expect, test } from "vitest";
import { type FakeControlPlane, startFakeControlPlane } from "../../../test/cli/fake-control-plane.ts";
import { runInMemory } from "../../../test/cli/memory-shell.ts";
import { ROUTE_YAML, SERVICE_YAML, scratchFiles } from "../../../test/cli/scratch.ts";

const file = scratchFiles();
let controlPlane: FakeControlPlane | undefined;

afterEach(async () => {
  await controlPlane?.stop();
  controlPlane = undefined;
});

const ROUTE_KEY = { kind: "HTTPRoute", namespace: "default", name: "orders" };
const ACCEPTED = {
  accepted: true,
  revision: 12,
  changes: [
    { operation: 1, key: ROUTE_KEY },
    { operation: 2, key: { kind: "Service", namespace: "shop", name: "web" } },
    { operation: 4, key: { kind: "Service", namespace: "default", name: "same" } },
    { operation: 3, key: { kind: "Fault", namespace: "default", name: "old" } },
  ],
};

async function start(answers: Parameters<typeof startFakeControlPlane>[0]): Promise<FakeControlPlane> {
  controlPlane = await startFakeControlPlane(answers);
  return controlPlane;
}

function applied(plane: FakeControlPlane): Record<string, unknown> & { sources: { name: string; content: Buffer }[] } {
  const call = plane.requests.find(({ method }) => method === "apply");
  expect(call).toBeDefined();
  return call?.request as never;
}

test("says what became of each document, and the revision", async () => {
  const { address } = await start({ apply: () => ACCEPTED });
  const result = await runInMemory(["apply", "--server", address, "-f", file("a.yaml", ROUTE_YAML)]);
  expect(result).toEqual({
    code: 0,
    stderr: "",
    stdout: [
      "HTTPRoute default/orders created",
      "Service shop/web configured",
      "Service default/same unchanged",
      "Fault default/old deleted",
      "revision 12",
      "",
    ].join("\n"),
  });
});

test("sends the sources as they are, with the flags and the author", async () => {
  const plane = await start({ apply: () => ACCEPTED });
  const argv = ["apply", "--server", plane.address, "-f", file("a.yaml", ROUTE_YAML), "-f", "-", "--strict"];
  await runInMemory([...argv, "-m", "why not"], { stdin: SERVICE_YAML });
  const request = applied(plane);
  expect(request).toMatchObject({
    dryRun: false,
    strict: true,
    prune: false,
    pruneAllNamespaces: false,
    namespace: "default",
    message: "why not",
    author: "tester@bench",
  });
  expect(request.sources.map(({ name, content }) => [name, content.toString()])).toEqual([
    [file("a.yaml"), ROUTE_YAML],
    ["-", SERVICE_YAML],
  ]);
});

test.each([
  ["no namespace: the input is all there should be", [], {}, { pruneAllNamespaces: true, namespace: "default" }],
  ["-n: only that namespace", ["-n", "shop"], {}, { pruneAllNamespaces: false, namespace: "shop" }],
  ["WEFT_NAMESPACE: the same", [], { WEFT_NAMESPACE: "shop" }, { pruneAllNamespaces: false, namespace: "shop" }],
])("--prune with %s", async (_name, flags, env, expected) => {
  const plane = await start({ apply: () => ACCEPTED });
  const argv = ["apply", "--server", plane.address, "--prune", "-f", file("a.yaml", ROUTE_YAML), ...flags];
  expect((await runInMemory(argv, { env: { ...env, WEFT_AUTHOR: "ci" } })).code).toBe(0);
  expect(applied(plane)).toMatchObject({ prune: true, author: "ci", ...expected });
});

test("reads a directory's rule files by name, and subdirectories only with -R", async () => {
  const plane = await start({ apply: () => ACCEPTED });
  file("dir/b.yml", ROUTE_YAML);
  file("dir/a.yaml", ROUTE_YAML);
  file("dir/c.json", "{}");
  file("dir/readme.md", "no rules");
  file("dir/sub/d.yaml", SERVICE_YAML);
  const argv = ["apply", "--server", plane.address, "-f", file("dir")];
  await runInMemory(argv);
  await runInMemory([...argv, "-R"]);
  const names = plane.requests.map(({ request }) =>
    (request as { sources: { name: string }[] }).sources.map(({ name }) => name.slice(file("dir/").length)),
  );
  expect(names).toEqual([
    ["a.yaml", "b.yml", "c.json"],
    ["a.yaml", "b.yml", "c.json", "sub/d.yaml"],
  ]);
});

test.each([
  ["a file that is not there", () => file("none.yaml"), /none\.yaml: no such file or directory/],
  ["an empty directory", () => file("empty/x.md", "").slice(0, -5), /no \.yaml, \.yml or \.json files/],
  ["a file over 4 MiB", () => file("big.yaml", "#".repeat(4 * 1024 * 1024 + 1)), /too large; expected at most 4 MiB/],
  ["an endless device", () => "/dev/zero", /\/dev\/zero: too large/],
])("refuses %s as bad input, before asking anyone", async (_name, path, message) => {
  const plane = await start({ apply: () => ACCEPTED });
  const result = await runInMemory(["apply", "--server", plane.address, "-f", path()]);
  expect(result.code).toBe(2);
  expect(result.stderr).toMatch(message);
  expect(plane.requests).toEqual([]);
});

test("a file of exactly 4 MiB passes", async () => {
  const plane = await start({ apply: () => ACCEPTED });
  const path = file("big.yaml", "#".repeat(4 * 1024 * 1024));
  expect((await runInMemory(["apply", "--server", plane.address, "-f", path])).code).toBe(0);
  expect(applied(plane).sources[0]?.content.length).toBe(4 * 1024 * 1024);
});

const REJECTED = {
  accepted: false,
  revision: 3,
  diagnostics: [
    { severity: 1, file: "a.yaml", line: 9, column: 2, path: "spec.x", message: "does not exist yet" },
    {
      severity: 2,
      file: "a.yaml",
      line: 7,
      column: 40,
      path: "spec.rules[0].wieght",
      message: "unknown field",
      expected: "one of weight, name",
      suggestion: "weight",
      document: ROUTE_KEY,
    },
  ],
};

test("a rejected apply exits 2 with positions on stderr, errors before warnings", async () => {
  const { address } = await start({ apply: () => REJECTED });
  const result = await runInMemory(["apply", "--server", address, "-f", file("a.yaml", ROUTE_YAML)]);
  expect(result).toEqual({
    code: 2,
    stdout: "",
    stderr: [
      "a.yaml:7:40: spec.rules[0].wieght: unknown field; expected one of weight, name (did you mean weight?)",
      "warning: a.yaml:9:2: spec.x: does not exist yet",
      "error: nothing was applied: the documents have errors",
      "",
    ].join("\n"),
  });
});

test("a rejected apply with -o json is one document that says the same", async () => {
  const { address } = await start({ apply: () => REJECTED });
  const result = await runInMemory(["apply", "--server", address, "-o", "json", "-f", file("a.yaml", ROUTE_YAML)]);
  expect(result.code).toBe(2);
  expect(JSON.parse(result.stdout)).toMatchObject({
    error: { code: "invalid-rules" },
    diagnostics: [
      { severity: "warning", path: "spec.x" },
      { severity: "error", line: 7, suggestion: "weight", document: ROUTE_KEY },
    ],
  });
});

test("a dry run says so, shows no revision, and will not wait", async () => {
  const plane = await start({ apply: () => ACCEPTED });
  const argv = ["apply", "--server", plane.address, "--dry-run", "-f", file("a.yaml", ROUTE_YAML)];
  const result = await runInMemory(argv);
  expect(result.stdout).toContain("HTTPRoute default/orders created (dry run)\n");
  expect(result.stdout).not.toContain("revision");
  expect(applied(plane)["dryRun"]).toBe(true);
  expect(await runInMemory([...argv, "--wait"])).toMatchObject({ code: 2 });
});

test("warnings go to stderr and do not keep the rules out", async () => {
  const { address } = await start({
    apply: () => ({ ...REJECTED, accepted: true, diagnostics: [REJECTED.diagnostics[0]] }),
  });
  const result = await runInMemory(["apply", "--server", address, "-f", file("a.yaml", ROUTE_YAML)]);
  expect(result.code).toBe(0);
  expect(result.stderr).toBe("warning: a.yaml:9:2: spec.x: does not exist yet\n");
});

test("colours the outcome on a terminal, and not with NO_COLOR", async () => {
  const { address } = await start({ apply: () => ACCEPTED });
  const argv = ["apply", "--server", address, "-f", file("a.yaml", ROUTE_YAML)];
  expect((await runInMemory(argv, { isTTY: true })).stdout).toContain("orders \u001b[32mcreated\u001b[39m\n");
  const plain = await runInMemory(argv, { isTTY: true, env: { NO_COLOR: "1" } });
  expect(plain.stdout).toContain("orders created\n");
});
