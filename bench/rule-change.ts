// 100 rule changes in a row under steady load through two sidecars (the caller's outbound, the service's inbound):
// does a change cost a request, and how long does one take to act everywhere.
import { cleanUp } from "../test/harness.ts";
import { RulesClient, startMesh, startService } from "../test/mesh.ts";
import { checkAnswer, numberedRule } from "../test/rule-changes.ts";
import { SteadyLoad, type SteadyLoadResult } from "../test/steady-load.ts";
import { type BenchOptions, type BenchResult, type Figure, percentile } from "./result.ts";

const CHANGES = 100;
const REQUESTS_PER_SECOND = 2_000;

export async function run({ scale, note }: BenchOptions): Promise<BenchResult> {
  const changes = Math.max(5, Math.round(CHANGES * scale));
  try {
    const mesh = await startMesh();
    const [web] = await Promise.all([
      startService(mesh, "web", "v1"),
      startService(mesh, "orders", "v1"),
      startService(mesh, "orders", "v2"),
    ]);
    const rules = new RulesClient(mesh);
    const change = async (number: number): Promise<number> => {
      const startedMs = performance.now();
      const { revision } = await rules.apply(numberedRule(number));
      await rules.wait(revision);
      return performance.now() - startedMs;
    };
    await change(1);
    note(`${changes} changes at ${REQUESTS_PER_SECOND} requests/s`);
    const load = new SteadyLoad({
      address: web.outbound,
      host: "orders",
      requestsPerSecond: REQUESTS_PER_SECOND,
      check: (answer, sentMs) => checkAnswer(answer, liveAt(sentMs)),
    });
    const liveSince: { number: number; atMs: number }[] = [{ number: 1, atMs: performance.now() }];
    const liveAt = (sentMs: number): number => liveSince.findLast(({ atMs }) => atMs <= sentMs)?.number ?? 0;
    const takenMs: number[] = [];
    for (let number = 2; number <= changes + 1; number++) {
      takenMs.push(await change(number));
      liveSince.push({ number, atMs: performance.now() });
    }
    const result = await load.stop();
    rules.close();
    for (const failure of new Set(result.failures)) note(failure);
    return {
      bench: "rule-change",
      title: `${changes} rule changes in a row under load, through two sidecars`,
      figures: figuresOf(result, takenMs),
    };
  } finally {
    await cleanUp();
  }
}

function figuresOf({ failures, sent, seconds, latenciesMs }: SteadyLoadResult, takenMs: readonly number[]): Figure[] {
  return [
    {
      name: "requests that failed",
      value: failures.length,
      unit: "",
      target: { kind: "at-most", value: 0 },
    },
    { name: "requests", value: sent, unit: "", detail: "each checked for a mixture of two revisions" },
    {
      name: "rate",
      value: sent / seconds,
      unit: "requests/s",
      target: { kind: "at-least", value: REQUESTS_PER_SECOND * 0.95 },
    },
    { name: "change to acknowledged, p50", value: percentile(takenMs, 50), unit: "ms" },
    { name: "change to acknowledged, p99", value: percentile(takenMs, 99), unit: "ms" },
    { name: "request latency, p50", value: percentile(latenciesMs, 50), unit: "ms" },
    { name: "request latency, p99", value: percentile(latenciesMs, 99), unit: "ms" },
  ];
}
