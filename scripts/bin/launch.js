// Runs one of the published programs on a Node that is new enough: this one, or the one that the package `node`
// brought along. Plain JavaScript that old versions of Node understand; nothing newer may be imported before the check.
import { spawn } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import { createRequire } from "node:module";

const NODE_MAJOR_MIN = 26;

/**
 * @param {string} program path of the program, relative to this file
 * @param {string} self the file that calls, which the newer Node is to run again
 */
export async function launch(program, self) {
  if (Number.parseInt(process.versions.node, 10) >= NODE_MAJOR_MIN) {
    await import(new URL(program, import.meta.url).href);
    return;
  }
  const binary = findNode();
  if (binary === undefined) {
    process.stderr.write(
      `Weft needs Node ${NODE_MAJOR_MIN} or newer; this is ${process.version}. The package "node", which brings one along, ` +
        "is not installed completely: run `npm rebuild node` (or `npm install --allow-scripts=node`), or use a newer Node.\n",
    );
    process.exitCode = 1;
    return;
  }
  const args = [...process.execArgv, self, ...process.argv.slice(2)];
  if (typeof process.execve === "function") process.execve(binary, [binary, ...args], process.env);
  runInstead(binary, args);
}

/** The binary of the package `node`, if its installation got that far and it is not the one that is too old. */
function findNode() {
  try {
    const binary = realpathSync(createRequire(import.meta.url).resolve("node/bin/node"));
    return existsSync(binary) && binary !== realpathSync(process.execPath) ? binary : undefined;
  } catch {
    return undefined;
  }
}

/** Stands in for the program: hands signals on, and ends the way the program ends. */
function runInstead(binary, args) {
  const child = spawn(binary, args, { stdio: "inherit" });
  // A terminal sends its signals to the whole foreground group; handed on they would come twice, and a second one
  // means "at once" to the programs.
  const isAtTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
  const handOn = { SIGTERM: true, SIGUSR2: true, SIGINT: !isAtTerminal, SIGHUP: !isAtTerminal };
  for (const [signal, isHandedOn] of Object.entries(handOn)) {
    process.on(signal, () => isHandedOn && child.kill(signal));
  }
  child.on("error", (error) => {
    process.stderr.write(`${binary} cannot be started: ${error.message}\n`);
    process.exitCode = 1;
  });
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}
