// How a fleet treats its workers, with workers that do as they are told here: order of orders, refusals, deaths at bad
// moments. The same with real processes is test/sidecar/concurrency.test.ts.
import { afterEach, describe, expect, test } from "vitest";
import type { Resource } from "../../rules/resource.ts";
import { silentLog } from "../../runtime/log.ts";
import { ManualClock } from "../../runtime/manual-clock.ts";
import { seededRandom } from "../../runtime/random.ts";
import { CellFamily } from "../observe/families.ts";
import { type FamilyReport, reportOf } from "../observe/report.ts";
import type { Resolution } from "../resolver.ts";
import { Fleet } from "./fleet.ts";
import type { ConfigurationChange, Gives, OrderName, Takes } from "./protocol.ts";
import { type OnQuestion, OrderError, type WorkerExit, WorkerGone, type WorkerHandle } from "./worker-process.ts";
import { REPORT_EVERY_MS, RESTART_MAX_MS } from "./worker-slot.ts";

/** Notes its orders but reports, which are asked for all the time; carries each out at once unless `holding` names it, or `failing` says how it fails. */
class FakeWorker implements WorkerHandle {
  /** Prepares those that are made from now on. */
  static next: ((worker: FakeWorker) => void) | undefined;
  readonly pid: number;
  readonly orders: string[] = [];
  readonly changes: ConfigurationChange[] = [];
  readonly holding = new Set<OrderName>();
  readonly failing = new Map<OrderName, Error>();
  readonly onQuestion: OnQuestion;
  readonly exited: Promise<WorkerExit>;
  hasExited = false;
  families: readonly FamilyReport[] = [];
  readonly #exit = Promise.withResolvers<WorkerExit>();
  readonly #held: (() => void)[] = [];

  constructor(pid: number, onQuestion: OnQuestion) {
    this.pid = pid;
    this.onQuestion = onQuestion;
    this.exited = this.#exit.promise;
    FakeWorker.next?.(this);
  }

