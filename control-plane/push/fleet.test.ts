// Who is sent what and when, with a real rulebook and registry, on a clock that is moved by hand.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Delta, Workload } from "../../proto/gen/weft/v1/discovery.ts";
import { loadDocuments } from "../../rules/load.ts";
import { ManualClock } from "../../runtime/manual-clock.ts";
import { MetricsRegistry } from "../metrics.ts";
import { Registry } from "../registry/registry.ts";
import type { Store } from "../store/contract.ts";
import { Rulebook } from "../store/rulebook.ts";
import { openSqliteStore } from "../store/sqlite.ts";
import { Fleet, type Sidecar } from "./fleet.ts";

const GRACE_MS = 15_000;

let folder = "";
let store: Store;
let clock: ManualClock;
let rulebook: Rulebook;
let registry: Registry;
let metrics: MetricsRegistry;
let fleet: Fleet;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "weft-fleet-"));
  store = openSqliteStore(folder, 1);
  clock = new ManualClock();
  rulebook = await Rulebook.open(store.rules, clock);
  registry = new Registry({ clock, leaseMs: 15_000, lingerMs: 60_000 });
  metrics = new MetricsRegistry();
  fleet = new Fleet({
    ...{ clock, rulebook, registry, pushDuration: metrics.histogram("push", "test") },
    remember: () => undefined,
    graceMs: GRACE_MS,
  });
});
afterEach(async () => {
  fleet.close();
  registry.close();
  await store.close();
  rmSync(folder, { recursive: true });
});

async function apply(name: string, address: string): Promise<number> {
  const content = `{ apiVersion: weft.mesh/v1, kind: Service, metadata: { name: ${name} }, spec: { endpoints: [{ address: "${address}" }] } }`;
  const { documents } = loadDocuments([{ name: "x", content }], { defaultNamespace: "d" });
  const plan = rulebook.planPut(documents.map(({ document }) => document));
  return rulebook.commit(plan, { author: "", message: "", cause: "apply" });
}

async function remove(name: string): Promise<void> {
  const document = rulebook.get({ kind: "Service", namespace: "d", name });
  if (document === undefined) throw new Error(`no service ${name}`);
  await rulebook.commit(rulebook.planDelete([document]), { author: "", message: "", cause: "delete" });
}

interface Connected {
  readonly deltas: Delta[];
  readonly sidecar: Sidecar;
}

function connect(id: string, ...subscriptions: string[]): Connected {
  return connectHolding(id, {}, ...subscriptions);
}

function connectHolding(id: string, holds: Readonly<Record<string, string>>, ...subscriptions: string[]): Connected {
  const workload = Workload.fromPartial({ id, service: id, namespace: "d", address: "10.0.0.1:1", ready: true });
  registry.register(workload, "i", "1", { end: () => {} });
  const deltas: Delta[] = [];
  const introduction = { workload, programVersion: "1", peer: "", subscriptions, held: new Map(Object.entries(holds)) };
  const sidecar = fleet.connect({ ...introduction, send: (delta) => deltas.push(delta) });
  return { deltas, sidecar };
}

function acknowledge({ deltas, sidecar }: Connected): void {
  expect(fleet.acknowledge(sidecar, deltas.at(-1)?.nonce ?? -1)).toBe(true);
}

const namesOf = (delta: Delta | undefined) => delta?.resources.map(({ name }) => name);

it("sends rule changes after a quiet time, as one", async () => {
  await apply("a", "10.0.0.1:1");
  const web = connect("web", "d/a");
  acknowledge(web);
  await apply("a", "10.0.0.2:1");
  clock.advance(19);
  await apply("a", "10.0.0.3:1");
  clock.advance(19);
  expect(web.deltas).toHaveLength(1);
  clock.advance(1);
  expect(web.deltas).toHaveLength(2);
  expect(web.deltas[1]).toMatchObject({ revision: 3 });
  expect(namesOf(web.deltas[1])).toEqual(["endpoints:d/a"]);
});

it("sends endpoint changes at once, on the rules of the revision that is already out", async () => {
  const web = connect("web", "d/orders");
  acknowledge(web);
  await apply("unrelated", "10.0.0.1:1");
  const orders = Workload.fromPartial({
    id: "o",
    service: "orders",
    namespace: "d",
    address: "10.0.0.9:1",
    ready: true,
  });
  registry.register(orders, "i", "1", { end: () => {} });
  clock.advance(0);
  expect(namesOf(web.deltas[1])).toEqual(["service:d/orders", "endpoints:d/orders"]);
  expect(web.deltas[1]?.revision).toBe(0);
});

