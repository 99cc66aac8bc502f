// How many series the figures of requests may have together, so that their number is bounded whatever is called, and
// which of them have a name of their own when it is not enough: the busy ones. Counts are never lost: what has no
// name of its own is counted under "other", and what goes is added to a total that stays.
//
// A series that was idle for long goes, and so does the least busy one when another is busier. What it had counted is NOT moved to
// "other": a counter that jumps looks like a burst of requests to whoever takes its rate. It goes to a total of its own
// (weft_expired_requests_total), so that the sum of both is exact, and rates are.

/** The series of one family, as the budget that they share sees them. */
export interface BudgetedSet {
  /** Series that one entry is exposed as. */
  readonly weight: number;
  /** One more sweep: what was idle for too many goes. @returns whether anything went */
  age(idleSweepsMax: number): boolean;
  /** Entries that have all of their labels, with how busy they were between the last two sweeps. */
  detailed(): { readonly set: BudgetedSet; readonly key: string; readonly busy: number }[];
  /** How busy those were that found no room since the last sweep, the busiest first; forgets them. */
  takeMissed(): number[];
  remove(key: string): void;
}

/** A series that counted nothing for so many sweeps goes. */
export const IDLE_SWEEPS_MAX = 60;
export const SWEEP_EVERY_MS = 60_000;
/** Share of the budget for series with all of their labels; the rest is for those whose details are "other". */
const DETAILED_SHARE = 0.8;
/** Names of one family that may change in one sweep, so that a budget that is far too small does not make them flap. */
const PROMOTED_MAX = 16;

export class SeriesBudget {
  /** Series as a scraper counts them. */
  max: number;
  used = 0;
  /** Of those, the ones with all of their labels. */
  detailedUsed = 0;
  /** Grows when series went: who remembers one asks again. */
  generation = 0;
  /** The last series that was asked for has no name of its own. */
  isOther = false;
  readonly #sets: BudgetedSet[] = [];

  constructor(max: number) {
    this.max = max;
  }

  join(set: BudgetedSet): void {
    this.#sets.push(set);
  }

  hasRoom(weight: number): boolean {
    return this.used + weight <= this.max;
  }

  /** Is there room for one with all of its labels? */
  hasDetailedRoom(weight: number): boolean {
    return this.detailedUsed + weight <= this.max * DETAILED_SHARE && this.hasRoom(weight);
  }

  /** Once every SWEEP_EVERY_MS. */
  sweep(): void {
    let hasGone = false;
    for (const set of this.#sets) if (set.age(IDLE_SWEEPS_MAX)) hasGone = true;
    if (this.used > this.max && this.#dropLeastBusy(this.used - this.max)) hasGone = true;
    for (const set of this.#sets) if (makeRoom(set)) hasGone = true;
    if (hasGone) this.generation++;
  }

  #dropLeastBusy(weight: number): boolean {
    let freed = 0;
    for (const { set, key } of this.#sets.flatMap((set) => set.detailed()).sort(byBusy)) {
      if (freed >= weight) break;
      freed += set.weight;
      set.remove(key);
    }
    return freed > 0;
  }
}

function byBusy(a: { readonly busy: number }, b: { readonly busy: number }): number {
  return a.busy - b.busy;
}

/** The least busy series go where others that found no room are more than twice as busy. */
function makeRoom(set: BudgetedSet): boolean {
  const missed = set.takeMissed().slice(0, PROMOTED_MAX);
  if (missed.length === 0) return false;
  const leastBusy = set.detailed().sort(byBusy);
  let freed = 0;
  for (const count of missed) {
    const next = leastBusy[freed];
    if (next === undefined || count <= 2 * next.busy) break;
    set.remove(next.key);
    freed++;
  }
  return freed > 0;
}
