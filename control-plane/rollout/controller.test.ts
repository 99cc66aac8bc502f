// The controller with a real rulebook and a real store, on a clock that is moved by hand.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadDocuments } from "../../rules/load.ts";
import { silentLog } from "../../runtime/log.ts";
import { ManualClock } from "../../runtime/manual-clock.ts";
import type { Store } from "../store/contract.ts";
import { type PlannedChange, Rulebook } from "../store/rulebook.ts";
import { openSqliteStore } from "../store/sqlite.ts";
import { TrafficLedger } from "../telemetry/traffic-ledger.ts";
import type { Command } from "./command.ts";
import { RolloutController } from "./controller.ts";
import { createHttpCall } from "./http-call.ts";

const KEY = "default/orders";
const RELEASE = `
apiVersion: weft.mesh/v1
kind: Rollout
metadata: { name: orders }
spec: { service: orders, stable: orders-v1, canary: orders-v2, steps: [{ weight: 20, hold: 10m }, { weight: 100 }] }
`;

let folder = "";
let store: Store;
let rulebook: Rulebook;
let controller: RolloutController;
let clock: ManualClock;
let traffic: TrafficLedger;
let canaryEndpoints = 10;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "weft-controller-"));
  clock = new ManualClock();
  traffic = new TrafficLedger(clock);
  canaryEndpoints = 10;
  await open();
});

/** A control plane that starts on what the store has. */
async function open(): Promise<void> {
  store = openSqliteStore(folder, 1);
  rulebook = await Rulebook.open(store.rules, clock);
  controller = new RolloutController({
    ...{ clock, rulebook, log: silentLog(), store: store.rollouts, traffic },
    call: createHttpCall(clock),
    surroundings: {
      readyEndpoints: (service) => (service.endsWith("v2") ? canaryEndpoints : 10),
      callersOf: () => ({ reporting: 1, silent: [] }),
      rate: () => 0,
      rateTo: () => 0,
      onEndpointsChange: () => () => {},
    },
  });
  await controller.start();
}

async function close(): Promise<void> {
  await controller.stop();
  await store.close();
}

afterEach(async () => {
  await close();
  rmSync(folder, { recursive: true });
});

async function commit(changes: PlannedChange[], author: string): Promise<void> {
  await rulebook.commit(changes, { author, message: "", cause: "apply" });
}

async function apply(author = "", content = RELEASE): Promise<void> {
  const { documents } = loadDocuments([{ name: "x", content }], { defaultNamespace: "default" });
  await commit(rulebook.planPut(documents.map(({ document }) => document)), author);
}

async function remove(author = ""): Promise<void> {
  await commit(rulebook.planDelete(rulebook.documents.values()), author);
}

it("begins another release when its document was deleted and applied again before it looked", async () => {
  await apply();
  await controller.sync();
  await controller.command(KEY, { command: "pause", author: "ann", step: 0 });
  await remove();
  await apply();
  expect(() => controller.release(KEY)).toThrow("has not begun yet");
  await controller.sync();
  expect(controller.release(KEY).state).toMatchObject({ phase: { name: "progressing" }, step: 0 });
  const events = await store.rollouts.events(KEY, 10);
  expect(events.toReversed().map(({ type }) => type)).toEqual(["started", "paused", "deleted", "started"]);
});

it("says who began, edited and deleted a release, and takes its own revisions for nobody's word", async () => {
  await apply("ann");
  await controller.sync();
  await apply("bob", RELEASE.replace("weight: 20", "weight: 30"));
  await controller.sync();
  await remove("cy");
  await apply("dan");
  await controller.sync();
  await remove("eve");
  await controller.sync();
  const events = await store.rollouts.events(KEY, 10);
  expect(events.toReversed().map(({ type, author }) => `${type} ${author}`)).toEqual([
    "started ann",
    "edited bob",
    "deleted cy",
    "started dan",
    "deleted eve",
  ]);
});

