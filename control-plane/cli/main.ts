#!/usr/bin/env node
// The `weft` program: hands the process over as a Shell and ends with the command's exit code. Loads everything
// else after the compile cache is on, which halves the start-up time from the second run on.
import { enableCompileCache } from "node:module";
import { hostname, userInfo } from "node:os";
import type { Output, Shell } from "./shell.ts";

/** Why output was lost, when it was not the reader who went away: a full disk, say. */
let lost: Error | undefined;

enableCompileCache();
await main();

async function main(): Promise<void> {
  const { bundledProgram } = await import("../../runtime/bundled-program.ts");
  const bundle = bundledProgram("control-plane/cli/program");
  const program =
    bundle === undefined ? import("./program.ts") : (import(bundle) as Promise<typeof import("./program.ts")>);
  const [{ runProgram }, { foregroundClock }] = await Promise.all([program, import("../../runtime/clock.ts")]);
  const shell: Shell = {
    env: process.env,
    // Opening it costs time and keeps a reader on the terminal: only when asked for.
    get stdin() {
      return process.stdin;
    },
    stdout: outputOf(process.stdout),
    stderr: outputOf(process.stderr),
    clock: foregroundClock,
    user: () => `${userName()}@${hostname()}`,
    onInterrupt: (callback) => {
      process.on("SIGINT", callback);
      return () => process.off("SIGINT", callback);
    },
  };
  let code = await runProgram(process.argv.slice(2), shell);
  await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  if (lost !== undefined) {
    process.stderr.write(`error: the output could not be written: ${lost.message}\n`);
    code ||= 1;
  }
  // Connections that are closing and a stdin nobody reads any more must not keep the prompt waiting.
  process.exit(code);
}

/** A stream whose reader may go away at any time (`weft get | head -1`): then the rest is dropped quietly. */
function outputOf(stream: NodeJS.WriteStream): Output {
  let isBroken = false;
  stream.on("error", (error: NodeJS.ErrnoException) => {
    isBroken = true;
    if (error.code !== "EPIPE") lost = error;
  });
  return {
    write: (text) => {
      if (!isBroken) stream.write(text);
    },
    isTTY: stream.isTTY === true,
    get backlogBytes() {
      return stream.writableLength;
    },
    onGone: (callback) => {
      if (isBroken) process.nextTick(callback);
      stream.once("error", callback);
      return () => stream.off("error", callback);
    },
    get columns() {
      return stream.columns ?? 0;
    },
    get rows() {
      return stream.rows ?? 0;
    },
  };
}

/** Resolves when everything written is out, or cannot get out any more. */
function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    // A failed write is told of on the next tick, also where the write itself was synchronous.
    if (stream.destroyed || stream.writableLength === 0) process.nextTick(resolve);
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
