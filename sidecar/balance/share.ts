// What an endpoint's share is at a moment: its weight, lowered while it is new (slow start) and moved by how it does
// beside the others (adaptive). Pure functions; member-set.ts asks them now and then, never per request.

/** A new endpoint begins with this much of its share (Envoy's min_weight_percent). */
const SLOW_START_MIN = 0.1;
/** How far observed latency and reported load may move a share, either way. */
const ADAPTIVE_MAX = 4;
/** Answers before an endpoint's latency says anything. */
const SAMPLES_MIN = 20;

/** Factor of slow start, linear as Envoy's with aggression 1: 0.1 at `ageMs` 0, 1 from `slowStartMs` on. */
export function slowStartFactor(ageMs: number, slowStartMs: number): number {
  if (slowStartMs <= 0 || ageMs >= slowStartMs) return 1;
  return Math.max(SLOW_START_MIN, ageMs / slowStartMs);
}

export interface ObservedLoad {
  readonly samples: number;
  readonly latencyMs: number;
  /** 0..1 as the endpoint reports it (ORCA's application_utilization or cpu_utilization); negative: it does not. */
  readonly utilization: number;
}

/**
 * Factor by which adaptive weights move each share. An endpoint that reports its load gets the mean over its own; one
 * that does not is judged by latency in the same way. Endpoints that are hardly known keep their share, so that nobody
 * is starved for want of figures.
 */
export function adaptiveFactors(observed: readonly ObservedLoad[]): number[] {
  const reporting = observed.filter(({ utilization }) => utilization >= 0);
  const known = observed.filter(({ samples, latencyMs }) => samples >= SAMPLES_MIN && latencyMs > 0);
  const meanUtilization = mean(reporting.map(({ utilization }) => utilization));
  const meanLatencyMs = mean(known.map(({ latencyMs }) => latencyMs));
  return observed.map(({ samples, latencyMs, utilization }) => {
    if (utilization >= 0) return bounded((meanUtilization + LOAD_FLOOR) / (utilization + LOAD_FLOOR));
    if (samples < SAMPLES_MIN || latencyMs <= 0) return 1;
    return bounded(meanLatencyMs / latencyMs);
  });
}

/** Below this utilization differences are noise. */
const LOAD_FLOOR = 0.05;

function bounded(factor: number): number {
  return Math.min(ADAPTIVE_MAX, Math.max(1 / ADAPTIVE_MAX, factor));
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}
