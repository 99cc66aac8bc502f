// The parent's side of the load process.
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { LOAD_CORE, pinned } from "../peers/pinning.ts";
import type { Command, LoadReport, Reply, Target, Workload } from "./contract.ts";

export class LoadProcess {
  readonly #child: ChildProcess;
  /** Where proxies reach the endpoint. */
  readonly ports: readonly number[];

  private constructor(child: ChildProcess, ports: readonly number[]) {
    this.#child = child;
    this.ports = ports;
  }

  /** @param program "main.ts", or "grpc-main.ts" for calls */
  static async start(program = "main.ts"): Promise<LoadProcess> {
    const [file, ...args] = pinned(LOAD_CORE, [process.execPath, join(import.meta.dirname, program)]);
    const child = spawn(file ?? "", args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    const reply = await nextReply(child);
    if (reply.kind !== "listening") throw new Error(`the load process said ${JSON.stringify(reply)}`);
    return new LoadProcess(child, reply.ports);
  }

  async use(workload: Workload): Promise<void> {
    await this.#ask({ kind: "use", workload });
  }

  /** Every connection sends its next request when it has its answer. */
  closedLoop(target: Target, connections: number, durationMs: number): Promise<LoadReport> {
    return this.#report({ kind: "closed-loop", target, connections, durationMs });
  }

  /** Requests leave by the clock, whatever the answers do. */
  constantRate(target: Target, connections: number, perSecond: number, durationMs: number): Promise<LoadReport> {
    return this.#report({ kind: "constant-rate", target, connections, perSecond, durationMs });
  }

  /** Calls of gRPC; `perSecond` 0: each stream makes the next call when it has its answer. */
  calls(load: Omit<Extract<Command, { kind: "calls" }>, "kind">): Promise<LoadReport> {
    return this.#report({ kind: "calls", ...load });
  }

  async hold(target: Target, connections: number): Promise<void> {
    await this.#ask({ kind: "hold", target, connections });
  }

  async letGo(): Promise<void> {
    await this.#ask({ kind: "let-go" });
  }

  stop(): void {
    this.#child.kill("SIGKILL");
  }

  async #report(command: Command): Promise<LoadReport> {
    const reply = await this.#ask(command);
    if (reply.kind !== "report") throw new Error(`no report but ${reply.kind}`);
    return reply.report;
  }

  async #ask(command: Command): Promise<Reply> {
    this.#child.send(command);
    const reply = await nextReply(this.#child);
    if (reply.kind === "failed") throw new Error(reply.message);
    return reply;
  }
}

function nextReply(child: ChildProcess): Promise<Reply> {
  return new Promise((settle, fail) => {
    const onExit = (code: number | null): void => fail(new Error(`the load process ended (${code})`));
    child.once("exit", onExit);
    child.once("message", (reply) => {
      child.off("exit", onExit);
      settle(reply as Reply);
    });
  });
}
