// Plans of rules: they pick the backends that the rules say, and share what is equal.
import fc from "fast-check";
import { expect, test } from "vitest";
import type { RouteBackend } from "../../rules/resource.ts";
import { prefix, routeRule } from "../../rules/routing/fixtures.ts";
import { pickBackendIndex, pickShare } from "../../rules/routing/split.ts";
import { NO_FILTERS, planRules } from "./rule-plan.ts";

function backend(weight: number, index: number): RouteBackend {
  return { service: ["default", `orders-v${index}`].join("/"), port: 80 + index, weight, filters: [], invalid: "" };
}

test("of the same random number a plan picks the same backend as its rule", () => {
  const weights = fc.array(fc.oneof(fc.constant(0), fc.nat(1_000_000)), { maxLength: 8 });
  const edges = fc.constantFrom(0, 0.5, 1 - Number.EPSILON / 2);
  const random01 = fc.oneof(edges, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }));
  fc.assert(
    fc.property(weights, random01, (some, number) => {
      const rule = routeRule([prefix("/")], { backends: some.map(backend) });
      const [plan] = planRules([rule]);
      const picked = pickShare(plan?.firstBackend, plan?.total ?? Number.NaN, number);
      expect(picked?.index ?? -1).toBe(pickBackendIndex(rule, number));
      if (picked !== undefined) expect(picked).toMatchObject({ port: 80 + picked.index, end: expect.any(Number) });
    }),
    { numRuns: 1_000, verbose: 1 },
  );
});

test("the chain has all backends in their order, each with where its share ends", () => {
  const [plan] = planRules([routeRule([prefix("/")], { backends: [70, 0, 30].map(backend) })]);
  const chain = [];
  for (let next = plan?.firstBackend; next !== undefined; next = next.next)
    chain.push([next.index, next.service, next.end]);
  expect(chain).toEqual([
    [0, "default/orders-v0", 70],
    [1, "default/orders-v1", 70],
    [2, "default/orders-v2", 100],
  ]);
  expect(plan?.total).toBe(100);
});

test("a rule without backends picks none, and filters that are none are shared", () => {
  const [plan] = planRules([
    routeRule([prefix("/")], { backends: [], timeouts: { requestMs: 5, backendRequestMs: undefined } }),
  ]);
  expect(plan).toMatchObject({ firstBackend: undefined, total: 0, requestMs: 5, backendRequestMs: undefined });
  expect(plan?.filters).toBe(NO_FILTERS);
});