it("gives somebody who connects or subscribes in the quiet time what was applied a moment ago", async () => {
  await apply("a", "10.0.0.1:1");
  const web = connect("web", "d/a");
  expect(web.deltas[0]).toMatchObject({ revision: 1, removed: [] });
  acknowledge(web);
  await apply("b", "10.0.0.1:1");
  fleet.subscribe(web.sidecar, ["d/b"], []);
  expect(namesOf(web.deltas[1])).toEqual(["service:d/b", "endpoints:d/b"]);
});

it("has one delta on its way, and then sends what is newest", async () => {
  await apply("a", "10.0.0.1:1");
  const web = connect("web", "d/a");
  for (const last of [2, 3, 4]) {
    await apply("a", `10.0.0.${last}:1`);
    clock.advance(20);
  }
  expect(web.deltas).toHaveLength(1);
  acknowledge(web);
  expect(web.deltas).toHaveLength(2);
  expect(Buffer.from(web.deltas[1]!.resources[0]!.body).toString()).toContain("10.0.0.4:1");
  acknowledge(web);
  expect(web.deltas).toHaveLength(2);
});

it("encodes a resource once for everyone", async () => {
  await apply("a", "10.0.0.1:1");
  const [one, two] = [connect("one", "d/a"), connect("two", "d/a")];
  const bodyOf = ({ deltas }: Connected) => deltas[0]?.resources.find(({ name }) => name === "service:d/a")?.body;
  expect(bodyOf(one)).toBeDefined();
  expect(bodyOf(one)).toBe(bodyOf(two));
});

it("knows whom a revision affects, and measures from the commit to the answer", async () => {
  await apply("a", "10.0.0.1:1");
  const [user, stranger] = [connect("user", "d/a"), connect("stranger")];
  for (const each of [user, stranger]) acknowledge(each);
  const revision = await apply("a", "10.0.0.2:1");
  clock.advance(20);
  expect(fleet.affectedBy(revision)).toEqual(new Set(["user"]));
  expect(stranger.sidecar.queue.outcomeOf(revision)).toBe("live");
  expect(user.sidecar.queue.outcomeOf(revision)).toBe("pending");
  clock.advance(5);
  acknowledge(user);
  expect(user.sidecar.queue.outcomeOf(revision)).toBe("live");
  expect(user.sidecar.lastPushMs).toBe(25);
  expect(metrics.render()).toContain('push_count{trigger="rules"} 1');
});

it("forgets a sidecar when its lease has ended, and what only it used a while later", async () => {
  await apply("a", "10.0.0.1:1");
  const web = connect("web", "d/a");
  fleet.disconnect(web.sidecar);
  registry.disconnect("web", { end: () => {} });
  expect(fleet.sidecar("web")).toBeDefined();
  clock.advance(15_000);
  expect(fleet.sidecar("web")).toBeUndefined();
  clock.advance(30_000);
  expect(fleet.compiledCount).toBe(0);
});

it("refuses more subscriptions than one may have, and changes nothing then", () => {
  const web = connect("web");
  const many = Array.from({ length: 2_001 }, (_, index) => `d/s${index}`);
  expect(fleet.subscribe(web.sidecar, many, [])).toBe(false);
  expect(web.sidecar.subscriptions.size).toBe(0);
});

describe("a sidecar that comes with services that nobody here has heard of", () => {
  const HELD = { "service:d/gone": "1", "endpoints:d/gone": "2", "service:d/back": "3", "endpoints:d/back": "4" };

  it("keeps them for a lease after the start, and then only those that came back", async () => {
    const web = connectHolding("web", HELD, "d/gone", "d/back");
    expect(web.deltas[0]?.removed).toEqual([]);
    acknowledge(web);
    clock.advance(GRACE_MS - 1_000);
    await apply("back", "10.0.0.9:1");
    clock.advance(20);
    expect(namesOf(web.deltas[1])).toEqual(["service:d/back", "endpoints:d/back"]);
    expect(web.deltas[1]?.removed).toEqual([]);
    acknowledge(web);
    clock.advance(1_000);
    expect(web.deltas).toHaveLength(3);
    expect(web.deltas[2]?.resources).toEqual([]);
    expect(web.deltas[2]?.removed.toSorted()).toEqual(["endpoints:d/gone", "service:d/gone"]);
  });

  it("loses them at once later on, and when they are deleted", async () => {
    await apply("back", "10.0.0.9:1");
    const early = connectHolding("early", HELD, "d/back");
    acknowledge(early);
    await remove("back");
    clock.advance(20);
    expect(early.deltas[1]?.removed.toSorted()).toEqual(["endpoints:d/back", "service:d/back"]);
    clock.advance(GRACE_MS);
    const late = connectHolding("late", HELD, "d/gone");
    expect(late.deltas[0]?.removed).toContain("service:d/gone");
  });
});
