// The data path carried by several processes on the same ports; the kernel spreads connections over them. This process
// carries none: it hands every worker the same configuration and the same orders, adds up their figures and replaces
// those that end. One worker's life is worker-slot.ts, what a worker does is worker.ts.
import { createServer } from "node:net";
import type { Resource } from "../../rules/resource.ts";
import { type HostPort, parseHostPort } from "../../runtime/address.ts";
import { type Clock, every, sleep, type Timer } from "../../runtime/clock.ts";
import type { Log, LogLevel } from "../../runtime/log.ts";
import type { Random } from "../../runtime/random.ts";
import type { ClusterView } from "../admin/cluster-view.ts";
import type { ProfileOrder } from "../admin/profiler.ts";
import { CellFamily, type HistogramFamily } from "../observe/families.ts";
import { countersOf, type FamilyReport, joinReports, reportOf } from "../observe/report.ts";
import type { TcpService } from "../proxy/tcp-router.ts";
import type { ServiceResolver } from "../resolver.ts";
import type { ListenerName, OutboundUse, Traffic } from "../traffic.ts";
import { configurationChange } from "./configuration-change.ts";
import { joinClusters } from "./join-clusters.ts";
import type { ListenOrder, WorkerReport, WorkerSettings } from "./protocol.ts";
import { WorkerDecisions } from "./worker-decisions.ts";
import { type OnQuestion, OrderError, type WorkerHandle, WorkerProcess } from "./worker-process.ts";
import { REPORT_EVERY_MS, WorkerSlot } from "./worker-slot.ts";

/** For figures and views: whoever does not answer in time is left out, or stands there with what is known. */
const ANSWER_MS = 2_000;
/** Over the time that workers have for it themselves. */
const DRAIN_MARGIN_MS = 250;
/** For closing listeners and writing what is left of the access log. */
const CLOSE_MS = 1_000;

export interface FleetOptions {
  /** Processes. */
  readonly concurrency: number;
  readonly worker: Omit<WorkerSettings, "number">;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly createWorker?: (onQuestion: OnQuestion) => WorkerHandle;
}

/** One process of the fleet, for the admin page. */
export interface WorkerView {
  readonly number: number;
  readonly pid: number;
  readonly state: string;
  readonly restarts: number;
  /** Finished by this process, as of its last report. */
  readonly requests: number;
}

interface Configuration {
  readonly resources: ReadonlyMap<string, Resource>;
  readonly revision: number;
}

