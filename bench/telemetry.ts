// What telemetry costs: CPU per request of traces, access log, metrics that are scraped and a tap that is open, against
// none of them. What happens when a collector hangs is telemetry-hung.ts, what callers can invent telemetry-random.ts.
import { join } from "node:path";
import { cleanUp, REPOSITORY, type RunningProgram, startProgram } from "../test/harness.ts";
import { type Watch, watchedWeft } from "./peers/watched-weft.ts";
import { ALL_FEATURES, type Features } from "./peers/weft-rules.ts";
import { median, medianRatio, ProxyField, type Sampled, SMALL, systemUs, userUs } from "./proxy-field.ts";
import type { BenchOptions, BenchResult, Figure } from "./result.ts";

const CONNECTIONS = 64;
/** Of each case, one after the other: one differs from the next by more than most of what is measured. */
const PROCESSES = 3;
const ROUNDS = 10;
const ROUND_MS = 500;
/** All on, against all off. */
const RATIO_MAX = 1.3;
/** With traces of 1 % and every line of the access log. */
const ALL = "all on";

export async function run(options: BenchOptions): Promise<BenchResult> {
  try {
    const collector = await startProgram(join(REPOSITORY, "test/otlp/collector.ts"), ["--discard"]);
    const figures = await costFigures(collector, options);
    return { bench: "telemetry", title: "Cost of traces, access log, metrics and taps.", figures };
  } finally {
    await cleanUp();
  }
}

async function costFigures(collector: RunningProgram, { scale, note }: BenchOptions): Promise<Figure[]> {
  const endpoint = collector.address("http");
  const traced = (sampling: number): Partial<Features> => ({ tracing: true, sampling, collector: endpoint });
  const cases: readonly (readonly [string, Partial<Features>, Watch])[] = [
    ["no telemetry", {}, { scrape: false, tap: false }],
    ["traces 0 %", traced(0), { scrape: false, tap: false }],
    ["traces 1 %", traced(1), { scrape: false, tap: false }],
    ["traces 100 %", traced(100), { scrape: false, tap: false }],
    ["metrics scraped every second", {}, { scrape: true, tap: false }],
    ["access log", { accessLog: true }, { scrape: false, tap: false }],
    ["tap open, 100 a second", {}, { scrape: false, tap: true }],
    [ALL, { ...traced(1), accessLog: true }, { scrape: true, tap: true }],
  ];
  const peers = cases.map(([name, on, watch]) => watchedWeft(name, { ...ALL_FEATURES, ...on }, watch));
  const rounds = Math.max(2, Math.round(ROUNDS * scale));
  const processes = Math.max(1, Math.round(PROCESSES * scale));
  const durationMs = Math.max(200, ROUND_MS * Math.min(1, scale));
  const sampled = cases.map(([name]): Sampled => ({ name, reports: [] }));
  for (let process = 1; process <= processes; process++) {
    note(`process ${process} of ${processes} of each case`);
    const field = await ProxyField.start(peers, note);
    try {
      await field.load.use(SMALL);
      const found = await field.rounds(rounds, (peer) => field.load.closedLoop(peer, CONNECTIONS, durationMs));
      for (const [index, { reports }] of found.entries()) sampled[index]?.reports.push(...reports);
    } finally {
      await field.stop();
    }
  }
  const [off] = sampled;
  return off === undefined ? [] : sampled.map((one) => costFigure(one, off));
}

function costFigure(one: Sampled, off: Sampled): Figure {
  const ratio = medianRatio(one, off, userUs);
  const detail = `${median(one, userUs).toFixed(2)} us user, ${median(one, systemUs).toFixed(2)} us system`;
  const figure = { name: one.name, value: ratio, unit: "times no telemetry", detail };
  return one.name === ALL ? { ...figure, target: { kind: "at-most", value: RATIO_MAX } } : figure;
}
