// The controller with a real rulebook and a real store, on a clock that is moved by hand.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { loadDocuments } from "../../rules/load.ts";
import { silentLog } from "../../runtime/log.ts";
import { ManualClock } from "../../runtime/manual-clock.ts";
import type { Store } from "../store/contract.ts";
import { type PlannedChange, Rulebook } from "../store/rulebook.ts";
import { openSqliteStore } from "../store/sqlite.ts";
import { TrafficLedger } from "../telemetry/traffic-ledger.ts";
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

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "weft-controller-"));
  store = openSqliteStore(folder, 1);
  const clock = new ManualClock();
  rulebook = await Rulebook.open(store.rules, clock);
  controller = new RolloutController({
    ...{ clock, rulebook, log: silentLog(), store: store.rollouts, traffic: new TrafficLedger(clock) },
    call: createHttpCall(clock),
    surroundings: {
      readyEndpoints: () => 1,
      callersOf: () => ({ reporting: 1, silent: [] }),
      rate: () => 0,
      rateTo: () => 0,
      onEndpointsChange: () => () => {},
    },
  });
  await controller.start();
});

afterEach(async () => {
  await controller.stop();
  await store.close();
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