describe("while the store cannot be written", () => {
  /** The lock that somebody else holds on the database stands for a full disk. @returns what ends it */
  function fillDisk(): () => void {
    const other = new DatabaseSync(join(folder, "weft.db"));
    other.exec("BEGIN IMMEDIATE");
    return () => other.close();
  }

  const weightInForce = () => {
    const current = rulebook.get({ kind: "Rollout", namespace: "default", name: "orders" });
    return (current?.document.status as { weight: number } | undefined)?.weight;
  };
  const say = (command: Command) => controller.command(KEY, { command, author: "ann", step: 0 });
  const types = async () => (await store.rollouts.events(KEY, 10)).toReversed().map(({ type }) => type);

  it("a release is aborted at once, and the rest is done when it can", async () => {
    await apply();
    await controller.sync();
    const { revision } = rulebook;
    let told = 0;
    rulebook.onCommit(() => told++);
    const freeDisk = fillDisk();
    const release = await say("abort");
    expect(release).toMatchObject({
      state: { weight: 0, phase: { name: "rolled-back" } },
      notStored: "database is locked",
    });
    expect(release.lastEvent).toMatchObject({ type: "rolled-back", author: "ann" });
    expect([weightInForce(), rulebook.revision, told]).toEqual([0, revision, 1]);
    await controller.sync();
    expect([await types(), told]).toEqual([["started"], 1]);
    freeDisk();
    await controller.sync();
    expect(controller.release(KEY)).toMatchObject({ notStored: "", revision: revision + 1 });
    expect([await types(), rulebook.revision]).toEqual([["started", "rolled-back"], revision + 1]);
    await controller.sync();
    expect([await types(), rulebook.revision]).toEqual([["started", "rolled-back"], revision + 1]);
    await close();
    await open();
    expect([controller.release(KEY).state.phase.name, weightInForce()]).toEqual(["rolled-back", 0]);
  });

  it("a release is paused, and goes no further and on by nobody's word", async () => {
    await apply();
    await controller.sync();
    const freeDisk = fillDisk();
    await expect(say("promote")).rejects.toThrow("database is locked");
    await expect(say("promote-full")).rejects.toThrow("database is locked");
    expect((await say("pause")).state).toMatchObject({ phase: { name: "paused" }, step: 0, weight: 20 });
    await expect(say("resume")).rejects.toThrow("database is locked");
    expect(weightInForce()).toBe(20);
    freeDisk();
    await say("promote");
    expect(await types()).toEqual(["started", "paused", "resumed", "step"]);
  });

  /** Two requests to each version, of which the canary fails a share. */
  function reporter(): (share: number) => Promise<void> {
    const key = { service: "default/orders", version: "", route: "r", mirror: false, latency: [] };
    let [requests, failures] = [0, 0];
    return (share) => {
      requests += 2;
      failures += share * 2;
      traffic.report("web-1", "a", [
        { ...key, backend: "default/orders-v1", requests, failures: 0 },
        { ...key, backend: "default/orders-v2", requests, failures },
      ]);
      clock.advance(1_000);
      return controller.sync();
    };
  }

  it("a canary that harms is rolled back by itself, whatever would have been its next step", async () => {
    await apply("", RELEASE.replace("hold: 10m", "hold: 1ms"));
    await controller.sync();
    const freeDisk = fillDisk();
    const report = reporter();
    for (let second = 0; second < 60; second++) await report(0);
    expect(controller.release(KEY).state).toMatchObject({ step: 0, weight: 20, phase: { name: "progressing" } });
    for (let second = 0; second < 60; second++) await report(1);
    expect(controller.release(KEY).state).toMatchObject({ weight: 0, phase: { name: "rolled-back" } });
    expect(weightInForce()).toBe(0);
    freeDisk();
  });

  it("what comes while a release cannot go on is counted when it stays where it is", async () => {
    canaryEndpoints = 1;
    await apply();
    await controller.sync();
    const report = reporter();
    for (let second = 0; second < 3; second++) await report(0);
    const { weight, evidence } = controller.release(KEY).state;
    expect([weight, evidence.step.canary.requests]).toEqual([10, 4]);
    const freeDisk = fillDisk();
    canaryEndpoints = 2;
    for (let second = 0; second < 5; second++) await report(0);
    expect(controller.release(KEY).state).toMatchObject({ weight: 10 });
    canaryEndpoints = 1;
    await report(0);
    expect(controller.release(KEY).state.evidence.step.canary.requests).toBe(16);
    freeDisk();
  });

  it("what was not stored is forgotten by a restart", async () => {
    await apply();
    await controller.sync();
    const freeDisk = fillDisk();
    await say("abort");
    await close();
    freeDisk();
    await open();
    expect([controller.release(KEY).state.phase.name, weightInForce()]).toEqual(["progressing", 20]);
  });

  it("what happened to a release that is deleted then is stored with its end", async () => {
    await apply();
    await controller.sync();
    const freeDisk = fillDisk();
    await say("abort");
    freeDisk();
    await remove();
    await controller.sync();
    expect(await types()).toEqual(["started", "rolled-back", "deleted"]);
  });

  it("no release begins, and one that was deleted ends when it can", async () => {
    await apply();
    await controller.sync();
    await remove("bob");
    await apply("cy");
    const freeDisk = fillDisk();
    await controller.sync();
    expect(() => controller.release(KEY)).toThrow("has not begun yet");
    freeDisk();
    await controller.sync();
    await remove("eve");
    const freeAgain = fillDisk();
    await controller.sync();
    freeAgain();
    await controller.sync();
    expect(await types()).toEqual(["started", "deleted", "started", "deleted"]);
    const events = await store.rollouts.events(KEY, 10);
    expect(events.filter(({ type }) => type === "deleted").map(({ author }) => author)).toEqual(["eve", "bob"]);
  });
});
