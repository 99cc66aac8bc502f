// The figures and their exposition.
import { expect, test } from "vitest";
import { BUCKET_BOUNDS_MS } from "../../rules/latency-buckets.ts";
import { renderPrometheus } from "./exposition.ts";
import { CELLS_MAX, CellFamily } from "./families.ts";
import { bucketOf, Histogram } from "./histogram.ts";
import { Metrics } from "./metrics.ts";

test("a duration falls into the first bucket whose bound is not below it", () => {
  for (const [index, boundMs] of BUCKET_BOUNDS_MS.entries()) {
    expect(bucketOf(boundMs)).toBe(index);
    expect(bucketOf(boundMs * 1.0001)).toBe(index + 1);
  }
  expect(bucketOf(0)).toBe(0);
  expect(bucketOf(1e9)).toBe(BUCKET_BOUNDS_MS.length);
});

test("quantiles are known to within a quarter", () => {
  const histogram = new Histogram();
  for (let ms = 1; ms <= 1000; ms++) histogram.record(ms);
  for (const q of [0.5, 0.9, 0.99]) {
    expect(histogram.quantileMs(q)).toBeGreaterThan(1000 * q * 0.75);
    expect(histogram.quantileMs(q)).toBeLessThan(1000 * q * 1.25);
  }
  expect(new Histogram().quantileMs(0.5)).toBe(0);
});

test("requests are exposed by status and reason, with cumulative buckets", () => {
  const metrics = new Metrics();
  const series = metrics.series("outbound", "default/orders", "default/orders-v1", "v1");
  series.record(200, "", 3);
  series.record(200, "", 30);
  series.record(503, "connect-failure", 1);
  const text = renderPrometheus(metrics);
  const labels = 'direction="outbound",service="default/orders",backend="default/orders-v1",version="v1"';
  expect(text).toContain(`weft_requests_total{${labels},status="200",reason=""} 2\n`);
  expect(text).toContain(`weft_requests_total{${labels},status="503",reason="connect-failure"} 1\n`);
  expect(text).toContain(`weft_request_duration_seconds_bucket{${labels},le="0.001"} 1\n`);
  expect(text).toContain(`weft_request_duration_seconds_bucket{${labels},le="0.005"} 2\n`);
  expect(text).toContain(`weft_request_duration_seconds_bucket{${labels},le="+Inf"} 3\n`);
  expect(text).toContain(`weft_request_duration_seconds_count{${labels}} 3\n`);
  expect(text).toContain(`weft_request_duration_seconds_sum{${labels}} 0.034\n`);
});

test("label values are escaped", () => {
  const metrics = new Metrics();
  metrics.attempts.cell('a"b\\c\nd', "answered").value++;
  expect(renderPrometheus(metrics)).toContain('weft_attempts_total{service="a\\"b\\\\c\\nd",outcome="answered"} 1');
});

test("past the bound of a family new labels share one cell", () => {
  const family = new CellFamily("counter", "n", "h", ["name"]);
  for (let index = 0; index < CELLS_MAX; index++) family.cell(`name-${index}`).value++;
  const past = family.cell("one-past");
  expect(family.cell("two-past")).toBe(past);
  expect(family.cell("name-0")).not.toBe(past);
  expect(family.cells.entries.size).toBe(CELLS_MAX + 1);
});

test("series of services that are gone are forgotten", () => {
  const metrics = new Metrics();
  metrics.series("outbound", "default/gone", "default/gone", "").record(200, "", 1);
  metrics.series("outbound", "default/kept", "default/kept", "").record(200, "", 1);
  metrics.series("outbound", "other", "", "").record(404, "no-such-service", 1);
  metrics.retain((service) => service === "default/kept");
  const text = renderPrometheus(metrics);
  expect(text).not.toContain("default/gone");
  expect(text).toContain("default/kept");
  expect(text).toContain('service="other"');
});
