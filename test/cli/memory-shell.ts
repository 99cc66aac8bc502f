// A Shell in memory for tests: what the CLI wrote is text to look at.

import { runProgram } from "../../control-plane/cli/program.ts";
import type { Shell } from "../../control-plane/cli/shell.ts";
import { systemClock } from "../../runtime/clock.ts";

export interface MemoryShellOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly isTTY?: boolean;
  /** Called with each piece of stderr as it is written. */
  readonly onStderr?: (text: string, interrupt: () => void) => void;
}

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one command line in this process. */
export async function runInMemory(argv: readonly string[], options: MemoryShellOptions = {}): Promise<CommandResult> {
  let stdout = "";
  let stderr = "";
  const interrupts = new Set<() => void>();
  const interrupt = (): void => {
    for (const callback of interrupts) callback();
  };
  const isTTY = options.isTTY ?? false;
  const shell: Shell = {
    env: options.env ?? {},
    stdin: stdinOf(options.stdin ?? ""),
    stdout: {
      write: (text) => {
        stdout += text;
      },
      isTTY,
      columns: isTTY ? 80 : 0,
      rows: isTTY ? 24 : 0,
      backlogBytes: 0,
      onGone: () => () => {},
    },
    stderr: {
      write: (text) => {
        stderr += text;
        options.onStderr?.(text, interrupt);
      },
      isTTY,
      columns: isTTY ? 80 : 0,
      rows: isTTY ? 24 : 0,
      backlogBytes: 0,
      onGone: () => () => {},
    },
    clock: systemClock,
    user: () => "tester@bench",
    onInterrupt: (callback) => {
      interrupts.add(callback);
      return () => interrupts.delete(callback);
    },
  };
  const code = await runProgram(argv, shell);
  return { code, stdout, stderr };
}

async function* stdinOf(text: string): AsyncGenerator<Uint8Array> {
  if (text !== "") yield Buffer.from(text);
}
