// Calls of gRPC through one core, against nginx's grpc_pass and a proxy on node:http2: unary calls on few and on many
// connections, messages of a stream, and the latency at half the peak.
import type { Calls } from "./load/contract.ts";
import { bareEnvoyGrpc, envoyGrpc } from "./peers/envoy.ts";
import { nginxGrpc } from "./peers/nginx.ts";
import { http2Proxy } from "./peers/node-peers.ts";
import { weftGrpc } from "./peers/weft.ts";
import {
  median,
  medianRatio,
  ProxyField,
  perCpuSecond,
  perSecond,
  type Sampled,
  systemUs,
  userUs,
} from "./proxy-field.ts";
import type { BenchOptions, BenchResult, Figure } from "./result.ts";

const ROUNDS = 7;
const ROUND_MS = 1_500;
/** A pause of some milliseconds is all of a short round's slowest hundredth: it takes more of them to see what is usual. */
const LATENCY_ROUNDS_MIN = 7;
const UNARY: Calls = { messages: 1, messageBytes: 16 };

interface Shape {
  readonly name: string;
  readonly calls: Calls;
  readonly connections: number;
  readonly streams: number;
  /** Against each peer, at least. */
  readonly targets: Readonly<Record<string, number>>;
}

const SHAPES: readonly Shape[] = [
  {
    name: "unary, 8 x 16",
    calls: UNARY,
    connections: 8,
    streams: 16,
    targets: { nginx: 1.3, "node:http2": 4, Envoy: 1.5 },
  },
  {
    name: "unary, 64 x 1",
    calls: UNARY,
    connections: 64,
    streams: 1,
    targets: { nginx: 1.3, "node:http2": 4, Envoy: 1.5 },
  },
  {
    name: "messages of 1 KiB",
    calls: { messages: 1_000, messageBytes: 1_024 },
    connections: 8,
    streams: 2,
    targets: { nginx: 1, Envoy: 1 },
  },
  {
    name: "messages of 64 KiB",
    calls: { messages: 100, messageBytes: 65_536 },
    connections: 8,
    streams: 2,
    targets: { nginx: 1, Envoy: 1 },
  },
];

export async function run({ scale, note }: BenchOptions): Promise<BenchResult> {
  const field = await ProxyField.start(
    [weftGrpc, nginxGrpc, envoyGrpc, bareEnvoyGrpc, http2Proxy],
    note,
    "grpc-main.ts",
  );
  const rounds = Math.max(3, Math.round(ROUNDS * scale));
  const durationMs = Math.max(200, ROUND_MS * Math.min(1, scale));
  const figures: Figure[] = [];
  try {
    for (const shape of SHAPES) {
      const { name, calls, connections, streams } = shape;
      note(`${name}: ${rounds} rounds of ${field.peers.length} proxies`);
      const load = { calls, connections, streams, perSecond: 0, durationMs };
      const sampled = await field.rounds(rounds, (target) => field.load.calls({ ...load, target }));
      figures.push(...figuresOf(shape, sampled));
      if (name === SHAPES[0]?.name) figures.push(...(await latencies(field, shape, sampled, rounds, durationMs)));
    }
  } finally {
    await field.stop();
  }
  return {
    bench: "proxy-grpc",
    title: `Calls of gRPC through one core, medians of ${rounds} interleaved rounds; CONNECTIONS x STREAMS.`,
    figures,
  };
}

function figuresOf({ name, targets }: Shape, sampled: readonly Sampled[]): Figure[] {
  const [own, ...others] = sampled;
  const speeds = sampled.map((one) => ({
    name: `${name}: ${one.name}`,
    value: Math.round(median(one, perSecond)),
    unit: "per s",
    detail: `user ${median(one, userUs).toFixed(2)} us, system ${median(one, systemUs).toFixed(2)} us of CPU each`,
  }));
  const ratios = others.map((other) => {
    const target = targets[other.name];
    return {
      name: `${name}: weft / ${other.name}`,
      value: medianRatio(own, other, perSecond),
      unit: "ratio",
      ...(target === undefined ? {} : { target: { kind: "at-least" as const, value: target } }),
      detail: `${medianRatio(own, other, perCpuSecond).toFixed(2)} by calls per CPU second`,
    };
  });
  return [...speeds, ...ratios];
}

/** Of two, at half of what the slower carries. Others would not carry it, and what they are late with reaches into the next round. */
async function latencies(
  field: ProxyField,
  { name, calls, connections, streams }: Shape,
  sampled: readonly Sampled[],
  rounds: number,
  durationMs: number,
): Promise<Figure[]> {
  const [own, nginx] = ["weft", "nginx"].map((peer) => sampled.find((one) => one.name === peer));
  if (own === undefined || nginx === undefined) return [];
  const rate = Math.round(Math.min(median(own, perSecond), median(nginx, perSecond)) / 2);
  const load = { calls, connections, streams, perSecond: rate, durationMs };
  const timed = await field.rounds(
    Math.max(rounds, LATENCY_ROUNDS_MIN),
    (target) => field.load.calls({ ...load, target }),
    field.peers.filter(({ name }) => name === own.name || name === nginx.name),
  );
  const p99 = (one: Sampled | undefined): number =>
    one === undefined ? Number.NaN : median(one, ({ latencyMs }) => latencyMs.p99);
  const [ownTimed, nginxTimed] = ["weft", "nginx"].map((peer) => timed.find((one) => one.name === peer));
  return [
    {
      name: `${name}: p99 at ${rate}/s, weft / nginx`,
      value: medianRatio(ownTimed, nginxTimed, ({ latencyMs }) => latencyMs.p99),
      unit: "ratio",
      target: { kind: "at-most" as const, value: 2 },
      detail: `${p99(ownTimed).toFixed(2)} ms, nginx ${p99(nginxTimed).toFixed(2)} ms`,
    },
  ];
}
