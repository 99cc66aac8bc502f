// What telemetry costs, and what it costs when somebody else fails: CPU per request of traces and access log, a
// collector that hangs under load, and a million requests whose paths, hosts and header values are all different.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cleanUp, REPOSITORY, type RunningProgram, startProgram } from "../test/harness.ts";
import { residentBytes } from "./load/cpu-time.ts";
import { weftWith } from "./peers/weft.ts";
import { ALL_FEATURES, type Features } from "./peers/weft-rules.ts";
import { median, medianRatio, ProxyField, type Sampled, SMALL, systemUs, userUs } from "./proxy-field.ts";
import type { BenchOptions, BenchResult, Figure } from "./result.ts";

const MEBIBYTE = 1024 * 1024;
const CONNECTIONS = 64;
const ROUNDS = 9;
const ROUND_MS = 1_000;
/** All on, against all off. */
const RATIO_MAX = 1.3;
/** At scale 1; the ten minutes of the target are scale 10. */
const HUNG_MS = 60_000;
const HUNG_PER_SECOND = 2_000;
const GROWTH_MAX_MIB = 20;
/** At scale 10 the million of the target. */
const RANDOM_REQUESTS = 100_000;
const RANDOM_CONNECTIONS = 32;
const SERIES_MAX = 1_000;

export async function run(options: BenchOptions): Promise<BenchResult> {
  try {
    const collector = await startProgram(join(REPOSITORY, "test/otlp/collector.ts"), ["--discard"]);
    const figures = [
      ...(await costFigures(collector, options)),
      ...(await hungFigures(collector, options)),
      ...(await randomFigures(options)),
    ];
    return { bench: "telemetry", title: "Cost of traces and access log; a hung collector; random requests.", figures };
  } finally {
    await cleanUp();
  }
}

async function costFigures(collector: RunningProgram, { scale, note }: BenchOptions): Promise<Figure[]> {
  const endpoint = collector.address("http");
  const traced = (sampling: number): Partial<Features> => ({ tracing: true, sampling, collector: endpoint });
  const cases: Readonly<Record<string, Partial<Features>>> = {
    "traces 0 %": traced(0),
    "traces 1 %": traced(1),
    "traces 100 %": traced(100),
    "access log": { accessLog: true },
    "traces 1 % and access log": { ...traced(1), accessLog: true },
  };
  const peers = Object.entries(cases).map(([name, on]) => weftWith(name, { ...ALL_FEATURES, ...on }));
  const field = await ProxyField.start([weftWith("no telemetry but metrics", ALL_FEATURES), ...peers], note);
  const rounds = Math.max(3, Math.round(ROUNDS * scale));
  const durationMs = Math.max(200, ROUND_MS * Math.min(1, scale));
  try {
    await field.load.use(SMALL);
    const sampled = await field.rounds(rounds, (peer) => field.load.closedLoop(peer, CONNECTIONS, durationMs));
    return sampled.map((one) => costFigure(one, sampled[0] ?? one));
  } finally {
    await field.stop();
  }
}

function costFigure(one: Sampled, off: Sampled): Figure {
  const ratio = medianRatio(one, off, userUs);
  const detail = `${median(one, userUs).toFixed(2)} us user, ${median(one, systemUs).toFixed(2)} us system`;
  const isAll = one.name === "traces 1 % and access log";
  const figure = { name: one.name, value: ratio, unit: "times no telemetry", detail };
  return isAll ? { ...figure, target: { kind: "at-most", value: RATIO_MAX } } : figure;
}

