// Leases, identities and grace, on a clock that is moved by hand.
import { beforeEach, describe, expect, it } from "vitest";
import { Hello, Workload } from "../../proto/gen/weft/v1/discovery.ts";
import { silentLog } from "../../runtime/log.ts";
import { ManualClock } from "../../runtime/manual-clock.ts";
import type { LeaseStore, WorkloadRecord } from "../store/contract.ts";
import { checkHello } from "./hello.ts";
import { RegistryJournal } from "./journal.ts";
import { Registry, type RegistryChange } from "./registry.ts";

const LEASE_MS = 15_000;
const LINGER_MS = 60_000;

function workload(id: string, overrides: Partial<Workload> = {}): Workload {
  return Workload.fromPartial({
    ...{ id, service: "orders", namespace: "default", version: "v1", address: "10.0.0.1:15006", ready: true },
    ...overrides,
  });
}

class Stream {
  ended: string | undefined;
  end(reason: string): void {
    this.ended = reason;
  }
}

let clock: ManualClock;
let registry: Registry;
let changes: RegistryChange[];
beforeEach(() => {
  clock = new ManualClock();
  registry = new Registry({ clock, leaseMs: LEASE_MS, lingerMs: LINGER_MS });
  changes = [];
  registry.onChange((change) => changes.push(change));
});

const ids = () => registry.workloads().map(({ id }) => id);

describe("leases", () => {
  it("keeps a workload for as long as it is heard", () => {
    const stream = new Stream();
    registry.register(workload("a"), "i1", "1", stream);
    for (let beat = 0; beat < 10; beat++) {
      clock.advance(5_000);
      registry.heard("a", stream);
    }
    expect(ids()).toEqual(["a"]);
    expect(changes).toHaveLength(1);
  });

  it("ends a workload and its silent stream after three missed heartbeats, not before", () => {
    const stream = new Stream();
    registry.register(workload("a"), "i1", "1", stream);
    clock.advance(LEASE_MS - 1);
    expect(ids()).toEqual(["a"]);
    clock.advance(1);
    expect(ids()).toEqual([]);
    expect(stream.ended).toBe("lease-ended");
    expect(changes.at(-1)).toEqual({ before: workload("a"), after: undefined });
  });

  it("keeps the endpoint of a broken stream until its lease ends", () => {
    const stream = new Stream();
    registry.register(workload("a"), "i1", "1", stream);
    clock.advance(10_000);
    registry.heard("a", stream);
    registry.disconnect("a", stream);
    expect(registry.get("a")).toMatchObject({ isConnected: false, leaseRemainingMs: LEASE_MS });
    clock.advance(LEASE_MS - 1);
    expect(ids()).toEqual(["a"]);
    clock.advance(1);
    expect(ids()).toEqual([]);
  });

  it("withdraws at once on a goodbye", () => {
    const stream = new Stream();
    registry.register(workload("a"), "i1", "1", stream);
    registry.withdraw("a", stream);
    expect(ids()).toEqual([]);
    expect(changes.at(-1)?.after).toBeUndefined();
  });

  it("does not take its own standstill for the death of every sidecar", () => {
    const stream = new Stream();
    let fire = () => {};
    const after = (_delayMs: number, callback: () => void) => {
      fire = callback;
      return { cancel: () => {} };
    };
    const stoppable = { now: () => clock.now(), wall: () => clock.wall(), after };
    const stalled = new Registry({ clock: stoppable, leaseMs: LEASE_MS, lingerMs: LINGER_MS });
    stalled.register(workload("a"), "i1", "1", stream);
    clock.advance(60_000);
    fire();
    expect(stalled.workloads()).toHaveLength(1);
    clock.advance(LEASE_MS);
    fire();
    expect(stalled.workloads()).toHaveLength(0);
  });
});

