// Puts the process on the footing that a sidecar needs before anything else is loaded: V8 takes its settings only from
// the command line and malloc only from the environment, so the program replaces itself once by itself with them (execve:
// same process id, same pipes). Not configuration: nothing here changes what the sidecar does, only what memory it does it
// in.
import { join } from "node:path";

/**
 * A young generation of 4 MiB: what requests leave behind dies at once, and RSS after a load stays lower than with V8's
 * own 16, at the same throughput. 1 MiB is too little where many calls are under way together.
 */
const FLAGS = ["--max-semi-space-size=4"];
/** Whoever sets this one, in NODE_OPTIONS or on the command line, knows better. */
const CHOSEN = /--(max|min)-semi-space-size/;

/**
 * Threads beside the one that serves, for V8's collector and compilers: no more than there are cores beside its own. Node has
 * four anywhere, and on one core the thread that serves gets a fifth of it while they mark the heap: calls at half the peak
 * then had a p99 of up to 98 ms, one round of ten above 35; with one such thread 31 and 11.
 */
const V8_THREADS_MAX = 4;
const V8_THREADS_CHOSEN = /--v8[-_]pool[-_]size/;

/**
 * V8's compilers take up to 20 MiB for a moment, in pieces of 8 to 32 KiB, from several threads. Out of glibc's heaps
 * they leave holes that stay resident for ever (20 MiB of RSS after the first requests); in mappings of their own they
 * are gone when they are freed.
 */
const MMAP_THRESHOLD = { MALLOC_MMAP_THRESHOLD_: "16384" };
const MALLOC_CHOSEN = /^(MALLOC_|GLIBC_TUNABLES$|LD_PRELOAD$)/;

/** Names the variables that were added here, which are this program's own and no business of what it starts. */
const ADDED = "WEFT_RELAUNCHED_WITH";

export type Environment = Readonly<Record<string, string | undefined>>;

/** The process, as far as it is asked here. */
export interface RelaunchFloor {
  readonly execPath: string;
  readonly execArgv: readonly string[];
  /** Script and its arguments; the first is the program. */
  readonly argv: readonly string[];
  readonly env: Environment;
  /** That it may use. */
  readonly cores: number;
  /** A channel to a parent would not survive; such a process gets its flags from that parent. */
  readonly hasChannel: boolean;
  /** Absent on Windows and on older versions of Node. */
  readonly execve: ((file: string, args: string[], env: Record<string, string>) => void) | undefined;
}

/** Returns when the process has its settings already or cannot have them, else does not return. */
export function relaunch({ execPath, execArgv, argv, env, cores, hasChannel, execve }: RelaunchFloor): void {
  const options = `${execArgv.join(" ")} ${env["NODE_OPTIONS"] ?? ""}`;
  if (execve === undefined || hasChannel || CHOSEN.test(options)) return;
  const args = [execPath, ...FLAGS, ...threadFlags(options, cores), ...execArgv, ...argv.slice(1)];
  try {
    execve(execPath, args, withOwn(env, { ...mallocSettings(env), ...sourceCache(argv[1] ?? "") }));
  } catch {
    // Some sandboxes forbid it. The sidecar works without, in more memory.
  }
}

/** The environment as it was before the relaunch: for the app. */
export function withoutOwn(env: Environment): Environment {
  const own = new Set([ADDED, ...(env[ADDED] ?? "").split(" ")]);
  return Object.fromEntries(Object.entries(env).filter(([name]) => !own.has(name)));
}

function withOwn(env: Environment, own: Readonly<Record<string, string>>): Record<string, string> {
  const kept = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const added = Object.keys(own).filter((name) => env[name] === undefined);
  return { ...own, ...Object.fromEntries(kept), [ADDED]: added.join(" ") };
}

function threadFlags(options: string, cores: number): string[] {
  if (cores > V8_THREADS_MAX || V8_THREADS_CHOSEN.test(options)) return [];
  return [`--v8-pool-size=${Math.max(1, cores - 1)}`];
}

function mallocSettings(env: Environment): Record<string, string> {
  return Object.keys(env).some((name) => MALLOC_CHOSEN.test(name)) ? {} : MMAP_THRESHOLD;
}

/**
 * Run from TypeScript sources, Node keeps 30 MiB of compiler unless it finds their JavaScript in its compile cache. The
 * published package is JavaScript already.
 */
function sourceCache(script: string): Record<string, string> {
  if (!script.endsWith(".ts")) return {};
  return { NODE_COMPILE_CACHE: join(import.meta.dirname, "../node_modules/.cache/weft") };
}
