// The figures and their exposition.
import fc from "fast-check";
import { expect, test } from "vitest";
import { BUCKET_BOUNDS_MS } from "../../rules/latency-buckets.ts";
import { negotiateFormat } from "../../runtime/metrics-format.ts";
import { BUCKETS_OF, bucketIn } from "./buckets.ts";
import { renderMetrics, renderPrometheus } from "./exposition.ts";
import { CELLS_MAX, CellFamily, HISTOGRAMS_MAX } from "./families.ts";
import { bucketOf, Histogram } from "./histogram.ts";
import { EGRESS_SERVICE, Metrics, SERIES_MAX } from "./metrics.ts";

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

test("histograms that were made one after the other count apart, over several of their shared arrays", () => {
  const made = Array.from(
    { length: 200 },
    (_, index) => new Histogram(BUCKETS_OF[index % 3 === 0 ? "bytes" : "seconds"]),
  );
  for (const [index, histogram] of made.entries()) {
    // The first bucket and the last, which are next to the neighbours' numbers.
    for (let times = 0; times < index; times++) histogram.record(0);
    histogram.record(1e12);
  }
  for (const [index, { counts, sum, buckets }] of made.entries()) {
    expect(counts).toHaveLength(buckets.bounds.length + 1);
    expect([counts[0], counts.at(-1), sum]).toEqual([index, 1, 1e12]);
    expect(counts.slice(1, -1).every((count) => count === 0)).toBe(true);
  }
  const [first, second] = made;
  first?.add(new Float64Array(first.counts.length).fill(2), 5);
  expect([first?.sum, first?.counts.at(-1), second?.sum, second?.counts[0]]).toEqual([1e12 + 5, 3, 1e12, 1]);
});

const GET = {
  method: "GET",
  route: "HTTPRoute default/r",
  source: "default/web",
  requestBytes: 5,
  responseBytes: 5_000,
};
const BASE = 'direction="outbound",service="default/orders",backend="default/orders-v1",version="v1"';

test("requests are exposed by status and reason, with cumulative buckets", () => {
  const metrics = new Metrics();
  const series = metrics.series("outbound", "default/orders", "default/orders-v1", "v1");
  series.record(200, "", 3, GET);
  series.record(204, "", 30, GET);
  series.record(503, "connect-failure", 1, GET);
  series.record(200, "", 1, { ...GET, method: "BREW" });
  const text = renderPrometheus(metrics);
  const details = 'source="default/web",route="HTTPRoute default/r",method="GET"';
  expect(text).toContain(`weft_requests_total{${BASE},status="200",reason="",${details}} 1\n`);
  expect(text).toContain(`weft_requests_total{${BASE},status="503",reason="connect-failure",${details}} 1\n`);
  expect(text).toContain(`weft_requests_total{${BASE},status="200",reason="",${details.replace("GET", "_OTHER")}} 1\n`);
  const labels = `${BASE},${details},status_class="2xx"`;
  expect(text).toContain(`weft_request_duration_seconds_bucket{${labels},le="0.001"} 0\n`);
  expect(text).toContain(`weft_request_duration_seconds_bucket{${labels},le="0.005"} 1\n`);
  expect(text).toContain(`weft_request_duration_seconds_bucket{${labels},le="+Inf"} 2\n`);
  expect(text).toContain(`weft_request_duration_seconds_count{${labels}} 2\n`);
  expect(text).toContain(`weft_request_duration_seconds_sum{${labels}} 0.033\n`);
  expect(text).toContain(`weft_response_size_bytes_bucket{${BASE},${details},le="10000"} 3\n`);
  expect(text).toContain(`weft_request_size_bytes_sum{${BASE},${details}} 15\n`);
});

