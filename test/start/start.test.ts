// `npm start` as a person meets it: it runs, its figures follow a rule change, it ends without a trace however it is
// ended, and it says what is wrong when it cannot run.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { delimiter, join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import {
  cleanUp,
  eventually,
  REPOSITORY,
  type RunningProgram,
  runProgram,
  startProgram,
  temporaryFolder,
} from "../harness.ts";

const MAIN = join(REPOSITORY, "examples/shop/main.ts");
const RULES = join(REPOSITORY, "examples/shop/rules");
/** The control plane, five sidecars, five services. */
const GROUPS = 11;
/** The longest a start may take on a busy machine. */
const SLOW_MS = 90_000;

const blockers: Server[] = [];

afterEach(() => {
  for (const blocker of blockers.splice(0)) blocker.close();
});

interface Summary {
  readonly sent: number;
  readonly failed: number;
  readonly byVersion: Readonly<Record<string, number>>;
}

function startShop(...args: string[]): Promise<RunningProgram> {
  return startProgram(MAIN, ["--ports", "0", "--json", "--every", "1s", ...args]);
}

function summaryOf(shop: { readonly stdout: string }): Summary {
  const line = shop.stdout.split("\n").find((text) => text.startsWith('{"summary"'));
  if (line === undefined) throw new Error(`no summary in ${shop.stdout}`);
  return (JSON.parse(line) as { summary: Summary }).summary;
}

function groupsOf(shop: RunningProgram): number[] {
  const groups = shop.ready["groups"] as number[];
  expect(groups).toHaveLength(GROUPS);
  return groups;
}

