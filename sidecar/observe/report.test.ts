// What several processes counted, joined to the figures of one sidecar.
import { expect, test } from "vitest";
import { renderPrometheus } from "./exposition.ts";
import { CELLS_MAX, CellFamily, HISTOGRAMS_MAX, HistogramFamily } from "./families.ts";
import { countersOf, joinReports, reportOf } from "./report.ts";

/** The figures of one process. */
function figures(requests: number, active: number, healthy: number, revision: number, durationMs: number) {
  const counter = new CellFamily("counter", "weft_requests_total", "Requests.", ["status"]);
  counter.cell("200").value = requests;
  const gauge = new CellFamily("gauge", "weft_requests_active", "Active.", []);
  gauge.cell().value = active;
  const endpoints = new CellFamily("gauge", "weft_endpoints", "Endpoints.", ["health"], "max");
  endpoints.cell("healthy").value = healthy;
  const acted = new CellFamily("gauge", "weft_snapshot_revision", "Revision.", [], "min");
  acted.cell().value = revision;
  const duration = new HistogramFamily("weft_request_duration_seconds", "Duration.", []);
  duration.histogram().record(durationMs);
  return structuredClone(reportOf([counter, gauge, endpoints, acted, duration]));
}

const lines = (reports: Parameters<typeof joinReports>[0]) =>
  renderPrometheus({ families: () => joinReports(reports) as never })
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#") && !line.includes("_bucket"));

test("counters and histograms add up; a gauge is summed, or the largest, or the smallest, as its family says", () => {
  expect(lines([figures(3, 1, 2, 9, 20), figures(4, 2, 1, 7, 30)])).toEqual([
    'weft_requests_total{status="200"} 7',
    "weft_requests_active 3",
    'weft_endpoints{health="healthy"} 2',
    "weft_snapshot_revision 7",
    "weft_request_duration_seconds_sum 0.05",
    "weft_request_duration_seconds_count 2",
  ]);
});

test("of a process that has ended its counters stay and its gauges go", () => {
  expect(lines([figures(3, 1, 2, 9, 20), countersOf(figures(4, 2, 1, 7, 30))])).toEqual([
    'weft_requests_total{status="200"} 7',
    "weft_requests_active 1",
    'weft_endpoints{health="healthy"} 2',
    "weft_snapshot_revision 9",
    "weft_request_duration_seconds_sum 0.05",
    "weft_request_duration_seconds_count 2",
  ]);
});

test("series of several processes that are more than one has by itself keep their names", () => {
  const figuresOf = (first: number) => {
    const counter = new CellFamily("counter", "weft_requests_total", "Requests.", ["route"]);
    const duration = new HistogramFamily("weft_request_duration_seconds", "Duration.", ["route"]);
    for (let route = first; route < first + CELLS_MAX; route++) counter.cell(`route-${route}`).value++;
    for (let route = first; route < first + HISTOGRAMS_MAX; route++) duration.histogram(`route-${route}`).record(1);
    return reportOf([counter, duration]);
  };
  const [counter, duration] = joinReports([figuresOf(0), figuresOf(CELLS_MAX)]) as [CellFamily, HistogramFamily];
  expect(counter.cells.entries.size).toBe(2 * CELLS_MAX);
  expect(duration.histograms.entries.size).toBe(2 * HISTOGRAMS_MAX);
  expect(counter.cells.entries.has("other")).toBe(false);
});
