// Families of numbers with labels. A hot path asks once for the cell of its labels and then adds to a field; the
// number of cells is bounded, and what is past the bound is added up under the label value "other".
import { Histogram } from "./histogram.ts";

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

/** Joins label values to a key; a byte that no label value carries. */
const SEPARATOR = "\u0000";

class LabelledSet<Value> {
  readonly entries = new Map<string, { readonly values: readonly string[]; readonly value: Value }>();
  readonly #labels: number;
  readonly #max: number;
  readonly #build: () => Value;

  constructor(labels: number, max: number, build: () => Value) {
    this.#labels = labels;
    this.#max = max;
    this.#build = build;
  }

  get(values: readonly string[]): Value {
    const known = this.entries.get(values.join(SEPARATOR));
    if (known !== undefined) return known.value;
    const full = this.entries.size >= this.#max;
    const kept = full ? new Array<string>(this.#labels).fill("other") : values;
    const key = kept.join(SEPARATOR);
    let entry = this.entries.get(key);
    if (entry === undefined) {
      entry = { values: kept, value: this.#build() };
      this.entries.set(key, entry);
    }
    return entry.value;
  }

  /** Forgets what `isStale` says, so that a process that lives long does not name what is long gone. */
  drop(isStale: (values: readonly string[]) => boolean): void {
    for (const [key, entry] of this.entries) if (isStale(entry.values)) this.entries.delete(key);
  }
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
  ) {
    this.type = type;
    this.name = name;
    this.join = join;
    this.help = help;
    this.labels = labels;
    this.cells = new LabelledSet(labels.length, CELLS_MAX, () => ({ value: 0 }));
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
  readonly histograms: LabelledSet<Histogram>;

  constructor(name: string, help: string, labels: readonly string[]) {
    this.name = name;
    this.help = help;
    this.labels = labels;
    this.histograms = new LabelledSet(labels.length, HISTOGRAMS_MAX, () => new Histogram());
  }

  histogram(...values: string[]): Histogram {
    return this.histograms.get(values);
  }
}
