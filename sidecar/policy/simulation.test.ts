// Deciders together on a virtual clock: what callers of a service with a bad endpoint see, and what a dead leaf gets.
import { describe, expect, test } from "vitest";
import { seededRandom } from "../../runtime/random.ts";
import { OutlierDetector, OutlierHost, type OutlierSettings } from "./outlier.ts";
import { RetryBudget } from "./retry-budget.ts";

const BUDGET = { percent: 20, minPerSecond: 10 };
const RETRIES = 2;

const EJECTION: OutlierSettings = {
  consecutiveErrors: 5,
  consecutiveGatewayErrors: 0,
  consecutiveConnectFailures: 0,
  intervalMs: 10_000,
  baseEjectionTimeMs: 30_000,
  maxEjectionTimeMs: 300_000,
  keepAtLeast: 1,
  successRate: undefined,
  failurePercentage: { threshold: 30, minHosts: 5, minRequests: 20 },
};

/** Ten endpoints, one of which fails half of its requests. @returns the share of requests that succeed */
function successWith(hasRetries: boolean, hasEjection: boolean, seed: number): number {
  const random = seededRandom(seed);
  const hosts = Array.from({ length: 10 }, (_, index) => new OutlierHost(`h${index}`));
  const listener = { onEjected: () => {}, onReturned: () => {}, onRefused: () => {} };
  const detector = new OutlierDetector(EJECTION, listener, 0);
  detector.setHosts(hosts);
  const budget = new RetryBudget();
  const perSecond = 200;
  const total = perSecond * 120;
  let succeeded = 0;
  for (let request = 0; request < total; request++) {
    const nowMs = (request * 1_000) / perSecond;
    detector.sweep(nowMs);
    budget.countRequest(nowMs);
    const tried = new Set<OutlierHost>();
    for (let attempt = 0; attempt <= (hasRetries ? RETRIES : 0); attempt++) {
      if (attempt > 0 && !budget.take(nowMs, BUDGET)) break;
      const usable = hosts.filter((host) => !host.isEjected && !tried.has(host));
      const host = usable[Math.floor(random.next() * usable.length)];
      if (host === undefined) break;
      tried.add(host);
      const isFailure = host === hosts[0] && random.next() < 0.5;
      if (hasEjection) detector.report(host, isFailure ? "gateway-error" : "success", nowMs);
      if (isFailure) continue;
      succeeded++;
      break;
    }
  }
  return succeeded / total;
}

describe("one endpoint of ten fails half of its requests", () => {
  test.each([1, 2, 3])("with retries and ejection 99.9 % succeed (seed %i)", (seed) => {
    expect(successWith(true, true, seed)).toBeGreaterThanOrEqual(0.999);
  });

  test("with neither they do not, so the test can fail", () => {
    expect(successWith(false, false, 1)).toBeLessThan(0.96);
  });
});

/** @returns requests at the leaf for each at the first hop */
function leafLoad(hops: number, perSecond: number, retriesAtEveryHop: boolean): number {
  const budgets = Array.from({ length: hops }, () => new RetryBudget());
  let load = 0;
  const call = (hop: number, nowMs: number): void => {
    if (hop === hops) {
      load++;
      return;
    }
    const budget = budgets[hop];
    budget?.countRequest(nowMs);
    call(hop + 1, nowMs);
    const mayRetry = retriesAtEveryHop || hop === hops - 1;
    for (let retry = 0; mayRetry && retry < RETRIES && budget?.take(nowMs, BUDGET) === true; retry++)
      call(hop + 1, nowMs);
  };
  const total = perSecond * 60;
  for (let request = 0; request < total; request++) call(0, (request * 1_000) / perSecond);
  return load / total;
}

describe("a dead leaf below four hops", () => {
  test.each([50, 100, 1_000])("gets at most 1.3 times its load at %i requests a second", (perSecond) => {
    expect(leafLoad(4, perSecond, false)).toBeLessThanOrEqual(1.3);
  });

  test("gets more than twice its load where every hop retries", () => {
    expect(leafLoad(4, 100, true)).toBeGreaterThan(2);
  });
});
