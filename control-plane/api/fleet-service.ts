// The fleet service: what is running and what it acts on, for people and scripts. Reads only.
import { status } from "@grpc/grpc-js";
import * as wire from "../../proto/gen/weft/v1/fleet.ts";
import { compileService, documentsFor, indexDocuments, type RuleIndex, serviceNames } from "../../rules/compile.ts";
import { documentTitle } from "../../rules/document.ts";
import { compileEndpoints, impliedServices, impliedVersions, type WorkloadFacts } from "../../rules/endpoints.ts";
import { explain } from "../../rules/explain.ts";
import type { Endpoint } from "../../rules/resource.ts";
import type { Clock } from "../../runtime/clock.ts";
import type { Log } from "../../runtime/log.ts";
import { EXPLAIN_SOURCE_BYTES_MAX, EXPLAIN_URL_CHARACTERS_MAX } from "../limits.ts";
import type { Fleet } from "../push/fleet.ts";
import type { Registration, Registry } from "../registry/registry.ts";
import type { Rulebook } from "../store/rulebook.ts";
import type { WriteFailure } from "../store/watched.ts";
import type { HealthLedger } from "../telemetry/health-ledger.ts";
import { withSources } from "./apply.ts";
import { ApiError, StreamWriter, unary } from "./call.ts";
import { streamProgress } from "./wait-revision.ts";
import { wireDiagnostic, wireRefusal } from "./wire.ts";

/** What does not change while the process runs. */
export interface ProcessFacts {
  readonly programVersion: string;
  readonly startedAtMs: number;
  readonly store: string;
  readonly data: string;
  readonly grpc: string;
  readonly http: string;
}

export interface FleetServiceOptions {
  readonly rulebook: Rulebook;
  readonly registry: Registry;
  readonly fleet: Fleet;
  readonly health: HealthLedger;
  readonly clock: Clock;
  readonly log: Log;
  /** Asked when a call comes: the addresses are known only after listening. */
  readonly process: () => ProcessFacts;
  /** Of the last write; an empty message: it went well. */
  readonly storeFailure: () => WriteFailure;
}

export function createFleetService(options: FleetServiceOptions): wire.FleetServiceServer {
  const { rulebook, registry, fleet, health, log } = options;
  return {
    listSidecars: unary(log, ({ namespace }) => ({
      sidecars: registry
        .registrations()
        .filter(({ workload }) => namespace === "" || workload.namespace === namespace)
        .sort((a, b) => compare(a.workload.id, b.workload.id))
        .map((registration) => wireSidecar(fleet, registration, rulebook.revision)),
      revision: rulebook.revision,
    })),
    listServices: unary(log, ({ namespace }) => {
      const view = takeView(rulebook, registry);
      const names = serviceNames(view.index).filter((name) => isIn(namespace, name));
      return { services: names.map((name) => summarizeService(view, name)), revision: rulebook.revision };
    }),
    listEndpoints: unary(log, ({ namespace, service }) => {
      const view = takeView(rulebook, registry);
      const isWanted = (name: string) => isIn(namespace, name) && isNamed(view, service, name);
      const names = serviceNames(view.index).filter(isWanted);
      if (service !== "" && names.length === 0)
        throw new ApiError(
          status.NOT_FOUND,
          `there is no service ${service}${namespace === "" ? "" : ` in ${namespace}`}`,
        );
      return { endpoints: names.flatMap((name) => summarizeEndpoints(view, registry, health, name)) };
    }),
    waitRevision: (call) => {
      const writer = new StreamWriter(call);
      const { revision } = call.request;
      if (revision > rulebook.revision)
        writer.fail({
          code: status.NOT_FOUND,
          details: `there is no revision ${revision}; the newest is ${rulebook.revision}`,
        });
      else streamProgress(options, revision, writer);
    },
    explain: unary(log, (request) => answerExplain(rulebook, registry, request)),
    status: unary(log, () => {
      const { message, atMs } = options.storeFailure();
      return {
        ...options.process(),
        ...{ storeFailure: message, storeFailedAtMs: atMs },
        revision: rulebook.revision,
        connectedSidecars: fleet.connectedCount,
      };
    }),
  };
}

/** The lookup that sidecars run, on the documents of now and whatever the caller adds to them. */
function answerExplain(rulebook: Rulebook, registry: Registry, request: wire.ExplainRequest): wire.ExplainResponse {
  if (request.url === "") throw new ApiError(status.INVALID_ARGUMENT, "url is missing");
  if (request.url.length > EXPLAIN_URL_CHARACTERS_MAX)
    throw new ApiError(status.INVALID_ARGUMENT, `url is longer than ${EXPLAIN_URL_CHARACTERS_MAX} characters`);
  const bytes = request.sources.reduce((total, { content }) => total + content.length, 0);
  if (bytes > EXPLAIN_SOURCE_BYTES_MAX)
    throw new ApiError(status.INVALID_ARGUMENT, `the sources have more than ${EXPLAIN_SOURCE_BYTES_MAX} bytes`);
  const namespace = request.namespace || "default";
  const { documents, diagnostics } = withSources(rulebook, request.sources, namespace);
  const known = registry.knownWorkloads();
  const index = indexDocuments(documents, impliedServices(known), impliedVersions(known));
  return {
    ...explain({ index, workloads: registry.workloads(), question: { ...request, namespace } }),
    revision: rulebook.revision,
    diagnostics: diagnostics.map(wireDiagnostic),
  };
}

