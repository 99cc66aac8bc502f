// The control plane's gauges: read off rules, registry, fleet and process whenever somebody asks.
import { ProcessFigures, type Usage } from "../runtime/process-figures.ts";
import type { Labels, MetricsRegistry } from "./metrics.ts";
import type { Fleet, Sidecar } from "./push/fleet.ts";
import type { Registry } from "./registry/registry.ts";
import type { Rulebook } from "./store/rulebook.ts";

/** Sidecars that have series of their own; a larger fleet is in the counts by state, and in `weft sidecars`. */
const SIDECARS_SHOWN_MAX = 1_000;

export interface GaugeSources {
  readonly rulebook: Rulebook;
  readonly registry: Registry;
  readonly fleet: Fleet;
}

type SidecarState = "synced" | "pending" | "refused" | "disconnected";

export function addGauges(metrics: MetricsRegistry, { rulebook, registry, fleet }: GaugeSources): void {
  metrics.gauge("weft_revision", "Newest committed revision.", () => rulebook.revision);
  metrics.gauge("weft_pushed_revision", "Newest revision that is compiled and pushed.", () => fleet.pushedRevision);
  metrics.gauge("weft_documents", "Stored documents by kind.", () => {
    const byKind = Map.groupBy(rulebook.documents.values(), ({ key }) => key.kind);
    return Array.from(byKind, ([kind, documents]) => [{ kind }, documents.length] as const);
  });
  metrics.gauge("weft_workloads", "Registered workloads by readiness.", () => {
    const ready = registry.workloads().filter((workload) => workload.ready).length;
    return [
      [{ ready: "true" }, ready],
      [{ ready: "false" }, registry.workloads().length - ready],
    ];
  });
  metrics.gauge("weft_sidecars_connected", "Sidecars with an open discovery stream.", () => fleet.connectedCount);
  metrics.gauge("weft_compiled_resources", "Compiled resources that are kept.", () => fleet.compiledCount);
  metrics.gauge("weft_sidecars_refusing", "Sidecars that refused a delta and act on older rules.", () => {
    let refusing = 0;
    for (const sidecar of fleet.sidecars()) refusing += Number(stateOf(sidecar) === "refused");
    return refusing;
  });
  addSidecarGauges(metrics, fleet);
}

function addSidecarGauges(metrics: MetricsRegistry, fleet: Fleet): void {
  metrics.gauge("weft_sidecars", "Sidecars by what they do with the newest rules.", () => {
    const counts = { synced: 0, pending: 0, refused: 0, disconnected: 0 };
    for (const sidecar of fleet.sidecars()) counts[stateOf(sidecar)]++;
    return Object.entries(counts).map(([state, count]) => [{ state }, count] as const);
  });
  const perSidecar = (name: string, help: string, read: (sidecar: Sidecar) => readonly [Labels, number]): void =>
    metrics.gauge(name, help, () => [...fleet.sidecars()].slice(0, SIDECARS_SHOWN_MAX).map(read));
  perSidecar("weft_sidecar_state", "1, with the state of the sidecar as a label.", (sidecar) => [
    { ...labelsOf(sidecar), state: stateOf(sidecar) },
    1,
  ]);
  perSidecar("weft_sidecar_revision", "Revision that the sidecar acts on.", (sidecar) => [
    labelsOf(sidecar),
    sidecar.queue.revision,
  ]);
  perSidecar("weft_sidecar_last_push_seconds", "How long the last change took to reach the sidecar.", (sidecar) => [
    labelsOf(sidecar),
    sidecar.lastPushMs / 1_000,
  ]);
}

function labelsOf({ introduction: { workload } }: Sidecar): Labels {
  return { sidecar: workload.id, service: `${workload.namespace}/${workload.service}` };
}

function stateOf({ isConnected, queue }: Sidecar): SidecarState {
  if (!isConnected) return "disconnected";
  if (queue.refusal !== undefined) return "refused";
  return queue.isWaiting ? "pending" : "synced";
}

/** The process, by the names that a sidecar's has. */
export function addProcessGauges(metrics: MetricsRegistry, usage: () => Usage): void {
  const figures = new ProcessFigures(usage);
  let reading = figures.read();
  // The first of them brings all up to date.
  metrics.total("process_cpu_seconds_total", "CPU time, user and system.", () => {
    reading = figures.read();
    return reading.cpuSeconds;
  });
  metrics.gauge("process_resident_memory_bytes", "Resident memory.", () => reading.residentBytes);
  metrics.gauge("process_start_time_seconds", "When it started (epoch).", () => reading.startedSeconds);
  metrics.gauge("nodejs_heap_used_bytes", "JavaScript heap in use.", () => reading.heapUsedBytes);
  metrics.gauge("nodejs_heap_limit_bytes", "What the heap may grow to.", () => reading.heapLimitBytes);
  metrics.gauge("nodejs_external_memory_bytes", "Memory outside of the heap.", () => reading.externalBytes);
  metrics.gauge(
    "nodejs_eventloop_utilization",
    "Share of the time since the last reading that the event loop was busy.",
    () => reading.eventLoopUtilization,
  );
  metrics.gauge("nodejs_eventloop_delay_seconds", "Lateness of timers since the last reading.", () => [
    [{ percentile: "50" }, reading.eventLoopDelay.p50],
    [{ percentile: "99" }, reading.eventLoopDelay.p99],
    [{ percentile: "100" }, reading.eventLoopDelay.max],
  ]);
  const byKind = (read: "runs" | "seconds") => () =>
    Object.entries(reading.gc).map(([kind, gc]) => [{ kind }, gc[read]] as const);
  metrics.total("nodejs_gc_runs_total", "Garbage collections.", byKind("runs"));
  metrics.total("nodejs_gc_seconds_total", "Time in garbage collection.", byKind("seconds"));
}
