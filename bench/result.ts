// What a bench file hands back. Each bench file exports `run(options): Promise<BenchResult>`; `bench/run.ts` calls
// them in order and renders the results as tables or as one JSON document. Not a harness: measuring is the bench's own.

export interface BenchOptions {
  /** 1 for figures to believe. Tests pass less: durations and counts are to be multiplied by it. */
  readonly scale: number;
  /** Says one line of progress to a person; never part of the result. */
  readonly note: (line: string) => void;
}

/** The bound that a figure is held to. */
export type Target =
  | { readonly kind: "at-most"; readonly value: number }
  | { readonly kind: "at-least"; readonly value: number };

export interface Figure {
  readonly name: string;
  readonly value: number;
  /** "ms", "us", "requests/s", "ratio", "" for a plain count. */
  readonly unit: string;
  /** Absent where the figure is for information. */
  readonly target?: Target;
  /** What it was taken from, such as: "200 applies, 20 sidecars". */
  readonly detail?: string;
}

export interface BenchResult {
  /** File name without its ending: "apply-wait". */
  readonly bench: string;
  /** One sentence saying what was measured. */
  readonly title: string;
  readonly figures: readonly Figure[];
}

/** What every bench module exports. */
export interface BenchModule {
  run(options: BenchOptions): Promise<BenchResult>;
}

/** Whether a figure keeps its bound; true where it has none. */
export function meetsTarget(figure: Figure): boolean {
  if (figure.target === undefined) return true;
  return figure.target.kind === "at-most" ? figure.value <= figure.target.value : figure.value >= figure.target.value;
}

/**
 * The value that `percent` of `samples` are at or under (nearest rank).
 * @throws RangeError without samples: no figure is better than a made-up one.
 */
export function percentile(samples: readonly number[], percent: number): number {
  const sorted = [...samples].sort((left, right) => left - right);
  const value = sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)];
  if (value === undefined) throw new RangeError("a percentile of no samples was asked for");
  return value;
}
