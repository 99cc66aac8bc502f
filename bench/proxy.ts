// Requests per second through one core, 64 connections, against nginx, HAProxy, Envoy and proxies made of npm packages.

import { bareEnvoy, envoy } from "./peers/envoy.ts";
import { haproxy } from "./peers/haproxy.ts";
import { nginx } from "./peers/nginx.ts";
import { httpxyProxy, relay, undiciProxy } from "./peers/node-peers.ts";
import { weft } from "./peers/weft.ts";
import {
  CHUNKED,
  median,
  medianRatio,
  ProxyField,
  perCpuSecond,
  perSecond,
  type Sampled,
  SMALL,
  systemUs,
  userUs,
} from "./proxy-field.ts";
import type { BenchOptions, BenchResult, Figure } from "./result.ts";

const CONNECTIONS = 64;
const ROUNDS = 7;
const ROUND_MS = 1_500;

/** Requests per second against a peer, at least. */
const TARGETS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  "small bodies": { nginx: 0.8, HAProxy: 0.9, "node:http + undici": 2, httpxy: 4, Envoy: 1.5 },
  "chunked 4 KiB both ways": { nginx: 0.7, HAProxy: 0.8, "node:http + undici": 2, httpxy: 4, Envoy: 1.5 },
};

export async function run({ scale, note }: BenchOptions): Promise<BenchResult> {
  const field = await ProxyField.start([weft, nginx, haproxy, envoy, bareEnvoy, undiciProxy, httpxyProxy, relay], note);
  const rounds = Math.max(3, Math.round(ROUNDS * scale));
  const durationMs = Math.max(200, ROUND_MS * Math.min(1, scale));
  const figures: Figure[] = [];
  try {
    for (const [name, workload] of [
      ["small bodies", SMALL],
      ["chunked 4 KiB both ways", CHUNKED],
    ] as const) {
      await field.load.use(workload);
      note(`${name}: ${rounds} rounds of ${field.peers.length} proxies`);
      const sampled = await field.rounds(rounds, (peer) => field.load.closedLoop(peer, CONNECTIONS, durationMs));
      figures.push(...figuresOf(name, sampled, TARGETS[name] ?? {}));
    }
  } finally {
    await field.stop();
  }
  return {
    bench: "proxy",
    title: `Requests per second through one core, ${CONNECTIONS} connections, medians of ${rounds} interleaved rounds.`,
    figures,
  };
}

function figuresOf(workload: string, sampled: readonly Sampled[], targets: Readonly<Record<string, number>>): Figure[] {
  const own = sampled[0];
  const speeds = sampled.map((one) => ({
    name: `${workload}: ${one.name}`,
    value: Math.round(median(one, perSecond)),
    unit: "requests/s",
    detail: `user ${median(one, userUs).toFixed(2)} us, system ${median(one, systemUs).toFixed(2)} us of CPU per request`,
  }));
  const ratios = sampled.slice(1).flatMap((other) => {
    const target = targets[other.name];
    const cpuRatio = medianRatio(own, other, perCpuSecond);
    return {
      name: `${workload}: weft / ${other.name}`,
      value: medianRatio(own, other, perSecond),
      unit: "ratio",
      ...(target === undefined ? {} : { target: { kind: "at-least" as const, value: target } }),
      detail: `${cpuRatio.toFixed(2)} by requests per CPU second`,
    };
  });
  return [...speeds, ...ratios];
}
