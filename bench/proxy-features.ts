// CPU per request that each feature of the sidecar adds, one at a time over a sidecar with none. What one feature costs
// is near what such a bench can see at all: differences under half a microsecond are noise unless rounds are many.
import type { Peer } from "./peers/contract.ts";
import { weftWith } from "./peers/weft.ts";
import { ALL_FEATURES, type Features, NO_FEATURES } from "./peers/weft-rules.ts";
import { median, ProxyField, type Sampled, SMALL, systemUs, userUs } from "./proxy-field.ts";
import type { BenchOptions, BenchResult, Figure } from "./result.ts";

const CONNECTIONS = 64;
const ROUNDS = 9;
const ROUND_MS = 1_000;

const CASES: Readonly<Record<string, Partial<Features>>> = {
  "1,000 routes": { routes: true },
  "1,000 routes with a split": { routes: true, split: true },
  "least-request balancing": { leastRequest: true },
  timeouts: { timeouts: true },
  "retries armed": { retries: true },
  "breaker and outlier detection": { breaker: true },
  "via, x-forwarded-*, x-request-id": { hopFields: true },
  "tracing 1 %": { tracing: true },
  "access log": { accessLog: true },
  "all but the access log": ALL_FEATURES,
};

export async function run({ scale, note }: BenchOptions): Promise<BenchResult> {
  const bare = weftWith("no feature", NO_FEATURES);
  const peers: Peer[] = Object.entries(CASES).map(([name, on]) => weftWith(name, { ...NO_FEATURES, ...on }));
  const field = await ProxyField.start([bare, ...peers], note);
  const rounds = Math.max(3, Math.round(ROUNDS * scale));
  const durationMs = Math.max(200, ROUND_MS * Math.min(1, scale));
  try {
    await field.load.use(SMALL);
    note(`${rounds} rounds of ${field.peers.length} sidecars`);
    const sampled = await field.rounds(rounds, (peer) => field.load.closedLoop(peer, CONNECTIONS, durationMs));
    return {
      bench: "proxy-features",
      title: `CPU per request by feature, ${CONNECTIONS} connections, medians of ${rounds} interleaved rounds.`,
      figures: figuresOf(sampled),
    };
  } finally {
    await field.stop();
  }
}

function figuresOf(sampled: readonly Sampled[]): Figure[] {
  const [bare, ...others] = sampled;
  if (bare === undefined) return [];
  return sampled.map((one) => {
    const added = others.includes(one);
    const difference = (figure: typeof userUs): number => median(one, figure) - (added ? median(bare, figure) : 0);
    return {
      name: added ? `+ ${one.name}` : one.name,
      value: difference(userUs),
      unit: "us user",
      detail: `${difference(systemUs).toFixed(2)} us system`,
    };
  });
}
