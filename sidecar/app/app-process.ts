// The app that `-- COMMAND` starts: a child process in a process group of its own, so that signals reach everything
// that the command started and a Ctrl-C in the terminal comes to the sidecar first, which stops things in order.
import { type SpawnOptions, spawn } from "node:child_process";
import { constants } from "node:os";
import { ProcessGroup, type SendSignal } from "./process-group.ts";

export interface AppCommand {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface AppProcess {
  readonly pid: number;
  /**
   * Resolves when the app has ended, with the exit code as a shell would report it: its own, 128 + signal number
   * when a signal ended it, 127 when there is no such command, 126 when it cannot be run.
   */
  readonly exited: Promise<AppExit>;
  /** To the app and everything it started; nothing when all of that has ended. SIGTERM once: many programs take a second for haste. */
  signal(signal: NodeJS.Signals): void;
  /** Does the app run, or anything that it started and left behind? */
  isRunning(): boolean;
}

export interface AppExit {
  readonly code: number;
  /** In words, such as: ended with exit code 3. */
  readonly reason: string;
}

const CODE_NOT_FOUND = 127;
const CODE_NOT_EXECUTABLE = 126;
const CODE_SIGNAL_BASE = 128;

/** Starts the app with the sidecar's own stdin, stdout and stderr. Failure to start is an exit, too. */
export function startApp(command: AppCommand, sendSignal: SendSignal, options: SpawnOptions = {}): AppProcess {
  const { file, args, env } = command;
  const child = spawn(file, args, { stdio: "inherit", ...options, env, detached: true });
  const pid = child.pid ?? 0;
  const group = new ProcessGroup(pid, sendSignal);
  let isToldToEnd = false;
  let hasEnded = pid === 0;
  const signalGroup = (signal: NodeJS.Signals): void => {
    if (signal !== "SIGTERM" || !isToldToEnd) group.signal(signal);
    isToldToEnd ||= signal === "SIGTERM";
  };
  const { promise: exited, resolve } = Promise.withResolvers<AppExit>();
  child.once("error", (error: NodeJS.ErrnoException) => {
    if (pid === 0) resolve(startFailure(file, error));
  });
  child.once("exit", (code, signal) => {
    hasEnded = true;
    signalGroup("SIGTERM"); // what the command left behind
    resolve(appExit(code, signal));
  });
  return { pid, exited, signal: signalGroup, isRunning: () => !hasEnded || group.isRunning() };
}

function appExit(code: number | null, signal: NodeJS.Signals | null): AppExit {
  if (signal !== null) return { code: CODE_SIGNAL_BASE + constants.signals[signal], reason: `was ended by ${signal}` };
  return { code: code ?? 1, reason: `ended with exit code ${code}` };
}

function startFailure(file: string, error: NodeJS.ErrnoException): AppExit {
  if (error.code === "ENOENT") return { code: CODE_NOT_FOUND, reason: `could not be started: ${file} was not found` };
  return { code: CODE_NOT_EXECUTABLE, reason: `could not be started: ${error.message}` };
}