describe("identity", () => {
  it("gives an identity to the newest stream and ends the older one", () => {
    const [first, second] = [new Stream(), new Stream()];
    registry.register(workload("a"), "i1", "1", first);
    const outcome = registry.register(workload("a", { address: "10.0.0.2:15006" }), "i2", "1", second);
    expect(outcome).toEqual({ outcome: "registered", superseded: true });
    expect(first.ended).toBe("superseded");
    expect(registry.workloads().map(({ address }) => address)).toEqual(["10.0.0.2:15006"]);
  });

  it("ignores what a superseded stream still says", () => {
    const [first, second] = [new Stream(), new Stream()];
    registry.register(workload("a"), "i1", "1", first);
    registry.register(workload("a"), "i2", "1", second);
    registry.withdraw("a", first);
    registry.setReady("a", first, false);
    registry.disconnect("a", first);
    expect(registry.get("a")).toMatchObject({ isConnected: true, workload: { ready: true } });
  });

  it("turns a superseded process away while its successor is connected, and no longer", () => {
    const [first, second, again] = [new Stream(), new Stream(), new Stream()];
    registry.register(workload("a"), "i1", "1", first);
    registry.register(workload("a"), "i2", "1", second);
    expect(registry.register(workload("a"), "i1", "1", again)).toEqual({ outcome: "superseded" });
    expect(second.ended).toBeUndefined();
    registry.disconnect("a", second);
    expect(registry.register(workload("a"), "i1", "1", again)).toEqual({ outcome: "registered", superseded: false });
  });

  it("lets the same process reconnect before its old stream is noticed to be broken", () => {
    const [first, second] = [new Stream(), new Stream()];
    registry.register(workload("a"), "i1", "1", first);
    expect(registry.register(workload("a"), "i1", "1", second).outcome).toBe("registered");
    expect(registry.register(workload("a"), "i1", "1", first).outcome).toBe("registered");
    expect(changes).toHaveLength(1);
  });
});

describe("services of workloads that left", () => {
  it("are remembered for a while, then forgotten", () => {
    const stream = new Stream();
    registry.register(workload("a"), "i1", "1", stream);
    registry.withdraw("a", stream);
    expect(registry.knownWorkloads().map(({ service }) => service)).toEqual(["orders"]);
    clock.advance(LINGER_MS);
    expect(registry.knownWorkloads()).toEqual([]);
    expect(clock.pendingCount).toBe(0);
  });
});

describe("a workload that nobody can call", () => {
  it("leaves no service behind", () => {
    const stream = new Stream();
    registry.register(workload("a", { address: "" }), "i1", "1", stream);
    registry.withdraw("a", stream);
    expect(registry.knownWorkloads()).toEqual([]);
  });
});

