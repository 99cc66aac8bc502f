// The fleet as a person sees it: sidecars, services, endpoints. State words are the ones `weft apply --wait` uses.
import {
  type CallerVerdict,
  type EndpointSummary,
  type ServiceSummary,
  type Sidecar,
  SyncState,
} from "../../proto/gen/weft/v1/fleet.ts";

export type SyncWord = "synced" | "pending" | "refused" | "disconnected" | "unknown";

export interface RefusalView {
  /** Resource that was refused, such as `service:default/orders`. */
  readonly resource: string;
  readonly path: string;
  readonly reason: string;
  readonly revision?: number;
}

export interface SidecarView {
  readonly id: string;
  readonly service: string;
  readonly namespace: string;
  readonly version: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly address: string;
  readonly zone: string;
  readonly ready: boolean;
  readonly state: SyncWord;
  /** Revision the sidecar acts on. */
  readonly revision: number;
  readonly connectedAtMs: number;
  readonly lastHeardAtMs: number;
  readonly subscriptions: readonly string[];
  readonly programVersion: string;
  readonly peer: string;
  readonly lastPushMs: number;
  readonly refusal?: RefusalView;
}

export interface ServiceView {
  readonly namespace: string;
  readonly name: string;
  readonly ports: readonly { readonly port: number; readonly protocol: string }[];
  /** True when it exists because a sidecar was started for it. */
  readonly implied: boolean;
  readonly versions: readonly string[];
  readonly endpoints: number;
  readonly readyEndpoints: number;
  readonly documents: readonly string[];
}

export interface EndpointView {
  readonly service: string;
  readonly namespace: string;
  readonly address: string;
  readonly version: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly weight: number;
  readonly zone: string;
  readonly ready: boolean;
  readonly origin: string;
  readonly leaseRemainingMs: number;
  readonly workloadId: string;
  /** Callers that send it nothing, and why. */
  readonly verdicts: readonly VerdictView[];
}

/** What one caller finds; each part is empty where it has nothing against the endpoint. */
export interface VerdictView {
  /** Workload id of the calling sidecar. */
  readonly caller: string;
  /** Error of its active check. */
  readonly active: string;
  /** Cause of its ejection. */
  readonly passive: string;
  /** "open" or "half-open". */
  readonly circuit: string;
}

export function syncWord(state: SyncState): SyncWord {
  switch (state) {
    case SyncState.SYNC_STATE_SYNCED:
      return "synced";
    case SyncState.SYNC_STATE_PENDING:
      return "pending";
    case SyncState.SYNC_STATE_REFUSED:
      return "refused";
    case SyncState.SYNC_STATE_DISCONNECTED:
      return "disconnected";
    default:
      return "unknown";
  }
}

export function sidecarView(sidecar: Sidecar): SidecarView {
  const { workload, refusal } = sidecar;
  return {
    id: workload?.id ?? "",
    service: workload?.service ?? "",
    namespace: workload?.namespace ?? "",
    version: workload?.version ?? "",
    labels: workload?.labels ?? {},
    address: workload?.address ?? "",
    zone: workload?.zone ?? "",
    ready: workload?.ready ?? false,
    state: syncWord(sidecar.state),
    revision: sidecar.revision,
    connectedAtMs: sidecar.connectedAtMs,
    lastHeardAtMs: sidecar.lastHeardAtMs,
    subscriptions: sidecar.subscriptions,
    programVersion: sidecar.programVersion,
    peer: sidecar.peer,
    lastPushMs: sidecar.lastPushMs,
    ...(refusal === undefined
      ? {}
      : {
          refusal: {
            resource: refusal.resource,
            path: refusal.fieldPath,
            reason: refusal.reason,
            revision: sidecar.refusedRevision,
          },
        }),
  };
}

export function serviceView(service: ServiceSummary): ServiceView {
  return {
    namespace: service.namespace,
    name: service.name,
    ports: service.ports.map(({ port, protocol }) => ({ port, protocol })),
    implied: service.implied,
    versions: service.versions,
    endpoints: service.endpoints,
    readyEndpoints: service.readyEndpoints,
    documents: service.documents,
  };
}

export function endpointView(endpoint: EndpointSummary): EndpointView {
  return {
    service: endpoint.service,
    namespace: endpoint.namespace,
    address: endpoint.address,
    version: endpoint.version,
    labels: endpoint.labels,
    weight: endpoint.weight,
    zone: endpoint.zone,
    ready: endpoint.ready,
    origin: endpoint.origin,
    leaseRemainingMs: endpoint.leaseRemainingMs,
    workloadId: endpoint.workloadId,
    verdicts: endpoint.verdicts.map(verdictView),
  };
}

function verdictView({ workloadId, health }: CallerVerdict): VerdictView {
  const { active = "", passive = "", circuit = "" } = health ?? {};
  return { caller: workloadId, active, passive, circuit };
}

/** "healthy", "not ready", or why how many callers send it nothing. */
export function healthText({ ready, verdicts }: EndpointView): string {
  if (!ready) return "not ready";
  const [first] = verdicts;
  if (first === undefined) return "healthy";
  const why = [
    first.active === "" ? "" : `active check: ${first.active}`,
    first.passive === "" ? "" : `ejected: ${first.passive}`,
    first.circuit === "" ? "" : `circuit ${first.circuit}`,
  ].filter((part) => part !== "");
  return `${why.join("; ")} (${verdicts.length} ${verdicts.length === 1 ? "caller" : "callers"})`;
}

/** `service:default/orders spec.x: why`: a refusal on one line. */
export function refusalText(refusal: RefusalView): string {
  const place = [refusal.resource, refusal.path].filter((part) => part !== "").join(" ");
  return place === "" ? refusal.reason : `${place}: ${refusal.reason}`;
}
