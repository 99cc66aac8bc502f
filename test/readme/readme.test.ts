// Runs the commands of README.md: the tour against a running shop, and a sidecar beside a service of one's own.
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import {
  cleanUp,
  eventually,
  freePort,
  REPOSITORY,
  type RunResult,
  startProgram,
  temporaryFolder,
  within,
} from "../harness.ts";

const README = readFileSync(join(REPOSITORY, "README.md"), "utf8");
const SLOW_MS = 120_000;

const background: ChildProcess[] = [];

afterEach(async () => {
  for (const child of background.splice(0)) {
    const ended = new Promise((settle) => child.once("close", settle));
    signalGroup(child, "SIGINT");
    await within(15_000, ended, () => "a background command does not heed Ctrl-C").finally(() =>
      signalGroup(child, "SIGKILL"),
    );
  }
  await cleanUp();
});

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    process.kill(-(child.pid ?? 0), signal);
  } catch {
    // It has ended.
  }
}

/** The lines of the first block of commands after a heading. */
function commandsUnder(heading: string): string[] {
  const section = README.split(`## ${heading}\n`)[1] ?? "";
  const block = /```sh\n([\s\S]*?)```/.exec(section)?.[1] ?? "";
  const commands = block.split("\n").filter((line) => line.trim() !== "");
  expect(commands.length, `no commands under ${heading}`).toBeGreaterThan(4);
  return commands;
}

function shell(command: string, env: Record<string, string>, cwd: string): ChildProcess {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("WEFT_"));
  return spawn("bash", ["-c", command], {
    cwd,
    env: { ...Object.fromEntries(inherited), ...env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
}

function run(command: string, env: Record<string, string>, cwd = REPOSITORY): Promise<RunResult> {
  const child = shell(command, env, cwd);
  let stdout = "";
  let stderr = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  return new Promise((settle) => {
    child.once("close", (code, signal) => settle({ code, signal, stdout, stderr }));
  });
}

it(
  "the ten lines work against a running shop",
  async () => {
    const shop = await startProgram(join(REPOSITORY, "examples/shop/main.ts"), ["--ports", "0", "--json"]);
    const env = { WEFT_SERVER: shop.address("grpc") };
    const commands = commandsUnder("Ten lines");
    expect(commands).toHaveLength(10);
    const outputs: string[] = [];
    for (const command of commands) {
      const { code, stdout, stderr } = await run(command, env);
      expect(code, `${command}\n${stdout}${stderr}`).toBe(0);
      outputs.push(stdout);
    }
    const explained = outputs.filter((_, index) => commands[index]?.includes("explain"));
    expect(explained).toHaveLength(2);
    expect(explained[0]).toContain("90");
    expect(explained[1]).toContain("50");
    expect((await shop.stop()).code).toBe(0);
  },
  SLOW_MS,
);

it(
  "a sidecar stands beside a service of one's own after the commands that say so",
  async () => {
    const [app, outbound, grpc] = await Promise.all([freePort(), freePort(), freePort()]);
    const folder = temporaryFolder();
    const script = join(folder, "stock.js");
    writeFileSync(
      script,
      `require("node:http").createServer((_, response) => response.end("in stock")).listen(${app}, "127.0.0.1");`,
    );
    const env = {
      WEFT_DATA: join(folder, "data"),
      WEFT_GRPC: `127.0.0.1:${grpc}`,
      WEFT_HTTP: "127.0.0.1:0",
      WEFT_SERVER: `127.0.0.1:${grpc}`,
      WEFT_CONTROL_PLANE: `127.0.0.1:${grpc}`,
      WEFT_OUTBOUND: `127.0.0.1:${outbound}`,
      WEFT_INBOUND: "127.0.0.1:0",
      WEFT_ADMIN: "127.0.0.1:0",
      WEFT_STATUS: "127.0.0.1:0",
    };
    const commands = commandsUnder("A sidecar beside your own service");
    const outputs: string[] = [];
    for (const written of commands) {
      const command = written
        .replace("3000", String(app))
        .replace("15001", String(outbound))
        .replace("stock.js", script);
      if (command.endsWith(" &")) background.push(shell(command.replace(/ &$/, ""), env, REPOSITORY));
      else {
        const stdout = await eventually(
          command,
          async () => {
            const result = await run(command, env);
            const wanted = command.startsWith("curl") ? /^in stock$/ : /stock/;
            return result.code === 0 && wanted.test(result.stdout) ? result.stdout : undefined;
          },
          30_000,
        );
        outputs.push(stdout);
      }
    }
    expect(background).toHaveLength(2);
    expect(outputs.join("\n")).toContain("in stock");
  },
  SLOW_MS,
);