describe("a restart", () => {
  class MemoryLeases implements LeaseStore {
    readonly records = new Map<string, string>();
    writes = 0;
    async read(): Promise<WorkloadRecord[]> {
      return Array.from(this.records, ([id, body]) => ({ id, body }));
    }
    async write(put: readonly WorkloadRecord[], removed: readonly string[]): Promise<void> {
      this.writes++;
      for (const { id, body } of put) this.records.set(id, body);
      for (const id of removed) this.records.delete(id);
    }
  }

  it("gives every workload a full lease to come back in", async () => {
    const leases = new MemoryLeases();
    const journal = await RegistryJournal.open(registry, leases, clock, silentLog());
    registry.register(workload("a", { labels: { track: "canary" } }), "i1", "1", new Stream());
    registry.register(workload("b"), "i1", "1", new Stream());
    await journal.flush();
    const restarted = new Registry({ clock, leaseMs: LEASE_MS, lingerMs: LINGER_MS });
    await RegistryJournal.open(restarted, leases, clock, silentLog());
    expect(restarted.workloads()).toEqual(registry.workloads());
    clock.advance(LEASE_MS - 1);
    restarted.register(workload("b"), "i2", "1", new Stream());
    clock.advance(1);
    expect(restarted.workloads().map(({ id }) => id)).toEqual(["b"]);
  });

  it("writes a burst of changes once, and nothing for heartbeats", async () => {
    const leases = new MemoryLeases();
    await RegistryJournal.open(registry, leases, clock, silentLog());
    const streams = [new Stream(), new Stream()];
    for (const [index, stream] of streams.entries()) registry.register(workload(`w${index}`), "i", "1", stream);
    clock.advance(50);
    await Promise.resolve();
    for (const [index, stream] of streams.entries()) registry.heard(`w${index}`, stream);
    clock.advance(1_000);
    await Promise.resolve();
    expect(leases.writes).toBe(1);
    expect([...leases.records.keys()]).toEqual(["w0", "w1"]);
  });

  it("writes later what could not be written, though nothing else changes", async () => {
    const leases = new MemoryLeases();
    const write = leases.write.bind(leases);
    leases.write = () => Promise.reject(new Error("disk full"));
    await RegistryJournal.open(registry, leases, clock, silentLog());
    registry.register(workload("a"), "i", "1", new Stream());
    clock.advance(50);
    await new Promise(setImmediate);
    leases.write = write;
    clock.advance(10_000);
    await new Promise(setImmediate);
    expect([...leases.records.keys()]).toEqual(["a"]);
  });

  it("tries nothing again once it is closed", async () => {
    const leases = new MemoryLeases();
    let tries = 0;
    leases.write = () => {
      tries++;
      return Promise.reject(new Error("disk full"));
    };
    const journal = await RegistryJournal.open(registry, leases, clock, silentLog());
    registry.register(workload("a"), "i", "1", new Stream());
    await journal.close();
    clock.advance(60_000);
    await new Promise(setImmediate);
    expect(tries).toBe(1);
  });
});

describe("a Hello", () => {
  const hello = (overrides: Partial<Workload>): Hello =>
    Hello.fromPartial({ workload: workload("a", overrides), incarnation: "i" });

  it("is fine as sidecars send it", () => {
    expect(checkHello(hello({}))).toBeUndefined();
    expect(checkHello(hello({ address: "", version: "" }))).toBeUndefined();
    expect(checkHello(hello({ address: "[::1]:15006", version: "2024.1-rc_1" }))).toBeUndefined();
  });

  it.each<[string, Partial<Workload>]>([
    ["workload.id", { id: "" }],
    ["workload.id", { id: "x".repeat(254) }],
    ["workload.id", { id: "with space" }],
    ["workload.service", { service: "" }],
    ["workload.service", { service: "Orders" }],
    ["workload.service", { service: "a/b" }],
    ["workload.service", { service: "a".repeat(64) }],
    ["workload.namespace", { namespace: "no_underscore" }],
    ["workload.version", { version: "v 1" }],
    ["workload.address", { address: "nowhere" }],
    ["workload.address", { address: "10.0.0.1:0" }],
    ["workload.address", { address: "10.0.0.1:99999" }],
    ["workload.labels", { labels: { "": "x" } }],
    ["workload.labels", { labels: { a: "x".repeat(254) } }],
    ["workload.labels", { labels: Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`l${index}`, ""])) }],
  ])("is refused for its %s, in words", (field, overrides) => {
    expect(checkHello(hello(overrides))).toMatch(field);
  });

  it("is refused with too many or too long subscriptions and held resources", () => {
    const names = (count: number) => Array.from({ length: count }, (_, index) => `default/s${index}`);
    const withSubscriptions = (subscriptions: string[]) => ({ ...hello({}), subscriptions });
    expect(checkHello(withSubscriptions(names(2_000)))).toBeUndefined();
    expect(checkHello(withSubscriptions(names(2_001)))).toMatch(/2000 subscriptions/);
    expect(checkHello(withSubscriptions(["x".repeat(513)]))).toMatch(/longer than 512/);
    const held = Object.fromEntries(names(10_001).map((name) => [name, "1"]));
    expect(checkHello({ ...hello({}), held })).toMatch(/10000/);
  });
});
