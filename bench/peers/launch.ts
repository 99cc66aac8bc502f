// Starts a proxy on its core and waits until its port answers.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { eventually } from "../../test/harness.ts";
import type { RunningPeer } from "./contract.ts";
import { PROXY_CORE, pinned } from "./pinning.ts";

interface LaunchOptions {
  readonly name: string;
  readonly command: readonly string[];
  readonly port: number;
  readonly env?: Readonly<Record<string, string>>;
  /** The work is done by children of the process that was started. */
  readonly hasWorkers?: boolean;
}

export function isInstalled(program: string): boolean {
  return spawnSync(program, ["-v"], { stdio: "ignore" }).error === undefined;
}

export async function launch({ name, command, port, env, hasWorkers }: LaunchOptions): Promise<RunningPeer> {
  const [file, ...args] = pinned(PROXY_CORE, command);
  const child = spawn(file ?? "", args, { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, ...env } });
  let errors = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    errors = (errors + text).slice(-4_000);
  });
  let isStopping = false;
  const ended = new Promise<void>((settle) => {
    child.once("exit", (code, signal) => {
      if (!isStopping) console.error(`${name} ended on its own (${code ?? signal}):\n${errors}`);
      settle();
    });
  });
  await eventually(`${name} listens`, async () => {
    if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}:\n${errors}`);
    return canConnect(port);
  });
  const pids =
    hasWorkers === true ? await eventually(`${name} has workers`, () => childrenOf(child)) : [child.pid ?? 0];
  const stop = async (): Promise<void> => {
    isStopping = true;
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), 2_000);
    await ended;
    clearTimeout(timer);
  };
  return { name, host: "127.0.0.1", port, pids, stop };
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((settle) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.on("connect", () => {
      socket.destroy();
      settle(true);
    });
    socket.on("error", () => settle(false));
  });
}

function childrenOf({ pid = 0 }: ChildProcess): number[] | undefined {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").trim();
  return text === "" ? undefined : text.split(" ").map(Number);
}
