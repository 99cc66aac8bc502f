// Puts the rooms of the control plane together, starts them in order and stops them in reverse. The only file
// that knows them all; flags and signals are main.ts's.
import { randomUUID } from "node:crypto";
import { setLogger } from "@grpc/grpc-js";
import { DiscoveryServiceService } from "../proto/gen/weft/v1/discovery.ts";
import { FleetServiceService } from "../proto/gen/weft/v1/fleet.ts";
import { RolloutsServiceService } from "../proto/gen/weft/v1/rollouts.ts";
import { RulesServiceService } from "../proto/gen/weft/v1/rules.ts";
import { TelemetryServiceService } from "../proto/gen/weft/v1/telemetry.ts";
import { qualifiedName } from "../rules/diagnostic.ts";
import { impliedServices } from "../rules/endpoints.ts";
import { formatHostPort, parseHostPort } from "../runtime/address.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import type { Usage } from "../runtime/process-figures.ts";
import { PROGRAM_VERSION } from "../runtime/version.ts";
import { createFleetService, type ProcessFacts } from "./api/fleet-service.ts";
import { createGrpcServer, type GrpcServer } from "./api/grpc-server.ts";
import { createHttpServer, type HttpServer } from "./api/http-server.ts";
import { createRolloutsService } from "./api/rollouts-service.ts";
import { createRulesService } from "./api/rules-service.ts";
import { createTelemetryService } from "./api/telemetry-service.ts";
import { createDiscovery } from "./discovery/service.ts";
import { addGauges, addProcessGauges } from "./gauges.ts";
import { IMPLIED_SERVICE_LINGER_MS, LEASE_MS, STOP_GRACE_MS } from "./limits.ts";
import { MetricsRegistry } from "./metrics.ts";
import { Fleet } from "./push/fleet.ts";
import { RegistryJournal } from "./registry/journal.ts";
import { Registry } from "./registry/registry.ts";
import { createRollouts } from "./rollouts.ts";
import type { Store } from "./store/contract.ts";
import { openStore, type StoreKind } from "./store/open.ts";
import { Rulebook } from "./store/rulebook.ts";
import { watchWrites } from "./store/watched.ts";
import { HealthLedger } from "./telemetry/health-ledger.ts";
import { TelemetryHub } from "./telemetry/telemetry-hub.ts";
import { TrafficLedger } from "./telemetry/traffic-ledger.ts";
import { TrafficWindow } from "./telemetry/traffic-window.ts";

export interface Settings {
  readonly data: string;
  /** HOST:PORT. */
  readonly grpc: string;
  /** HOST:PORT. */
  readonly http: string;
  readonly store: StoreKind;
  readonly pid: number;
  /** Folder of the .proto files. */
  readonly protoFolder: string;
  /** What the process has used; absent: its figures are not exposed. */
  readonly usage?: () => Usage;
}

export interface RunningControlPlane {
  /** Members of the ready line. */
  readonly grpc: string;
  readonly http: string;
  readonly revision: number;
  /** Ends streams, finishes calls, closes the store. */
  stop(): Promise<void>;
}

/** The control plane cannot start: the message says why and what to do. */
export class StartError extends Error {
  override readonly name = "StartError";
}

/** @throws StartError, StoreUnusableError */
export async function startControlPlane(settings: Settings, clock: Clock, log: Log): Promise<RunningControlPlane> {
  const say = (message: unknown) => log.debug({ from: "grpc" }, String(message));
  setLogger({ error: say, info: say, debug: say });
  const store = await openStore({ kind: settings.store, data: settings.data, pid: settings.pid });
  try {
    return await startOn(store, settings, clock, log);
  } catch (error) {
    await store.close();
    throw error;
  }
}

