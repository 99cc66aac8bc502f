#!/usr/bin/env node
// The `weft` program: hands the process over as a Shell and ends with the command's exit code. Loads everything
// else after the compile cache is on, which halves the start-up time from the second run on.
import { enableCompileCache } from "node:module";
import { hostname, userInfo } from "node:os";
import type { Output, Shell } from "./shell.ts";

enableCompileCache();
await main();

async function main(): Promise<void> {
  const [{ runProgram }, { systemClock }] = await Promise.all([
    import("./program.ts"),
    import("../../runtime/clock.ts"),
  ]);
  const shell: Shell = {
    env: process.env,
    // Opening it costs time and keeps a reader on the terminal: only when asked for.
    get stdin() {
      return process.stdin;
    },
    stdout: outputOf(process.stdout),
    stderr: outputOf(process.stderr),
    clock: systemClock,
    user: () => `${userName()}@${hostname()}`,
    onInterrupt: (callback) => {
      process.on("SIGINT", callback);
      return () => process.off("SIGINT", callback);
    },
  };
  const code = await runProgram(process.argv.slice(2), shell);
  await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  // Connections that are closing and a stdin nobody reads any more must not keep the prompt waiting.
  process.exit(code);
}

/** A stream whose reader may go away at any time (`weft get | head -1`): what cannot be written is dropped. */
function outputOf(stream: NodeJS.WriteStream): Output {
  let isBroken = false;
  stream.on("error", () => {
    isBroken = true;
  });
  return {
    write: (text) => {
      if (!isBroken) stream.write(text);
    },
    isTTY: stream.isTTY === true,
    columns: stream.columns ?? 0,
  };
}

/** Resolves when everything written is out, or cannot get out any more. */
function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || stream.writableLength === 0) resolve();
    else {
      stream.once("close", resolve);
      stream.write("", () => resolve());
    }
  });
}

/** Fails in containers whose user id has no name. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return process.env["USER"] || "unknown";
  }
}
