// The data path as the rest of the sidecar sees it: configuration that is published, listeners that are opened, drained
// and closed, figures that are read. Carried here by this process; over several processes it is workers/fleet.ts. What
// happens to a request is proxy/.
import type { Resource } from "../rules/resource.ts";
import type { HostPort } from "../runtime/address.ts";
import { every, type Timer } from "../runtime/clock.ts";
import { descriptorsMax } from "../runtime/descriptors.ts";
import type { LogLevel } from "../runtime/log.ts";
import { ProcessFigures, type Usage } from "../runtime/process-figures.ts";
import type { AccessLog, LineSink } from "./access-log.ts";
import type { ClusterView } from "./admin/cluster-view.ts";
import { type DecisionKeeper, LocalDecisions } from "./decisions.ts";
import { clusterViews } from "./inspect.ts";
import type { CellFamily, HistogramFamily } from "./observe/families.ts";
import { type KnownIdentity, PendingIdentity } from "./observe/otlp/identity.ts";
import { ProcessMetrics } from "./observe/process-metrics.ts";
import { SWEEP_EVERY_MS } from "./observe/series-budget.ts";
import { createDataPath, type DataPath, type DataPathOptions } from "./proxy/data-path.ts";
import { startInbound } from "./proxy/inbound.ts";
import type { Listener } from "./proxy/listener.ts";
import { startOutbound } from "./proxy/outbound.ts";
import { startTcp } from "./proxy/tcp-listener.ts";
import type { TcpService } from "./proxy/tcp-router.ts";
import type { ServiceResolver } from "./resolver.ts";
import { buildSnapshot, type Snapshot } from "./snapshot.ts";
import { accessLogOf, observe, TraceSwitch } from "./telemetry.ts";

export type ListenerName = "outbound" | "inbound";

/** Figures of the app's own calls, for knowing whether it still makes any. */
export interface OutboundUse {
  /** Requests in progress. */
  readonly active: number;
  /** Requests that have finished. */
  readonly total: number;
}

/** For the log: an error that reached the process. */
export const UNCAUGHT = "an error in the sidecar that nobody caught; going on";

export interface Traffic {
  /** Builds the next snapshot and swaps it in; throws or rejects, with everything as it was, when it cannot be built. */
  publish(resources: ReadonlyMap<string, Resource>, revision: number): void | Promise<void>;
  /** Who is asked for services that the snapshot does not hold. */
  setResolver(resolver: ServiceResolver): void;
  setLogLevel(level: LogLevel): void;
  /** Access logs in files begin anew where the files were moved away. */
  reopenLogs(): Promise<void>;
  /** The registry's name for this sidecar is known: collectors are told it. */
  identify(instance: string): void;
  /** @returns the address it is bound to */
  openOutbound(listen: HostPort): Promise<string>;
  openInbound(listen: HostPort, app: HostPort): Promise<string>;
  /** A port for the app's connections to one service of bytes. */
  openTcp(listen: HostPort, service: TcpService): Promise<string>;
  /** From now on inbound answers say that the connection closes. New connections are still taken. */
  announceDrain(): void;
  /**
   * Takes no more connections and resolves when those there are have ended, or were cut after `deadlineMs`. The ports of
   * services of bytes are outbound ones.
   */
  drain(listener: ListenerName, deadlineMs: number): Promise<void>;
  outboundUse(): OutboundUse;
  /** Counts an error that nobody caught. */
  countBug(): void;
  /** Requests are counted by rule too, from now on or no more. */
  countRoutes(isOn: boolean): void;
  /** Every family there is, with gauges as they are now. */
  families(): Promise<readonly (CellFamily | HistogramFamily)[]>;
  clusters(): Promise<readonly ClusterView[]>;
  /** What is known about single requests. */
  readonly decisions: DecisionKeeper;
  close(): Promise<void>;
}

export interface SharedTraffic {
  /** How this sidecar tells collectors who it is. */
  readonly identity: KnownIdentity;
  /** Processes that carry the sidecar's traffic together: they listen on the same ports, and the kernel spreads connections. */
  readonly processes: number;
  /** What this process has used. */
  readonly usage: () => Usage;
}

/** One process carries all of it, or its part. */
export class LocalTraffic implements Traffic {
  readonly decisions: LocalDecisions;
  readonly #path: DataPath;
  readonly #identity: PendingIdentity;
  readonly #accessLog: AccessLog;
  readonly #traces: TraceSwitch;
  readonly #sweeps: Timer;
  readonly #ownFigures: ProcessMetrics;
  readonly #reusePort: boolean;
  readonly #listeners: { readonly [name in ListenerName]: Listener[] } = { outbound: [], inbound: [] };

