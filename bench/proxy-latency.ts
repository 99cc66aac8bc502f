// Latency at half of what the sidecar can carry, at a constant rate, counted from when each request should have left.

import type { LoadReport } from "./load/contract.ts";
import { nginx } from "./peers/nginx.ts";
import { weft } from "./peers/weft.ts";
import { median, medianRatio, ProxyField, perSecond, type Sampled, SMALL } from "./proxy-field.ts";
import type { BenchOptions, BenchResult, Figure } from "./result.ts";

const CONNECTIONS = 64;
const ROUNDS = 9;
const ROUND_MS = 2_000;
const RATIO_MAX = 2;

export async function run({ scale, note }: BenchOptions): Promise<BenchResult> {
  const field = await ProxyField.start([weft, nginx], note);
  const rounds = Math.max(3, Math.round(ROUNDS * scale));
  const durationMs = Math.max(300, ROUND_MS * Math.min(1, scale));
  try {
    await field.load.use(SMALL);
    const peaks = await field.rounds(3, (peer) => field.load.closedLoop(peer, CONNECTIONS, durationMs / 2));
    const peak = Math.min(...peaks.map((sampled) => median(sampled, perSecond)));
    const rate = Math.round(peak / 2);
    note(`${rounds} rounds at ${rate} requests/s`);
    const sampled = await field.rounds(rounds, (peer) => field.load.constantRate(peer, CONNECTIONS, rate, durationMs));
    return {
      bench: "proxy-latency",
      title: `Latency at ${rate} requests/s, half of the lower peak; medians of ${rounds} interleaved rounds.`,
      figures: [
        ...figuresOf(sampled, "p50", ({ latencyMs }) => latencyMs.p50, false),
        ...figuresOf(sampled, "p99", ({ latencyMs }) => latencyMs.p99, true),
        ...figuresOf(sampled, "p99.9", ({ latencyMs }) => latencyMs.p999, true),
      ],
    };
  } finally {
    await field.stop();
  }
}

function figuresOf(
  sampled: readonly Sampled[],
  name: string,
  figure: (report: LoadReport) => number,
  isHeld: boolean,
): Figure[] {
  const [own, other] = sampled;
  return [
    ...sampled.map((one) => ({ name: `${name}: ${one.name}`, value: median(one, figure), unit: "ms" })),
    ...(other === undefined
      ? []
      : [
          {
            name: `${name}: weft / ${other.name}`,
            value: medianRatio(own, other, figure),
            unit: "ratio",
            ...(isHeld ? { target: { kind: "at-most" as const, value: RATIO_MAX } } : {}),
          },
        ]),
  ];
}
