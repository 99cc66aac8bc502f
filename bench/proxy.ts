// The data path against bare nginx and bare HAProxy: CPU per request of the proxy's process, in interleaved rounds,
// medians. The proxies share one core, endpoint and load the other; CPU time is what a loaded machine leaves to be
// compared, and its inverse is what one core can carry.
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { useOf } from "./proxy/cpu.ts";
import type { LoadOrder, LoadReport } from "./proxy/load.ts";
import { type Peer, startHaproxy, startLoad, startNginx, startNode } from "./proxy/peers.ts";
import { type BenchOptions, type BenchResult, type Figure, percentile } from "./result.ts";

const PROXY_CORE = 0;
const LOAD_CORE = 1;
const ROUNDS = 9;
const ROUND_MS = 1_500;

interface Sample {
  readonly userUs: number;
  readonly systemUs: number;
  readonly perSecond: number;
  readonly megabytesPerCpuSecond: number;
}

type Case = Pick<LoadOrder, "kind" | "bytes" | "connections"> & {
  readonly name: string;
  readonly unit: "requests" | "bytes";
  /** How many times the peer's CPU may be used: the inverse of the wanted share of its throughput. */
  readonly nginxMax: number;
  readonly haproxyMax: number | undefined;
};

const CASES: readonly Case[] = [
  {
    name: "small bodies",
    kind: "small",
    bytes: 0,
    connections: 64,
    unit: "requests",
    nginxMax: 1 / 0.8,
    haproxyMax: 1 / 0.9,
  },
  {
    name: "4 KiB chunked both ways",
    kind: "chunked",
    bytes: 0,
    connections: 64,
    unit: "requests",
    nginxMax: 1 / 0.7,
    haproxyMax: 1 / 0.8,
  },
  {
    name: "1 MiB bodies",
    kind: "bytes",
    bytes: 1 << 20,
    connections: 16,
    unit: "bytes",
    nginxMax: 1 / 0.8,
    haproxyMax: undefined,
  },
  {
    name: "100 MiB bodies",
    kind: "bytes",
    bytes: 100 << 20,
    connections: 4,
    unit: "bytes",
    nginxMax: 1 / 0.8,
    haproxyMax: undefined,
  },
];

export async function run(options: BenchOptions): Promise<BenchResult> {
  const endpoint = await startNode(LOAD_CORE, "endpoint.ts");
  const load = await startLoad(LOAD_CORE);
  const peers: Peer[] = [await startNode(PROXY_CORE, "sidecar.ts", [String(endpoint.port), "full"])];
  for (const [name, start] of [
    ["nginx", startNginx],
    ["HAProxy", startHaproxy],
  ] as const) {
    const peer = await start(PROXY_CORE, endpoint.port);
    if (peer === undefined) options.note(`${name} is not installed: left out`);
    else peers.push(peer);
  }
  try {
    const figures: Figure[] = [];
    for (const one of CASES) figures.push(...(await measure(one, peers, load, options)));
    return { bench: "proxy", title: "CPU of one proxied request, all features on, against bare peers", figures };
  } finally {
    load.kill("SIGKILL");
    for (const peer of [...peers, endpoint]) peer.stop();
  }
}

async function measure(
  one: Case,
  peers: readonly Peer[],
  load: ChildProcess,
  options: BenchOptions,
): Promise<Figure[]> {
  const samples = new Map<string, Sample[]>(peers.map(({ name }) => [name, []]));
  const milliseconds = Math.max(200, ROUND_MS * options.scale);
  const rounds = Math.max(3, Math.round(ROUNDS * options.scale));
  for (let round = -1; round < rounds; round++) {
    for (const peer of peers) {
      const sample = await sampleOf(one, peer, load, milliseconds);
      if (round >= 0) samples.get(peer.name)?.push(sample);
    }
    options.note(`${one.name}: round ${round + 1} of ${rounds}`);
  }
  return figuresOf(one, samples);
}

async function sampleOf(one: Case, peer: Peer, load: ChildProcess, milliseconds: number): Promise<Sample> {
  const order: LoadOrder = { ...one, port: peer.port, milliseconds, rate: 0 };
  const before = useOf(peer.pid);
  load.send(order);
  const [report] = (await once(load, "message")) as [LoadReport];
  const after = useOf(peer.pid);
  if (report.errors > 0) throw new Error(`${peer.name}: ${report.errors} errors in "${one.name}"`);
  const userMs = after.userMs - before.userMs;
  const systemMs = after.systemMs - before.systemMs;
  return {
    userUs: (userMs * 1_000) / report.requests,
    systemUs: (systemMs * 1_000) / report.requests,
    perSecond: report.requests / report.seconds,
    megabytesPerCpuSecond: (report.bytes * 1_000) / (1_048_576 * (userMs + systemMs)),
  };
}

function figuresOf(one: Case, samples: ReadonlyMap<string, readonly Sample[]>): Figure[] {
  const median = (name: string, of: (sample: Sample) => number): number =>
    percentile((samples.get(name) ?? []).map(of), 50);
  const total = (sample: Sample): number => sample.userUs + sample.systemUs;
  const figures: Figure[] = [];
  for (const name of samples.keys()) {
    const detail =
      one.unit === "bytes"
        ? `${median(name, (sample) => sample.megabytesPerCpuSecond).toFixed(0)} MiB per CPU second`
        : `user ${median(name, (sample) => sample.userUs).toFixed(2)}, ${median(name, (sample) => sample.perSecond).toFixed(0)} requests/s`;
    figures.push({ name: `${one.name}: ${name}`, value: median(name, total), unit: "us CPU", detail });
  }
  for (const [name, max] of [
    ["nginx", one.nginxMax],
    ["haproxy", one.haproxyMax],
  ] as const) {
    if (max === undefined || !samples.has(name)) continue;
    const ratio = median("weft", total) / median(name, total);
    const user = median("weft", (sample) => sample.userUs) / median(name, (sample) => sample.userUs);
    const target = { kind: "at-most", value: Number(max.toFixed(2)) } as const;
    figures.push({
      name: `${one.name}: weft / ${name}`,
      value: ratio,
      unit: "ratio",
      target,
      detail: `user CPU alone ${user.toFixed(2)}`,
    });
  }
  return figures;
}
