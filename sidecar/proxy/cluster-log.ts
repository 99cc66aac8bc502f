// What changes by itself in clusters (circuits, ejections, health), as log lines and counters.
import type { Log } from "../../runtime/log.ts";
import type { ClusterEvents } from "../cluster-state.ts";
import type { Metrics } from "../observe/metrics.ts";

export function clusterLog(log: Log, metrics: Metrics): ClusterEvents {
  return {
    onCircuit: (service, endpoint, state, why) => {
      metrics.circuitTransitions.cell(service, state).value++;
      log.warn({ service, ...(endpoint !== "" && { endpoint }), state, why }, "circuit breaker");
    },
    onEjected: (service, endpoint, cause, forMs) => {
      metrics.ejections.cell(service, cause).value++;
      log.warn({ service, endpoint, cause, forMs }, "endpoint ejected");
    },
    onReturned: (service, endpoint) => log.info({ service, endpoint }, "endpoint is back after its ejection"),
    onEjectionRefused: (service, endpoint, cause, isRepeated) => {
      metrics.ejectionsRefused.cell(service, cause).value++;
      if (isRepeated) return;
      log.warn({ service, endpoint, cause }, "endpoint not ejected: too few would be left (keepAtLeast)");
    },
    onHealth: (service, endpoint, error) => {
      if (error === "") log.info({ service, endpoint }, "endpoint passes its health check again");
      else log.warn({ service, endpoint, error }, "endpoint fails its health check");
    },
    onProbe: (service, error) => {
      metrics.probes.cell(service, error === "" ? "passed" : "failed").value++;
    },
  };
}
