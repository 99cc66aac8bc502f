// Figures of one process on their way to another, and the sum of several processes' figures. Plain data that survives a
// structured clone. Not the exposition: what comes out of `joinReports` is rendered like any other families.
import type { HistogramUnit } from "./buckets.ts";
import { CellFamily, type FamilyBudget, type FamilyType, HistogramFamily, type JoinRule } from "./families.ts";
import type { Exemplar } from "./histogram.ts";
import { SeriesBudget } from "./series-budget.ts";

/** One family with all of its numbers. */
export interface FamilyReport {
  readonly name: string;
  readonly help: string;
  readonly type: FamilyType;
  readonly labels: readonly string[];
  readonly join: JoinRule;
  /** Of histograms. */
  readonly unit: HistogramUnit;
  readonly cells: readonly CellReport[];
  readonly histograms: readonly HistogramReport[];
}

export interface CellReport {
  readonly values: readonly string[];
  readonly value: number;
}

export interface HistogramReport {
  readonly values: readonly string[];
  readonly counts: Float64Array;
  readonly sum: number;
  readonly exemplars?: ReadonlyMap<number, Exemplar>;
}

/** What `families` hold now. */
export function reportOf(families: readonly (CellFamily | HistogramFamily)[]): FamilyReport[] {
  return families.map((family) => {
    const { name, help, type, labels } = family;
    if (family instanceof CellFamily) {
      const cells = [...family.cells.entries.values()].map(({ values, value }) => ({ values, value: value.value }));
      return { name, help, type, labels, join: family.join, unit: "seconds", cells, histograms: [] };
    }
    const entries = [...family.histograms.entries.values()];
    const histograms = entries.map(({ values, value: { counts, sum, exemplars } }) => ({
      ...{ values, counts, sum },
      ...(exemplars === undefined ? {} : { exemplars }),
    }));
    return { name, help, type, labels, join: "sum", unit: family.unit, cells: [], histograms };
  });
}

/** A report without gauges: what remains true of a process that has ended. */
export function countersOf(report: readonly FamilyReport[]): FamilyReport[] {
  return report.filter(({ type }) => type !== "gauge");
}

/** Counters and histograms added up, gauges as their family says; families in the order of their first report. */
export function joinReports(reports: readonly (readonly FamilyReport[])[]): (CellFamily | HistogramFamily)[] {
  const joined = new Map<string, CellFamily | HistogramFamily>();
  // Each process has kept to its bounds. Series that were left out here would come and go with the order of the processes.
  const unbounded = { budget: new SeriesBudget(Number.POSITIVE_INFINITY), detailsFrom: 0 };
  for (const report of reports) {
    for (const family of report) {
      let into = joined.get(family.name);
      if (into === undefined) {
        into = emptyFamily(family, unbounded);
        joined.set(family.name, into);
      }
      if (into instanceof CellFamily) addCells(into, family);
      else addHistograms(into, family);
    }
  }
  return [...joined.values()];
}

function emptyFamily(
  { name, help, type, labels, join, unit }: FamilyReport,
  budget: FamilyBudget,
): CellFamily | HistogramFamily {
  if (type === "histogram") return new HistogramFamily(name, help, labels, unit, budget);
  return new CellFamily(type, name, help, labels, join, budget);
}

function addCells(into: CellFamily, report: FamilyReport): void {
  for (const { values, value } of report.cells) {
    const known = into.cells.entries.size;
    const cell = into.cell(...values);
    const isFirst = into.cells.entries.size > known;
    if (into.join === "sum" || isFirst) cell.value += value;
    else cell.value = into.join === "max" ? Math.max(cell.value, value) : Math.min(cell.value, value);
  }
}

function addHistograms(into: HistogramFamily, report: FamilyReport): void {
  for (const { values, counts, sum, exemplars } of report.histograms) {
    const histogram = into.histogram(...values);
    histogram.add(counts, sum);
    for (const exemplar of exemplars?.values() ?? []) histogram.mark(exemplar);
  }
}