export class Fleet implements Traffic {
  readonly decisions: WorkerDecisions;
  readonly #options: FleetOptions;
  readonly #slots: WorkerSlot[];
  readonly #open = new Set<ListenOrder>();
  readonly #workers = new CellFamily("gauge", "weft_workers", "Worker processes that serve.", []);
  readonly #restarts = new CellFamily(
    "counter",
    "weft_worker_restarts_total",
    "Worker processes that ended by themselves and were replaced.",
    [],
  );
  /** Of this process; joined with those of the workers. */
  readonly #bugs = new CellFamily("counter", "weft_internal_errors_total", "", ["where"]);
  #configuration: Configuration = { resources: new Map(), revision: 0 };
  #logLevel: LogLevel;
  #countsRoutes = false;
  /** The registry's name for the sidecar, once there is one. */
  #instance: string | undefined;
  #resolver: ServiceResolver | undefined;
  #ticks: Timer | undefined;
  /** Counters of workers that have ended, by their slots. */
  readonly #retired: (readonly FamilyReport[])[];
  #retiredOutbound = 0;
  /** What changes all workers goes one after the other, so that a worker that comes misses nothing. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(options: FleetOptions) {
    const { concurrency, clock, random, log } = options;
    this.#options = options;
    this.#logLevel = options.worker.logLevel;
    this.decisions = new WorkerDecisions({
      concurrency,
      running: () => this.#running(),
      inTime: (answers) => this.#inTime(answers),
    });
    this.#retired = Array.from({ length: concurrency }, () => []);
    this.#slots = Array.from({ length: concurrency }, (_, index) => {
      const number = index + 1;
      return new WorkerSlot({
        number,
        clock,
        random,
        log,
        createWorker: () => this.#createWorker(),
        welcome: (worker, serves) => this.#welcome(worker, number, serves),
        onLost: (last) => this.#onLost(index, last),
      });
    });
  }

  /** Starts all workers. Rejects when one of them cannot be. */
  static async create(options: FleetOptions): Promise<Fleet> {
    const fleet = new Fleet(options);
    try {
      await Promise.all(fleet.#slots.map((slot) => slot.start()));
    } catch (error) {
      await fleet.close();
      throw error;
    }
    fleet.#ticks = every(options.clock, REPORT_EVERY_MS, () => fleet.#tick());
    return fleet;
  }

  /** All workers build the update before any acts on it; resolves when all act on it. */
  publish(resources: ReadonlyMap<string, Resource>, revision: number): Promise<void> {
    return this.#inTurn(() => this.#publish({ resources, revision }));
  }

  setResolver(resolver: ServiceResolver): void {
    this.#resolver = resolver;
  }

  setLogLevel(level: LogLevel): void {
    this.#logLevel = level;
    this.#options.log.level = level;
    for (const worker of this.#running()) worker.ask("setLogLevel", level).catch(() => {});
  }

  identify(instance: string): void {
    // In turn, so that a worker that is being welcomed does not miss it.
    void this.#inTurn(async () => {
      this.#instance = instance;
      for (const worker of this.#running()) worker.ask("identify", instance).catch(() => {});
    });
  }

  async reopenLogs(): Promise<void> {
    await this.#inTime(Promise.allSettled(this.#running().map((worker) => worker.ask("reopenLogs", undefined))));
  }

  openOutbound(listen: HostPort): Promise<string> {
    return this.#inTurn(() => this.#listen({ listener: "outbound", at: listen }));
  }

  openInbound(listen: HostPort, app: HostPort): Promise<string> {
    return this.#inTurn(() => this.#listen({ listener: "inbound", at: listen, app }));
  }

  openTcp(listen: HostPort, service: TcpService): Promise<string> {
    return this.#inTurn(() => this.#listen({ listener: "outbound", at: listen, tcp: service }));
  }

  announceDrain(): void {
    for (const worker of this.#running()) worker.ask("announceDrain", undefined).catch(() => {});
  }

  async drain(listener: ListenerName, deadlineMs: number): Promise<void> {
    // A worker that comes later does not open it again.
    for (const order of this.#open) if (order.listener === listener) this.#open.delete(order);
    const drained = this.#inTurn(async () => this.#running()).then((workers) =>
      Promise.allSettled(workers.map((worker) => worker.ask("drain", { listener, deadlineMs }))),
    );
    // Workers keep the deadline themselves; one that is stuck does not keep the others' end waiting.
    await Promise.race([drained, sleep(this.#options.clock, deadlineMs + DRAIN_MARGIN_MS)]);
  }

  outboundUse(): OutboundUse {
    const uses = this.#slots.flatMap(({ lastReport }) => (lastReport === undefined ? [] : [lastReport.outbound]));
    return {
      active: uses.reduce((sum, { active }) => sum + active, 0),
      total: uses.reduce((sum, { total }) => sum + total, this.#retiredOutbound),
    };
  }

  countBug(): void {
    this.#bugs.cell("process").value++;
  }

  countRoutes(isOn: boolean): void {
    this.#countsRoutes = isOn;
    for (const worker of this.#running()) worker.ask("countRoutes", isOn).catch(() => {});
  }

  async families(): Promise<readonly (CellFamily | HistogramFamily)[]> {
    await this.#inTime(Promise.all(this.#slots.map((slot) => slot.report())));
    this.#workers.cell().value = this.#running().length;
    this.#restarts.cell().value = this.#slots.reduce((sum, { restarts }) => sum + restarts, 0);
    // Of each slot first: fractions that are added in another order are less by a hair, which Prometheus takes for a reset.
    const reports = this.#slots.map(({ lastReport }, index) =>
      reportOf(joinReports([lastReport?.families ?? [], this.#retired[index] ?? []])),
    );
    return [...joinReports([...reports, reportOf([this.#bugs])]), this.#workers, this.#restarts];
  }

  async clusters(): Promise<readonly ClusterView[]> {
    const views: (readonly ClusterView[])[] = [];
    const asked = this.#running().map(async (worker) => views.push(await worker.ask("clusters", undefined)));
    await this.#inTime(Promise.allSettled(asked));
    return joinClusters(views);
  }

  workers(): readonly WorkerView[] {
    return this.#slots.map(({ number, pid, stateName: state, restarts, lastReport }) => {
      const requests = lastReport?.families.find(({ name }) => name === "weft_requests_total")?.cells ?? [];
      return { number, pid, state, restarts, requests: requests.reduce((sum, { value }) => sum + value, 0) };
    });
  }

  /** A profile of one worker; undefined when there is none of that number now. */
  profile(number: number, order: ProfileOrder): Promise<object> | undefined {
    return this.#slots.find((slot) => slot.number === number)?.worker?.ask("profile", order);
  }

  /** Ends all workers: in order where they answer, at once where they do not. */
  async close(): Promise<void> {
    this.#ticks?.cancel();
    const workers = this.#slots.flatMap((slot) => slot.stop() ?? []);
    const closing = workers.map((worker) => worker.ask("close", undefined).then(() => worker.dismiss()));
    const ended = Promise.all([Promise.allSettled(closing), ...workers.map(({ exited }) => exited)]);
    await Promise.race([ended, sleep(this.#options.clock, CLOSE_MS)]);
    this.cut();
    await Promise.all(workers.map(({ exited }) => exited));
  }

  /** Ends all workers now. */
  cut(): void {
    for (const slot of this.#slots) {
      const worker = slot.stop();
      if (worker?.hasExited === false) worker.kill();
    }
  }

  #createWorker(): WorkerHandle {
    const onQuestion: OnQuestion = (service, answer) => {
      if (this.#resolver === undefined) answer("unavailable");
      else this.#resolver.resolve(service, answer);
    };
    return this.#options.createWorker?.(onQuestion) ?? new WorkerProcess(onQuestion, this.decisions.onReport);
  }

  /** Tells a new worker all that the others were told. */
  async #welcome(worker: WorkerHandle, number: number, serves: () => void): Promise<void> {
    await worker.ask("start", { ...this.#options.worker, number, logLevel: this.#logLevel });
    await this.#inTurn(async () => {
      const nothing = { resources: new Map(), revision: 0 };
      await worker.ask("prepare", configurationChange(nothing, this.#configuration));
      await worker.ask("commit", undefined);
      await this.decisions.welcome(worker);
      if (this.#instance !== undefined) await worker.ask("identify", this.#instance);
      if (this.#countsRoutes) await worker.ask("countRoutes", true);
      for (const order of this.#open) await worker.ask("listen", order);
      serves();
    });
  }

  async #publish(next: Configuration): Promise<void> {
    const change = configurationChange(this.#configuration, next);
    const workers = this.#running();
    const prepared = await Promise.allSettled(workers.map((worker) => worker.ask("prepare", change)));
    const refusal = prepared.find((outcome) => outcome.status === "rejected" && outcome.reason instanceof OrderError);
    if (refusal?.status === "rejected") {
      await Promise.allSettled(workers.map((worker) => worker.ask("abort", undefined)));
      throw refusal.reason;
    }
    const committed = workers.map(async (worker) => {
      try {
        await worker.ask("commit", undefined);
      } catch (error) {
        // It has ended, or cannot do what it prepared. Its successor begins with this configuration.
        if (error instanceof OrderError) worker.kill();
      }
    });
    await Promise.all(committed);
    this.#configuration = next;
  }

  /** The first worker chooses the port where it is 0; the others follow. */
  async #listen(order: ListenOrder): Promise<string> {
    const { at } = order;
    if (at.port !== 0) await assertFree(at);
    const [first, ...others] = this.#running();
    if (first === undefined) throw new Error("no worker process runs");
    const address = await first.ask("listen", order);
    const bound = { ...order, at: { host: at.host, port: parseHostPort(address)?.port ?? at.port } };
    await Promise.all(others.map((worker) => worker.ask("listen", bound)));
    this.#open.add(bound);
    return address;
  }

  #tick(): void {
    for (const slot of this.#slots) slot.tick();
  }

  #onLost(slot: number, last: WorkerReport | undefined): void {
    if (last === undefined) return;
    this.#retired[slot] = reportOf(joinReports([this.#retired[slot] ?? [], countersOf(last.families)]));
    this.#retiredOutbound += last.outbound.total;
  }

  #running(): WorkerHandle[] {
    return this.#slots.flatMap(({ worker }) => worker ?? []);
  }

  #inTurn<Value>(step: () => Promise<Value>): Promise<Value> {
    const result = this.#turn.then(step);
    this.#turn = result.catch(() => {});
    return result;
  }

  async #inTime(answers: Promise<unknown>): Promise<void> {
    await Promise.race([answers, sleep(this.#options.clock, ANSWER_MS)]);
  }
}

/** Sockets that share a port do not notice others that share it, too, such as those of another sidecar. */
function assertFree({ host, port }: HostPort): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve()));
  });
}
