// Starts programs, each in a process group of its own, waits for their ready lines, notices when one dies, and ends
// all of them. Knows nothing of what the programs are.
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { systemClock } from "../../runtime/clock.ts";

export interface ProcessSpec {
  readonly name: string;
  /** A script for the running Node, with its arguments. */
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** It wraps a service that says `{"listening":...,"pid":...}` on the same stdout when it is up; wait for that, too. */
  readonly wraps?: boolean;
}

export type ReadyLine = Readonly<Record<string, unknown>>;

/** A process that ended although nobody asked it to. */
export class DeathError extends Error {
  constructor(name: string, how: string, lastLines: readonly string[]) {
    const said = lastLines.length === 0 ? "It said nothing on stderr." : "Its last lines on stderr:";
    super([`${name} ended unexpectedly (${how}). ${said}`, ...lastLines.map((line) => `  ${line}`)].join("\n"));
  }
}

interface Running {
  readonly name: string;
  readonly child: ChildProcess;
  readonly pid: number;
  readonly exited: Promise<string>;
  /** Process groups to look after: its own, and that of the service which it started. */
  readonly groups: number[];
  readonly lastLines: string[];
}

export interface ProcessesOptions {
  /** Called with the first death; not during `stopAll`. */
  readonly onDeath: (death: DeathError) => void;
  /** Gets every line that a process writes to stderr. */
  readonly onLine?: (name: string, line: string) => void;
  /** How long a process may take to end after SIGTERM before it is killed; 8 seconds unless told. */
  readonly stopTimeoutMs?: number;
  /** Environment that every process gets. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

const READY_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 8_000;
const CLOSE_TIMEOUT_MS = 300;
const LAST_LINES_MAX = 20;
const LINE_CHARACTERS_MAX = 2_000;

export class Processes {
  readonly #options: ProcessesOptions;
  readonly #running: Running[] = [];
  readonly #guard: ChildProcess;
  #stopping: Promise<void> | undefined;

  constructor(options: ProcessesOptions) {
    this.#options = options;
    this.#guard = spawn(process.execPath, [join(import.meta.dirname, "guard.ts")], {
      stdio: ["pipe", "ignore", "ignore"],
      detached: true,
    });
    this.#guard.stdin?.on("error", () => {});
    this.#guard.on("error", () => {});
    this.#guard.unref();
  }

  /** A folder that is deleted if this process does not live to do it. */
  guardFolder(path: string): void {
    this.#guard.stdin?.write(`=${path}\n`);
  }

  pidOf(name: string): number | undefined {
    return this.#running.find((entry) => entry.name === name)?.pid;
  }

  /** Every process group that was started, for those who want to see them gone. */
  get groups(): number[] {
    return this.#running.flatMap(({ groups }) => groups);
  }

