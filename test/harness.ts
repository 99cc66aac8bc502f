// Starts the real programs for end-to-end tests and ends them again: processes, ready lines, temporary folders.
// Not a test itself, and knows nothing of what the programs do.
import { type ChildProcess, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const READY_TIMEOUT_MS = 40_000;
const STOP_TIMEOUT_MS = 20_000;
/** Of a machine with ten times as much to do as it can: what is waited for in vain fails late, what is only slow does not. */
const PATIENCE_MS = 60_000;
const FREE_PORTS = { from: 20_000, to: 32_000 } as const;
export const REPOSITORY = resolve(import.meta.dirname, "..");

export const PROGRAMS = {
  "weft-control-plane": join(REPOSITORY, "control-plane/main.ts"),
  "weft-sidecar": join(REPOSITORY, "sidecar/main.ts"),
  weft: join(REPOSITORY, "control-plane/cli/main.ts"),
} as const;

export type ProgramName = keyof typeof PROGRAMS;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface RunResult extends Exit {
  readonly stdout: string;
  readonly stderr: string;
}

/** What to start: one of our programs by name, or any script by path. */
export interface SpawnOptions {
  /** Added to this process's own; `undefined` takes one away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** Written to stdin, which is then closed. */
  readonly input?: string | Uint8Array;
}

const running = new Map<ChildProcess, Promise<Exit>>();
const folders = new Set<string>();

/** A program that printed its ready line. */
export class RunningProgram {
  readonly #child: ChildProcess;
  readonly #output: Output;
  /** The ready line, parsed. Addresses are strings. */
  readonly ready: Readonly<Record<string, unknown>>;

  constructor(child: ChildProcess, output: Output, ready: Readonly<Record<string, unknown>>) {
    this.#child = child;
    this.#output = output;
    this.ready = ready;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get stdout(): string {
    return this.#output.stdout;
  }

  get stderr(): string {
    return this.#output.stderr;
  }

  /** Resolves when the process has ended, for whatever reason. */
  get exited(): Promise<Exit> {
    return this.#output.exited;
  }

  /** An address of the ready line, such as `address("grpc")`. */
  address(name: string): string {
    const value = this.ready[name];
    if (typeof value !== "string") throw new Error(`no address ${name} in ready line ${JSON.stringify(this.ready)}`);
    return value;
  }

  /** Sends a signal without waiting. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** SIGTERM, then waits for the end. */
  stop(): Promise<Exit> {
    return this.#end("SIGTERM");
  }

  /** SIGINT, then waits for the end: a sidecar does not wait for an app that nobody started here. */
  interrupt(): Promise<Exit> {
    return this.#end("SIGINT");
  }

  /** SIGKILL, then waits for the end. */
  kill(): Promise<Exit> {
    return this.#end("SIGKILL");
  }

  async #end(signal: NodeJS.Signals): Promise<Exit> {
    this.#child.kill(signal);
    return within(STOP_TIMEOUT_MS, this.exited, () => `process did not end on ${signal}\n${this.stderr}`);
  }
}

interface Output {
  stdout: string;
  stderr: string;
  readonly exited: Promise<Exit>;
}

/** Starts a program and waits for its ready line on stdout. Rejects with its stderr when it ends before. */
export async function startProgram(
  program: ProgramName | (string & {}),
  args: readonly string[] = [],
  options: SpawnOptions = {},
): Promise<RunningProgram> {
  const { child, output } = launch(program, args, options);
  const ready = new Promise<Record<string, unknown>>((settle) => {
    child.stdout?.on("data", () => {
      const line = output.stdout.split("\n").find((text) => text.startsWith('{"ready":true'));
      if (line !== undefined && output.stdout.includes(`${line}\n`)) settle(JSON.parse(line));
    });
  });
  const ended = output.exited.then(({ code, signal }) => {
    throw new Error(`${program} ended before it was ready (code ${code}, signal ${signal}):\n${output.stderr}`);
  });
  const line = await within(
    READY_TIMEOUT_MS,
    Promise.race([ready, ended]),
    () => `${program} is not ready\n${output.stderr}`,
  );
  return new RunningProgram(child, output, line);
}

/** Runs a program to its end. Never rejects for an exit code. */
export async function runProgram(
  program: ProgramName | (string & {}),
  args: readonly string[] = [],
  options: SpawnOptions = {},
): Promise<RunResult> {
  const { output } = launch(program, args, options);
  const exit = await output.exited;
  return { ...exit, stdout: output.stdout, stderr: output.stderr };
}

/** A new folder, deleted by `cleanUp`. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "weft-test-"));
  folders.add(folder);
  return folder;
}

/** Ends every process that was started here and deletes the folders: call it in `afterEach` or `afterAll`. */
export async function cleanUp(): Promise<void> {
  const ends = [...running.values()];
  for (const child of running.keys()) child.kill("SIGKILL");
  await Promise.all(ends);
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  folders.clear();
}

/**
 * A port that was free a moment ago. Prefer port 0 where the program reports what it got. From below the range that
 * systems hand out for port 0 (32768 on Linux, RFC 6335 says 49152), or what is started next might get this very port.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FREE_PORTS.from, FREE_PORTS.to);
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((settle) => {
    const server = createServer().once("error", () => settle(false));
    server.listen(port, "127.0.0.1", () => server.close(() => settle(true)));
  });
}

/** Asks again and again until the answer is neither undefined nor false; fails with `what` after `timeoutMs`. */
export async function eventually<Value>(
  what: string,
  ask: () => Value | undefined | false | Promise<Value | undefined | false>,
  timeoutMs = PATIENCE_MS,
): Promise<Value> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await ask();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((next) => setTimeout(next, 10));
  }
}

/** Fails with `message` when `promise` takes longer than `timeoutMs`. */
export async function within<Value>(timeoutMs: number, promise: Promise<Value>, message: () => string): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_settle, fail) => {
    timer = setTimeout(() => fail(new Error(`after ${timeoutMs} ms: ${message()}`)), timeoutMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function launch(
  program: string,
  args: readonly string[],
  options: SpawnOptions,
): { child: ChildProcess; output: Output } {
  const script = Object.hasOwn(PROGRAMS, program) ? PROGRAMS[program as ProgramName] : program;
  const child = spawn(process.execPath, [script, ...args], {
    cwd: options.cwd ?? REPOSITORY,
    env: { ...cleanEnvironment(), ...options.env },
    stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
  });
  const output: Output = {
    stdout: "",
    stderr: "",
    exited: new Promise((settle) => {
      child.once("close", (code, signal) => {
        running.delete(child);
        settle({ code, signal });
      });
    }),
  };
  running.set(child, output.exited);
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    output.stdout += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    output.stderr += text;
  });
  if (options.input !== undefined) child.stdin?.on("error", () => {}).end(options.input);
  return { child, output };
}

/** The environment without WEFT_ variables, so that a developer's settings do not change what is tested. */
function cleanEnvironment(): Record<string, string> {
  const entries = Object.entries(process.env).filter(
    ([name, value]) => !name.startsWith("WEFT_") && value !== undefined,
  );
  return Object.fromEntries(entries) as Record<string, string>;
}
