// What a sidecar sees of the control plane: real sockets and streams.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Hello } from "../../proto/gen/weft/v1/discovery.ts";
import { type ListSidecarsRequest, type ListSidecarsResponse, SyncState } from "../../proto/gen/weft/v1/fleet.ts";
import type { RulesServiceClient } from "../../proto/gen/weft/v1/rules.ts";
import { cleanUp, eventually } from "../harness.ts";
import {
  apply,
  ask,
  FakeSidecar,
  fleetClient,
  route,
  rulesClient,
  service,
  startHere,
  stopAll,
  waitRevision,
} from "./client.ts";

let grpc = "";
let rules: RulesServiceClient;
beforeEach(async () => {
  grpc = (await startHere()).grpc;
  rules = rulesClient(grpc);
});
afterEach(async () => {
  await stopAll();
  await cleanUp();
});

function sidecars(): Promise<ListSidecarsResponse> {
  const fleet = fleetClient(grpc);
  return ask<ListSidecarsRequest, ListSidecarsResponse>(fleet, fleet.listSidecars, { namespace: "" });
}

async function stateOf(id: string): Promise<SyncState | undefined> {
  return (await sidecars()).sidecars.find(({ workload }) => workload?.id === id)?.state;
}

const until = (what: string, ask: () => boolean) => eventually(what, ask);

describe("a sidecar that connects", () => {
  it("is welcomed and gets the mesh and what its own service enforces", async () => {
    const sidecar = new FakeSidecar(grpc);
    await sidecar.deltaCount(1);
    expect(sidecar.welcome).toMatchObject({ revision: 0, heartbeatIntervalMs: 5_000, leaseMs: 15_000 });
    expect([...sidecar.resources.keys()].sort()).toEqual(["inbound:default/web", "mesh"]);
  });

  it("gets a service it asks for with all that it leads to", async () => {
    await apply(rules, service("orders") + service("orders-v2") + route("orders", "orders", "orders-v2"));
    const sidecar = new FakeSidecar(grpc);
    sidecar.subscribe("default/orders");
    await sidecar.holds("service:default/orders-v2");
    expect([...sidecar.resources.keys()].sort()).toEqual([
      "endpoints:default/orders",
      "endpoints:default/orders-v2",
      "inbound:default/web",
      "mesh",
      "service:default/orders",
      "service:default/orders-v2",
    ]);
  });

  it("is told that a service does not exist, and gets it when it does", async () => {
    const sidecar = new FakeSidecar(grpc, { hello: { subscriptions: ["default/later"] } });
    await until("told", () => sidecar.removed.includes("service:default/later"));
    await apply(rules, service("later"));
    await sidecar.holds("service:default/later");
  });

  it("gets only what differs from what it holds", async () => {
    await apply(rules, service("a") + service("b"));
    const subscriptions = ["default/a", "default/b"];
    const first = new FakeSidecar(grpc, { hello: { subscriptions } });
    await first.holds("service:default/b");
    first.break();
    await apply(rules, service("b", "10.0.0.2:80"));
    const second = new FakeSidecar(grpc, { hello: { subscriptions, held: first.held } });
    await second.deltaCount(1);
    expect(second.deltas[0]?.resources.map(({ name }) => name)).toEqual(["endpoints:default/b"]);
  });

  it("learns that it is up to date when nothing differs", async () => {
    const first = new FakeSidecar(grpc);
    await first.deltaCount(1);
    first.break();
    await apply(rules, service("elsewhere"));
    const second = new FakeSidecar(grpc, { hello: { held: first.held } });
    await second.deltaCount(1);
    expect(second.deltas[0]).toMatchObject({ revision: 1, resources: [], removed: [] });
  });

  it("gets its heartbeats back", async () => {
    const sidecar = new FakeSidecar(grpc);
    sidecar.send({ $case: "heartbeat", value: { sequence: 7 } });
    await until("echo", () => sidecar.echoes.includes(7));
  });
});

