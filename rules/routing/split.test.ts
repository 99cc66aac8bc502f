// Weighted splits: exact shares. That the data path picks the same is sidecar/route/rule-plan.test.ts.
import fc from "fast-check";
import { expect, test } from "vitest";
import type { RouteRule } from "../resource.ts";
import { prefix, routeRule } from "./fixtures.ts";
import { pickBackendIndex, splitTotal } from "./split.ts";

function weighted(...weights: number[]): RouteRule {
  const backends = weights.map((weight, index) => ({
    service: `default/orders-v${index}`,
    port: 0,
    weight,
    filters: [],
    invalid: "",
  }));
  return routeRule([prefix("/")], { backends });
}

test("each backend gets exactly its share of the numbers", () => {
  const rule = weighted(95, 5);
  const counts = [0, 0];
  for (let step = 0; step < 10_000; step += 1) {
    const picked = pickBackendIndex(rule, step / 10_000);
    counts[picked] = (counts[picked] ?? 0) + 1;
  }
  expect(counts).toEqual([9_500, 500]);
});

test.each([
  [[1], 0, 0],
  [[1], 0.999_999, 0],
  [[0, 1], 0, 1],
  [[1, 0], 0.999_999, 0],
  [[70, 30], 0.699_999, 0],
  [[70, 30], 0.7, 1],
  [[0, 3, 0, 1], 0.75, 3],
  [[], 0.5, -1],
  [[0], 0.5, -1],
  [[0, 0], 0, -1],
])("of weights %j the number %d picks %d", (weights, random01, expected) => {
  const rule = weighted(...weights);
  expect(pickBackendIndex(rule, random01)).toBe(expected);
});

test("a backend of weight zero is never picked", () => {
  const weights = fc.array(fc.oneof(fc.constant(0), fc.nat(1_000_000)), { maxLength: 8 });
  const random01 = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  fc.assert(
    fc.property(weights, random01, (some, number) => {
      const rule = weighted(...some);
      const picked = pickBackendIndex(rule, number);
      if (splitTotal(rule) === 0) expect(picked).toBe(-1);
      else expect(some[picked]).toBeGreaterThan(0);
    }),
    { numRuns: 1_000, verbose: 1 },
  );
});
