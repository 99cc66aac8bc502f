// Metrics as text: the Prometheus exposition format 0.0.4, which every scraper reads, and OpenMetrics 1.0.0, which has
// exemplars (https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md).
import { boundText, type ExpositionFormat, metadataLines, valueText } from "../../runtime/metrics-format.ts";
import { CellFamily, type HistogramFamily } from "./families.ts";
import type { Exemplar, Histogram } from "./histogram.ts";

/** Whatever has families. */
export interface Exposed {
  families(): readonly (CellFamily | HistogramFamily)[];
}

/** All families, in this format. The caller brings gauges up to date first. */
export function renderMetrics(all: readonly Exposed[], format: ExpositionFormat): string {
  const lines: string[] = [];
  for (const exposed of all) for (const family of exposed.families()) renderFamily(family, format, lines);
  if (format === "openmetrics") lines.push("# EOF");
  return `${lines.join("\n")}\n`;
}

/** All families of `metrics` in the Prometheus format. */
export function renderPrometheus(metrics: Exposed): string {
  return renderMetrics([metrics], "prometheus");
}

function renderFamily(family: CellFamily | HistogramFamily, format: ExpositionFormat, lines: string[]): void {
  const { name } = family;
  lines.push(...metadataLines(family, format));
  if (family instanceof CellFamily) {
    for (const { values, value } of family.cells.entries.values())
      lines.push(`${name}${labelText(family.labels, values)} ${valueText(value.value)}`);
    return;
  }
  const labels = [...family.labels, "le"];
  for (const { values, value } of family.histograms.entries.values())
    renderHistogram({ name, labels, values, format }, value, lines);
}

interface HistogramPlace {
  readonly name: string;
  /** With the bound's at the end. */
  readonly labels: readonly string[];
  readonly values: readonly string[];
  readonly format: ExpositionFormat;
}

function renderHistogram(
  { name, labels, values, format }: HistogramPlace,
  histogram: Histogram,
  lines: string[],
): void {
  const { exposed, perUnit } = histogram.buckets;
  const { counts } = histogram;
  const exemplars = format === "openmetrics" ? histogram.exemplars : undefined;
  let cumulative = 0;
  let next = 0;
  const bucketLine = (index: number, bound: string): void => {
    const first = next;
    for (; next <= index; next++) cumulative += counts[next] ?? 0;
    const exemplar = exemplars === undefined ? "" : exemplarText(newest(exemplars, first, index), perUnit);
    lines.push(`${name}_bucket${labelText(labels, [...values, bound])} ${cumulative}${exemplar}`);
  };
  for (const { index, bound } of exposed) bucketLine(index, boundText(bound, format));
  bucketLine(counts.length - 1, "+Inf");
  const own = labelText(labels.slice(0, -1), values);
  lines.push(`${name}_sum${own} ${valueText(histogram.sum / perUnit)}`, `${name}_count${own} ${cumulative}`);
}

/** Of the buckets `first` to `last`, which are exposed as one. */
function newest(exemplars: ReadonlyMap<number, Exemplar>, first: number, last: number): Exemplar | undefined {
  let found: Exemplar | undefined;
  for (let bucket = first; bucket <= last; bucket++) {
    const exemplar = exemplars.get(bucket);
    if (exemplar !== undefined && (found === undefined || exemplar.wallMs > found.wallMs)) found = exemplar;
  }
  return found;
}

function exemplarText(exemplar: Exemplar | undefined, perUnit: number): string {
  if (exemplar === undefined) return "";
  const { traceId, spanId, value, wallMs } = exemplar;
  return ` # {trace_id="${traceId}",span_id="${spanId}"} ${valueText(value / perUnit)} ${wallMs / 1_000}`;
}

function labelText(labels: readonly string[], values: readonly string[]): string {
  if (labels.length === 0) return "";
  return `{${labels.map((label, index) => `${label}="${escapeLabel(values[index] ?? "")}"`).join(",")}}`;
}

function escapeLabel(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
