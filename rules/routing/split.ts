// Weighted split: which backend of a rule a request goes to. Takes the random number; draws none.
import type { RouteRule } from "../resource.ts";

/** The sum of a rule's weights. */
export function splitTotal(rule: RouteRule): number {
  let total = 0;
  for (const backend of rule.backends) total += backend.weight;
  return total;
}

/** Running sums of a rule's weights: element i is where backend i's share ends. Compiled once per rule. */
export function cumulativeWeights(rule: RouteRule): readonly number[] {
  let total = 0;
  return rule.backends.map((backend) => {
    total += backend.weight;
    return total;
  });
}

/**
 * The backend that `random01` in [0, 1) falls to: backend i is picked for exactly weight[i] / total of the interval.
 * -1 when the weights sum to zero or there is no backend, which the Gateway API answers with 500.
 */
export function pickBackendIndex(rule: RouteRule, random01: number): number {
  const point = random01 * splitTotal(rule);
  const backends = rule.backends;
  let end = 0;
  for (let index = 0; index < backends.length; index += 1) {
    end += backends[index]?.weight ?? 0;
    if (point < end) return index;
  }
  return -1;
}

/** The same choice from the running sums that a RouteHit carries: what the data path uses. */
export function pickCumulative(cumulative: readonly number[], random01: number): number {
  const last = cumulative.length - 1;
  if (last === 0) return (cumulative[0] ?? 0) > 0 ? 0 : -1;
  const point = random01 * (cumulative[last] ?? 0);
  for (let index = 0; index <= last; index += 1) {
    if (point < (cumulative[index] ?? 0)) return index;
  }
  return -1;
}