/** Documents and workloads of one moment. */
interface View {
  readonly index: RuleIndex;
  readonly versionOf: ReadonlyMap<string, string>;
  readonly workloads: ReadonlyMap<string, readonly WorkloadFacts[]>;
}

function takeView(rulebook: Rulebook, registry: Registry): View {
  const known = registry.knownWorkloads();
  const versionOf = impliedVersions(known);
  const documents = Array.from(rulebook.documents.values(), ({ document }) => document);
  return {
    index: indexDocuments(documents, impliedServices(known), versionOf),
    versionOf,
    workloads: Map.groupBy(registry.workloads(), ({ namespace }) => namespace),
  };
}

function wireSidecar(fleet: Fleet, registration: Registration, newestRevision: number): wire.Sidecar {
  const { workload, programVersion, lastHeardAtMs, isConnected } = registration;
  const sidecar = fleet.sidecar(workload.id);
  // Until the newest revision is compiled, nobody knows whom it concerns.
  const isUndecided = fleet.pushedRevision < newestRevision;
  const queue = sidecar?.queue;
  return {
    workload,
    state: syncState(isConnected, isUndecided, queue),
    revision: queue?.revision ?? 0,
    connectedAtMs: sidecar?.connectedAtMs ?? 0,
    lastHeardAtMs,
    subscriptions: [...(sidecar?.subscriptions ?? [])].sort(),
    refusal: wireRefusal(queue?.refusal),
    refusedRevision: queue?.refusal === undefined ? 0 : queue.refusedRevision,
    programVersion,
    peer: sidecar?.introduction.peer ?? "",
    lastPushMs: sidecar?.lastPushMs ?? 0,
  };
}

function syncState(
  isConnected: boolean,
  isUndecided: boolean,
  queue: { readonly refusal: unknown; readonly isWaiting: boolean } | undefined,
): wire.SyncState {
  if (!isConnected || queue === undefined) return wire.SyncState.SYNC_STATE_DISCONNECTED;
  if (queue.refusal !== undefined) return wire.SyncState.SYNC_STATE_REFUSED;
  return queue.isWaiting || isUndecided ? wire.SyncState.SYNC_STATE_PENDING : wire.SyncState.SYNC_STATE_SYNCED;
}

function summarizeService(view: View, service: string): wire.ServiceSummary {
  const compiled = compileService(view.index, service);
  const all = endpointsOf(view, service, true);
  return {
    ...splitName(service),
    ports: (compiled?.ports ?? []).map(({ port, protocol }) => ({ port, protocol })),
    implied: compiled?.implied ?? false,
    versions: [...new Set(all.map(({ version }) => version).filter((version) => version !== ""))].sort(),
    endpoints: all.length,
    readyEndpoints: endpointsOf(view, service, false).length,
    documents: documentsFor(view.index, service).map(documentTitle),
  };
}

function summarizeEndpoints(
  view: View,
  registry: Registry,
  health: HealthLedger,
  service: string,
): wire.EndpointSummary[] {
  return endpointsOf(view, service, true).map((endpoint) => {
    const registration = endpoint.mesh ? registry.get(endpoint.id) : undefined;
    return {
      ...{ service: splitName(service).name, namespace: splitName(service).namespace },
      ...{ version: endpoint.version, weight: endpoint.weight, zone: endpoint.zone, labels: { ...endpoint.labels } },
      address: endpoint.address || Object.values(endpoint.addresses).join(","),
      ready: registration?.workload.ready ?? true,
      origin: endpoint.mesh ? "sidecar" : "document",
      leaseRemainingMs: Math.round(registration?.leaseRemainingMs ?? 0),
      workloadId: registration?.workload.id ?? "",
      verdicts: [endpoint.address, ...Object.values(endpoint.addresses)].flatMap((address) => health.about(address)),
    };
  });
}

/** `withUnready`: as if every workload wanted traffic. */
function endpointsOf(view: View, service: string, withUnready: boolean): readonly Endpoint[] {
  const workloads = view.workloads.get(splitName(service).namespace) ?? [];
  const considered = withUnready ? workloads.map((workload) => ({ ...workload, ready: true })) : workloads;
  return compileEndpoints(view.index, service, considered).endpoints;
}

function isIn(namespace: string, service: string): boolean {
  return namespace === "" || service.startsWith(`${namespace}/`);
}

/** Without a name: every service but the implied versions, whose endpoints are those of their service. */
function isNamed(view: View, wanted: string, service: string): boolean {
  if (wanted !== "") return splitName(service).name === wanted;
  return !view.versionOf.has(service) || view.index.services.has(service);
}

function splitName(service: string): { namespace: string; name: string } {
  const slash = service.indexOf("/");
  return { namespace: service.slice(0, slash), name: service.slice(slash + 1) };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
