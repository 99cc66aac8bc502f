// Faults, shedding and the delay of hedging: tables, shares and bounds.
import { describe, expect, test } from "vitest";
import type { RequestView } from "../../rules/routing/request-view.ts";
import { seededRandom } from "../../runtime/random.ts";
import { type FaultRule, type InjectedFault, injectFaults } from "./fault.ts";
import { hedgeDelay, hedgeDelayMs, LatencyPercentile } from "./hedge.ts";
import { priorityOf, shedBelow } from "./shedding.ts";

describe("faults", () => {
  const everything = { matches: () => true };
  const view = (path: string): RequestView => ({
    method: "GET",
    path,
    query: "",
    port: 80,
    fromNamespace: "",
    header: () => undefined,
  });
  const blank = (): InjectedFault => ({ delayMs: 9, status: 9, grpcStatus: 9, origin: "x" });

  test("each befalls its share of the requests", () => {
    const rules: FaultRule[] = [
      {
        origin: "Fault default/a",
        matcher: everything,
        delay: { percent: 10, durationMs: 400 },
        abort: { percent: 1, status: 503, grpcStatus: -1 },
      },
    ];
    const random = seededRandom(1);
    const seen = { delayed: 0, aborted: 0, untouched: 0 };
    for (let request = 0; request < 20_000; request++) {
      const fault = blank();
      if (!injectFaults(rules, view("/"), random, fault)) seen.untouched++;
      if (fault.delayMs > 0) seen.delayed++;
      if (fault.status === 503) seen.aborted++;
    }
    expect(seen.delayed / 20_000).toBeCloseTo(0.1, 1);
    expect(seen.aborted / 20_000).toBeCloseTo(0.01, 2);
    expect(seen.untouched / 20_000).toBeCloseTo(0.89, 1);
  });

  test("only requests that match are touched, 100 means all, 0 none, and delays add up", () => {
    const rule = (percent: number, prefix: string): FaultRule => ({
      origin: `Fault default${prefix}`,
      matcher: { matches: ({ path }) => path.startsWith(prefix) },
      delay: { percent, durationMs: 5 },
      abort: undefined,
    });
    const fault = blank();
    expect(injectFaults([rule(100, "/a"), rule(100, "/"), rule(0, "/")], view("/a"), seededRandom(1), fault)).toBe(
      true,
    );
    expect(fault).toEqual({ delayMs: 10, status: 0, grpcStatus: -1, origin: "Fault default/" });
    expect(injectFaults([rule(100, "/a")], view("/b"), seededRandom(1), fault)).toBe(false);
    expect(fault).toEqual({ delayMs: 0, status: 0, grpcStatus: -1, origin: "" });
  });
});

describe("shedding", () => {
  test.each([
    [0, 0, 0],
    [99, 50, 0],
    [100, 50, 3],
    [125, 50, 6],
    [150, 50, 9],
    [9_999, 50, 9],
    [0, 79, 0],
    [0, 80, 3],
    [0, 100, 6],
  ])("a delay of %i ms and a heap at %i %% refuse what is below %i", (eventLoopDelayMs, heapPercent, below) => {
    expect(shedBelow({ eventLoopDelayMs: 100, heapPercent: 80 }, { eventLoopDelayMs, heapPercent })).toBe(below);
  });

  test("what is not bounded is not looked at", () => {
    const full = { eventLoopDelayMs: 1e9, heapPercent: 100 };
    expect(shedBelow({ eventLoopDelayMs: 0, heapPercent: 0 }, full)).toBe(0);
  });

  test.each([
    [undefined, 5],
    ["0", 0],
    ["9", 9],
    ["10", 5],
    ["", 5],
    ["x", 5],
    ["/", 5],
  ])("priority %j is %i", (text, priority) => {
    expect(priorityOf(text)).toBe(priority);
  });
});

describe("the delay of a hedge", () => {
  test("a fixed one is what it says, a percentile is unknown at first", () => {
    expect(hedgeDelayMs(hedgeDelay(50), undefined)).toBe(50);
    expect(hedgeDelayMs(hedgeDelay("p95"), new LatencyPercentile(0.95))).toBe(Number.POSITIVE_INFINITY);
  });

  test("a percentile follows the service, to within a tenth", () => {
    const observed = new LatencyPercentile(0.95);
    for (let answer = 0; answer < 5_000; answer++) observed.observe(1 + (answer % 100));
    expect(observed.valueMs).toBeGreaterThan(95 * 0.95);
    expect(observed.valueMs).toBeLessThan(95 * 1.1);
    for (let answer = 0; answer < 10_000; answer++) observed.observe(10 * (1 + (answer % 100)));
    expect(observed.valueMs).toBeGreaterThan(900);
    expect(observed.valueMs).toBeLessThan(1_050);
  });
});