test("OpenMetrics has exemplars, families without the suffix, and an end", () => {
  const metrics = new Metrics();
  const exemplar = { traceId: "a".repeat(32), spanId: "b".repeat(16), value: 3, wallMs: 1_700_000_000_500 };
  metrics.series("outbound", "default/orders", "default/orders-v1", "v1").record(200, "", 3, GET, exemplar);
  const text = renderMetrics([metrics], "openmetrics");
  expect(text).toContain("# TYPE weft_requests counter\n");
  expect(text).toMatch(/^weft_requests_total\{/m);
  expect(text).toMatch(/le="0.005"\} 1 # \{trace_id="a{32}",span_id="b{16}"\} 0.003 1700000000.5\n/);
  expect(text.match(/trace_id/g)).toHaveLength(1);
  expect(text).toContain('le="1.0"');
  expect(text.endsWith("# EOF\n")).toBe(true);
  expect(renderMetrics([metrics], "prometheus")).not.toContain("trace_id");
});

test.each([
  [undefined, "prometheus"],
  ["*/*", "prometheus"],
  ["text/plain;version=0.0.4", "prometheus"],
  [
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    "openmetrics",
  ],
  ["application/openmetrics-text", "openmetrics"],
  ["application/openmetrics-text;q=0.3, text/plain;q=0.9", "prometheus"],
  ["application/openmetrics-text;q=0, text/plain;q=0.1", "prometheus"],
  ["application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited", "prometheus"],
  ["application/openmetrics-text;version=2.0.0", "prometheus"],
])("Accept: %s gets %s", (accept, format) => expect(negotiateFormat(accept)).toBe(format));

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

test("a release of a service that was released often is counted by its own names", () => {
  const metrics = new Metrics();
  const cellsOf = (backend: string, kind: "request" | "rule" = "request") => {
    const key = { service: "default/orders", backend, version: "", kind };
    return Array.from({ length: 50 }, (_, rule) =>
      metrics.trafficCell({ ...key, route: `HTTPRoute default/o ${rule}` }),
    );
  };
  for (let release = 0; release * 50 < HISTOGRAMS_MAX; release++) {
    cellsOf(`default/orders-v${release}`);
    metrics.retain((name) => name === "default/orders" || name === `default/orders-v${release}`);
  }
  cellsOf("default/orders-next")[0]?.record(200, "", 1);
  expect(renderPrometheus(metrics)).toMatch(
    /weft_rollout_request_duration_seconds_count\{.*backend="default\/orders-next"/,
  );
});

test("calls of gRPC to a version that is back are counted, and those to one that is gone forgotten", () => {
  const metrics = new Metrics();
  const call = () => metrics.series("outbound", "default/orders", "default/orders-v1", "v1").recordCode(0, "OK");
  call();
  metrics.retain((service) => service === "default/orders");
  expect(renderPrometheus(metrics)).not.toContain("weft_grpc_requests_total{");
  call();
  expect(renderPrometheus(metrics)).toMatch(/weft_grpc_requests_total\{.*\} 1\n/);
});

test("what hosts outside of the mesh are counted in stays when services go", () => {
  const metrics = new Metrics();
  const attempts = metrics.attempts.cell(EGRESS_SERVICE, "answered");
  metrics.retain(() => false);
  attempts.value++;
  expect(renderPrometheus(metrics)).toContain('weft_attempts_total{service="egress",outcome="answered"} 1');
});

test("series are remembered up to a bound, and counted by the same names past it", () => {
  const metrics = new Metrics();
  const first = metrics.series("outbound", "default/orders", "default/orders", "v0");
  first.record(200, "", 1);
  for (let version = 1; version < SERIES_MAX; version++)
    metrics.series("outbound", "default/orders", "default/orders", `v${version}`);
  expect(metrics.series("outbound", "default/orders", "default/orders", "v0")).toBe(first);
  metrics.series("outbound", "default/orders", "default/orders", "one past");
  const again = metrics.series("outbound", "default/orders", "default/orders", "v0");
  expect(again).not.toBe(first);
  for (const series of [first, again]) series.record(200, "", 1);
  expect(renderPrometheus(metrics)).toMatch(/weft_requests_total\{.*version="v0".*\} 3\n/);
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

test("a value is found in its bucket as by looking at each of them", () => {
  for (const { unit, most } of [
    { unit: "seconds", most: 200_000 },
    { unit: "bytes", most: 5e9 },
  ] as const) {
    const buckets = BUCKETS_OF[unit];
    const bounds = [...buckets.bounds];
    fc.assert(
      fc.property(fc.oneof(fc.double({ min: -1, max: most, noNaN: true }), fc.constantFrom(...bounds)), (value) => {
        const plain = bounds.findIndex((bound) => value <= bound);
        expect(bucketIn(buckets, value)).toBe(plain < 0 ? bounds.length : plain);
      }),
    );
    for (const bound of bounds)
      expect(bucketIn(buckets, bound + bound * Number.EPSILON)).toBe(bounds.indexOf(bound) + 1);
    expect(bucketIn(buckets, Number.POSITIVE_INFINITY)).toBe(bounds.length);
    expect(bucketIn(buckets, Number.NaN)).toBe(0);
  }
});