  /**
   * Starts a process and resolves with its ready line.
   * @throws DeathError when it ends before, Error when it takes longer than 30 seconds.
   */
  async start(spec: ProcessSpec): Promise<ReadyLine> {
    if (this.#stopping !== undefined) throw new Error("stopped");
    const child = spawn(process.execPath, spec.args, {
      env: { ...this.#options.env, ...spec.env },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    const entry = this.#follow(spec.name, child);
    const early = entry.exited.then((how) => {
      throw new DeathError(spec.name, how, entry.lastLines);
    });
    early.catch(() => {});
    const isWrapped = spec.wraps === true;
    return await Promise.race([this.#readyLine(entry, isWrapped), early]);
  }

  /** Ends everything, the last started first; processes that do not heed SIGTERM are killed with their groups. */
  stopAll(): Promise<void> {
    this.#stopping ??= this.#stopInOrder();
    return this.#stopping;
  }

  /** Ends everything at once and without ceremony. */
  killAll(): void {
    this.#stopping ??= Promise.resolve();
    for (const group of this.groups) killGroup(group);
  }

  /** Programs that were started first are needed by the others, so each batch waits for those started after it. */
  async #stopInOrder(): Promise<void> {
    const [first, ...others] = this.#running;
    const timeoutMs = this.#options.stopTimeoutMs ?? STOP_TIMEOUT_MS;
    await Promise.all(others.map((entry) => stop(entry, timeoutMs)));
    if (first !== undefined) await stop(first, timeoutMs);
    this.#guard.stdin?.end();
  }

  #follow(name: string, child: ChildProcess): Running {
    const lastLines: string[] = [];
    const pid = child.pid ?? 0;
    eachLine(child.stderr, (line) => {
      lastLines.push(line.slice(0, LINE_CHARACTERS_MAX));
      if (lastLines.length > LAST_LINES_MAX) lastLines.shift();
      this.#options.onLine?.(name, line);
    });
    const exited = new Promise<string>((settle) => {
      child.once("error", (error) => settle(error.message));
      child.once("exit", (code, signal) => {
        const how = signal === null ? `exit code ${code}` : `signal ${signal}`;
        // "close" says that stderr was read to its end, but a grandchild that lives on can hold it open.
        child.once("close", () => settle(how));
        systemClock.after(CLOSE_TIMEOUT_MS, () => settle(how));
      });
    });
    const entry: Running = { name, child, pid, exited, lastLines, groups: [] };
    this.#running.push(entry);
    this.#lookAfter(entry, pid);
    void exited.then((how) => {
      if (this.#stopping === undefined) this.#options.onDeath(new DeathError(name, how, lastLines));
      for (const group of entry.groups) {
        killGroup(group);
        this.#guard.stdin?.write(`-${group}\n`);
      }
    });
    return entry;
  }

  #lookAfter(entry: Running, pid: number): void {
    if (pid <= 0) return;
    entry.groups.push(pid);
    this.#guard.stdin?.write(`+${pid}\n`);
  }

  #readyLine(entry: Running, isWrapped: boolean): Promise<ReadyLine> {
    const { name, child, lastLines } = entry;
    return new Promise((settle, fail) => {
      const timer = setTimeout(() => {
        fail(new Error([`${name} was not ready within ${READY_TIMEOUT_MS / 1000} s.`, ...lastLines].join("\n  ")));
      }, READY_TIMEOUT_MS);
      child.once("close", () => clearTimeout(timer));
      let ready: ReadyLine | undefined;
      let isListening = !isWrapped;
      eachLine(child.stdout, (line) => {
        if (line.startsWith('{"ready":true')) ready = JSON.parse(line) as ReadyLine;
        if (line.startsWith('{"listening":')) {
          this.#lookAfter(entry, Number((JSON.parse(line) as { pid: unknown }).pid));
          isListening = true;
        }
        if (ready === undefined || !isListening) return;
        clearTimeout(timer);
        settle(ready);
      });
    });
  }
}

async function stop(entry: Running, timeoutMs: number): Promise<void> {
  entry.child.kill("SIGTERM");
  const timer = systemClock.after(timeoutMs, () => {
    for (const group of entry.groups) killGroup(group);
  });
  await entry.exited;
  timer.cancel();
}

/** Kills whatever is left of a process group; there may be nothing left. */
function killGroup(pid: number): void {
  if (pid <= 0) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // ESRCH: the group is empty.
  }
}

function eachLine(stream: NodeJS.ReadableStream | null, take: (line: string) => void): void {
  let rest = "";
  stream?.setEncoding("utf8");
  stream?.on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = (lines.pop() ?? "").slice(-LINE_CHARACTERS_MAX);
    for (const line of lines) take(line);
  });
}

/** Runs a script to its end. */
export function runToEnd(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<{ code: number | null; output: string }> {
  return new Promise((settle, fail) => {
    const child = spawn(process.execPath, args, { env: { ...env }, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
    }
    child.once("error", fail);
    child.once("close", (code) => settle({ code, output }));
  });
}
