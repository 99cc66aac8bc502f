// What a release must know of the mesh around it: which endpoints are ready, who calls the service, how much. Reads
// the registry and the fleet; decides nothing.
import { indexDocuments } from "../../rules/compile.ts";
import type { Document } from "../../rules/document.ts";
import { compileEndpoints, impliedServices } from "../../rules/endpoints.ts";
import type { Clock } from "../../runtime/clock.ts";
import type { Fleet } from "../push/fleet.ts";
import type { Registry } from "../registry/registry.ts";
import type { Rulebook } from "../store/rulebook.ts";
import type { RateWindow } from "../telemetry/rate-window.ts";
import type { TrafficLedger } from "../telemetry/traffic-ledger.ts";

/** A caller whose last report is older than this is missing: three reports of one a second, and a bit. */
const SILENT_AFTER_MS = 3_500;
/** Until a release is this old its callers may still report as if there were none: every ten seconds. */
const YOUNG_MS = 5_000;
const SILENT_AFTER_IDLE_MS = 13_500;

export interface Callers {
  readonly reporting: number;
  /** Workload ids of those who should report and do not. */
  readonly silent: readonly string[];
}

export interface Surroundings {
  /** Ready endpoints of a service (qualified), counted by their weights. */
  readyEndpoints(service: string): number;
  /** @param releaseAgeMs since the release of the service began */
  callersOf(service: string, releaseAgeMs: number): Callers;
  /** Requests a second to a service. */
  rate(service: string): number;
  rateTo(service: string, backend: string): number;
  onEndpointsChange(listener: () => void): () => void;
}

export interface SurroundingsOptions {
  readonly clock: Clock;
  readonly rulebook: Rulebook;
  readonly registry: Registry;
  readonly fleet: Fleet;
  readonly traffic: TrafficLedger;
  readonly rates: RateWindow;
}

export function createSurroundings(options: SurroundingsOptions): Surroundings {
  const { rulebook, registry, rates } = options;
  return {
    readyEndpoints: (service) => {
      const [namespace = "", name = ""] = service.split("/");
      const documented = rulebook.get({ kind: "Service", namespace, name })?.document;
      const documents: Document[] = documented === undefined ? [] : [documented];
      const index = indexDocuments(documents, impliedServices(registry.workloads()));
      const workloads = registry.workloads().filter((workload) => workload.namespace === namespace);
      return compileEndpoints(index, service, workloads).endpoints.reduce((sum, { weight }) => sum + weight, 0);
    },
    callersOf: (service, releaseAgeMs) => callersOf(options, service, releaseAgeMs),
    rate: (service) => rates.perSecond(service),
    rateTo: (service, backend) => rates.perSecondTo(service, backend),
    onEndpointsChange: (listener) => registry.onChange(listener),
  };
}

/** Sidecars that are subscribed to the service, whether their stream is open or was a moment ago. */
function callersOf({ clock, fleet, traffic }: SurroundingsOptions, service: string, releaseAgeMs: number): Callers {
  const silentAfterMs = releaseAgeMs < YOUNG_MS ? SILENT_AFTER_IDLE_MS : SILENT_AFTER_MS;
  const silent: string[] = [];
  let reporting = 0;
  for (const { introduction, subscriptions, isConnected } of fleet.sidecars()) {
    if (!subscriptions.has(service)) continue;
    const { id } = introduction.workload;
    const lastMs = traffic.lastReportMs(id);
    const isHeard = isConnected && lastMs !== undefined && clock.now() - lastMs <= silentAfterMs;
    if (isHeard) reporting++;
    else silent.push(id);
  }
  return { reporting, silent: silent.sort() };
}
