// Puts the process on the footing that a sidecar needs before anything else is loaded: V8 takes these settings only
// from the command line, so the program replaces itself once by itself with them (execve: same process id, same
// pipes). Not configuration: nothing here changes what the sidecar does, only what memory it does it in.
import { join } from "node:path";

/**
 * A young generation of 4 MiB: what requests leave behind dies at once, and RSS after a load stays lower than with V8's
 * own 16, at the same throughput. 1 MiB is too little where many calls are under way together. `--expose-gc`: what
 * reading modules and rules left behind is given back once, at the start.
 */
const FLAGS = ["--max-semi-space-size=4", "--expose-gc"];
/** Whoever sets this one, in NODE_OPTIONS or on the command line, knows better. */
const CHOSEN = /--(max|min)-semi-space-size|--expose-gc/;

/** The process, as far as it is asked here. */
export interface RelaunchFloor {
  readonly execPath: string;
  readonly execArgv: readonly string[];
  /** Script and its arguments; the first is the program. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A channel to a parent would not survive; such a process gets its flags from that parent. */
  readonly hasChannel: boolean;
  /** Absent on Windows and on older versions of Node. */
  readonly execve: ((file: string, args: string[], env: Record<string, string>) => void) | undefined;
}

/** Returns when the process has its settings already or cannot have them, else does not return. */
export function relaunch({ execPath, execArgv, argv, env, hasChannel, execve }: RelaunchFloor): void {
  const isChosen = CHOSEN.test(`${execArgv.join(" ")} ${env["NODE_OPTIONS"] ?? ""}`);
  if (execve === undefined || hasChannel || isChosen) return;
  const kept = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const args = [execPath, ...FLAGS, ...execArgv, ...argv.slice(1)];
  try {
    execve(execPath, args, { ...sourceCache(argv[1] ?? ""), ...Object.fromEntries(kept) });
  } catch {
    // Some sandboxes forbid it. The sidecar works without, in more memory.
  }
}

/**
 * Run from TypeScript sources, Node keeps 30 MiB of compiler unless it finds their JavaScript in its compile cache. The
 * published package is JavaScript already.
 */
function sourceCache(script: string): Record<string, string> {
  if (!script.endsWith(".ts")) return {};
  return { NODE_COMPILE_CACHE: join(import.meta.dirname, "../node_modules/.cache/weft") };
}
