// Tells the control plane what this sidecar sees of the services it calls: counts that go on from the start of the
// process, every second while a release is under way, every ten otherwise. Belongs to one stream: the first report on
// it says all, later ones what changed.
import type { TrafficCount, TrafficReport } from "../../proto/gen/weft/v1/discovery.ts";
import { type Clock, every, type Timer } from "../../runtime/clock.ts";
import { REPORT_IDLE_INTERVAL_MS, REPORT_INTERVAL_MS } from "./limits.ts";

/** Where the figures come from. */
export interface TrafficSource {
  counts(): Iterable<TrafficCount>;
  /** A release of a service that this sidecar calls is under way. */
  isReleaseLive(): boolean;
}

/** Reports until cancelled, at once for the first time. */
export function reportTraffic(clock: Clock, source: TrafficSource, send: (report: TrafficReport) => void): Timer {
  const sent = new Map<string, number>();
  const report = (): void => {
    const counts: TrafficCount[] = [];
    for (const count of source.counts()) {
      const key = `${count.service} ${count.backend} ${count.version} ${count.route} ${count.mirror}`;
      if (sent.get(key) === count.requests) continue;
      sent.set(key, count.requests);
      counts.push(count);
    }
    send({ counts });
  };
  report();
  let waitedMs = 0;
  return every(clock, REPORT_INTERVAL_MS, () => {
    waitedMs += REPORT_INTERVAL_MS;
    if (!source.isReleaseLive() && waitedMs < REPORT_IDLE_INTERVAL_MS) return;
    waitedMs = 0;
    report();
  });
}
