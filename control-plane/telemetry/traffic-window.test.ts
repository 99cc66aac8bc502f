// Rates, histories and percentiles of what sidecars report: whoever it is that reports and however often.
import { describe, expect, test } from "vitest";
import type { TrafficCount } from "../../proto/gen/weft/v1/discovery.ts";
import { LATENCY_BUCKETS } from "../../rules/latency-buckets.ts";
import { ManualClock } from "../../runtime/manual-clock.ts";
import { TrafficLedger } from "./traffic-ledger.ts";
import { type Dimension, HISTORY_SECONDS, KEYS_MAX, TrafficWindow } from "./traffic-window.ts";

function count(requests: number, over: Partial<TrafficCount> = {}): TrafficCount {
  const latency = Array.from({ length: LATENCY_BUCKETS }, (_, bucket) => (bucket === 20 ? requests : 0));
  const key = { service: "default/orders", backend: "default/orders", version: "v1", route: "", mirror: false };
  return { ...key, requests, failures: 0, latency, ...over };
}

function begin() {
  const clock = new ManualClock();
  const ledger = new TrafficLedger(clock);
  const window = new TrafficWindow(clock, ledger, (id) => `default/${id.split("-")[0]}`);
  const rows = (by: Dimension = "service", namespace = "", service = "") => window.rows({ by, namespace, service });
  return { clock, ledger, rows };
}

describe("rates", () => {
  test("reports of ten seconds and of one second come to the same", () => {
    const { clock, ledger, rows } = begin();
    ledger.report("web-1", "a", []);
    ledger.report("shop-1", "a", []);
    for (let second = 1; second <= 20; second++) {
      clock.advance(1_000);
      ledger.report("web-1", "a", [count(second * 10)]);
      if (second % 10 === 0) ledger.report("shop-1", "a", [count(second * 10)]);
    }
    clock.advance(1_000);
    const [web, shop] = rows("source");
    expect([web!.name, shop!.name].sort()).toEqual(["default/shop", "default/web"]);
    expect(web!.requestsPerSecond).toBeCloseTo(10, 5);
    expect(shop!.requestsPerSecond).toBeCloseTo(10, 5);
    expect(shop!.history.slice(-15)).toEqual(new Array(15).fill(10));
    expect(rows("service")).toMatchObject([{ name: "default/orders", requestsPerSecond: expect.closeTo(20, 5) }]);
  });

  test("what was counted for three seconds is not spread over ten", () => {
    const { clock, ledger, rows } = begin();
    clock.advance(60_000);
    ledger.report("web-1", "a", []);
    for (let second = 1; second <= 3; second++) {
      clock.advance(1_000);
      ledger.report("web-1", "a", [count(second * 5)]);
    }
    clock.advance(1_000);
    expect(rows()[0]!.requestsPerSecond).toBeCloseTo(5, 5);
  });

  test("a service without requests leaves after a minute, and its rate falls before", () => {
    const { clock, ledger, rows } = begin();
    ledger.report("web-1", "a", []);
    clock.advance(1_000);
    ledger.report("web-1", "a", [count(100)]);
    clock.advance(1_000);
    expect(rows()[0]!.requestsPerSecond).toBe(100);
    clock.advance(20_000);
    expect(rows()[0]!.requestsPerSecond).toBe(0);
    clock.advance(60_000);
    expect(rows()).toEqual([]);
  });

  test("failures and durations are of the same requests", () => {
    const { clock, ledger, rows } = begin();
    ledger.report("web-1", "a", []);
    clock.advance(1_000);
    ledger.report("web-1", "a", [count(10, { failures: 4 })]);
    clock.advance(1_000);
    const [row] = rows();
    expect(row!.failuresPerSecond / row!.requestsPerSecond).toBeCloseTo(0.4, 5);
    expect(row!.p50Ms).toBeGreaterThan(0);
    expect(row!.p99Ms).toBeGreaterThanOrEqual(row!.p50Ms);
    expect(row!.history).toHaveLength(HISTORY_SECONDS);
  });
});

describe("dimensions", () => {
  test("each request is in one row of each, and copies in none", () => {
    const { clock, ledger, rows } = begin();
    const v1 = { backend: "default/orders-v1", version: "v1" };
    const v2 = { backend: "default/orders-v2", version: "v2" };
    ledger.report("web-1", "a", []);
    clock.advance(1_000);
    const counts = [
      count(6, v1),
      count(2, v2),
      count(9, { ...v2, mirror: true }),
      count(2, { ...v2, route: "HTTPRoute default/orders 0" }),
    ];
    ledger.report("web-1", "a", counts, [count(8, { ...v1, route: "HTTPRoute default/orders 0" })]);
    clock.advance(1_000);
    const names = (by: Dimension) => rows(by).map(({ name, requestsPerSecond }) => [name, requestsPerSecond]);
    expect(names("service")).toEqual([["default/orders", 8]]);
    expect(names("version")).toEqual([
      ["default/orders-v1 v1", 6],
      ["default/orders-v2 v2", 2],
    ]);
    expect(names("source")).toEqual([["default/web", 8]]);
    expect(names("route")).toEqual([["default/orders HTTPRoute default/orders 0", 8]]);
    expect(rows("service", "shop")).toEqual([]);
    expect(rows("version", "default", "default/orders-v2")).toHaveLength(1);
  });

  test("a mesh of too many combinations keeps to its bound", () => {
    const { clock, ledger, rows } = begin();
    ledger.report("web-1", "a", []);
    ledger.report("web-2", "a", []);
    for (const id of ["web-1", "web-2"]) {
      clock.advance(1_000);
      const counts = Array.from({ length: KEYS_MAX }, (_, index) => count(1, { service: `default/${id}-${index}` }));
      ledger.report(id, "a", counts);
    }
    clock.advance(1_000);
    expect(rows()).toHaveLength(KEYS_MAX);
  });
});
