// Megabytes per second of large bodies, down and up, against nginx.
import type { Workload } from "./load/contract.ts";
import { haproxy } from "./peers/haproxy.ts";
import { nginx } from "./peers/nginx.ts";
import { weft } from "./peers/weft.ts";
import { median, medianRatio, megabytesPerSecond, ProxyField, type Sampled } from "./proxy-field.ts";
import type { BenchOptions, BenchResult, Figure } from "./result.ts";

const ROUNDS = 5;
const RATIO_MIN = 0.8;
const MIB = 1024 * 1024;

interface Case {
  readonly name: string;
  readonly workload: Workload;
  readonly connections: number;
  readonly roundMs: number;
}

function download(bytes: number): Workload {
  return { request: "none", requestBytes: 0, response: "length", responseBytes: bytes };
}

function upload(bytes: number): Workload {
  return { request: "length", requestBytes: bytes, response: "length", responseBytes: 2 };
}

const CASES: readonly Case[] = [
  { name: "1 MiB down", workload: download(MIB), connections: 16, roundMs: 1_000 },
  { name: "1 MiB up", workload: upload(MIB), connections: 16, roundMs: 1_000 },
  { name: "100 MiB down", workload: download(100 * MIB), connections: 4, roundMs: 2_500 },
  { name: "100 MiB up", workload: upload(100 * MIB), connections: 4, roundMs: 2_500 },
];

export async function run({ scale, note }: BenchOptions): Promise<BenchResult> {
  const field = await ProxyField.start([weft, nginx, haproxy], note);
  const rounds = Math.max(3, Math.round(ROUNDS * scale));
  const figures: Figure[] = [];
  try {
    for (const { name, workload, connections, roundMs } of CASES) {
      note(`${name}: ${rounds} rounds`);
      await field.load.use(workload);
      const sampled = await field.rounds(rounds, (peer) => field.load.closedLoop(peer, connections, roundMs));
      figures.push(...figuresOf(name, sampled));
    }
  } finally {
    await field.stop();
  }
  return { bench: "proxy-bodies", title: `Large bodies, medians of ${rounds} interleaved rounds.`, figures };
}

function figuresOf(name: string, sampled: readonly Sampled[]): Figure[] {
  const [own, ...others] = sampled;
  const cpuMs = (one: Sampled): string =>
    median(one, ({ cpu, bodyBytes }) => (cpu.userUs + cpu.systemUs) / 1e3 / (bodyBytes / 100 / MIB)).toFixed(0);
  return [
    ...sampled.map((one) => ({
      name: `${name}: ${one.name}`,
      value: Math.round(median(one, megabytesPerSecond)),
      unit: "MB/s",
      detail: `${cpuMs(one)} ms of CPU per 100 MiB`,
    })),
    ...others.map((other) => ({
      name: `${name}: weft / ${other.name}`,
      value: medianRatio(own, other, megabytesPerSecond),
      unit: "ratio",
      ...(other.name === "nginx" ? { target: { kind: "at-least" as const, value: RATIO_MIN } } : {}),
    })),
  ];
}
