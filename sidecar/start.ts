// Puts a sidecar together and starts it: configuration, source, listeners, pages, probe of the app. Only the wiring;
// every part is a file of its own. How a run goes on from here is run.ts.
import { randomUUID } from "node:crypto";
import { qualifiedName } from "../rules/diagnostic.ts";
import { parseResource } from "../rules/resource-check.ts";
import { formatHostPort, type HostPort } from "../runtime/address.ts";
import { type Clock, sleep } from "../runtime/clock.ts";
import { EXIT_USAGE } from "../runtime/flags.ts";
import type { Log } from "../runtime/log.ts";
import type { ExpositionFormat } from "../runtime/metrics-format.ts";
import type { Usage } from "../runtime/process-figures.ts";
import type { Random } from "../runtime/random.ts";
import { PAGE_CONNECTIONS_MAX } from "../runtime/socket-budget.ts";
import { PROGRAM_VERSION } from "../runtime/version.ts";
import type { LineSink } from "./access-log.ts";
import { adminRoutes } from "./admin/admin-pages.ts";
import { type PageServer, type Route, servePages } from "./admin/http-server.ts";
import { type ReadinessReport, statusRoutes } from "./admin/status-pages.ts";
import { AppProbe } from "./app/app-probe.ts";
import type { SidecarSettings } from "./bootstrap.ts";
import { ConditionMetrics } from "./condition.ts";
import { Configuration } from "./discovery/configuration.ts";
import type { ControlPlaneSourceOptions } from "./discovery/control-plane-source.ts";
import type { Registration, Source } from "./discovery/source.ts";
import { advertisedAddress, workloadId } from "./identity.ts";
import { configDump, unhealthyEndpoints } from "./inspect.ts";
import { MetricsPushSwitch } from "./metrics-push.ts";
import type { Decision } from "./observe/decision.ts";
import { renderMetrics } from "./observe/exposition.ts";
import type { CellFamily, HistogramFamily } from "./observe/families.ts";
import { type KnownIdentity, PendingIdentity } from "./observe/otlp/identity.ts";
import { Readiness } from "./readiness.ts";
import { type AppToStop, type ShutdownParts, WITHDRAW_MS } from "./shutdown.ts";
import { bindFailure, StartFailure } from "./start-failure.ts";
import { openTcpListeners } from "./tcp-listeners.ts";
import { LocalTraffic, type Traffic, UNCAUGHT } from "./traffic.ts";
import { countTraffic, isReleaseLive } from "./traffic-counts.ts";
import { Fleet } from "./workers/fleet.ts";

export interface StartFloor {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** For the access log. */
  readonly stdout: LineSink;
  /** What the process has used. */
  readonly usage: () => Usage;
}

/** The one line on stdout: everything is bound; addresses of what is not off. */
export interface ReadyLine {
  readonly ready: true;
  readonly program: "weft-sidecar";
  readonly service: string;
  readonly id: string;
  readonly outbound?: string;
  readonly inbound?: string;
  /** Addresses of local ports, by the service that each stands for. */
  readonly tcp?: Readonly<Record<string, string>>;
  readonly advertise?: string;
  readonly admin?: string;
  readonly status?: string;
}

/** A sidecar that runs. */
export interface Sidecar {
  readonly readyLine: ReadyLine;
  /** Resolves when there is a configuration to act on. */
  readonly configured: Promise<void>;
  readonly isConfigured: boolean;
  /** The app that somebody else started and stops. */
  readonly appBeside: AppToStop | undefined;
  readonly shutdownParts: Omit<ShutdownParts, "app" | "clock" | "log" | "drainMs">;
  /** Access logs in files begin anew where the files were moved away. */
  reopenLogs(): Promise<void>;
  /** An error that nobody caught: counted and logged. What it struck may not be told, but the rest goes on. */
  onBug(error: unknown): void;
  /** The process ends now: so do its workers. */
  cut(): void;
}

/**
 * Starts everything.
 * @param quit ends the sidecar as SIGTERM does
 * @throws StartFailure when rules are not valid or an address cannot be bound
 */
