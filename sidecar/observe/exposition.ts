// Metrics as text: the Prometheus exposition format 0.0.4, which every scraper reads.
import { BUCKET_BOUNDS_MS } from "../../rules/latency-buckets.ts";
import { CellFamily, type HistogramFamily } from "./families.ts";
import type { Histogram } from "./histogram.ts";

export const EXPOSITION_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Of ten buckets to a decade three are exposed (1, 2.5, 5): enough for alerts, a third of the lines. */
const EXPOSED_BUCKETS = BUCKET_BOUNDS_MS.map((boundMs, index) => ({ index, seconds: boundMs / 1000 })).filter(
  ({ index }) => index % 10 === 0 || index % 10 === 4 || index % 10 === 7,
);

/** Whatever has families. */
export interface Exposed {
  families(): readonly (CellFamily | HistogramFamily)[];
}

/** All families of `metrics`. The caller brings gauges up to date first. */
export function renderPrometheus(metrics: Exposed): string {
  const lines: string[] = [];
  for (const family of metrics.families()) {
    lines.push(`# HELP ${family.name} ${family.help}`, `# TYPE ${family.name} ${family.type}`);
    if (family instanceof CellFamily) renderCells(family, lines);
    else renderHistograms(family, lines);
  }
  return `${lines.join("\n")}\n`;
}

function renderCells(family: CellFamily, lines: string[]): void {
  for (const { values, value } of family.cells.entries.values())
    lines.push(`${family.name}${labelText(family.labels, values)} ${value.value}`);
}

function renderHistograms(family: HistogramFamily, lines: string[]): void {
  for (const { values, value } of family.histograms.entries.values()) renderHistogram(family, values, value, lines);
}

function renderHistogram(
  family: HistogramFamily,
  values: readonly string[],
  histogram: Histogram,
  lines: string[],
): void {
  const labels = [...family.labels, "le"];
  let cumulative = 0;
  let next = 0;
  for (const { index, seconds } of EXPOSED_BUCKETS) {
    for (; next <= index; next++) cumulative += histogram.counts[next] ?? 0;
    lines.push(`${family.name}_bucket${labelText(labels, [...values, String(seconds)])} ${cumulative}`);
  }
  const count = histogram.count;
  lines.push(
    `${family.name}_bucket${labelText(labels, [...values, "+Inf"])} ${count}`,
    `${family.name}_sum${labelText(family.labels, values)} ${histogram.sumMs / 1000}`,
    `${family.name}_count${labelText(family.labels, values)} ${count}`,
  );
}

function labelText(labels: readonly string[], values: readonly string[]): string {
  if (labels.length === 0) return "";
  return `{${labels.map((label, index) => `${label}="${escapeLabel(values[index] ?? "")}"`).join(",")}}`;
}

function escapeLabel(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
