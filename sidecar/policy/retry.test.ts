// What is retried, and how much.
import { expect, test } from "vitest";
import type { TrafficPolicyResource } from "../../rules/resource.ts";
import { isRepeatable, isRetriableStatus, planRetry, planRouteRetry } from "./retry.ts";
import { RetryBudget } from "./retry-budget.ts";

const POLICY: TrafficPolicyResource["retry"] = {
  attempts: 2,
  on: ["connect-failure", "reset", "refused-stream", 502, 503, 504],
  methods: ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"],
  backoff: { baseMs: 25, maxMs: 250 },
  budget: { percent: 20, minPerSecond: 10 },
  maxBodyBytes: 65_536,
  hedge: undefined,
  hops: "nearest",
};

test.each([
  [["connect-failure"], [], true, false],
  [["reset"], [], false, true],
  [[503], [503], false, false],
  [["gateway-error"], [502, 503, 504], false, false],
  [["retriable-4xx"], [409], false, false],
  [["5xx"], [500, 501, 502, 503, 504, 599], true, true],
  [[], [], false, false],
] as const)("on %j", (on, statuses, onConnectFailure, onReset) => {
  const plan = planRetry({ ...POLICY, on });
  const all = Array.from({ length: 900 }, (_, index) => index + 100).filter((status) =>
    isRetriableStatus(plan, status),
  );
  if (!(on as readonly unknown[]).includes("5xx")) expect(all).toEqual(statuses);
  else expect(all).toEqual(Array.from({ length: 100 }, (_, index) => 500 + index));
  expect([plan.onConnectFailure, plan.onReset]).toEqual([onConnectFailure, onReset]);
});

test("a route's retry replaces attempts, codes and backoff", () => {
  const plan = planRouteRetry({ attempts: 5, codes: [500], backoffMs: 100 }, planRetry({ ...POLICY, on: [] }));
  expect(plan).toMatchObject({ attempts: 5, backoffBaseMs: 100, backoffMaxMs: 1_000, onConnectFailure: true });
  expect([500, 503].map((status) => isRetriableStatus(plan, status))).toEqual([true, false]);
});

test("a POST is repeated only with an Idempotency-Key", () => {
  const plan = planRetry(POLICY);
  const request = (method: string, key?: string) => ({
    method,
    value: (name: string) => (name === "idempotency-key" ? key : undefined),
  });
  expect(isRepeatable(plan, request("GET"))).toBe(true);
  expect(isRepeatable(plan, request("POST"))).toBe(false);
  expect(isRepeatable(plan, request("POST", "1"))).toBe(true);
});

test("the budget gives its minimum each second without any load", () => {
  const budget = new RetryBudget();
  const settings = { percent: 20, minPerSecond: 3 };
  for (const second of [100, 101]) {
    const taken = Array.from({ length: 5 }, () => budget.take(second * 1_000, settings));
    expect(taken).toEqual([true, true, true, false, false]);
  }
});

test("the budget gives a share of the requests of the last ten seconds", () => {
  const budget = new RetryBudget();
  const settings = { percent: 20, minPerSecond: 0 };
  for (let request = 0; request < 100; request++) budget.countRequest(5_000 + request);
  let taken = 0;
  while (budget.take(6_000, settings)) taken++;
  expect(taken).toBe(20);
  expect(budget.take(16_000, settings)).toBe(false);
  for (let request = 0; request < 10; request++) budget.countRequest(16_000);
  expect([1, 2, 3].map(() => budget.take(16_000, settings))).toEqual([true, true, false]);
});

test("after a long silence the window is empty", () => {
  const budget = new RetryBudget();
  for (let request = 0; request < 1_000; request++) budget.countRequest(1_000);
  expect(budget.take(1_000_000, { percent: 100, minPerSecond: 0 })).toBe(false);
});