export async function startSidecar(settings: SidecarSettings, floor: StartFloor, quit: () => void): Promise<Sidecar> {
  const identity = telemetryIdentity(settings);
  const traffic = await createTraffic(settings, floor, identity);
  const createSource = await sourceFactory(settings, floor.random);
  const sidecar = new RunningSidecar(settings, floor, traffic, { createSource, quit, identity });
  try {
    await sidecar.start();
    return sidecar;
  } catch (error) {
    await sidecar.shutdownParts.close();
    throw error;
  }
}

/** How collectors know this sidecar. */
function telemetryIdentity({ service, namespace, version, zone }: SidecarSettings): KnownIdentity {
  return { service: qualifiedName(namespace, service), version, zone, programVersion: PROGRAM_VERSION };
}

/** One process carries the traffic itself; to carry it in several, workers are started. */
function createTraffic(settings: SidecarSettings, floor: StartFloor, identity: KnownIdentity): Promise<Traffic> {
  const { clock, random, log, stdout, usage } = floor;
  const { namespace, concurrency, limits, http1Limits, logLevel, zone } = settings;
  const service = qualifiedName(namespace, settings.service);
  const path = { namespace, service, limits, http1Limits, zone, identity, processes: concurrency };
  if (concurrency === 1) return LocalTraffic.create({ clock, random, log, usage, ...path }, stdout);
  return Fleet.create({ concurrency, worker: { ...path, logLevel }, clock, random, log });
}

type SourceParts = Pick<
  ControlPlaneSourceOptions,
  "service" | "configuration" | "decisions" | "clock" | "log" | "traffic" | "health" | "onApplied"
>;
type CreateSource = (parts: SourceParts) => Source;

/** Loads what the settings ask for and not the other: gRPC takes 15 MiB of memory, the rule language's schemas as much. */
async function sourceFactory({ source, version }: SidecarSettings, random: Random): Promise<CreateSource> {
  if (source.type === "rules") {
    const { RulesSource } = await import("./discovery/rules-source.ts");
    return (parts) => new RulesSource({ ...parts, path: source.path, version });
  }
  const { ControlPlaneSource } = await import("./discovery/control-plane-source.ts");
  const address = formatHostPort(source.address.host, source.address.port);
  const identity = { incarnation: randomUUID(), programVersion: PROGRAM_VERSION };
  return (parts) => new ControlPlaneSource({ ...parts, ...identity, address, cacheFile: source.cacheFile, random });
}

interface SidecarTools {
  readonly createSource: CreateSource;
  readonly quit: () => void;
  readonly identity: KnownIdentity;
}

class RunningSidecar implements Sidecar {
  readonly #settings: SidecarSettings;
  readonly #floor: StartFloor;
  readonly #traffic: Traffic;
  readonly #quit: () => void;
  readonly #configuration: Configuration;
  readonly #source: Source;
  readonly #readiness: Readiness;
  readonly #condition: ConditionMetrics;
  readonly #identity: PendingIdentity;
  readonly #push: MetricsPushSwitch;
  readonly #probe: AppProbe | undefined;
  readonly #configured = Promise.withResolvers<void>();
  readonly #service: string;
  #pages: PageServer[] = [];
  #registration: Registration;
  #readyLine: ReadyLine;