describe("changes", () => {
  it("reach only the sidecars that they concern, and those are waited for", async () => {
    await apply(rules, service("a") + service("b"));
    const usesA = new FakeSidecar(grpc, { workload: { id: "a" }, hello: { subscriptions: ["default/a"] } });
    const usesB = new FakeSidecar(grpc, { workload: { id: "b" }, hello: { subscriptions: ["default/b"] } });
    await usesA.holds("service:default/a");
    await usesB.holds("service:default/b");
    const deltas = usesB.deltas.length;
    const { revision } = await apply(rules, route("a", "a", "b"));
    const progress = await waitRevision(fleetClient(grpc), revision);
    expect(progress.at(-1)).toMatchObject({
      done: true,
      sidecars: [{ workloadId: "a", state: SyncState.SYNC_STATE_SYNCED }],
    });
    expect(usesA.resources.has("service:default/b")).toBe(true);
    expect(usesA.revision).toBe(revision);
    expect(usesB.deltas.length).toBe(deltas);
    const listed = (await sidecars()).sidecars.map(({ revision }) => revision);
    expect(listed).toEqual([revision, revision]);
  });

  it("are waited for until the last one answered", async () => {
    await apply(rules, service("a"));
    const quick = new FakeSidecar(grpc, { workload: { id: "quick" }, hello: { subscriptions: ["default/a"] } });
    const slow = new FakeSidecar(grpc, { workload: { id: "slow" }, hello: { subscriptions: ["default/a"] } });
    await Promise.all([quick.holds("service:default/a"), slow.holds("service:default/a")]);
    slow.answer = () => "nothing";
    const { revision } = await apply(rules, route("a", "a", "a", "/x"));
    const progress = waitRevision(fleetClient(grpc), revision);
    await eventually("quick is live", async () => (await stateOf("quick")) === SyncState.SYNC_STATE_SYNCED);
    expect(await stateOf("slow")).toBe(SyncState.SYNC_STATE_PENDING);
    const { nonce } = await eventually("slow was asked", () =>
      slow.deltas.find((delta) => delta.revision === revision),
    );
    slow.send({ $case: "ack", value: { nonce, revision } });
    const messages = await progress;
    expect(messages.at(-1)?.done).toBe(true);
    expect(messages.slice(0, -1).every(({ done }) => !done)).toBe(true);
  });

  it("that a sidecar refuses are reported with the field, and not sent again", async () => {
    await apply(rules, service("a"));
    const sidecar = new FakeSidecar(grpc, { hello: { subscriptions: ["default/a"] } });
    await sidecar.holds("service:default/a");
    sidecar.answer = () => ({ resource: "service:default/a", fieldPath: "rules[0].matches", reason: "no thanks" });
    const { revision } = await apply(rules, route("a", "a", "a", "/x"));
    const progress = await waitRevision(fleetClient(grpc), revision);
    expect(progress.at(-1)?.sidecars).toMatchObject([
      { state: SyncState.SYNC_STATE_REFUSED, refusal: { fieldPath: "rules[0].matches", reason: "no thanks" } },
    ]);
    sidecar.answer = () => "ack";
    const count = sidecar.deltas.length;
    const unrelated = await apply(rules, service("z"));
    expect((await waitRevision(fleetClient(grpc), unrelated.revision)).at(-1)).toMatchObject({
      done: true,
      sidecars: [],
    });
    expect(sidecar.deltas.length).toBe(count);
    expect(await stateOf("w1")).toBe(SyncState.SYNC_STATE_REFUSED);
    const fixed = await apply(rules, route("a", "a", "a", "/y"));
    await waitRevision(fleetClient(grpc), fixed.revision);
    expect(await stateOf("w1")).toBe(SyncState.SYNC_STATE_SYNCED);
  });

  it("that come in a burst are merged into few deltas", async () => {
    await apply(rules, service("a"));
    const sidecar = new FakeSidecar(grpc, { hello: { subscriptions: ["default/a"] } });
    await sidecar.holds("service:default/a");
    const before = sidecar.deltas.length;
    const bursts = Array.from({ length: 30 }, (_, step) => apply(rules, route("a", "a", "a", `/p${step}`)));
    const last = Math.max(...(await Promise.all(bursts)).map(({ revision }) => revision));
    expect(last).toBe(31);
    await until("all of it", () => sidecar.revision === last);
    expect(sidecar.deltas.length - before).toBeLessThan(10);
  });
});

