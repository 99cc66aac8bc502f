// Connects the sidecar to its process. What it does is in run.ts, what it was asked for in bootstrap.ts.
import { flushCompileCache } from "node:module";
import { systemClock } from "../runtime/clock.ts";
import { dropEmptyVariables } from "../runtime/flags.ts";
import { collectGarbage } from "../runtime/garbage.ts";
import { createLog } from "../runtime/log.ts";
import { usageOf } from "../runtime/process-figures.ts";
import { systemRandom } from "../runtime/random.ts";
import { TextWriter } from "../runtime/text-writer.ts";
import { bootstrap } from "./bootstrap.ts";
import { withoutOwn } from "./relaunch.ts";
import { runSidecar } from "./run.ts";

const SIGNALS = ["SIGTERM", "SIGINT"] as const;
/** Passed on to the app as they are. */
const APP_SIGNALS = ["SIGHUP", "SIGUSR1", "SIGUSR2"] as const;

dropEmptyVariables(process.env);
// Whoever read our output has gone: that is no reason to stop carrying traffic.
process.stdout.on("error", () => {});
process.stderr.on("error", () => {});

/** Called by main.ts when all is loaded: what is loaded later may need modules that are bundled with this one, and would wait for it. */
export async function run(): Promise<void> {
  const asked = bootstrap(process.argv.slice(2));
  if (asked.outcome === "exit") {
    if (asked.message !== "") process.stderr.write(`${asked.message}\n`);
    process.exitCode = asked.code;
    return;
  }
  const { settings } = asked;
  const log = createLog("weft-sidecar", settings.logLevel);
  const code = await runSidecar(settings, {
    clock: systemClock,
    random: systemRandom,
    log,
    stdout: new TextWriter(process.stdout),
    usage: usageOf(process),
    env: withoutOwn(process.env),
    sendSignal: (pid, signal) => process.kill(pid, signal),
    compactMemory: collectGarbage,
    print: (line) => {
      // Not at the end, which may be a SIGKILL, and before somebody sends requests, which would wait.
      flushCompileCache();
      process.stdout.write(`${line}\n`);
    },
    complain: (text) => process.stderr.write(`${text}\n`),
    onStop: (stop) => {
      for (const signal of SIGNALS) process.on(signal, () => stop(signal));
    },
    onExit: (last) => process.on("exit", last),
    surviveBugs: (report) => process.on("uncaughtException", report),
    onAppSignal: (pass) => {
      for (const signal of APP_SIGNALS) process.on(signal, () => pass(signal));
    },
  });
  process.exit(code);
}