async function startOn(opened: Store, settings: Settings, clock: Clock, log: Log): Promise<RunningControlPlane> {
  const metrics = new MetricsRegistry();
  const failedWrites = metrics.counter("weft_store_write_failures_total", "Writes to the store that failed.");
  // There from the start, so that the first failure is a rise.
  failedWrites.add({}, 0);
  const { store, lastWriteFailure } = watchWrites(opened, clock, () => failedWrites.add());
  const rulebook = await Rulebook.open(store.rules, clock);
  const registry = new Registry({ clock, leaseMs: LEASE_MS, lingerMs: IMPLIED_SERVICE_LINGER_MS });
  const journal = await RegistryJournal.open(registry, store.leases, clock, log);
  const pushDuration = metrics.histogram(
    "weft_push_duration_seconds",
    "From the commit of a change (or the change of an endpoint) to its acknowledgement by one sidecar.",
  );
  const remember = () => void journal.flush();
  const fleet = new Fleet({ clock, rulebook, registry, pushDuration, remember, graceMs: LEASE_MS });
  const nacks = metrics.counter("weft_push_refusals_total", "Deltas that a sidecar refused.");
  const hub = new TelemetryHub(clock);
  const traffic = new TrafficLedger(clock);
  const health = new HealthLedger();
  const rollouts = createRollouts({ clock, log, store, rulebook, registry, fleet, traffic });
  const discovery = createDiscovery({
    ...{ clock, log, registry, fleet, nacks, hub, traffic, health, controlPlane: randomUUID() },
    currentRevision: () => rulebook.revision,
  });
  let addresses = { grpc: settings.grpc, http: settings.http };
  let isReady = false;
  const startedAtMs = clock.wall();
  const facts = (): ProcessFacts => ({
    ...{ programVersion: PROGRAM_VERSION, startedAtMs, store: settings.store, data: settings.data },
    ...addresses,
  });
  const storeFailure = () => lastWriteFailure() ?? { atMs: 0, message: "" };
  addGauges(metrics, { rulebook, registry, fleet });
  if (settings.usage !== undefined) addProcessGauges(metrics, settings.usage);
  const services = {
    rules: createRulesService({ rulebook, log, impliedServices: () => impliedServices(registry.knownWorkloads()) }),
    fleet: createFleetService({ rulebook, registry, fleet, health, clock, log, process: facts, storeFailure }),
    rollouts: createRolloutsService({
      ...{ rulebook, clock, log, store: store.rollouts, ...rollouts },
      impliedServices: () => impliedServices(registry.knownWorkloads()),
    }),
  };
  const window = new TrafficWindow(clock, traffic, (id) => serviceOfWorkload(registry, id));
  const telemetry = createTelemetryService({ hub, window, registry, clock, log });
  const grpc = createGrpcServer(
    [
      { name: "weft.v1.DiscoveryService", definition: DiscoveryServiceService, implementation: discovery.service },
      { name: "weft.v1.RulesService", definition: RulesServiceService, implementation: services.rules },
      { name: "weft.v1.FleetService", definition: FleetServiceService, implementation: services.fleet },
      { name: "weft.v1.TelemetryService", definition: TelemetryServiceService, implementation: telemetry.service },
      { name: "weft.v1.RolloutsService", definition: RolloutsServiceService, implementation: services.rollouts },
    ],
    settings.protoFolder,
    clock,
  );
  const http = createHttpServer({ metrics, isReady: () => isReady, facts: () => pageFacts(facts(), rulebook, fleet) });
  await rollouts.controller.start();
  addresses = await listen(grpc, http, settings);
  isReady = true;
  grpc.setServing(true);
  log.info({ ...addresses, revision: rulebook.revision, workloads: registry.workloads().length }, "started");
  const stop = async () => {
    isReady = false;
    grpc.setServing(false);
    discovery.endAll();
    telemetry.endAll();
    await Promise.all([grpc.close(STOP_GRACE_MS), http.close()]);
    await rollouts.controller.stop();
    fleet.close();
    await journal.close();
    registry.close();
    await store.close();
    log.info("stopped");
  };
  return { ...addresses, revision: rulebook.revision, stop };
}

async function listen(
  grpc: GrpcServer,
  http: HttpServer,
  settings: Settings,
): Promise<{ readonly grpc: string; readonly http: string }> {
  const httpAddress = await http
    .listen(requireAddress("--http", settings.http))
    .catch((error: unknown) => Promise.reject(cannotListen("--http", settings.http, error)));
  const wanted = requireAddress("--grpc", settings.grpc);
  try {
    const port = await grpc.listen(formatHostPort(wanted.host, wanted.port));
    return { grpc: formatHostPort(wanted.host, port), http: httpAddress };
  } catch (error) {
    await http.close();
    throw cannotListen("--grpc", settings.grpc, error);
  }
}

function requireAddress(flag: string, text: string): { host: string; port: number } {
  const parsed = parseHostPort(text);
  if (parsed === undefined) throw new StartError(`${flag} ${text} is not HOST:PORT`);
  return parsed;
}

function cannotListen(flag: string, address: string, error: unknown): StartError {
  const message = error instanceof Error ? error.message : String(error);
  const port = parseHostPort(address)?.port ?? 0;
  if (message.includes("EADDRINUSE"))
    return new StartError(
      `${flag} ${address}: port ${port} is already in use; stop what uses it (ss -ltnp | grep :${port} shows it), or choose another one with ${flag} HOST:PORT (port 0 takes a free one)`,
    );
  return new StartError(
    `${flag} ${address}: cannot listen there (${message}); choose another address with ${flag} HOST:PORT`,
  );
}

function serviceOfWorkload(registry: Registry, id: string): string {
  const workload = registry.get(id)?.workload;
  return workload === undefined ? "" : qualifiedName(workload.namespace, workload.service);
}

function pageFacts(facts: ProcessFacts, rulebook: Rulebook, fleet: Fleet): [string, string][] {
  return [
    ["Version", facts.programVersion],
    ["Revision", String(rulebook.revision)],
    ["Documents", String(rulebook.documents.size)],
    ["Connected sidecars", String(fleet.connectedCount)],
    ["gRPC", facts.grpc],
    ["Store", `${facts.store} in ${facts.data}`],
    ["Started", new Date(facts.startedAtMs).toISOString()],
  ];
}
