// Tells the control plane what this sidecar sees of the services it calls: counts that go on from the start of the
// process, every second while a release is under way, every ten otherwise. Belongs to one stream: the first report on
// it says all, later ones what changed.
import type { TrafficCount, TrafficReport } from "../../proto/gen/weft/v1/discovery.ts";
import { type Clock, every, type Timer } from "../../runtime/clock.ts";
import { REPORT_IDLE_INTERVAL_MS, REPORT_INTERVAL_MS } from "./limits.ts";

/** Where the figures come from. */
export interface TrafficSource {
  counts(): Promise<readonly TrafficCount[]>;
  /** A release of a service that this sidecar calls is under way. */
  isReleaseLive(): boolean;
}

/** Reports until cancelled, at once for the first time. */
export function reportTraffic(clock: Clock, source: TrafficSource, send: (report: TrafficReport) => void): Timer {
  const sent = new Map<string, number>();
  let isCounting = false;
  let isCancelled = false;
  const report = async (): Promise<void> => {
    if (isCounting) return;
    isCounting = true;
    try {
      const counts = await source.counts();
      const changed = counts.filter((count) => sent.get(keyOf(count)) !== count.requests);
      for (const count of changed) sent.set(keyOf(count), count.requests);
      if (!isCancelled) send({ counts: changed });
    } finally {
      isCounting = false;
    }
  };
  void report();
  let waitedMs = 0;
  const timer = every(clock, REPORT_INTERVAL_MS, () => {
    waitedMs += REPORT_INTERVAL_MS;
    if (!source.isReleaseLive() && waitedMs < REPORT_IDLE_INTERVAL_MS) return;
    waitedMs = 0;
    void report();
  });
  return {
    cancel: () => {
      isCancelled = true;
      timer.cancel();
    },
  };
}

function keyOf({ service, backend, version, route, mirror }: TrafficCount): string {
  return `${service} ${backend} ${version} ${route} ${mirror}`;
}
