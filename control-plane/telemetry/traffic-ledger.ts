// What sidecars count, turned into what happened meanwhile: each reports totals since its start, and the difference to
// its report before is what is new. A lost report is made good by the next; a sidecar that this process hears of for
// the first time begins with a baseline. Times are this process's own, so a sidecar's wrong clock does not matter.
import type { TrafficCount } from "../../proto/gen/weft/v1/discovery.ts";
import { LATENCY_BUCKETS } from "../../rules/latency-buckets.ts";
import type { Clock } from "../../runtime/clock.ts";

/** Counts of one report that are looked at. */
export const REPORT_COUNTS_MAX = 5_000;
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
  readonly totals: Map<string, TrafficCount>;
  readonly routeTotals: Map<string, TrafficCount>;
}

export class TrafficLedger {
  readonly #clock: Clock;
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
    if (known === undefined || known.incarnation !== incarnation) {
      this.#forgetSilent(atMs);
      const reporter: Reporter = { incarnation, lastReportMs: atMs, totals: new Map(), routeTotals: new Map() };
      increments(sane, reporter.totals);
      increments(saneRoutes, reporter.routeTotals);
      this.#reporters.set(workload, reporter);
      return;
    }
    const delta: TrafficDelta = {
      workload,
      fromMs: known.lastReportMs,
      atMs,
      counts: increments(sane, known.totals),
      routes: increments(saneRoutes, known.routeTotals),
    };
    known.lastReportMs = atMs;
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

  #forgetSilent(nowMs: number): void {
    for (const [workload, { lastReportMs }] of this.#reporters)
      if (nowMs - lastReportMs > FORGET_AFTER_MS) this.#reporters.delete(workload);
  }
}

function keyOf({ service, backend, version, route, mirror }: TrafficCount): string {
  return `${service} ${backend} ${version} ${route} ${mirror}`;
}

function isSane({ requests, failures, latency }: TrafficCount): boolean {
  const isCount = (value: number) => Number.isSafeInteger(value) && value >= 0;
  return isCount(requests) && isCount(failures) && failures <= requests && latency.length <= LATENCY_BUCKETS;
}

/** What is new since `totals`, which are brought up to date. */
function increments(counts: readonly TrafficCount[], totals: Map<string, TrafficCount>): TrafficCount[] {
  const added = counts.map((count) => increment(count, totals.get(keyOf(count))));
  for (const count of counts) totals.set(keyOf(count), count);
  return added.filter(({ requests }) => requests > 0);
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