  async ask<Name extends OrderName>(order: Name, takes: Takes<Name>): Promise<Gives<Name>> {
    if (this.hasExited) throw new WorkerGone();
    if (order !== "report") this.orders.push(order);
    if (order === "prepare") this.changes.push(takes as ConfigurationChange);
    if (this.holding.has(order)) await new Promise<void>((go) => this.#held.push(go));
    if (this.hasExited) throw new WorkerGone();
    const failure = this.failing.get(order);
    if (failure !== undefined) throw failure;
    const gives =
      order === "listen" ? "127.0.0.1:7777" : { families: this.families, outbound: { active: 0, total: 5 } };
    return gives as Gives<Name>;
  }

  letGo(): void {
    this.holding.clear();
    for (const go of this.#held.splice(0)) go();
  }

  kill(): void {
    this.hasExited = true;
    this.letGo();
    this.#exit.resolve({ code: null, signal: "SIGKILL" });
  }

  dismiss(): void {
    this.kill();
  }
}

const fleets: Fleet[] = [];
afterEach(async () => {
  for (const fleet of fleets.splice(0)) await fleet.close();
});

async function setUp(concurrency = 2) {
  const clock = new ManualClock();
  const workers: FakeWorker[] = [];
  const fleet = await Fleet.create({
    concurrency,
    worker: {
      namespace: "default",
      service: "default/web",
      limits: {},
      http1Limits: {},
      zone: "",
      logLevel: "silent",
      identity: { service: "default/orders", version: "", zone: "", programVersion: "0" },
      processes: 2,
    },
    clock,
    random: seededRandom(1),
    log: silentLog(),
    createWorker: (onQuestion) => {
      const worker = new FakeWorker(1_000 + workers.length, onQuestion);
      workers.push(worker);
      return worker;
    },
  });
  fleets.push(fleet);
  for (const { orders, changes } of workers) {
    orders.length = 0;
    changes.length = 0;
  }
  return { clock, fleet, workers };
}

/** Lets promises that wait for nothing go on. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
}

const resources = (...services: string[]): ReadonlyMap<string, Resource> =>
  new Map(services.map((service) => [`service:${service}`, known(service)]));
const made = new Map<string, Resource>();
/** The same object for the same name, as a configuration keeps it. */
function known(service: string): Resource {
  const resource = made.get(service) ?? ({ type: "service", service } as Resource);
  made.set(service, resource);
  return resource;
}

describe("an update", () => {
  test("is acted on by no worker before all have built it, and is done when all act on it", async () => {
    const { fleet, workers } = await setUp(3);
    workers[2]?.holding.add("prepare").add("commit");
    let isDone = false;
    const done = fleet.publish(resources("default/a"), 1).then(() => {
      isDone = true;
    });
    await turns();
    expect(workers.map(({ orders }) => orders)).toEqual([["prepare"], ["prepare"], ["prepare"]]);
    workers[2]?.letGo();
    workers[2]?.holding.add("commit");
    await turns();
    expect(workers.map(({ orders }) => orders.at(-1))).toEqual(["commit", "commit", "commit"]);
    expect(isDone).toBe(false);
    workers[2]?.letGo();
    await done;
  });

  test("that one worker cannot build is dropped by all, with resource and field", async () => {
    const { fleet, workers } = await setUp();
    await fleet.publish(resources("default/a"), 1);
    const failure = { message: "not a port", resource: "service:default/b", path: "ports[0]" };
    workers[1]?.failing.set("prepare", new OrderError(failure));
    await expect(fleet.publish(resources("default/a", "default/b"), 2)).rejects.toMatchObject(failure);
    expect(workers.map(({ orders }) => orders.slice(2))).toEqual([
      ["prepare", "abort"],
      ["prepare", "abort"],
    ]);
    workers[1]?.failing.clear();
    await fleet.publish(resources("default/c"), 3);
    // The difference is to what was acted on last, not to what was refused.
    expect(workers[0]?.changes.at(-1)).toEqual({
      revision: 3,
      changed: resources("default/c"),
      removed: ["service:default/a"],
    });
  });

  test("goes on without a worker that dies meanwhile, whose successor gets all of it", async () => {
    const { clock, fleet, workers } = await setUp();
    await fleet.publish(resources("default/a"), 1);
    workers[0]?.holding.add("prepare");
    const done = fleet.publish(resources("default/a", "default/b"), 2);
    await turns();
    workers[0]?.kill();
    await done;
    clock.advance(RESTART_MAX_MS);
    await turns();
    expect(workers[2]?.orders).toEqual(["start", "prepare", "commit"]);
    expect(workers[2]?.changes[0]).toEqual({ revision: 2, changed: resources("default/a", "default/b"), removed: [] });
  });

  test("that comes while a worker starts reaches that worker, too", async () => {
    const { clock, fleet, workers } = await setUp();
    workers[0]?.kill();
    await turns();
    workers[1]?.holding.add("prepare");
    const first = fleet.publish(resources("default/a"), 1);
    clock.advance(RESTART_MAX_MS);
    await turns();
    const second = fleet.publish(resources("default/a", "default/b"), 2);
    workers[1]?.letGo();
    await Promise.all([first, second]);
    expect(workers[2]?.changes.map(({ revision, changed }) => [revision, changed.size])).toEqual([
      [1, 1],
      [2, 1],
    ]);
  });

  test("that a worker built and cannot act on costs that worker, not the update", async () => {
    const { fleet, workers } = await setUp();
    workers[1]?.failing.set("commit", new OrderError({ message: "a bug" }));
    await fleet.publish(resources("default/a"), 1);
    expect([workers[0]?.hasExited, workers[1]?.hasExited]).toEqual([false, true]);
  });
});

test("a worker that comes back listens where the others do, and not on what is draining", async () => {
  const { clock, fleet, workers } = await setUp();
  await fleet.openOutbound({ host: "127.0.0.1", port: 0 });
  await fleet.openInbound({ host: "127.0.0.1", port: 0 }, { host: "127.0.0.1", port: 80 });
  await fleet.drain("inbound", 1_000);
  workers[0]?.kill();
  await turns();
  clock.advance(RESTART_MAX_MS);
  await turns();
  expect(workers[2]?.orders).toEqual(["start", "prepare", "commit", "listen"]);
  expect(fleet.workers().map(({ pid, restarts }) => [pid, restarts])).toEqual([
    [1_002, 1],
    [1_001, 0],
  ]);
});

test("draining waits for a worker that is just coming, and not past its time for one that is stuck", async () => {
  const { clock, fleet, workers } = await setUp();
  await fleet.openOutbound({ host: "127.0.0.1", port: 0 });
  workers[0]?.kill();
  await turns();
  workers[1]?.holding.add("drain").add("prepare");
  const update = fleet.publish(resources("default/a"), 1);
  clock.advance(RESTART_MAX_MS);
  await turns();
  let isDrained = false;
  const drained = fleet.drain("outbound", 1_000).then(() => {
    isDrained = true;
  });
  await turns();
  expect(workers.map(({ orders }) => orders.includes("drain"))).toEqual([false, false, false]);
  workers[1]?.letGo();
  workers[1]?.holding.add("drain");
  await update;
  await turns();
  expect(workers.map(({ orders }) => orders.includes("drain"))).toEqual([false, true, true]);
  expect(isDrained).toBe(false);
  clock.advance(1_250);
  await drained;
});

test("a worker that answers nothing for thirty reports is killed and replaced", async () => {
  const { clock, fleet, workers } = await setUp();
  workers[0]?.holding.add("report");
  for (let tick = 0; tick < 30; tick++) {
    clock.advance(REPORT_EVERY_MS);
    await turns();
  }
  expect(workers[0]?.hasExited).toBe(false);
  clock.advance(REPORT_EVERY_MS);
  expect(workers[0]?.hasExited).toBe(true);
  await turns();
  clock.advance(RESTART_MAX_MS);
  await turns();
  expect(fleet.workers().map(({ state }) => state)).toEqual(["running", "running"]);
});

test("so is one that hangs while it starts, and rules change again", async () => {
  const { clock, fleet, workers } = await setUp();
  workers[0]?.kill();
  await turns();
  FakeWorker.next = (worker) => void worker.holding.add("prepare").add("report");
  clock.advance(RESTART_MAX_MS);
  FakeWorker.next = undefined;
  await turns();
  let isLive = false;
  void fleet.publish(resources("default/a"), 1).then(() => {
    isLive = true;
  });
  for (let tick = 0; tick < 30; tick++) {
    clock.advance(REPORT_EVERY_MS);
    await turns();
  }
  expect([workers[2]?.hasExited, isLive]).toEqual([true, true]);
  clock.advance(RESTART_MAX_MS);
  await turns();
  expect(workers[3]?.changes[0]).toMatchObject({ revision: 1 });
  expect(fleet.workers().map(({ state }) => state)).toEqual(["running", "running"]);
});

test("what a worker counted is kept when it has ended", async () => {
  const { clock, fleet, workers } = await setUp();
  clock.advance(REPORT_EVERY_MS);
  await turns();
  expect(fleet.outboundUse().total).toBe(10);
  workers[0]?.kill();
  await turns();
  expect(fleet.outboundUse().total).toBe(10);
});

test("a sum of fractions is not less by a hair when a worker ends", async () => {
  const { fleet, workers } = await setUp(3);
  for (const [index, seconds] of [0.1, 0.2, 0.3].entries()) {
    const family = new CellFamily("counter", "process_cpu_seconds_total", "", []);
    family.cell().value = seconds;
    const worker = workers[index];
    if (worker !== undefined) worker.families = reportOf([family]);
  }
  const sum = async (): Promise<number> => {
    const family = (await fleet.families()).find(({ name }) => name === "process_cpu_seconds_total");
    return family instanceof CellFamily ? family.cell().value : 0;
  };
  const before = await sum();
  for (const worker of workers) {
    worker.kill();
    await turns();
    expect(await sum()).toBe(before);
  }
});

test("a worker's question goes to the one resolver, and its answer back", async () => {
  const { fleet, workers } = await setUp();
  const asked: string[] = [];
  fleet.setResolver({
    resolve: (service, callback) => {
      asked.push(service);
      callback("known");
    },
  });
  const answer = await new Promise<Resolution>((settle) => workers[1]?.onQuestion("default/orders", settle));
  expect([asked, answer]).toEqual([["default/orders"], "known"]);
});
