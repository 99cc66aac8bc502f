// Runs the commands of examples/quickstart/README.md as they are written there, only with its ports moved to free
// ones. What a reader sees at a fence:
//   ```sh               commands that must succeed, one after the other
//   ```sh background N  a command that keeps running, in "a terminal of its own" called N
//   ```sh fails 2       commands that must end with this exit code
//   ```sh eventually    commands that succeed within seconds
// and in comments that are not shown: `expect: TEXT` of the commands before, `stop: N` for Ctrl-C in a terminal.
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { cleanUp, eventually, freePort, REPOSITORY, temporaryFolder, within } from "../harness.ts";

type Step =
  | { readonly kind: "run"; readonly script: string; readonly code: number; readonly patient: boolean }
  | { readonly kind: "background"; readonly name: string; readonly script: string }
  | { readonly kind: "stop"; readonly name: string }
  | { readonly kind: "expect"; readonly text: string };

const README = join(REPOSITORY, "examples/quickstart/README.md");
const STEP =
  /^```sh( background (?<name>\S+)| fails (?<code>\d+)|(?<patient> eventually))?\n(?<script>[\s\S]*?)^```$|^<!-- (?<what>expect|stop): (?<rest>.*) -->$/gm;

const terminals = new Map<string, Terminal>();

afterAll(async () => {
  // A sidecar's service has a process group of its own, so the sidecar gets the time to end it.
  for (const name of [...terminals.keys()]) await closeTerminal(name);
  await cleanUp();
});

interface Terminal {
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly exited: Promise<number | null>;
}

function readSteps(): Step[] {
  return [...readFileSync(README, "utf8").matchAll(STEP)].map(({ groups = {} }) => {
    const { name, code, patient, script = "", what, rest = "" } = groups;
    if (what === "expect") return { kind: "expect", text: rest };
    if (what === "stop") return { kind: "stop", name: rest };
    if (name !== undefined) return { kind: "background", name, script };
    return { kind: "run", script, code: Number(code ?? 0), patient: patient !== undefined };
  });
}

/** Puts a free port in the place of every port of the text, the same one each time. */
class Ports {
  readonly #free = new Map<string, number>();
  readonly data = temporaryFolder();

  async of(port: string): Promise<number> {
    const free = this.#free.get(port) ?? (await freePort());
    this.#free.set(port, free);
    return free;
  }

  async rewrite(script: string): Promise<string> {
    let text = script.replaceAll("weft-data", this.data);
    const found = new Set([...script.matchAll(/(?:127\.0\.0\.1:|PORT=)(\d+)/g)].map((match) => match[1] ?? ""));
    for (const port of found) {
      const free = await this.of(port);
      text = text.replaceAll(new RegExp(`(127\\.0\\.0\\.1:|PORT=)${port}\\b`, "g"), `$1${free}`);
    }
    return text;
  }

  /** The ports that the text leaves at their defaults are moved by the flags' environment variables. */
  async environment(): Promise<Record<string, string>> {
    const entries = Object.entries(process.env).filter(([name]) => !name.startsWith("WEFT_"));
    return {
      ...(Object.fromEntries(entries) as Record<string, string>),
      WEFT_GRPC: `127.0.0.1:${await this.of("15010")}`,
      WEFT_HTTP: `127.0.0.1:${await this.of("15014")}`,
      WEFT_SERVER: `127.0.0.1:${await this.of("15010")}`,
      WEFT_CONTROL_PLANE: `127.0.0.1:${await this.of("15010")}`,
      WEFT_ADMIN: `127.0.0.1:${await this.of("15000")}`,
      WEFT_STATUS: `127.0.0.1:${await this.of("15020")}`,
    };
  }
}

function open(script: string, env: Record<string, string>): Terminal {
  const child = spawn("bash", ["-e", "-o", "pipefail", "-c", script], {
    cwd: REPOSITORY,
    env,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
  }
  return { child, output: () => text, exited: new Promise((settle) => child.once("close", settle)) };
}

function isListening(port: number): Promise<boolean> {
  return new Promise((settle) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      settle(true);
    });
    socket.on("error", () => settle(false));
  });
}

/** Ctrl-C reaches the whole foreground group of a terminal. */
function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    process.kill(-(child.pid ?? 0), signal);
  } catch {
    // It has ended already.
  }
}

async function closeTerminal(name: string): Promise<void> {
  const terminal = terminals.get(name);
  if (terminal === undefined) throw new Error(`no terminal ${name}`);
  killGroup(terminal.child, "SIGINT");
  terminals.delete(name);
  await within(15_000, terminal.exited, () => `${name} does not heed Ctrl-C\n${terminal.output()}`).finally(() =>
    killGroup(terminal.child, "SIGKILL"),
  );
}

it("every command of the quickstart does what the text says", async () => {
  const ports = new Ports();
  const env = await ports.environment();
  const steps = readSteps();
  expect(steps.filter(({ kind }) => kind === "background")).toHaveLength(6);
  expect(steps.filter(({ kind }) => kind === "run").length).toBeGreaterThan(8);
  let output = "";
  for (const step of steps) {
    if (step.kind === "expect") expect(output).toContain(step.text);
    else if (step.kind === "stop") await closeTerminal(step.name);
    else if (step.kind === "background") {
      const script = await ports.rewrite(step.script);
      const terminal = open(script, env);
      terminals.set(step.name, terminal);
      await eventually(
        `${step.name} is ready`,
        () => {
          if (terminal.child.exitCode !== null) throw new Error(`${step.name} ended:\n${terminal.output()}`);
          return terminal.output().includes('{"ready":true');
        },
        30_000,
      );
      const port = /\bPORT=(\d+)/.exec(script)?.[1];
      if (port !== undefined)
        await eventually(`${step.name}'s service listens`, () => isListening(Number(port)), 30_000);
    } else {
      const script = await ports.rewrite(step.script);
      const run = async (): Promise<number | null> => {
        const ran = open(script, env);
        const code = await ran.exited;
        output = ran.output();
        return code;
      };
      if (step.patient) await eventually(step.script, async () => (await run()) === 0, 30_000);
      else expect(await run(), `${step.script}\n${output}`).toBe(step.code);
    }
  }
  for (const name of [...terminals.keys()]) await closeTerminal(name);
}, 180_000);
