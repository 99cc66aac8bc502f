// What a release is judged by, read off its spec with every default filled in. Data; the judging is analysis.ts.
import { defaultOf } from "../../rules/defaults.ts";
import { formatDuration, parseDuration } from "../../rules/durations.ts";
import type { RolloutSpec } from "../../rules/schema/rollout.ts";

/** One bound. Shares are 0..1, of failed requests or of slow ones. */
export type Check =
  | { readonly type: "success-min"; readonly name: string; readonly failuresMax: number }
  | { readonly type: "success-stable"; readonly name: string; readonly margin: number }
  | { readonly type: "latency-max"; readonly name: string; readonly quantile: number; readonly maxMs: number }
  | {
      readonly type: "latency-stable";
      readonly name: string;
      readonly percentile: string;
      readonly quantile: number;
      /** 0.2: a fifth slower than stable is allowed. */
      readonly increase: number;
    };

export interface AnalysisPlan {
  readonly checks: readonly Check[];
  readonly intervalMs: number;
  readonly minRequests: number;
  readonly failureLimit: number;
  readonly whenQuiet: "hold" | "pause" | "advance";
  /** Over how many steps the probability of a false alarm is spread. */
  readonly steps: number;
}

const QUANTILES = { p50: 0.5, p75: 0.75, p90: 0.9, p95: 0.95, p99: 0.99, p999: 0.999 } as const;

export function planAnalysis({ analysis, steps }: RolloutSpec): AnalysisPlan {
  return {
    checks: [...successChecks(analysis?.successRate), ...latencyChecks(analysis?.latency)],
    intervalMs: milliseconds(analysis?.interval) ?? defaultOf("Rollout.spec.analysis.interval"),
    minRequests: analysis?.minRequests ?? defaultOf("Rollout.spec.analysis.minRequests"),
    failureLimit: analysis?.failureLimit ?? defaultOf("Rollout.spec.analysis.failureLimit"),
    whenQuiet: analysis?.whenQuiet ?? defaultOf("Rollout.spec.analysis.whenQuiet"),
    steps: steps.length,
  };
}

type Analysis = NonNullable<RolloutSpec["analysis"]>;

/** Stable is always compared with: what fails five times as often as yesterday is worse, whatever the least rate. */
function successChecks(successRate: Analysis["successRate"]): Check[] {
  const decrease = successRate?.maxDecrease ?? defaultOf("Rollout.spec.analysis.successRate.maxDecrease");
  const checks: Check[] = [];
  if (successRate?.min !== undefined)
    checks.push({
      type: "success-min",
      name: `success rate at least ${successRate.min} %`,
      failuresMax: (100 - successRate.min) / 100,
    });
  const name = `success rate at most ${decrease} points below stable`;
  if (decrease < 100) checks.push({ type: "success-stable", name, margin: decrease / 100 });
  return checks;
}

function latencyChecks(latency: Analysis["latency"]): Check[] {
  return Object.entries(QUANTILES).flatMap(([percentile, quantile]): Check[] => {
    const bound = latency?.[percentile as keyof typeof QUANTILES];
    const maxMs = milliseconds(bound?.max);
    const checks: Check[] = [];
    if (maxMs !== undefined)
      checks.push({ type: "latency-max", name: `${percentile} at most ${formatDuration(maxMs)}`, quantile, maxMs });
    if (bound?.maxIncrease !== undefined)
      checks.push({
        type: "latency-stable",
        name: `${percentile} at most ${bound.maxIncrease} % above stable`,
        percentile,
        quantile,
        increase: bound.maxIncrease / 100,
      });
    return checks;
  });
}

export function milliseconds(duration: string | undefined): number | undefined {
  return duration === undefined ? undefined : parseDuration(duration);
}
