// The budget of series: bounded whatever callers invent, sums exact, the busy ones by name, the idle ones gone.
import { describe, expect, test } from "vitest";
import { renderPrometheus } from "./exposition.ts";
import { Metrics } from "./metrics.ts";
import { IDLE_SWEEPS_MAX } from "./series-budget.ts";

const details = (source: string) => ({ method: "GET", route: "", source, requestBytes: 1, responseBytes: 1 });

function rig(maxSeries: number) {
  const metrics = new Metrics();
  metrics.budget.max = maxSeries;
  const series = metrics.series("inbound", "default/orders", "default/orders", "");
  const call = (source: string, times = 1, status = 200) => {
    for (let index = 0; index < times; index++) series.record(status, "", 1, details(source));
  };
  const cells = () => [...metrics.requests.cells.entries.values()];
  const total = () => {
    const counted = [...cells(), ...metrics.expiredRequests.cells.entries.values()];
    return counted.reduce((sum, { value }) => sum + value.value, 0);
  };
  const sources = () => new Set(cells().map(({ values }) => values[6]));
  const lines = () =>
    renderPrometheus(metrics)
      .split("\n")
      .filter((line) => /^weft_(requests_total|request_|response_)/.test(line)).length;
  return { metrics, call, total, sources, lines, cells };
}

test("a hundred thousand callers cost no more series than the budget, and every request is counted", () => {
  const { call, total, sources, lines, metrics } = rig(2_000);
  for (let index = 0; index < 100_000; index++) call(`default/caller-${index}`, 1, 200 + (index % 400));
  expect(total()).toBe(100_000);
  expect(lines()).toBeLessThanOrEqual(2_000 + 100);
  expect(metrics.budget.used).toBe(lines());
  expect(sources()).toContain("other");
  const durations = [...metrics.requestDuration.histograms.entries.values()];
  expect(durations.reduce((sum, { value }) => sum + value.count, 0)).toBe(100_000);
});

test("details give way first: the service keeps its name", () => {
  const { call, cells } = rig(1_000);
  for (let index = 0; index < 500; index++) call(`default/caller-${index}`);
  const other = cells().find(({ values }) => values[6] === "other");
  expect(other?.values.slice(0, 6)).toEqual(["inbound", "default/orders", "default/orders", "", "200", ""]);
});

test("who is busier takes the place of who is less busy, and nothing is counted twice", () => {
  const { metrics, call, total, sources } = rig(500);
  for (let index = 0; index < 100; index++) call(`default/small-${index}`);
  expect(sources()).not.toContain("default/big");
  metrics.budget.sweep();
  call("default/big", 1_000);
  for (let index = 0; index < 5; index++) call(`default/small-${index}`);
  metrics.budget.sweep();
  call("default/big", 10);
  expect(sources()).toContain("default/big");
  expect(total()).toBe(100 + 1_000 + 5 + 10);
});

describe("a series that is idle for long", () => {
  test("goes, and what it had counted stays in the sum", () => {
    const { metrics, call, total, sources } = rig(10_000);
    call("default/gone", 7);
    for (let sweep = 0; sweep <= IDLE_SWEEPS_MAX; sweep++) {
      call("default/kept");
      metrics.budget.sweep();
    }
    expect(sources()).toEqual(new Set(["default/kept"]));
    expect(total()).toBe(7 + IDLE_SWEEPS_MAX + 1);
    call("default/gone");
    expect(sources()).toContain("default/gone");
    expect(total()).toBe(7 + IDLE_SWEEPS_MAX + 2);
  });
});

test("a budget that shrinks is kept to at the next sweep", () => {
  const { metrics, call, total } = rig(10_000);
  for (let index = 0; index < 150; index++) call(`default/caller-${index}`);
  metrics.budget.max = 1_000;
  metrics.budget.sweep();
  expect(metrics.budget.used).toBeLessThanOrEqual(1_000);
  expect(total()).toBe(150);
});
