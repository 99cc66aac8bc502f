// The frame around every command: parsing, help, bad usage, and a control plane that is not there.
import { createServer, type Server, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { startFakeControlPlane } from "../../test/cli/fake-control-plane.ts";
import { runInMemory } from "../../test/cli/memory-shell.ts";
import { COMMANDS } from "./command-table.ts";

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** A listener that does with each connection what the test says. */
async function listen(onConnection: (socket: Socket) => void): Promise<string> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    onConnection(socket);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return `127.0.0.1:${address.port}`;
}

test.each(COMMANDS.filter(({ hidden }) => hidden !== true).map(({ name }) => [name]))(
  "%s --help explains itself with examples",
  async (name) => {
    for (const argv of [
      [name, "--help"],
      ["help", name],
      [name, "-h"],
    ]) {
      const { code, stdout, stderr } = await runInMemory(argv);
      expect([code, stderr]).toEqual([0, ""]);
      expect(stdout).toMatch(new RegExp(`^Usage: weft ${name} `));
      expect(stdout).toContain("Global flags:\n");
      expect(stdout).toContain(`\nExamples:\n  # `);
    }
  },
);

test("without a command the help lists every command in its group", async () => {
  const { code, stdout } = await runInMemory([]);
  expect(code).toBe(0);
  for (const { name, hidden } of COMMANDS) {
    expect(new RegExp(`^  ${name} `, "m").test(stdout)).toBe(hidden !== true);
  }
  for (const later of ["inject"]) expect(stdout).not.toMatch(new RegExp(`^  ${later}`, "m"));
});

test.each([
  [["aply"], "unknown command 'aply' (did you mean apply?)", "see: weft --help"],
  [["xyzzy", "-q"], "unknown command 'xyzzy'", "see: weft --help"],
  [["help", "sidecar"], "unknown command 'sidecar' (did you mean sidecars?)", "see: weft --help"],
  [["--sever", "x"], "unknown option '--sever' (did you mean --server?)", "see: weft --help"],
  [["apply", "--dryrun"], "unknown option '--dryrun' (did you mean --dry-run?)", "see: weft apply --help"],
  [["apply", "extra"], "too many arguments for 'apply'", "see: weft apply --help"],
  [["apply"], "no input; expected -f FILE, -f DIR or -f -", ""],
  [["apply", "-f"], "option '-f, --filename <path>' argument missing", "see: weft apply --help"],
  [["get", "-o", "jsn"], '"jsn" is no output format; expected table, wide, json, yaml (did you mean json?)', ""],
  [["get", "--server", "localhost"], '"localhost" is no address; expected HOST:PORT', ""],
  [["get", "--server", "h:99999"], '"h:99999" is no address', ""],
  [["get", "--timeout", "soon"], '--timeout: "soon" is no duration', ""],
  [["history", "--limit", "-1"], '--limit: "-1" is not valid; expected a whole number from 1 to 4294967295', ""],
  [["history", "--limit", "1e3"], '--limit: "1e3" is not valid', ""],
  [["history", "--limit", "4294967296"], '--limit: "4294967296" is not valid', ""],
  [["apply", "-f", ""], "-f: the path is empty", ""],
  [["rollback"], "--to REVISION is missing", "weft history"],
  [["explain", "GET"], "missing required argument 'url'", "see: weft explain --help"],
  [["explain", "GET", "/x", "-H", "novalue"], `-H "novalue": expected 'name: value'`, ""],
  [["completion", "bsh"], 'unknown shell "bsh"; expected bash, zsh, fish (did you mean bash?)', ""],
  [["sidecars", "-A", "-n", "x"], "-A and -n contradict each other", ""],
])("%j is bad usage", async (argv, message, next) => {
  const result = await runInMemory(argv);
  expect(result.code).toBe(2);
  expect(result.stdout).toBe("");
  expect(result.stderr).toContain(`error: `);
  expect(result.stderr).toContain(message);
  expect(result.stderr).toContain(next);
});

test.each([
  [["apply", "rule.yaml"], "weft apply -f rule.yaml"],
  [["apply", "a.yaml", "b.yaml", "c.yaml", "d.yaml"], "weft apply -f a.yaml -f b.yaml -f c.yaml ..."],
  [["diff", "rules/"], "weft diff -f rules/"],
  [["validate", "rule.yaml"], "weft validate -f rule.yaml"],
  [["delete", "rule.yaml"], "weft delete -f rule.yaml"],
  [["delete", "./rules/rule.yaml"], "weft delete -f ./rules/rule.yaml"],
  [["rollback", "1"], "weft rollback --to 1"],
  [["rollback", "--to-revision=1"], "--to"],
  [["rollback", "--revision", "1"], "--to"],
  [["create", "-f", "rule.yaml"], "weft apply -f FILE"],
  [["apply", "-k", "rules/"], "kustomize build DIR | weft apply -f -"],
  [["get", "pods"], "weft sidecars"],
  [["get", "Endpoints"], "weft endpoints"],
  [["get", "--context", "x"], "--server"],
  [["services", "orders"], "weft describe service orders"],
  [["status"], "weft check, or weft rollout status"],
  [["promote", "orders", "--full"], "weft rollout promote orders --full"],
  [["rollout", "orders", "status"], "weft rollout status orders"],
  [["rollout", "get", "orders"], "weft rollout status orders"],
  [["rollout", "start", "rule.yaml"], "weft rollout start -f rule.yaml"],
  [["rollout", "start", "orders", "rule.yaml"], "weft rollout start orders -f rule.yaml"],
  [["rollout", "status", "deployment/orders"], "weft rollout status orders"],
  [["rollout", "promote", "orders", "2"], "weft rollout promote orders --step 2"],
  [["rollout", "start", "--weight", "5"], "--steps"],
  [["explain", "orders/api"], "weft explain GET orders/api"],
  [["explain", "orders/api", "GET"], "weft explain GET orders/api"],
])("%j is told what was meant", async (argv, meant) => {
  const { code, stderr } = await runInMemory(argv);
  expect(code).toBe(2);
  expect(stderr.split("\n")[1]).toBe(`  did you mean: ${meant}`);
});

