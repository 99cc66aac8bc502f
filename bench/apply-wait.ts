// `weft apply --wait` with 20 connected sidecars: from the start of the command until every sidecar has acknowledged,
// less the time that the CLI itself needs to start, load gRPC and connect (that of `weft version`); both are printed.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ask } from "../test/ask.ts";
import { cleanUp, eventually, type RunningProgram, runProgram, temporaryFolder } from "../test/harness.ts";
import { type Mesh, startMesh, startService, startSidecar } from "../test/mesh.ts";
import { numberedRule } from "../test/rule-changes.ts";
import { type BenchOptions, type BenchResult, percentile } from "./result.ts";

const SIDECARS = 20;
const APPLIES = 100;
const TARGET_MS = 150;

export async function run({ scale, note }: BenchOptions): Promise<BenchResult> {
  const applies = Math.max(5, Math.round(APPLIES * scale));
  try {
    const mesh = await startMesh();
    note(`starting ${SIDECARS} sidecars`);
    await Promise.all([startService(mesh, "orders", "v1"), startService(mesh, "orders", "v2")]);
    const callers = await startCallers(mesh, SIDECARS);
    const file = join(temporaryFolder(), "rule.yaml");
    const startUpMs: number[] = [];
    const applyMs: number[] = [];
    for (let number = 1; number <= applies; number++) {
      writeFileSync(file, numberedRule(number));
      startUpMs.push(await timed(["--server", mesh.server, "version"]));
      applyMs.push(await timed(["--server", mesh.server, "apply", "-f", file, "--wait"]));
      if (number === 1) await expectActing(callers, number);
    }
    await expectActing(callers, applies);
    const ownMs = percentile(startUpMs, 50);
    const lessOwn = applyMs.map((taken) => taken - ownMs);
    return {
      bench: "apply-wait",
      title: `weft apply --wait with ${SIDECARS} connected sidecars, each affected by the change`,
      figures: [
        {
          name: "apply --wait less start-up, p99",
          value: percentile(lessOwn, 99),
          unit: "ms",
          target: { kind: "at-most", value: TARGET_MS },
          detail: `${applies} applies`,
        },
        { name: "apply --wait less start-up, p50", value: percentile(lessOwn, 50), unit: "ms" },
        { name: "apply --wait, p99", value: percentile(applyMs, 99), unit: "ms", detail: "the whole command" },
        { name: "apply --wait, p50", value: percentile(applyMs, 50), unit: "ms", detail: "the whole command" },
        {
          name: "CLI start-up, p50",
          value: ownMs,
          unit: "ms",
          detail: "weft version, one before each apply: start, load, connect",
        },
      ],
    };
  } finally {
    await cleanUp();
  }
}

/** Sidecars of callers that have called `orders` once and so subscribe to it. Four at a time: starting is heavy. */
async function startCallers(mesh: Mesh, count: number): Promise<RunningProgram[]> {
  const callers: RunningProgram[] = [];
  while (callers.length < count) {
    const batch = Array.from({ length: Math.min(4, count - callers.length) }, (_, index) =>
      startSidecar(mesh, `caller-${callers.length + index}`, "v1", "127.0.0.1:1"),
    );
    callers.push(...(await Promise.all(batch)));
  }
  await Promise.all(callers.map((caller) => callOrders(caller)));
  return callers;
}

function callOrders(caller: RunningProgram): Promise<string> {
  return eventually("the caller's sidecar reaches orders", async () => {
    const answer = await ask({ address: caller.address("outbound"), headers: { host: "orders" } });
    return answer.status === 200 ? `rule ${String(answer.headers["x-rule"] ?? "none")}` : undefined;
  });
}

/** That --wait told the truth: no retrying here. */
async function expectActing(callers: readonly RunningProgram[], number: number): Promise<void> {
  for (const caller of callers) {
    const answer = await ask({ address: caller.address("outbound"), headers: { host: "orders" } });
    if (answer.headers["x-rule"] !== String(number))
      throw new Error(
        `a sidecar answers by rule ${String(answer.headers["x-rule"])} after rule ${number} was acknowledged`,
      );
  }
}

async function timed(args: readonly string[]): Promise<number> {
  const startedMs = performance.now();
  const { code, stderr } = await runProgram("weft", args);
  if (code !== 0) throw new Error(`weft ${args.join(" ")} ended with ${code}: ${stderr}`);
  return performance.now() - startedMs;
}
