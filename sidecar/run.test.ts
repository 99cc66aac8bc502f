// One run of the sidecar in this process: what it does about errors that nobody caught.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { systemClock } from "../runtime/clock.ts";
import { silentLog } from "../runtime/log.ts";
import { systemRandom } from "../runtime/random.ts";
import { bootstrap } from "./bootstrap.ts";
import { runSidecar, type StopSignal } from "./run.ts";

test.each(["1", "2"])(
  "an error that nobody caught is counted, and the sidecar goes on (--concurrency %s)",
  async (concurrency) => {
    const folder = mkdtempSync(join(tmpdir(), "weft-run-"));
    const rules = join(folder, "rules.yaml");
    writeFileSync(rules, "apiVersion: weft.mesh/v1\nkind: Service\nmetadata: { name: orders }\nspec: {}\n");
    const listeners = ["--outbound", "127.0.0.1:0", "--admin", "off", "--status", "127.0.0.1:0"];
    const asked = bootstrap(["--service", "web", "--rules", rules, "--concurrency", concurrency, ...listeners]);
    if (asked.outcome !== "run") throw new Error(asked.message);
    const ready = Promise.withResolvers<{ status: string }>();
    let report = (_error: unknown): void => {};
    let stop = (_signal: StopSignal): void => {};
    const ended = runSidecar(asked.settings, {
      clock: systemClock,
      random: systemRandom,
      log: silentLog(),
      stdout: { writableLength: 0, write: () => true },
      usage: () => ({ cpuSeconds: 1, residentBytes: 2 }),
      env: {},
      sendSignal: () => {},
      print: (line) => ready.resolve(JSON.parse(line)),
      compactMemory: () => {},
      complain: (text) => ready.reject(new Error(text)),
      onStop: (callback) => {
        stop = callback;
      },
      onExit: () => {},
      surviveBugs: (callback) => {
        report = callback;
      },
      onAppSignal: () => {},
    });
    try {
      const { status } = await ready.promise;
      report(new Error("escaped"));
      const metrics = await (await fetch(`http://${status}/metrics`)).text();
      expect(metrics).toContain('weft_internal_errors_total{where="process"} 1\n');
    } finally {
      stop("SIGINT");
      expect(await ended).toBe(0);
      rmSync(folder, { recursive: true });
    }
  },
);
