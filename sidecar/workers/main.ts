// The entry of a worker process: connects it to its parent. What it does is in worker.ts. Lives exactly as long as its
// parent wants it to: signals are the parent's business, and a parent that is gone ends it.

import { systemClock } from "../../runtime/clock.ts";
import { collectGarbage } from "../../runtime/garbage.ts";
import { createLog } from "../../runtime/log.ts";
import { usageOf } from "../../runtime/process-figures.ts";
import { systemRandom } from "../../runtime/random.ts";
import type { ToWorker } from "./protocol.ts";
import { sharedLines } from "./shared-lines.ts";
import { Worker } from "./worker.ts";

/** They reach a whole process group, or all of a container: the parent gets them, too, and ends things in order. */
const SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2"] as const;

for (const signal of SIGNALS) process.on(signal, () => {});
process.stdout.on("error", () => {});
process.stderr.on("error", () => {});
process.on("disconnect", () => process.exit(0));

const worker = new Worker({
  clock: systemClock,
  random: systemRandom,
  createLog: ({ logLevel, number }) => {
    const log = createLog("weft-sidecar", logLevel);
    return log.child({ worker: number });
  },
  stdout: sharedLines(process.stdout),
  usage: usageOf(process),
  compactMemory: collectGarbage,
  // A channel that has just closed is followed by "disconnect".
  send: (message) => void process.send?.(message, undefined, undefined, () => {}),
});
process.on("message", (message) => worker.onMessage(message as ToWorker));
process.on("uncaughtException", (error) => worker.onBug(error));
