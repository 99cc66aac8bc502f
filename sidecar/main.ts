#!/usr/bin/env node
// weft-sidecar: what comes before the program (program.ts) is loaded, which would otherwise be loaded twice.
import { flushCompileCache } from "node:module";
import { availableParallelism } from "node:os";
import { relaunch } from "./relaunch.ts";

const { execPath, execArgv, argv, env, channel, execve } = process;
relaunch({
  execPath,
  execArgv,
  argv,
  env,
  cores: availableParallelism(),
  hasChannel: channel !== undefined,
  execve: execve && replace,
});

const { bundledProgram } = await import("../runtime/bundled-program.ts");
const bundle = bundledProgram("sidecar/program");
const program =
  bundle === undefined ? import("./program.ts") : (import(bundle) as Promise<typeof import("./program.ts")>);
await (await program).run();

/** What was compiled until here is kept, where somebody has named a folder for it: a program that ends like this keeps nothing. */
function replace(...by: Parameters<NonNullable<typeof execve>>): void {
  flushCompileCache();
  execve?.call(process, ...by);
}
