// Tells the control plane to which endpoints this sidecar sends nothing, and why, for `weft endpoints`. Belongs to one
// stream; says all of it whenever it changed, and nothing while all endpoints are healthy.
import type { EndpointHealth, HealthReport } from "../../proto/gen/weft/v1/discovery.ts";
import { type Clock, every, type Timer } from "../../runtime/clock.ts";
import { HEALTH_INTERVAL_MS } from "./limits.ts";

/** Endpoints that get nothing now. */
export type HealthSource = () => Promise<readonly EndpointHealth[]>;

/** Reports until cancelled. */
export function reportHealth(clock: Clock, source: HealthSource, send: (report: HealthReport) => void): Timer {
  let sent = "[]";
  let isAsking = false;
  let isCancelled = false;
  const report = async (): Promise<void> => {
    if (isAsking) return;
    isAsking = true;
    try {
      const endpoints = [...(await source())];
      const text = JSON.stringify(endpoints);
      if (isCancelled || text === sent) return;
      sent = text;
      send({ endpoints });
    } finally {
      isAsking = false;
    }
  };
  void report();
  const timer = every(clock, HEALTH_INTERVAL_MS, () => void report());
  return {
    cancel: () => {
      isCancelled = true;
      timer.cancel();
    },
  };
}
