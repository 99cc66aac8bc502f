// The numbers of one family by their label values: a map that is bounded, by a number of its own or by a budget that
// it shares with others (series-budget.ts).
import type { BudgetedSet, SeriesBudget } from "./series-budget.ts";

/** Joins label values to a key; a byte that no label value carries. */
const SEPARATOR = "\u0000";

/** Label value of what has no name of its own. */
const OTHER = "other";

/** Names that found no room, of which the busiest are looked for. */
const MISSED_MAX = 256;

export interface LabelledEntry<Value> {
  readonly values: readonly string[];
  readonly value: Value;
}

interface Entry<Value> extends LabelledEntry<Value> {
  readonly isDetailed: boolean;
  /** Of `countOf`, at the last sweep. */
  seen: number;
  /** What it counted between the last two sweeps. */
  busy: number;
  idleSweeps: number;
}

/** How a set shares a budget. */
export interface SharedBudget<Value> {
  readonly budget: SeriesBudget;
  /** Series that one entry is exposed as. */
  readonly weight: number;
  /** Labels from this one on give way first when room is short. */
  readonly detailsFrom: number;
  /** A number that grows whenever the value is used. */
  readonly countOf: (value: Value) => number;
  /** Told of what goes. */
  readonly onRemove?: (values: readonly string[], value: Value) => void;
}

export class LabelledSet<Value> implements BudgetedSet {
  readonly entries: Map<string, LabelledEntry<Value>>;
  readonly #entries = new Map<string, Entry<Value>>();
  /** How often was asked for what found no room. */
  readonly #missed = new Map<string, number>();
  readonly #labels: number;
  readonly #max: number;
  readonly #build: () => Value;
  readonly #shared: SharedBudget<Value> | undefined;

  /** @param max entries, where no budget is shared */
  constructor(labels: number, max: number, build: () => Value, shared?: SharedBudget<Value>) {
    this.entries = this.#entries;
    this.#labels = labels;
    this.#max = max;
    this.#build = build;
    this.#shared = shared;
    shared?.budget.join(this);
  }

  get weight(): number {
    return this.#shared?.weight ?? 1;
  }

  get(values: readonly string[]): Value {
    const key = values.join(SEPARATOR);
    const known = this.#entries.get(key);
    if (this.#shared !== undefined) this.#shared.budget.isOther = false;
    if (known !== undefined) return known.value;
    if (this.#shared !== undefined) return this.#getShared(this.#shared, key, values);
    return this.#entries.size < this.#max
      ? this.#add(key, values, true)
      : this.#other(new Array<string>(this.#labels).fill(OTHER));
  }

  /** The same where there is one label: it is the key. */
  getOne(value: string): Value {
    return this.#entries.get(value)?.value ?? this.get([value]);
  }

  /** Forgets what `isStale` says, so that a process that lives long does not name what is long gone. */
  drop(isStale: (values: readonly string[]) => boolean): void {
    let hasGone = false;
    for (const [key, entry] of this.#entries) {
      if (!isStale(entry.values)) continue;
      this.remove(key);
      hasGone = true;
    }
    if (hasGone && this.#shared !== undefined) this.#shared.budget.generation++;
  }

  remove(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    if (this.#shared === undefined) return;
    this.#use(-this.#shared.weight, entry.isDetailed);
    this.#shared.onRemove?.(entry.values, entry.value);
  }

  age(idleSweepsMax: number): boolean {
    let hasGone = false;
    for (const [key, entry] of this.#entries) {
      const count = this.#shared?.countOf(entry.value) ?? 0;
      entry.busy = count - entry.seen;
      entry.seen = count;
      entry.idleSweeps = entry.busy > 0 ? 0 : entry.idleSweeps + 1;
      if (entry.idleSweeps < idleSweepsMax) continue;
      this.remove(key);
      hasGone = true;
    }
    return hasGone;
  }

  detailed(): { readonly set: BudgetedSet; readonly key: string; readonly busy: number }[] {
    const found: { set: BudgetedSet; key: string; busy: number }[] = [];
    for (const [key, { isDetailed, busy }] of this.#entries) if (isDetailed) found.push({ set: this, key, busy });
    return found;
  }

  /** Details give way first; then all but the first label. */
  #getShared({ budget, weight, detailsFrom }: SharedBudget<Value>, key: string, values: readonly string[]): Value {
    if (budget.hasDetailedRoom(weight)) return this.#add(key, values, true);
    budget.isOther = true;
    this.#miss(key);
    const short = values.map((value, index) => (index < detailsFrom ? value : OTHER));
    const known = this.#entries.get(short.join(SEPARATOR));
    if (known !== undefined) return known.value;
    if (budget.hasRoom(weight)) return this.#add(short.join(SEPARATOR), short, false);
    return this.#other(values.map((value, index) => (index === 0 ? value : OTHER)));
  }

  #use(weight: number, isDetailed: boolean): void {
    const budget = this.#shared?.budget;
    if (budget === undefined) return;
    budget.used += weight;
    if (isDetailed) budget.detailedUsed += weight;
  }

  takeMissed(): number[] {
    const counts = [...this.#missed.values()].sort((a, b) => b - a);
    this.#missed.clear();
    return counts;
  }

  /** Counts who found no room. Where there are too many of them, those heard of once make place (as in lossy counting). */
  #miss(key: string): void {
    const count = this.#missed.get(key);
    if (count !== undefined) this.#missed.set(key, count + 1);
    else if (this.#missed.size < MISSED_MAX) this.#missed.set(key, 1);
    else
      for (const [other, times] of this.#missed) {
        if (times <= 1) this.#missed.delete(other);
        else this.#missed.set(other, times >> 1);
      }
  }

  #other(values: readonly string[]): Value {
    const key = values.join(SEPARATOR);
    return this.#entries.get(key)?.value ?? this.#add(key, values, false);
  }

  #add(key: string, values: readonly string[], isDetailed: boolean): Value {
    const value = this.#build();
    this.#entries.set(key, { values, value, isDetailed, seen: 0, busy: 0, idleSweeps: 0 });
    if (this.#shared !== undefined) this.#use(this.#shared.weight, isDetailed);
    return value;
  }
}
