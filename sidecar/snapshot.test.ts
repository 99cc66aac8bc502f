// Snapshots: what is built anew, what is taken over, what is refused.
import { expect, test } from "vitest";
import { compilePolicy } from "../rules/compile/policy.ts";
import type { Endpoint, EndpointsResource, Resource, ServiceResource } from "../rules/resource.ts";
import { resourceName } from "../rules/resource.ts";
import { silentLog } from "../runtime/log.ts";
import { ManualClock } from "../runtime/manual-clock.ts";
import { seededRandom } from "../runtime/random.ts";
import { SocketBudget } from "../runtime/socket-budget.ts";
import { TimerWheel } from "../runtime/timer-wheel.ts";
import { Turn } from "../runtime/turn.ts";
import { Metrics } from "./observe/metrics.ts";
import { clusterLog } from "./proxy/cluster-log.ts";
import { buildSnapshot, emptySnapshot, SnapshotHolder } from "./snapshot.ts";

function empty() {
  const clock = new ManualClock();
  const connectStreams = (): never => {
    throw new Error("connects to nobody");
  };
  const turn = new Turn(() => {});
  const { flushes } = turn;
  const wheel = new TimerWheel(clock);
  const pool = {
    clock,
    wheel,
    sockets: new SocketBudget(Number.POSITIVE_INFINITY),
    socketMode: "shared",
    writeBufferBytes: 65_536,
    flushes,
    answers: turn.reads(),
  } as const;
  return emptySnapshot({
    pool,
    connectStreams,
    random: seededRandom(1),
    zone: "",
    events: clusterLog(silentLog(), new Metrics()),
  });
}

function service(name: string, change: Partial<ServiceResource> = {}): ServiceResource {
  const base = { type: "service", service: name, ports: [{ port: 80, protocol: "http" }], implied: false } as const;
  return { ...base, rules: [], policy: compilePolicy(undefined), ...change };
}

function endpoint(address: string, change: Partial<Endpoint> = {}): Endpoint {
  return {
    id: address,
    address,
    addresses: {},
    weight: 1,
    zone: "",
    version: "v1",
    labels: {},
    mesh: false,
    ...change,
  };
}

function endpoints(name: string, ...list: Endpoint[]): EndpointsResource {
  return { type: "endpoints", service: name, endpoints: list };
}

function set(...resources: Resource[]): Map<string, Resource> {
  return new Map(resources.map((resource) => [resourceName(resource), structuredClone(resource)]));
}

test("equal resources keep their entries, changed ones get new ones that take the living parts over", () => {
  const first = buildSnapshot(
    empty(),
    set(
      service("d/a"),
      endpoints("d/a", endpoint("10.0.0.1:80")),
      service("d/b"),
      endpoints("d/b", endpoint("10.0.0.2:80")),
    ),
    1,
  );
  const second = buildSnapshot(
    first,
    set(
      service("d/a"),
      endpoints("d/a", endpoint("10.0.0.1:80"), endpoint("10.0.0.3:80")),
      service("d/b"),
      endpoints("d/b", endpoint("10.0.0.2:80")),
    ),
    2,
  );
  expect(second.services.get("d/b")).toBe(first.services.get("d/b"));
  const [before, after] = [first.services.get("d/a")!, second.services.get("d/a")!];
  expect(after).not.toBe(before);
  expect(after.cluster.set.members[0]!.state).toBe(before.cluster.set.members[0]!.state);
  expect(after.cluster.state).toBe(before.cluster.state);
  expect(before.cluster.set.members).toHaveLength(1);
});

test("a change of weight keeps the endpoint's connections", () => {
  const first = buildSnapshot(empty(), set(service("d/a"), endpoints("d/a", endpoint("10.0.0.1:80"))), 1);
  const next = set(service("d/a"), endpoints("d/a", endpoint("10.0.0.1:80", { weight: 5 })));
  const [member] = buildSnapshot(first, next, 2).services.get("d/a")!.cluster.set.members;
  expect(member!.weight).toBe(5);
  expect(member!.state).toBe(first.services.get("d/a")!.cluster.set.members[0]!.state);
});

test("an endpoint with several ports has an address for each", () => {
  const two = endpoint("", { id: "x", addresses: { "80": "10.0.0.1:8080", "81": "10.0.0.1:9090" } });
  const { cluster } = buildSnapshot(empty(), set(service("d/a"), endpoints("d/a", two)), 1).services.get("d/a")!;
  expect(cluster.setsByPort.get(80)!.members[0]!.address).toBe("10.0.0.1:8080");
  expect(cluster.setsByPort.get(81)!.members[0]!.address).toBe("10.0.0.1:9090");
  expect(cluster.set.members).toHaveLength(0);
});

test("an address that is none is refused with resource and path, and nothing is changed", () => {
  const first = buildSnapshot(empty(), set(service("d/a"), endpoints("d/a", endpoint("10.0.0.1:80"))), 1);
  const bad = set(service("d/a"), endpoints("d/a", endpoint("10.0.0.1:80"), endpoint("nowhere")));
  expect(() => buildSnapshot(first, bad, 2)).toThrow(
    expect.objectContaining({ resource: "endpoints:d/a", path: "endpoints[1].address" }),
  );
});

test("swapping tells listeners, and pools of endpoints that left take no idle connections any more", () => {
  const holder = new SnapshotHolder(empty());
  const revisions: number[] = [];
  holder.onSwap((next, previous) => revisions.push(previous.revision, next.revision));
  holder.swap(buildSnapshot(holder.current, set(service("d/a"), endpoints("d/a", endpoint("10.0.0.1:80"))), 1));
  holder.swap(buildSnapshot(holder.current, set(service("d/a")), 2));
  holder.swap(buildSnapshot(holder.current, set(), 3));
  expect(revisions).toEqual([0, 1, 1, 2, 2, 3]);
  expect(holder.current.services.size).toBe(0);
});
