// What callers can invent: requests whose paths, hosts and header values are all different. Series and memory stay flat,
// and the figures are equal to the access log. At scale 10 the million requests of the target.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cleanUp, type RunningProgram, startProgram } from "../test/harness.ts";
import { residentBytes } from "./load/cpu-time.ts";
import type { BenchOptions, BenchResult, Figure } from "./result.ts";

const MEBIBYTE = 1024 * 1024;
const REQUESTS = 100_000;
const CONNECTIONS = 32;
const SERIES_MAX = 1_000;
const GROWTH_MAX_MIB = 20;
/** The ring of decisions takes a hundred a second of the 4,096 that it holds; the heap has settled by then, too. */
const WARM_UP_MS = 60_000;
const WARM_UP_SHARE = 0.1;
const SLICES = 10;

export async function run(options: BenchOptions): Promise<BenchResult> {
  const folder = mkdtempSync(join(tmpdir(), "weft-bench-"));
  try {
    const figures = await randomFigures(folder, options);
    return { bench: "telemetry-random", title: "Random paths, hosts and header values.", figures };
  } finally {
    await cleanUp();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function randomFigures(folder: string, { scale, note }: BenchOptions): Promise<Figure[]> {
  const file = join(folder, "access.log");
  const sidecar = await startLogged(folder, file);
  const resident = () => residentBytes([sidecar.pid]) / MEBIBYTE;
  const total = Math.round(REQUESTS * scale);
  const sender = new RandomSender(sidecar.address("outbound"));
  const warmUntilMs = performance.now() + WARM_UP_MS * Math.min(1, scale);
  while (sender.sent < total * WARM_UP_SHARE || performance.now() < warmUntilMs) await sender.send(1_000);
  const before = resident();
  const warm = sender.sent;
  note(`${warm} requests to warm up: ${before.toFixed(1)} MiB`);
  for (let slice = 1; slice <= SLICES; slice++) {
    await sender.send(Math.ceil(total / SLICES));
    note(`${sender.sent - warm} of ${total} random requests: ${resident().toFixed(1)} MiB`);
  }
  sender.close();
  const growth = resident() - before;
  const samples = await samplesOf(sidecar);
  const counted = samples.filter((line) => line.startsWith("weft_requests_total{")).map(valueOfSample);
  const sum = counted.reduce((before, value) => before + value, 0);
  await sidecar.stop();
  const lines = linesIn(file);
  const at = { kind: "at-most" } as const;
  return [
    { name: "series after random requests", value: samples.length, unit: "", target: { ...at, value: SERIES_MAX } },
    {
      name: "RSS growth with random requests",
      value: growth,
      unit: "MiB",
      target: { ...at, value: GROWTH_MAX_MIB },
      detail: `over ${total} requests, after ${warm} of warming up`,
    },
    {
      name: "requests in the log but not in the figures",
      value: Math.abs(lines - sum) + Math.abs(sum - sender.sent),
      unit: "",
      target: { ...at, value: 0 },
      detail: `${sender.sent} sent, ${lines} lines, ${sum} counted`,
    },
  ];
}

function startLogged(folder: string, file: string): Promise<RunningProgram> {
  const rules = join(folder, "rules.yaml");
  const accessLog = { enabled: true, file, headers: ["x-user"] };
  const spec = { accessLog, metrics: { maxSeries: SERIES_MAX } };
  writeFileSync(rules, JSON.stringify({ apiVersion: "weft.mesh/v1", kind: "Mesh", metadata: { name: "mesh" }, spec }));
  const flags = ["--rules", rules, "--admin", "off", "--outbound", "127.0.0.1:0", "--status", "127.0.0.1:0"];
  return startProgram("weft-sidecar", ["--service", "bench", ...flags]);
}

async function samplesOf(sidecar: RunningProgram): Promise<string[]> {
  const text = await (await fetch(`http://${sidecar.address("status")}/metrics`)).text();
  return text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

function valueOfSample(line: string): number {
  return Number(line.slice(line.lastIndexOf(" ") + 1));
}

/** The log of a million requests is too long for one string. */
function linesIn(file: string): number {
  let lines = 0;
  for (const octet of readFileSync(file)) if (octet === 0x0a) lines++;
  return lines;
}

/** Each request with a path, a host and header values of its own. */
class RandomSender {
  sent = 0;
  readonly #hostname: string;
  readonly #port: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });

  constructor(address: string) {
    const { hostname, port } = new URL(`http://${address}`);
    this.#hostname = hostname;
    this.#port = port;
  }

  /** Resolves when so many more have been answered. */
  async send(count: number): Promise<void> {
    const end = this.sent + count;
    const worker = async (): Promise<void> => {
      while (this.sent < end) await this.#one(this.sent++);
    };
    await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  }

  close(): void {
    this.#agent.destroy();
  }

  #one(number: number): Promise<void> {
    const headers = {
      host: `host-${number}.example.com`,
      "x-user": `user-${number}`,
      "x-weft-source": `a/b-${number}`,
    };
    const to = { hostname: this.#hostname, port: this.#port, agent: this.#agent, headers };
    const what = { path: `/p-${number}?q=${number}`, method: number % 3 === 0 ? "PATCH" : "GET" };
    return new Promise((settle, fail) => {
      const sent = request({ ...to, ...what }, (answer) => {
        answer.resume().on("end", settle);
      });
      sent.on("error", fail).end();
    });
  }
}
