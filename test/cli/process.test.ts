// What only a real process shows: pipes that close, Ctrl-C, what is loaded at start, and completion in a shell.
import { execFile, spawn } from "node:child_process";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { BUNDLES } from "../../runtime/bundled-program.ts";
import { cleanUp, PROGRAMS, runProgram, temporaryFolder } from "../harness.ts";
import { type FakeControlPlane, startFakeControlPlane } from "./fake-control-plane.ts";

const DOCUMENTS = 20_000;
let plane: FakeControlPlane;

beforeAll(async () => {
  const documents = Array.from({ length: DOCUMENTS }, (_, index) => ({
    key: { kind: "Fault", namespace: "default", name: `fault-${index}` },
    apiVersion: "weft.mesh/v1",
    body: Buffer.from(
      JSON.stringify({ apiVersion: "weft.mesh/v1", kind: "Fault", metadata: { name: `fault-${index}` } }),
    ),
    revision: 1,
  }));
  plane = await startFakeControlPlane({
    list: () => ({ documents }),
    listServices: () => ({
      services: [
        { name: "orders", namespace: "default" },
        { name: "web", namespace: "shop" },
      ],
    }),
    apply: () => ({ accepted: true, revision: 5 }),
    waitRevision: () => [{ revision: 5, sidecars: [{ workloadId: "web-1", state: 2 }] }],
  });
});

afterEach(cleanUp);
afterAll(() => plane.stop());

/** Runs a shell line in which `weft` is the CLI. */
function shell(
  line: string,
  env: Record<string, string> = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const bin = temporaryFolder();
  const weft = join(bin, "weft");
  writeFileSync(weft, `#!/bin/sh\nexec "${process.execPath}" "${PROGRAMS.weft}" "$@"\n`);
  chmodSync(weft, 0o755);
  const PATH = `${bin}:${process.env["PATH"] ?? ""}`;
  return new Promise((resolve) => {
    const options = { env: { PATH, HOME: bin, WEFT_SERVER: plane.address, ...env }, maxBuffer: 64 * 1024 * 1024 };
    execFile("bash", ["-c", line], options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

test("a reader that goes away ends the output quietly", async () => {
  const result = await shell("set -o pipefail; weft get | head -2; echo $?");
  expect(result.stderr).toBe("");
  expect(result.stdout).toMatch(/^KIND .*\nFault +fault-0 .*\n0\n$/);
});

test("a large listing arrives whole in a pipe", async () => {
  const { stdout } = await shell("weft get | (sleep 0.2; wc -l); weft get -o json | tail -c 3");
  expect(stdout).toBe(`${DOCUMENTS + 1}\n\n}\n`);
});

test.runIf(existsSync("/dev/full"))("a full disk is an error, not a quiet loss", async () => {
  const result = await shell("weft get > /dev/full");
  expect(result.code).toBe(1);
  expect(result.stderr).toMatch(/^error: the output could not be written: ENOSPC/);
});

test("stdout closed from the start is no crash", async () => {
  const result = await shell("weft get >&-; echo $?");
  expect(result.stderr).not.toMatch(/at .*\.ts:\d/);
});

test("Ctrl-C during --wait ends with 130 and the remark", async () => {
  const file = join(temporaryFolder(), "a.yaml");
  writeFileSync(file, "{}");
  const argv = [PROGRAMS.weft, "apply", "--server", plane.address, "-f", file, "--wait"];
  const child = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "pipe"] });
  let stderr = "";
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
    if (stderr.includes("waiting for revision 5") && !stderr.includes("interrupted")) child.kill("SIGINT");
  });
  const code = await new Promise((resolve) => child.once("close", resolve));
  expect(code).toBe(130);
  expect(stderr).toContain("interrupted: revision 5 is applied");
});

