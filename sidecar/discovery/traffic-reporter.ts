// Tells the control plane what this sidecar sees of the services it calls: counts that go on from the start of the
// process, every second while a release is under way or somebody watches, every ten otherwise. Belongs to one stream: the first report on
// it says all, later ones what changed.
import type { TrafficCount, TrafficReport } from "../../proto/gen/weft/v1/discovery.ts";
import { type Clock, every, type Timer } from "../../runtime/clock.ts";
import { REPORT_IDLE_INTERVAL_MS, REPORT_INTERVAL_MS } from "./limits.ts";

/** Where the figures come from. */
export interface TrafficSource {
  counts(): Promise<TrafficReport>;
  /** Count by rule too, from now on or no more. */
  countRoutes(isOn: boolean): void;
  /** A release of a service that this sidecar calls is under way. */
  isReleaseLive(): boolean;
}

/** What goes on while the stream stands. */
export interface TrafficReports extends Timer {
  /** Somebody looks: report at once, and every `intervalMs`; 0: nobody does any more. */
  watch(intervalMs: number): void;
}

/** Reports until cancelled, at once for the first time. */
export function reportTraffic(
  clock: Clock,
  source: TrafficSource,
  send: (report: TrafficReport) => void,
): TrafficReports {
  const changedCounts = changes();
  const changedRoutes = changes();
  let isCounting = false;
  let isCancelled = false;
  const report = async (): Promise<void> => {
    if (isCounting) return;
    isCounting = true;
    try {
      const { counts, routes } = await source.counts();
      const report = { counts: changedCounts(counts), routes: changedRoutes(routes) };
      if (!isCancelled) send(report);
    } finally {
      isCounting = false;
    }
  };
  void report();
  let waitedMs = 0;
  let watchedEveryMs = 0;
  const timer = every(clock, REPORT_INTERVAL_MS, () => {
    waitedMs += REPORT_INTERVAL_MS;
    const everyMs = watchedEveryMs > 0 ? watchedEveryMs : REPORT_IDLE_INTERVAL_MS;
    if (!source.isReleaseLive() && waitedMs < everyMs) return;
    waitedMs = 0;
    void report();
  });
  return {
    cancel: () => {
      isCancelled = true;
      timer.cancel();
      if (watchedEveryMs > 0) source.countRoutes(false);
    },
    watch: (intervalMs) => {
      watchedEveryMs = intervalMs;
      source.countRoutes(intervalMs > 0);
      if (intervalMs > 0) void report();
    },
  };
}

/** Tells at each call which counts have others than at the one before; remembers no more than it was told then. */
function changes(): (counts: readonly TrafficCount[]) => TrafficCount[] {
  let before = new Map<string, number>();
  return (counts) => {
    const changed = counts.filter((count) => before.get(keyOf(count)) !== count.requests);
    before = new Map(counts.map((count) => [keyOf(count), count.requests]));
    return changed;
  };
}

function keyOf({ service, backend, version, route, mirror }: TrafficCount): string {
  return `${service} ${backend} ${version} ${route} ${mirror}`;
}