  constructor(
    settings: SidecarSettings,
    floor: StartFloor,
    traffic: Traffic,
    { createSource, quit, identity }: SidecarTools,
  ) {
    this.#settings = settings;
    this.#floor = floor;
    this.#traffic = traffic;
    this.#quit = quit;
    this.#service = qualifiedName(settings.namespace, settings.service);
    this.#configuration = new Configuration({
      parse: parseResource,
      publish: (resources, revision) => traffic.publish(resources, revision),
      wall: () => floor.clock.wall(),
    });
    this.#source = createSource({
      service: this.#service,
      configuration: this.#configuration,
      decisions: traffic.decisions,
      clock: floor.clock,
      log: floor.log,
      health: async () => unhealthyEndpoints(await traffic.clusters()),
      traffic: {
        counts: async () => countTraffic(await traffic.families()),
        countRoutes: (isOn) => traffic.countRoutes(isOn),
        isReleaseLive: () => isReleaseLive(Array.from(this.#configuration.held.values(), ({ resource }) => resource)),
      },
      onApplied: () => this.#applied(),
    });
    traffic.setResolver(this.#source.resolver);
    const { app } = settings;
    this.#readiness = new Readiness(
      app === undefined ? "none" : "not-listening",
      () => this.#source.describe(),
      (isReady, reason) => this.#source.announce(isReady, reason),
    );
    this.#probe =
      app === undefined
        ? undefined
        : new AppProbe({ address: app, clock: floor.clock, onChange: (isListening) => this.#appChanged(isListening) });
    this.#condition = new ConditionMetrics({
      configuration: this.#configuration,
      source: this.#source,
      isAppListening: () => this.#probe?.isListening,
    });
    const { clock, log } = floor;
    this.#identity = new PendingIdentity(identity);
    this.#push = new MetricsPushSwitch({ clock, log, identity: this.#identity, families: () => this.#families() });
    this.#registration = registration(settings, "");
    this.#readyLine = { ready: true, program: "weft-sidecar", service: this.#service, id: this.#registration.id };
  }

  get readyLine(): ReadyLine {
    return this.#readyLine;
  }

  get configured(): Promise<void> {
    return this.#configured.promise;
  }

  get isConfigured(): boolean {
    return this.#readiness.isConfigured;
  }

  get appBeside(): AppToStop | undefined {
    const probe = this.#probe;
    return probe === undefined ? undefined : { hasGone: () => !probe.isListening };
  }

  get shutdownParts(): Sidecar["shutdownParts"] {
    const traffic = this.#traffic;
    return {
      withdraw: () => this.#withdraw(),
      drainInbound: (deadlineMs) => traffic.drain("inbound", deadlineMs),
      drainOutbound: (deadlineMs) => traffic.drain("outbound", deadlineMs),
      outboundUse: () => traffic.outboundUse(),
      close: () => this.#close(),
    };
  }

  onBug(error: unknown): void {
    this.#floor.log.fatal({ err: error }, UNCAUGHT);
    this.#traffic.countBug();
  }

  reopenLogs(): Promise<void> {
    return this.#traffic.reopenLogs();
  }

  cut(): void {
    if (this.#traffic instanceof Fleet) this.#traffic.cut();
  }

  async start(): Promise<void> {
    const problems = await this.#source.load();
    if (problems.length > 0)
      throw new StartFailure(EXIT_USAGE, problems.map((problem) => `error: ${problem}`).join("\n"));
    const addresses = await this.#listen();
    const { inbound } = addresses;
    const advertise = inbound === undefined ? "" : await advertisedAddress(this.#settings, inbound, this.#floor.clock);
    this.#registration = registration(this.#settings, advertise);
    this.#readyLine = {
      ...this.#readyLine,
      id: this.#registration.id,
      ...addresses,
      ...(advertise === "" ? {} : { advertise }),
    };
    this.#traffic.identify(this.#registration.id);
    this.#identity.complete(this.#registration.id);
    this.#probe?.start();
    // What has a port of its own is used for sure: it is known before the first connection.
    for (const { service } of this.#settings.tcp) this.#source.resolver.resolve(service.service, () => {});
    await this.#source.begin(this.#registration);
  }

  async #listen(): Promise<Pick<ReadyLine, "outbound" | "inbound" | "tcp" | "admin" | "status">> {
    const { admin, status, inbound, outbound, tcp, app } = this.#settings;
    const traffic = this.#traffic;
    const pages = (which: keyof typeof PAGE_CONNECTIONS_MAX, routes: Route[]) => (at: HostPort) =>
      this.#servePages(at, which, routes);
    const openOutbound = (at: HostPort) => traffic.openOutbound(at);
    const openInbound = (at: HostPort) => traffic.openInbound(at, app ?? at);
    return {
      ...(await opened("status", status, pages("status", this.#statusRoutes()))),
      ...(await opened("admin", admin, pages("admin", this.#adminRoutes()))),
      ...(await opened("outbound", outbound, openOutbound)),
      ...(await opened("inbound", inbound, openInbound)),
      ...(await openTcpListeners(tcp, traffic)),
    };
  }

  async #servePages(at: HostPort, which: keyof typeof PAGE_CONNECTIONS_MAX, routes: Route[]): Promise<string> {
    const title = `weft-sidecar ${this.#service}: ${which}`;
    const server = await servePages(at, title, routes, PAGE_CONNECTIONS_MAX[which]);
    this.#pages.push(server);
    return server.address;
  }

  #statusRoutes(): Route[] {
    return statusRoutes({ readiness: () => this.#readinessReport(), metrics: (format) => this.#metrics(format) });
  }

  #adminRoutes(): Route[] {
    const { log, clock } = this.#floor;
    return adminRoutes({
      configDump: () => this.#configDump(),
      clusters: () => this.#traffic.clusters(),
      prometheus: () => this.#metrics("prometheus"),
      decisions: (id) => this.#findDecisions(id),
      logLevel: () => log.level,
      setLogLevel: (level) => this.#traffic.setLogLevel(level),
      reopenLogs: () => this.#traffic.reopenLogs(),
      drain: () => {
        // As at the end: whoever has not heard of it yet finds the port open.
        const hearMs = this.#withdraw() ? WITHDRAW_MS : 0;
        void sleep(clock, hearMs).then(() => this.#traffic.drain("inbound", this.#settings.drainMs));
      },
      quit: this.#quit,
      hasWorkers: this.#traffic instanceof Fleet,
      profileWorker: (number, order) =>
        this.#traffic instanceof Fleet ? this.#traffic.profile(number, order) : undefined,
      sleep: (delayMs) => sleep(clock, delayMs),
    });
  }

  async #findDecisions(id: string): Promise<Decision[]> {
    const teller = { sidecar: this.#registration.id, sidecarService: this.#service };
    return (await this.#traffic.decisions.findDecisions(id)).map((decision) => ({ ...decision, ...teller }));
  }

  #readinessReport(): ReadinessReport {
    const report = this.#readiness.report();
    if (!(this.#traffic instanceof Fleet)) return report;
    const workers = this.#traffic.workers();
    const serving = workers.filter(({ state }) => state === "running").length;
    const lines = [...report.lines, `worker processes: ${serving} of ${workers.length} serve`];
    return { isReady: report.isReady && serving > 0, lines };
  }

  #configDump(): object {
    const dump = configDump(this.#registration, PROGRAM_VERSION, this.#configuration, this.#source);
    return this.#traffic instanceof Fleet ? { ...dump, workers: this.#traffic.workers() } : dump;
  }

  async #metrics(format: ExpositionFormat): Promise<string> {
    const families = await this.#families();
    return renderMetrics([{ families: () => families }], format);
  }

  async #families(): Promise<readonly (CellFamily | HistogramFamily)[]> {
    const pushes = this.#push.pushes.cells.entries.size > 0 ? [this.#push.pushes] : [];
    return [...(await this.#traffic.families()), ...this.#condition.families(), ...pushes];
  }

  #applied(): void {
    const mesh = this.#configuration.held.get("mesh")?.resource;
    this.#push.configure(mesh?.type === "mesh" ? mesh.metrics.otlp : undefined);
    this.#readiness.setConfigured();
    this.#configured.resolve();
  }

  #appChanged(isListening: boolean): void {
    const { log } = this.#floor;
    if (isListening) log.info("the app is listening");
    else log.warn("the app does not listen any more; withdrawing until it does");
    this.#readiness.setAppListening(isListening);
  }

  #withdraw(): boolean {
    this.#probe?.hurry();
    this.#traffic.announceDrain();
    return this.#readiness.setDraining();
  }

  async #close(): Promise<void> {
    this.#probe?.stop();
    await this.#source.stop("shutting down");
    this.#identity.complete(this.#registration.id);
    await this.#push.close();
    await this.#traffic.close();
    await Promise.all(this.#pages.map((server) => server.close()));
  }
}

function registration(settings: SidecarSettings, address: string): Registration {
  const { service, namespace, version, labels, zone } = settings;
  return { id: workloadId(settings, address), service, namespace, version, labels, address, zone };
}

/** Opens the listener of one flag, unless it is off. */
async function opened<Name extends string>(
  name: Name,
  at: HostPort | undefined,
  open: (at: HostPort) => Promise<string>,
): Promise<{ [key in Name]?: string }> {
  if (at === undefined) return {};
  try {
    return { [name]: await open(at) } as { [key in Name]?: string };
  } catch (error) {
    throw bindFailure(`--${name}`, formatHostPort(at.host, at.port), error);
  }
}