describe("a workload", () => {
  it("is an endpoint for others as soon as it registers, and gone at once after its goodbye", async () => {
    const caller = new FakeSidecar(grpc, { workload: { id: "caller" }, hello: { subscriptions: ["default/orders"] } });
    await until("told", () => caller.removed.includes("service:default/orders"));
    const orders = new FakeSidecar(grpc, {
      workload: { id: "orders-1", service: "orders", version: "v1", address: "127.0.0.1:4001" },
    });
    const addresses = () => JSON.stringify(caller.resources.get("endpoints:default/orders")?.body["endpoints"] ?? null);
    await until("endpoint", () => addresses().includes("127.0.0.1:4001"));
    orders.send({ $case: "readinessChange", value: { ready: false, reason: "test" } });
    await until("not ready", () => addresses() === "[]");
    orders.send({ $case: "readinessChange", value: { ready: true, reason: "test" } });
    await until("ready", () => addresses().includes("127.0.0.1:4001"));
    orders.goodbye();
    await until("gone", () => addresses() === "[]");
    expect(caller.resources.has("service:default/orders")).toBe(true);
    expect((await sidecars()).sidecars.map(({ workload }) => workload?.id)).toEqual(["caller"]);
  });

  it("keeps its endpoint when its stream breaks", async () => {
    const orders = new FakeSidecar(grpc, { workload: { id: "orders-1", service: "orders" } });
    await orders.deltaCount(1);
    orders.break();
    await eventually("noticed", async () => (await stateOf("orders-1")) === SyncState.SYNC_STATE_DISCONNECTED);
    const caller = new FakeSidecar(grpc, { workload: { id: "caller" }, hello: { subscriptions: ["default/orders"] } });
    await caller.holds("endpoints:default/orders", ({ endpoints }) => (endpoints as unknown[]).length === 1);
  });

  it("is taken over by a newer process of the same identity, which the older one cannot take back", async () => {
    const older = new FakeSidecar(grpc, { hello: { incarnation: "old" } });
    await older.deltaCount(1);
    const newer = new FakeSidecar(grpc, { hello: { incarnation: "new" } });
    await newer.deltaCount(1);
    await until("ended", () => older.ended !== undefined);
    expect(older.ended).toMatchObject({ code: 10, details: expect.stringContaining("superseded") });
    const again = new FakeSidecar(grpc, { hello: { incarnation: "old" } });
    await until("turned away", () => again.ended !== undefined);
    expect(again.ended).toMatchObject({ code: 6, details: expect.stringContaining("superseded") });
    expect(newer.ended).toBeUndefined();
    expect((await sidecars()).sidecars).toHaveLength(1);
  });
});

describe("nonsense", () => {
  it.each([
    ["no workload", { workload: undefined }, /workload is missing/],
    ["a bad service name", { workload: { id: "x", service: "Not A Name", namespace: "default" } }, /DNS label/],
    ["a subscription without end", { subscriptions: ["x".repeat(600)] }, /longer than 512/],
  ])("in a Hello (%s) ends the stream with a reason", async (_what, hello, reason) => {
    const sidecar = new FakeSidecar(grpc, { hello: hello as never });
    await until("ended", () => sidecar.ended !== undefined);
    expect(sidecar.ended).toMatchObject({ code: 3, details: expect.stringMatching(reason) });
    expect((await sidecars()).sidecars).toEqual([]);
  });

  it("after a good Hello ends the stream with a reason", async () => {
    const twice = new FakeSidecar(grpc);
    twice.send({ $case: "hello", value: Hello.fromPartial({}) });
    await until("ended", () => twice.ended !== undefined);
    expect(twice.ended).toMatchObject({ code: 3, details: expect.stringMatching(/twice/) });
    const greedy = new FakeSidecar(grpc, { workload: { id: "greedy" } });
    greedy.subscribe(...Array.from({ length: 1_500 }, (_, index) => `default/a${index}`));
    greedy.subscribe(...Array.from({ length: 1_500 }, (_, index) => `default/b${index}`));
    await until("ended", () => greedy.ended !== undefined);
    expect(greedy.ended).toMatchObject({ code: 8, details: expect.stringMatching(/2000 subscriptions/) });
  });

  it("names of services that cannot exist are answered like any that do not", async () => {
    const sidecar = new FakeSidecar(grpc);
    sidecar.subscribe("", "no-namespace", "a/b/c", "../..", "default/__proto__", "__proto__");
    await until("told", () => sidecar.removed.length >= 6);
    expect(sidecar.ended).toBeUndefined();
  });

  it("acknowledgements of nothing are ignored", async () => {
    const sidecar = new FakeSidecar(grpc);
    await sidecar.deltaCount(1);
    sidecar.send({ $case: "ack", value: { nonce: 999, revision: 999 } });
    sidecar.send({ $case: "nack", value: { nonce: 999, resource: "x", fieldPath: "", reason: "" } });
    sidecar.send({ $case: "heartbeat", value: { sequence: 1 } });
    await until("echo", () => sidecar.echoes.includes(1));
    expect(await stateOf("w1")).toBe(SyncState.SYNC_STATE_SYNCED);
  });
});