  private constructor(path: DataPath, stdout: LineSink, { identity, processes, usage }: SharedTraffic) {
    this.#path = path;
    this.#reusePort = processes > 1;
    this.#identity = new PendingIdentity(identity);
    this.#traces = new TraceSwitch({ path, identity: this.#identity, processes });
    this.#accessLog = accessLogOf(path, this.#identity, stdout);
    this.decisions = new LocalDecisions(path.observers, path.clock);
    this.#ownFigures = new ProcessMetrics(new ProcessFigures(usage));
    this.#sweeps = every(path.clock, SWEEP_EVERY_MS, () => path.metrics.budget.sweep());
    path.snapshots.onSwap((next, previous) => {
      if (next.mesh === previous.mesh) return;
      path.metrics.budget.max = next.mesh.metrics.maxSeries;
      observe(path, this.#accessLog, this.#accessLog.configure(next.mesh.accessLog));
      this.#traces.configure(next.mesh);
    });
  }

  static async create(options: DataPathOptions & SharedTraffic, stdout: LineSink): Promise<LocalTraffic> {
    const limits = { descriptorsMax: descriptorsMax(), ...options.limits };
    const path = await createDataPath({ ...options, limits });
    const { clientsMax } = path.sockets;
    if (clientsMax < path.limits.clientConnectionsMax)
      path.log.info(
        { descriptors: limits.descriptorsMax, clientsMax },
        "the file descriptors are enough for fewer client connections",
      );
    return new LocalTraffic(path, stdout, options);
  }

  publish(resources: ReadonlyMap<string, Resource>, revision: number): void {
    this.commit(this.prepare(resources, revision));
  }

  /** The snapshot of these resources, not in use yet. Throws when it cannot be built. */
  prepare(resources: ReadonlyMap<string, Resource>, revision: number): Snapshot {
    return buildSnapshot(this.#path.snapshots.current, resources, revision);
  }

  /** @param next what `prepare` gave last */
  commit(next: Snapshot): void {
    this.#path.snapshots.swap(next);
  }

  setResolver(resolver: ServiceResolver): void {
    this.#path.resolver = resolver;
  }

  setLogLevel(level: LogLevel): void {
    this.#path.log.level = level;
  }

  reopenLogs(): Promise<void> {
    return this.#accessLog.reopen();
  }

  identify(instance: string): void {
    this.#identity.complete(instance);
  }

  async openOutbound(listen: HostPort): Promise<string> {
    const listener = await startOutbound({ listen, path: this.#path, reusePort: this.#reusePort });
    this.#listeners.outbound.push(listener);
    return listener.address;
  }

  async openInbound(listen: HostPort, app: HostPort): Promise<string> {
    const listener = await startInbound({ listen, path: this.#path, app, reusePort: this.#reusePort });
    this.#listeners.inbound.push(listener);
    return listener.address;
  }

  async openTcp(listen: HostPort, service: TcpService): Promise<string> {
    const listener = await startTcp({ listen, path: this.#path, service, reusePort: this.#reusePort });
    this.#listeners.outbound.push(listener);
    return listener.address;
  }

  announceDrain(): void {
    for (const listener of this.#listeners.inbound) listener.announceDrain();
  }

  async drain(listener: ListenerName, deadlineMs: number): Promise<void> {
    await Promise.all(this.#listeners[listener].map((each) => each.drain(deadlineMs)));
  }

  outboundUse(): OutboundUse {
    const { metrics } = this.#path;
    let total = 0;
    for (const { cells } of [metrics.requests, metrics.expiredRequests])
      for (const { values, value } of cells.entries.values()) if (values[0] === "outbound") total += value.value;
    return { active: metrics.requestsActive.cell("outbound").value, total };
  }

  countBug(): void {
    this.#path.metrics.internalErrors.cell("process").value++;
  }

  countRoutes(isOn: boolean): void {
    this.#path.metrics.countsRoutes = isOn;
  }

  families(): Promise<readonly (CellFamily | HistogramFamily)[]> {
    return Promise.resolve([...this.#path.metrics.families(), ...this.#ownFigures.families()]);
  }

  clusters(): Promise<readonly ClusterView[]> {
    return Promise.resolve(clusterViews(this.#path.snapshots.current));
  }

  async close(): Promise<void> {
    const { outbound, inbound } = this.#listeners;
    await Promise.all([...outbound, ...inbound].map((listener) => listener.close()));
    this.#identity.complete("");
    this.decisions.close();
    this.#sweeps.cancel();
    await Promise.all([this.#accessLog.close(), this.#traces.close()]);
  }
}