/** A process group that the shop started. */
function isGroupAlive(pid: number): boolean {
  try {
    process.kill(-pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function expectNothingLeft(shop: RunningProgram): Promise<void> {
  await eventually("every process group is gone", () => !groupsOf(shop).some(isGroupAlive));
  await eventually("the data folder is gone", () => !existsSync(shop.address("data")));
}

describe("npm start, left to run", () => {
  let shop: RunningProgram;

  beforeAll(async () => {
    shop = await startShop("--rate", "100");
  }, SLOW_MS);
  afterAll(cleanUp);

  it(
    "shows a canary release from its first seconds",
    async () => {
      await eventually("the release is shown", () => /release of payments-v2: progressing, step 1 of 4, 10 %/.test(shop.stderr), SLOW_MS); // biome-ignore format: one thought
      const status = await runProgram("weft", ["--server", shop.address("grpc"), "rollout", "status"]);
      expect(status.stdout).toContain("payments-v1 -> payments-v2");
    },
    SLOW_MS,
  );

  it(
    "splits the shop's traffic 90 to 10, and follows a new rule",
    async () => {
      const server = shop.address("grpc");
      await eventually("the first figures", () => shop.stderr.includes("orders v2"), SLOW_MS);
      const before = await runProgram("weft", ["--server", server, "get", "httproutes", "-o", "json"]);
      expect(before.code).toBe(0);
      const applied = await runProgram("weft", [
        ...["--server", server],
        ...["apply", "-f", join(RULES, "orders-v2.yaml"), "--wait"],
      ]);
      expect(applied.code, applied.stderr).toBe(0);
      await eventually("the figures show v2 alone", () => /orders v2 100\.0 %/.test(shop.stderr), SLOW_MS);
    },
    SLOW_MS,
  );

  it(
    "leaves nothing behind after SIGTERM, and not one request failed",
    async () => {
      expect(groupsOf(shop).every(isGroupAlive)).toBe(true);
      shop.signal("SIGTERM");
      expect(await shop.exited).toEqual({ code: 0, signal: null });
      await expectNothingLeft(shop);
      const summary = summaryOf(shop);
      expect(summary.failed).toBe(0);
      expect(summary.byVersion["v1"]).toBeGreaterThan(summary.byVersion["v2"]! / 100);
    },
    SLOW_MS,
  );
});

describe("npm start", () => {
  afterEach(cleanUp);

  it(
    "ends by itself after --for, and starts again on the very same ports and the rules that it kept",
    async () => {
      const data = join(temporaryFolder(), "rules");
      const base = 21_000 + Math.floor(Math.random() * 9_000);
      const ports = ["--port-base", String(base), "--grpc", `127.0.0.1:${base - 2}`, "--http", `127.0.0.1:${base - 1}`];
      for (const _round of [1, 2]) {
        const run = await runProgram(MAIN, ["--json", "--for", "1s", "--rate", "50", "--data", data, ...ports]);
        expect(run.code, run.stderr).toBe(0);
        expect(summaryOf(run).failed).toBe(0);
        expect(summaryOf(run).sent).toBeGreaterThan(10);
        expect(existsSync(data)).toBe(true);
      }
    },
    SLOW_MS,
  );

  it(
    "leaves nothing behind even when it is killed itself",
    async () => {
      const shop = await startShop("--rate", "20");
      await shop.kill();
      await expectNothingLeft(shop);
    },
    SLOW_MS,
  );

  it(
    "reports a process that dies, with its name, and stops everything",
    async () => {
      const shop = await startShop("--rate", "20");
      const services = shop.ready["services"] as Record<string, { pid: number }>;
      process.kill(services["orders-v2"]!.pid, "SIGKILL");
      expect((await shop.exited).code).toBe(1);
      expect(shop.stderr).toContain("orders-v2 ended unexpectedly (signal SIGKILL)");
      await expectNothingLeft(shop);
    },
    SLOW_MS,
  );
});

describe("npm start with something in its way", () => {
  afterEach(cleanUp);

  it("names every port that is taken and the flag that moves it, and starts nothing", async () => {
    const grpc = await block(0);
    // Somebody else's connection may have the port: another one will do.
    const { base, inbound } = await eventually("a port to be blocked", async () => {
      const base = 31_000 + Math.floor(Math.random() * 9_000);
      const inbound = await block(base + 6).catch(() => undefined);
      return inbound === undefined ? undefined : { base, inbound };
    });
    const ports = ["--port-base", String(base), "--grpc", `127.0.0.1:${grpc}`, "--http", `127.0.0.1:${base - 1}`];
    const run = await runProgram(MAIN, ports);
    expect(run.code).toBe(1);
    expect(run.stderr).toContain(`port ${grpc} (control plane, gRPC) is taken: choose another with --grpc HOST:PORT`);
    expect(run.stderr).toContain(
      `port ${inbound} (payments-v1, sidecar inbound) is taken: move the shop's ports with --port-base PORT`,
    );
    expect(run.stdout).toBe("");
  });

  it.each([
    [["--rat", "5"], "--rat"],
    [["--rate", "lots"], "--rate lots: expected a whole number from 0 to 5000"],
    [["--for", "10"], "--for 10: expected a time such as 30s"],
    [["--grpc", "15010"], "--grpc 15010: expected HOST:PORT"],
    [["--ports", "7"], "--ports 7: expected 0"],
  ])("refuses %j as bad usage", async (args, message) => {
    const run = await runProgram(MAIN, args);
    expect(run.code).toBe(2);
    expect(run.stderr).toContain(message);
  });

  it(
    "says what is wrong with rules that cannot be applied",
    async () => {
      const run = await runProgram(MAIN, ["--ports", "0", "--rules", join(REPOSITORY, "package.json")]);
      expect(run.code).toBe(1);
      expect(run.stderr).toContain("the rules were not applied (exit code 2)");
    },
    SLOW_MS,
  );
});

describe("npm start through npm", () => {
  it.each([
    ["Ctrl-C in the terminal, which goes to the whole foreground group", (npm: number) => process.kill(-npm, "SIGINT")],
    ["SIGTERM to npm alone", (npm: number) => process.kill(npm, "SIGTERM")],
  ])(
    "runs on the Node of the package whatever `node` is, and ends on %s",
    async (_how, end) => {
      const bin = join(REPOSITORY, "node_modules/.bin");
      const PATH = (process.env["PATH"] ?? "")
        .split(delimiter)
        .filter((folder) => folder !== bin)
        .join(delimiter);
      const npm = spawn("npm", ["start", "--silent", "--", "--ports", "0", "--json", "--rate", "20"], {
        cwd: REPOSITORY,
        env: { ...process.env, PATH },
        stdio: ["ignore", "pipe", "pipe"],
        detached: true,
      });
      let stdout = "";
      let stderr = "";
      npm.stderr.setEncoding("utf8").on("data", (text: string) => {
        stderr += text;
      });
      npm.stdout.setEncoding("utf8").on("data", (text: string) => {
        stdout += text;
      });
      const exited = new Promise<number | null>((settle) => npm.once("close", settle));
      const tooEarly = exited.then((code) => {
        throw new Error(`npm start ended with ${code} before it was ready:\n${stderr}`);
      });
      tooEarly.catch(() => {});
      const ready = eventually("the shop is ready", () => /^\{"ready".*\n/m.exec(stdout)?.[0], 60_000);
      const line = await Promise.race([ready, tooEarly]);
      const { groups } = JSON.parse(line) as { groups: number[] };
      expect(groups).toHaveLength(GROUPS);
      end(npm.pid!);
      await exited;
      await eventually("every process group is gone", () => !groups.some(isGroupAlive));
      expect(stdout).toContain('{"summary"');
    },
    SLOW_MS,
  );
});

/** Takes a port so that nobody else can. */
function block(port: number): Promise<number> {
  return new Promise((settle, fail) => {
    const server = createServer();
    blockers.push(server);
    server.once("error", fail);
    server.listen(port, "127.0.0.1", () => settle((server.address() as { port: number }).port));
  });
}
