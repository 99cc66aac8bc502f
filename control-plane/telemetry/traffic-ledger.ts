// What sidecars count, turned into what happened meanwhile: each reports totals since its start, and the difference to
// its report before is what is new. A lost report is made good by the next; a sidecar that this process hears of for
// the first time begins with a baseline. Times are this process's own, so a sidecar's wrong clock does not matter.
import type { TrafficCount } from "../../proto/gen/weft/v1/discovery.ts";
import { LATENCY_BUCKETS } from "../../rules/latency-buckets.ts";
import type { Clock } from "../../runtime/clock.ts";

/** Counts of one report that are looked at. */
export const REPORT_COUNTS_MAX = 5_000;
/** Names in one count: a service, or a route with its kind and the index of a rule. */
export const COUNT_NAME_CHARACTERS_MAX = 600;
/** Counts that are remembered of one sidecar, and of its rules again as many; at least what one report brings. */
export const TOTALS_MAX = 2 * REPORT_COUNTS_MAX;
/** Sidecars whose totals are remembered: as many as may be registered, and as many that left lately. */
export const REPORTERS_MAX = 20_000;
/** A sidecar that has been silent for this long is forgotten. */
const FORGET_AFTER_MS = 300_000;

/** What one sidecar saw between two of its reports. Monotonic times. */
export interface TrafficDelta {
  readonly workload: string;
  /** When the report before came. */
  readonly fromMs: number;
  readonly atMs: number;
  /** Increments; latency counts are as long as they need to be. */
  readonly counts: readonly TrafficCount[];
  /** The same requests by rule, where somebody watches. */
  readonly routes: readonly TrafficCount[];
}

interface Reporter {
  readonly incarnation: string;
  lastReportMs: number;
  readonly totals: Totals;
  readonly routeTotals: Totals;
}

export class TrafficLedger {
  readonly #clock: Clock;
  /** By workload, the one that has been silent for longest first. */
  readonly #reporters = new Map<string, Reporter>();
  readonly #listeners = new Set<(delta: TrafficDelta) => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes a report of the process `incarnation` of a workload. Counts that make no sense are left out. @param routes the same by rule */
  report(
    workload: string,
    incarnation: string,
    counts: readonly TrafficCount[],
    routes: readonly TrafficCount[] = [],
  ): void {
    const atMs = this.#clock.now();
    const sane = counts.slice(0, REPORT_COUNTS_MAX).filter(isSane);
    const saneRoutes = routes.slice(0, REPORT_COUNTS_MAX).filter(isSane);
    const known = this.#reporters.get(workload);
    this.#reporters.delete(workload);
    this.#forgetSilent(atMs);
    if (known === undefined || known.incarnation !== incarnation) {
      const reporter: Reporter = { incarnation, lastReportMs: atMs, totals: new Totals(), routeTotals: new Totals() };
      reporter.totals.increments(sane);
      reporter.routeTotals.increments(saneRoutes);
      this.#reporters.set(workload, reporter);
      return;
    }
    const delta: TrafficDelta = {
      workload,
      fromMs: known.lastReportMs,
      atMs,
      counts: known.totals.increments(sane),
      routes: known.routeTotals.increments(saneRoutes),
    };
    known.lastReportMs = atMs;
    this.#reporters.set(workload, known);
    for (const listener of this.#listeners) listener(delta);
  }

  /** Monotonic time of a workload's last report; undefined when it never reported. */
  lastReportMs(workload: string): number | undefined {
    return this.#reporters.get(workload)?.lastReportMs;
  }

  /** Calls back with what each report adds, until the returned function is called. */
  onDelta(listener: (delta: TrafficDelta) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Makes room for one more. */
  #forgetSilent(nowMs: number): void {
    for (const [workload, { lastReportMs }] of this.#reporters) {
      if (this.#reporters.size < REPORTERS_MAX && nowMs - lastReportMs <= FORGET_AFTER_MS) return;
      this.#reporters.delete(workload);
    }
  }
}

/** The totals that one sidecar reported last. Past the bound those go of which nothing was heard for longest. */
class Totals {
  readonly #counts = new Map<string, TrafficCount>();
  #hasForgotten = false;

  /** What is new in `counts`, which are remembered. */
  increments(counts: readonly TrafficCount[]): TrafficCount[] {
    const added: TrafficCount[] = [];
    for (const count of counts) {
      const key = keyOf(count);
      const before = this.#counts.get(key);
      // What may have been known before begins with a baseline, or all that it ever counted would look like now.
      if (before !== undefined || !this.#hasForgotten) added.push(increment(count, before));
      this.#counts.delete(key);
      this.#counts.set(key, count);
    }
    this.#forgetOldest();
    return added.filter(({ requests }) => requests > 0);
  }

  #forgetOldest(): void {
    for (const key of this.#counts.keys()) {
      if (this.#counts.size <= TOTALS_MAX) return;
      this.#counts.delete(key);
      this.#hasForgotten = true;
    }
  }
}

function keyOf({ service, backend, version, route, mirror }: TrafficCount): string {
  return `${service} ${backend} ${version} ${route} ${mirror}`;
}

function isSane({ service, backend, version, route, requests, failures, latency }: TrafficCount): boolean {
  const isCount = (value: number) => Number.isSafeInteger(value) && value >= 0;
  if ([service, backend, version, route].some((name) => name.length > COUNT_NAME_CHARACTERS_MAX)) return false;
  return isCount(requests) && isCount(failures) && failures <= requests && latency.length <= LATENCY_BUCKETS;
}

/** A total that went down began anew: all of it is new. */
function increment(now: TrafficCount, before: TrafficCount | undefined): TrafficCount {
  if (before === undefined || now.requests < before.requests || now.failures < before.failures) return now;
  return {
    ...now,
    requests: now.requests - before.requests,
    failures: now.failures - before.failures,
    latency: now.latency.map((count, bucket) => Math.max(0, count - (before.latency[bucket] ?? 0))),
  };
}