test.each([
  [["apply", "--dry-run=client"], "--dry-run takes no value"],
  [["get", "orders"], "documents are named by kind and name: KIND NAME"],
  [["explain", "httproute"], "the fields of a kind are told by: weft schema httproute"],
  [["rollout", "undo", "orders"], "to take back one that goes on: weft rollout abort orders"],
  [["rollout", "history", "orders", "x"], "see: weft rollout --help"],
  [["rollback", "yesterday"], "see: weft rollback --help"],
  [["constructor"], "see: weft --help"],
  [["check", "orders"], "see: weft check --help"],
])("%j is told what comes next", async (argv, next) => {
  const { code, stderr } = await runInMemory(argv);
  expect(code).toBe(2);
  expect(stderr.split("\n")[1]).toBe(`  ${next}`);
});

test("more words than a line can show are not all shown", async () => {
  const files = Array.from({ length: 500 }, (_, index) => `rule-${index}.yaml`);
  const { stderr } = await runInMemory(["apply", ...files]);
  expect(stderr).toContain("too many arguments for 'apply': rule-0.yaml rule-1.yaml rule-2.yaml ...\n");
});

test.each([[["-o", "json"]], [["-ojson"]], [["--output=json"]], [["-o=json"]]])(
  "bad usage with %j is one JSON document too",
  async (output) => {
    const result = await runInMemory(["get", "--nonsense", ...output]);
    expect(result.code).toBe(2);
    expect(JSON.parse(result.stdout)).toEqual({
      error: { code: "usage", message: "unknown option '--nonsense'", next: ["see: weft get --help"] },
    });
  },
);

test("global flags work before the command, after it, and from the environment; the nearest wins", async () => {
  const plane = await startFakeControlPlane({ list: () => ({ documents: [] }) });
  const env = { WEFT_SERVER: plane.address, WEFT_NAMESPACE: "from-env" };
  await runInMemory(["get"], { env });
  await runInMemory(["-n", "before", "get"], { env });
  await runInMemory(["-n", "before", "get", "-n", "after"], { env });
  await runInMemory(["--server", plane.address, "get"], { env: { WEFT_SERVER: "127.0.0.1:1" } });
  await runInMemory(["get", "-n=short", "-o=json"], { env });
  await plane.stop();
  const namespaces = plane.requests.map(({ request }) => (request as { namespace: string }).namespace);
  expect(namespaces).toEqual(["from-env", "before", "after", "default", "short"]);
});

test("a refused connection ends with 3, the address and what to do", async () => {
  const address = await listen(() => undefined);
  await new Promise((resolve) => servers.pop()?.close(resolve));
  const result = await runInMemory(["get", "--server", address]);
  expect(result.code).toBe(3);
  expect(result.stderr).toBe(
    [
      `error: the control plane at ${address} cannot be reached: connection refused`,
      "  start it with: weft-control-plane",
      "  or name the one to use with --server HOST:PORT or the environment variable WEFT_SERVER",
      "",
    ].join("\n"),
  );
});

test("a name that does not resolve ends with 3", async () => {
  const result = await runInMemory(["get", "--server", "no-such-host.invalid:15010", "--timeout", "5s"]);
  expect(result.code).toBe(3);
  expect(result.stderr).toContain("no-such-host.invalid:15010 cannot be reached");
});

test("an address that swallows everything ends with 3 when the time is up", async () => {
  const sockets: Socket[] = [];
  const address = await listen((socket) => sockets.push(socket));
  const result = await runInMemory(["get", "--server", address, "--timeout", "300ms"]);
  for (const socket of sockets) socket.destroy();
  expect(result.code).toBe(3);
  expect(result.stderr).toContain("cannot be reached");
});

test("something that is not gRPC ends with 3", async () => {
  const address = await listen((socket) => socket.end("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n"));
  const result = await runInMemory(["get", "--server", address, "--timeout", "2s"]);
  expect(result.code).toBe(3);
  expect(result.stderr).toContain(`${address} cannot be reached`);
});

test("a control plane that is reached but does not answer ends with 4", async () => {
  const plane = await startFakeControlPlane({ list: () => undefined });
  const result = await runInMemory(["get", "--server", plane.address, "--timeout", "300ms"]);
  await plane.stop();
  expect(result.code).toBe(4);
  expect(result.stderr).toContain("did not answer within 300 ms");
});

test("HTTP_PROXY of the applications is not the way to the control plane", async () => {
  const plane = await startFakeControlPlane({ list: () => ({ documents: [] }) });
  process.env["http_proxy"] = "http://127.0.0.1:1";
  try {
    expect((await runInMemory(["get", "--server", plane.address])).code).toBe(0);
  } finally {
    delete process.env["http_proxy"];
    await plane.stop();
  }
});