async function hungFigures(collector: RunningProgram, { scale, note }: BenchOptions): Promise<Figure[]> {
  const on = { ...ALL_FEATURES, tracing: true, sampling: 100, collector: collector.address("http") };
  const field = await ProxyField.start([weftWith("collector hangs", on)], note);
  const [peer] = field.peers;
  if (peer === undefined) return [];
  const slice = (durationMs: number) => field.load.constantRate(peer, CONNECTIONS, HUNG_PER_SECOND, durationMs);
  try {
    await field.load.use(SMALL);
    const healthy = await slice(Math.max(1_000, 10_000 * scale));
    await fetch(`${collector.address("http")}/mode?is=hang`);
    // Until the queue is full the memory for it is taken; what is taken after that is a leak.
    await slice(5_000);
    const before = residentBytes(peer.pids);
    const hung = await slice(Math.max(5_000, HUNG_MS * scale));
    const growth = (residentBytes(peer.pids) - before) / MEBIBYTE;
    const p99 = (report: typeof hung): string => `${report.latencyMs.p99.toFixed(2)} ms`;
    return [
      {
        name: "RSS growth with a hung collector",
        value: growth,
        unit: "MiB",
        target: { kind: "at-most", value: GROWTH_MAX_MIB },
        detail: `${hung.requests} requests in ${hung.seconds.toFixed(0)} s, all sampled; ${hung.errors} errors`,
      },
      {
        name: "p99 with a hung collector",
        value: hung.latencyMs.p99,
        unit: "ms",
        detail: `${p99(healthy)} with one that takes spans`,
      },
    ];
  } finally {
    await fetch(`${collector.address("http")}/mode?is=serve`);
    await field.stop();
  }
}

async function randomFigures({ scale, note }: BenchOptions): Promise<Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), "weft-bench-"));
  const file = join(folder, "access.log");
  const rules = join(folder, "rules.yaml");
  const accessLog = { enabled: true, file, headers: ["x-user"] };
  const spec = { accessLog, metrics: { maxSeries: SERIES_MAX } };
  writeFileSync(rules, JSON.stringify({ apiVersion: "weft.mesh/v1", kind: "Mesh", metadata: { name: "mesh" }, spec }));
  const flags = ["--rules", rules, "--admin", "off", "--outbound", "127.0.0.1:0", "--status", "127.0.0.1:0"];
  const sidecar = await startProgram("weft-sidecar", ["--service", "bench", ...flags]);
  try {
    const requests = Math.round(RANDOM_REQUESTS * scale);
    await sendRandom(sidecar.address("outbound"), requests / 10, 0);
    const before = residentBytes([sidecar.pid]);
    await sendRandom(sidecar.address("outbound"), requests - requests / 10, requests);
    note(`${requests} random requests`);
    const growth = (residentBytes([sidecar.pid]) - before) / MEBIBYTE;
    const text = await (await fetch(`http://${sidecar.address("status")}/metrics`)).text();
    const samples = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    const counted = samples.filter((line) => line.startsWith("weft_requests_total{")).map(valueOfSample);
    const total = counted.reduce((sum, value) => sum + value, 0);
    await sidecar.stop();
    const lines = readFileSync(file, "utf8").split("\n").length - 1;
    const at = { kind: "at-most" } as const;
    return [
      { name: "series after random requests", value: samples.length, unit: "", target: { ...at, value: SERIES_MAX } },
      { name: "RSS growth with random requests", value: growth, unit: "MiB", target: { ...at, value: GROWTH_MAX_MIB } },
      {
        name: "requests in the log but not in the figures",
        value: Math.abs(lines - total),
        unit: "",
        target: { ...at, value: 0 },
        detail: `${lines} lines, ${total} counted`,
      },
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function valueOfSample(line: string): number {
  return Number(line.slice(line.lastIndexOf(" ") + 1));
}

/** Each with a path, a host and header values of its own. */
async function sendRandom(address: string, count: number, from: number): Promise<void> {
  const { hostname, port } = new URL(`http://${address}`);
  const agent = new Agent({ keepAlive: true, maxSockets: RANDOM_CONNECTIONS });
  let next = from;
  const one = (number: number): Promise<void> =>
    new Promise((settle, fail) => {
      const headers = {
        host: `host-${number}.example.com`,
        "x-user": `user-${number}`,
        "x-weft-source": `a/b-${number}`,
      };
      const method = number % 3 === 0 ? "PATCH" : "GET";
      const options = { hostname, port, agent, headers, path: `/p-${number}?q=${number}` };
      const sent = request({ ...options, method }, (answer) => {
        answer.resume().on("end", settle);
      });
      sent.on("error", fail).end();
    });
  const worker = async (): Promise<void> => {
    while (next < from + count) await one(next++);
  };
  await Promise.all(Array.from({ length: RANDOM_CONNECTIONS }, worker));
  agent.destroy();
}
