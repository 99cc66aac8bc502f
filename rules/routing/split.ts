// Weighted split: which backend of a rule a request goes to. Takes the random number; draws none.
import type { RouteRule } from "../resource.ts";

/** The sum of a rule's weights. */
export function splitTotal(rule: RouteRule): number {
  let total = 0;
  for (const backend of rule.backends) total += backend.weight;
  return total;
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

/** A backend in the chain of those of its rule. */
export interface Share<Next> {
  /** Where it ends, from the beginning of the first. */
  readonly end: number;
  readonly next: Next | undefined;
}

/** The same choice from a chain of `total`: what the data path uses. */
export function pickShare<Backend extends Share<Backend>>(
  first: Backend | undefined,
  total: number,
  random01: number,
): Backend | undefined {
  const point = random01 * total;
  for (let backend = first; backend !== undefined; backend = backend.next) if (point < backend.end) return backend;
  return undefined;
}
