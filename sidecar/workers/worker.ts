// What a worker process does: carries out its parent's orders on a data path of its own, and asks the parent for
// services it does not know. Decides nothing. The process itself is main.ts.
import type { Resource } from "../../rules/resource.ts";
import { type Clock, sleep } from "../../runtime/clock.ts";
import { IdleCompaction } from "../../runtime/idle-compaction.ts";
import type { Log } from "../../runtime/log.ts";
import type { Usage } from "../../runtime/process-figures.ts";
import type { Random } from "../../runtime/random.ts";
import type { LineSink } from "../access-log.ts";
import { PROFILER_BUSY, type ProfileOrder, Profiler } from "../admin/profiler.ts";
import { reportOf } from "../observe/report.ts";
import type { Resolution, ServiceResolver } from "../resolver.ts";
import type { Snapshot } from "../snapshot.ts";
import { LocalTraffic, UNCAUGHT } from "../traffic.ts";
import type {
  ConfigurationChange,
  FromWorker,
  Gives,
  ListenOrder,
  OrderFailure,
  OrderName,
  Takes,
  ToWorker,
  WorkerReport,
  WorkerSettings,
} from "./protocol.ts";

export interface WorkerFloor {
  readonly clock: Clock;
  readonly random: Random;
  readonly createLog: (settings: WorkerSettings) => Log;
  /** For the access log. */
  readonly stdout: LineSink;
  /** What the process has used. */
  readonly usage: () => Usage;
  /** Gives back what is not used any more; does nothing where it cannot. */
  readonly compactMemory: () => void;
  readonly send: (message: FromWorker) => void;
}

type Handlers = {
  readonly [Name in OrderName]: (takes: Takes<Name>) => Gives<Name> | Promise<Gives<Name>>;
};

interface Prepared {
  readonly resources: ReadonlyMap<string, Resource>;
  readonly snapshot: Snapshot;
}

export class Worker implements ServiceResolver {
  readonly #floor: WorkerFloor;
  readonly #handlers: Handlers;
  readonly #questions = new Map<number, (resolution: Resolution) => void>();
  readonly #profiler = new Profiler();
  #lastQuestion = 0;
  #traffic: LocalTraffic | undefined;
  #log: Log | undefined;
  #held: ReadonlyMap<string, Resource> = new Map();
  #prepared: Prepared | undefined;

  constructor(floor: WorkerFloor) {
    this.#floor = floor;
    this.#handlers = {
      start: (settings) => this.#start(settings),
      prepare: (change) => this.#prepare(change),
      commit: () => this.#commit(),
      abort: () => {
        this.#prepared = undefined;
      },
      listen: (order) => this.#listen(order),
      announceDrain: () => this.#path.announceDrain(),
      drain: ({ listener, deadlineMs }) => this.#path.drain(listener, deadlineMs),
      report: () => this.#report(),
      clusters: () => this.#path.clusters(),
      countRoutes: (isOn) => this.#path.countRoutes(isOn),
      findDecisions: (id) => this.#path.decisions.findDecisions(id),
      openTap: (order) => this.#path.decisions.openTap(order),
      closeTap: (tap) => this.#path.decisions.closeTap(tap),
      setLogLevel: (level) => this.#path.setLogLevel(level),
      identify: (instance) => this.#path.identify(instance),
      reopenLogs: () => this.#path.reopenLogs(),
      profile: (order) => this.#profile(order),
      close: () => this.#traffic?.close(),
    };
  }

  /** A message of the parent. */
  onMessage(message: ToWorker): void {
    if (message.type === "order") void this.#obey(message.id, message.order, message.takes);
    else {
      const callback = this.#questions.get(message.question);
      this.#questions.delete(message.question);
      callback?.(message.resolution);
    }
  }

  /** An error that nobody caught. Before the start it ends the process. */
  onBug(error: unknown): void {
    if (this.#log === undefined) throw error;
    this.#log.fatal({ err: error }, UNCAUGHT);
    this.#traffic?.countBug();
  }

  /** How many ask is bounded by the data path, how long by the parent. */
  resolve(service: string, callback: (resolution: Resolution) => void): void {
    const question = ++this.#lastQuestion;
    this.#questions.set(question, callback);
    this.#floor.send({ type: "resolve", question, service });
  }

  get #path(): LocalTraffic {
    if (this.#traffic === undefined) throw new Error("an order before the start");
    return this.#traffic;
  }

  async #obey<Name extends OrderName>(id: number, order: Name, takes: unknown): Promise<void> {
    try {
      const handler: Handlers[Name] = this.#handlers[order];
      this.#floor.send({ type: "done", id, gives: await handler(takes as Takes<Name>) });
    } catch (error) {
      this.#floor.send({ type: "failed", id, failure: orderFailure(error) });
    }
  }

  async #start(settings: WorkerSettings): Promise<void> {
    const { clock, random, stdout, createLog, usage, compactMemory } = this.#floor;
    const { namespace, service, limits, http1Limits, zone, identity, processes } = settings;
    const log = createLog(settings);
    this.#log = log;
    const options = { clock, random, log, namespace, service, limits, http1Limits, zone, identity, processes, usage };
    this.#traffic = await LocalTraffic.create(options, stdout);
    this.#traffic.setResolver(this);
    new IdleCompaction({ clock, usage, compact: compactMemory }).watch();
    this.#traffic.decisions.setTapListener((report) => this.#floor.send({ type: "tapped", report }));
  }

  #prepare({ revision, changed, removed }: ConfigurationChange): void {
    const resources = new Map([...this.#held, ...changed]);
    for (const name of removed) resources.delete(name);
    this.#prepared = { resources, snapshot: this.#path.prepare(resources, revision) };
  }

  #commit(): void {
    const prepared = this.#prepared;
    if (prepared === undefined) throw new Error("nothing was prepared");
    this.#path.commit(prepared.snapshot);
    this.#held = prepared.resources;
    this.#prepared = undefined;
  }

  #listen({ listener, at, app, tcp }: ListenOrder): Promise<string> {
    if (tcp !== undefined) return this.#path.openTcp(at, tcp);
    return listener === "outbound" ? this.#path.openOutbound(at) : this.#path.openInbound(at, app ?? at);
  }

  #profile({ kind, durationMs }: ProfileOrder): Promise<object> {
    if (this.#profiler.isRunning)
      throw Object.assign(new Error("a profile is being taken already"), { code: PROFILER_BUSY });
    return this.#profiler.take(kind, () => sleep(this.#floor.clock, durationMs));
  }

  async #report(): Promise<WorkerReport> {
    return { families: reportOf(await this.#path.families()), outbound: this.#path.outboundUse() };
  }
}

function orderFailure(error: unknown): OrderFailure {
  const { code, resource, path } = error as { code?: unknown; resource?: unknown; path?: unknown };
  return {
    message: error instanceof Error ? error.message : String(error),
    ...(typeof code === "string" ? { code } : {}),
    ...(typeof resource === "string" ? { resource } : {}),
    ...(typeof path === "string" ? { path } : {}),
  };
}