test.each([
  [
    ["get", "fault"],
    ["/zod/", "/yaml/", "/rules/schema", "/rules/load", "gen/weft/v1/fleet.ts", "/pino/", "/re2js/"],
  ],
  [
    ["apply", "-f", "-"],
    ["/zod/", "/yaml/", "/rules/schema", "/rules/load", "/pino/", "/re2js/"],
  ],
  [["--version"], ["/zod/", "/yaml/", "grpc-js", "/proto/"]],
  [
    ["completion", "bash"],
    ["/zod/", "/yaml/", "grpc-js", "/proto/"],
  ],
  [["schema"], ["grpc-js", "/proto/"]],
])("weft %j loads nothing that it does not need", async (argv, unwanted) => {
  const folder = temporaryFolder();
  const hooks = join(folder, "hooks.mjs");
  // Into a file: a pipe that is full for a moment refuses what a program writes in one go.
  const list = join(folder, "loaded");
  writeFileSync(
    hooks,
    `import { registerHooks } from "node:module"; import { appendFileSync } from "node:fs";
     const list = ${JSON.stringify(list)};
     registerHooks({ load(url, context, next) { appendFileSync(list, url + "\\n"); return next(url, context); } });`,
  );
  const result = await runProgram("weft", argv, {
    env: { NODE_OPTIONS: `--import ${hooks}`, WEFT_SERVER: plane.address },
    input: "{}",
  });
  expect(result.code).toBe(0);
  const urls = readFileSync(list, "utf8").split("\n");
  const loaded = urls.flatMap((url) => [url, ...bundledIn(url)]);
  expect(loaded).toContain("/control-plane/cli/program.ts");
  for (const word of unwanted) expect(loaded.filter((line) => line.includes(word))).toEqual([]);
});

/** Sources in a file that was loaded, where it is a bundle: its first line names them. */
function bundledIn(url: string): string[] {
  if (!url.startsWith("file:") || !url.includes(`/${BUNDLES}/`)) return [];
  const [line = ""] = readFileSync(fileURLToPath(url), "utf8").split("\n", 1);
  return line
    .replace(/^.* from /, "")
    .split(" ")
    .map((source) => `/${source}`);
}

/** What bash offers for a line that ends at the cursor. */
async function bashCompletes(line: string): Promise<string[]> {
  const words = line.split(" ");
  const script = `source <(weft completion bash)
    COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length - 1}
    _weft; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = await shell(script);
  expect(stderr).toBe("");
  return stdout.split("\n").filter((word) => word !== "");
}

test.each([
  ["weft ap", ["apply"]],
  ["weft get ht", ["httproute"]],
  ["weft -n shop get serv", ["service"]],
  ["weft apply --dr", ["--dry-run"]],
  ["weft get -o ", ["table", "wide", "json", "yaml"]],
  ["weft get fault fault-1999", ["fault-1999", "fault-19990"]],
  ["weft delete fault fault-0 fault-19999", ["fault-19999"]],
  ["weft endpoints or", ["orders"]],
  ["weft get -n s", ["shop"]],
  ["weft completion z", ["zsh"]],
  ["weft explain GET ", []],
])("bash completes %j", async (line, expected) => {
  const offered = await bashCompletes(line);
  for (const word of expected) expect(offered).toContain(word);
  if (expected.length < 2) expect(offered).toEqual(expected);
});

test("completion waits for a control plane that takes its time", async () => {
  const slow = await startFakeControlPlane({
    listServices: async () => {
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      return { services: [{ name: "orders", namespace: "default" }] };
    },
  });
  const { stdout } = await shell("weft __complete services", { WEFT_SERVER: slow.address });
  await slow.stop();
  expect(stdout).toBe("orders\n");
});

test("completion is silent without a control plane", async () => {
  expect(await shell("weft __complete documents fault", { WEFT_SERVER: "127.0.0.1:1" })).toEqual({
    code: 0,
    stdout: "",
    stderr: "",
  });
});

test("a watch without a control plane ends with 3, like every command", async () => {
  const result = await runProgram("weft", ["rollout", "status", "orders", "--watch", "--server", "127.0.0.1:1"]);
  expect(result.stderr).toMatch(/^error: the control plane at 127\.0\.0\.1:1 cannot be reached/);
  expect(result.code).toBe(3);
});

test("a watch waits for a control plane that goes away, and says so", async () => {
  const rollout = { key: { namespace: "default", name: "orders" }, phase: "progressing", message: "step 1 of 2" };
  const leaving = await startFakeControlPlane({
    getRollout: () => ({ rollout }),
    watchRollout: () => {
      setImmediate(() => void leaving.stop());
      return [{ rollout }];
    },
  });
  const argv = ["rollout", "status", "orders", "--watch", "--wait=2s", "--server", leaving.address];
  const result = await runProgram("weft", argv);
  expect(result.stdout).toContain("orders progressing");
  expect(result.stderr.split("\n")).toEqual([
    expect.stringMatching(/is away; waiting 60 s for it to come back$/),
    "error: the release goes on, but the time to wait for it is over",
    "",
  ]);
  expect(result.code).toBe(4);
});
