// What a collector that hangs costs the data path: memory and latency under a steady load of requests that are all
// sampled. At scale 1 it hangs for a minute, at scale 10 for the ten of the target.
import { join } from "node:path";
import { cleanUp, REPOSITORY, type RunningProgram, startProgram } from "../test/harness.ts";
import { residentBytes } from "./load/cpu-time.ts";
import { weftWith } from "./peers/weft.ts";
import { ALL_FEATURES } from "./peers/weft-rules.ts";
import { ProxyField, SMALL } from "./proxy-field.ts";
import { type BenchOptions, type BenchResult, type Figure, percentile } from "./result.ts";

const MEBIBYTE = 1024 * 1024;
const CONNECTIONS = 64;
const PER_SECOND = 2_000;
const HUNG_MS = 60_000;
/** Measured in pieces, so that it can be seen how it goes. */
const SLICES = 10;
/** Until the queue is full the memory for it is taken, and compilers are done; what is taken after that is a leak. */
const SETTLE_MS = 15_000;
const GROWTH_MAX_MIB = 20;

export async function run(options: BenchOptions): Promise<BenchResult> {
  try {
    const collector = await startProgram(join(REPOSITORY, "test/otlp/collector.ts"), ["--discard"]);
    const figures = await hungFigures(collector, options);
    return { bench: "telemetry-hung", title: "A collector that hangs under load, all requests sampled.", figures };
  } finally {
    await cleanUp();
  }
}

async function hungFigures(collector: RunningProgram, { scale, note }: BenchOptions): Promise<Figure[]> {
  const on = { ...ALL_FEATURES, tracing: true, sampling: 100, collector: collector.address("http") };
  const field = await ProxyField.start([weftWith("collector hangs", on)], note);
  const [peer] = field.peers;
  if (peer === undefined) return [];
  const resident = () => residentBytes(peer.pids) / MEBIBYTE;
  const hang = (is: boolean) => fetch(`${collector.address("http")}/mode?is=${is ? "hang" : "serve"}`);
  const slices = async (count: number, durationMs: number, what: string): Promise<Slices> => {
    const p99s: number[] = [];
    let [requests, errors] = [0, 0];
    for (let index = 1; index <= count; index++) {
      const report = await field.load.constantRate(peer, CONNECTIONS, PER_SECOND, durationMs);
      p99s.push(report.latencyMs.p99);
      requests += report.requests;
      errors += report.errors;
      note(`${what}, ${index} of ${count}: ${resident().toFixed(1)} MiB, p99 ${report.latencyMs.p99.toFixed(2)} ms`);
    }
    return { requests, errors, p99: percentile(p99s, 50) };
  };
  const sliceMs = Math.max(1_000, (HUNG_MS * scale) / SLICES);
  try {
    await field.load.use(SMALL);
    await slices(1, SETTLE_MS, "warming up");
    const healthy = await slices(3, sliceMs, "collector serves");
    await hang(true);
    await slices(1, SETTLE_MS, "queue fills");
    const before = resident();
    const hung = await slices(SLICES, sliceMs, "collector hangs");
    return [
      {
        name: "RSS growth with a hung collector",
        value: resident() - before,
        unit: "MiB",
        target: { kind: "at-most", value: GROWTH_MAX_MIB },
        detail: `${hung.requests} requests in ${Math.round((SLICES * sliceMs) / 1_000)} s, all sampled; ${hung.errors} errors`,
      },
      {
        name: "p99 with a hung collector",
        value: hung.p99,
        unit: "ms",
        detail: `${healthy.p99.toFixed(2)} ms with one that takes spans; medians of slices`,
      },
    ];
  } finally {
    await hang(false);
    await field.stop();
  }
}

interface Slices {
  readonly requests: number;
  readonly errors: number;
  readonly p99: number;
}
