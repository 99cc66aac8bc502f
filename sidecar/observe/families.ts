// Families of numbers with labels. A hot path asks once for the cell of its labels and then adds to a field; the
// number of cells is bounded, and what is past the bound is added up under the label value "other" (labelled-set.ts).
import { BUCKETS_OF, type HistogramUnit } from "./buckets.ts";
import { Histogram } from "./histogram.ts";
import { LabelledSet } from "./labelled-set.ts";
import type { SeriesBudget } from "./series-budget.ts";

/** One number that is exposed. */
export interface Cell {
  value: number;
}

/** Past this many label combinations of one family, new ones share one cell. */
export const CELLS_MAX = 10_000;
/** Histograms take 500 bytes each and are exposed as 20 lines. */
export const HISTOGRAMS_MAX = 2_000;

export type FamilyType = "counter" | "gauge" | "histogram";

/**
 * What the numbers of several processes that stand for one sidecar come to. "sum" for what each has its own of; "max"
 * for what each of them sees of the same thing; "min" for what counts only once all of them have it.
 */
export type JoinRule = "sum" | "max" | "min";

/** What the exposition needs of a family. */
export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: FamilyType;
  readonly labels: readonly string[];
}

/** How series of a family share a budget with others. */
export interface FamilyBudget {
  readonly budget: SeriesBudget;
  /** Labels from this one on give way first when room is short. */
  readonly detailsFrom: number;
  /** Told of what was counted in a series that goes. */
  readonly onExpired?: (values: readonly string[], value: Cell | Histogram) => void;
}

/** Counters or gauges of one name. */
export class CellFamily implements Family {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge";
  readonly labels: readonly string[];
  readonly join: JoinRule;
  readonly cells: LabelledSet<Cell>;

  constructor(
    type: "counter" | "gauge",
    name: string,
    help: string,
    labels: readonly string[],
    join: JoinRule = "sum",
    shared?: FamilyBudget,
  ) {
    this.type = type;
    this.name = name;
    this.join = join;
    this.help = help;
    this.labels = labels;
    this.cells = new LabelledSet(
      labels.length,
      CELLS_MAX,
      () => ({ value: 0 }),
      shared && {
        ...shared,
        weight: 1,
        countOf: ({ value }) => value,
        onRemove: (values, cell) => shared.onExpired?.(values, cell),
      },
    );
  }

  /** The cell of these label values, in the order of `labels`. Keep it where it is used often. */
  cell(...values: string[]): Cell {
    return this.cells.get(values);
  }
}

/** Histograms of one name. */
export class HistogramFamily implements Family {
  readonly name: string;
  readonly help: string;
  readonly type = "histogram";
  readonly labels: readonly string[];
  readonly unit: HistogramUnit;
  readonly histograms: LabelledSet<Histogram>;

  constructor(
    name: string,
    help: string,
    labels: readonly string[],
    unit: HistogramUnit = "seconds",
    shared?: FamilyBudget,
  ) {
    this.name = name;
    this.help = help;
    this.labels = labels;
    this.unit = unit;
    const buckets = BUCKETS_OF[unit];
    // The last bucket, the sum and the count are lines, too.
    const weight = buckets.exposed.length + 3;
    const build = () => new Histogram(buckets);
    const budget = shared && {
      ...shared,
      weight,
      countOf: (histogram: Histogram) => histogram.count,
      onRemove: (values: readonly string[], histogram: Histogram) => shared.onExpired?.(values, histogram),
    };
    this.histograms = new LabelledSet(labels.length, HISTOGRAMS_MAX, build, budget);
  }

  histogram(...values: string[]): Histogram {
    return this.histograms.get(values);
  }
}
