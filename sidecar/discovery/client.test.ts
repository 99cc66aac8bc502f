// The life of the discovery stream, against a real gRPC server that does what the test says.
import { afterEach, describe, expect, test } from "vitest";
import type { Resource } from "../../rules/resource.ts";
import { silentLog } from "../../runtime/log.ts";
import { ManualClock } from "../../runtime/manual-clock.ts";
import { seededRandom } from "../../runtime/random.ts";
import { DiscoveryClient } from "./client.ts";
import { Configuration } from "./configuration.ts";
import type { DecisionSource } from "./decision-desk.ts";
import { GOODBYE_TIMEOUT_MS, RECONNECT_MAX_MS, SUPERSEDED_RETRY_MS, WELCOME_TIMEOUT_MS } from "./limits.ts";
import { ScriptedControlPlane, type ScriptedStream, status } from "./scripted-control-plane.ts";
import { Subscriptions } from "./subscriptions.ts";

const MESH = { type: "mesh" };
const ORDERS = { type: "service", service: "default/orders" };

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function controlPlane(port?: number): Promise<ScriptedControlPlane> {
  const plane = await ScriptedControlPlane.listen(port);
  closing.push(() => plane.close());
  return plane;
}

const noDecisions: DecisionSource = {
  findDecisions: () => Promise.resolve([]),
  openTap: () => {},
  closeTap: () => {},
  setTapListener: () => {},
};

function sidecar(address: string) {
  const clock = new ManualClock();
  const published: string[][] = [];
  const configuration = new Configuration({
    parse: (name, body) => {
      if ((body as { bad?: boolean }).bad === true)
        throw Object.assign(new Error("not a port"), { resource: name, path: "ports[0].port" });
      return body as Resource;
    },
    publish: (resources) => void published.push([...resources.keys()]),
    wall: () => clock.wall(),
  });
  const subscriptions: Subscriptions = new Subscriptions({
    clock,
    holdsService: (service) => configuration.holdsService(service),
    isConnected: () => client.isConnected,
    send: (add, remove) => client.subscribe(add, remove),
  });
  const applied = { count: 0 };
  const client: DiscoveryClient = new DiscoveryClient({
    address,
    workload: {
      id: "orders-1",
      service: "orders",
      namespace: "default",
      version: "v1",
      labels: { team: "shop" },
      address: "10.0.0.1:15006",
      zone: "a",
    },
    incarnation: "run-1",
    programVersion: "0.1.0",
    configuration,
    subscriptions,
    decisions: noDecisions,
    clock,
    random: seededRandom(1),
    log: silentLog(),
    onApplied: () => applied.count++,
  });
  closing.push(() => {
    const stopped = client.stop("test over");
    clock.advance(GOODBYE_TIMEOUT_MS);
    return stopped;
  });
  return { client, clock, configuration, subscriptions, published, applied };
}

/** Runs the event loop until something is so; the test's own time limit ends it when it never is. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((next) => setImmediate(next));
}

/** Advances the clock in small steps until the control plane sees another stream. */
async function nextStream(plane: ScriptedControlPlane, clock: ManualClock): Promise<ScriptedStream> {
  let stream: ScriptedStream | undefined;
  const coming = plane.stream().then((value) => {
    stream = value;
  });
  while (stream === undefined) {
    clock.advance(50);
    await new Promise((next) => setImmediate(next));
  }
  await coming;
  return stream;
}

async function connected(plane: ScriptedControlPlane, client: DiscoveryClient): Promise<ScriptedStream> {
  client.start();
  const stream = await plane.stream();
  await stream.next("hello");
  stream.welcome();
  await until(() => client.isConnected);
  return stream;
}

describe("hello", () => {
  test("says who the sidecar is, what it holds and what it uses", async () => {
    const plane = await controlPlane();
    const { client, configuration, subscriptions } = sidecar(plane.address);
    const resources = [{ name: "service:default/orders", version: "abc", body: ORDERS }];
    await configuration.apply({ revision: 9, resources, removed: [] }, "cache");
    subscriptions.restore(["default/orders"]);
    client.start();
    const hello = await (await plane.stream()).next("hello");
    expect(hello).toEqual({
      workload: {
        id: "orders-1",
        service: "orders",
        namespace: "default",
        version: "v1",
        labels: { team: "shop" },
        address: "10.0.0.1:15006",
        zone: "a",
        ready: false,
      },
      incarnation: "run-1",
      held: { "service:default/orders": "abc" },
      subscriptions: ["default/orders"],
      revision: 9,
      programVersion: "0.1.0",
    });
  });

  test("carries readiness decided before, and changes of it follow on the stream", async () => {
    const plane = await controlPlane();
    const { client } = sidecar(plane.address);
    client.setReady(true, "app is up");
    client.start();
    const stream = await plane.stream();
    expect((await stream.next("hello")).workload?.ready).toBe(true);
    client.setReady(true, "still up");
    client.setReady(false, "draining");
    expect(await stream.next("readinessChange")).toEqual({ ready: false, reason: "draining" });
  });
});

describe("a delta", () => {
  test("is acknowledged with its nonce after it was published", async () => {
    const plane = await controlPlane();
    const { client, configuration, published, applied } = sidecar(plane.address);
    const stream = await connected(plane, client);
    stream.delta({ nonce: 5, revision: 3, resources: { mesh: MESH } });
    expect(await stream.next("ack")).toEqual({ nonce: 5, revision: 3 });
    expect(published).toEqual([["mesh"]]);
    expect(configuration.revision).toBe(3);
    expect(applied.count).toBe(1);
  });

  test("with a bad resource is refused with resource and field, and the next good one is taken", async () => {
    const plane = await controlPlane();
    const { client, configuration, published } = sidecar(plane.address);
    const stream = await connected(plane, client);
    stream.delta({
      nonce: 1,
      revision: 3,
      resources: { mesh: MESH, "service:default/orders": { ...ORDERS, bad: true } },
    });
    expect(await stream.next("nack")).toEqual({
      nonce: 1,
      resource: "service:default/orders",
      fieldPath: "ports[0].port",
      reason: "not a port",
    });
    expect([published, configuration.revision]).toEqual([[], 0]);
    stream.delta({ nonce: 2, revision: 4, resources: { mesh: MESH } });
    expect(await stream.next("ack")).toEqual({ nonce: 2, revision: 4 });
  });

  test("answers the request that asked for the service, after the swap", async () => {
    const plane = await controlPlane();
    const { client, subscriptions, published } = sidecar(plane.address);
    const stream = await connected(plane, client);
    const known = new Promise((settle) => subscriptions.resolve("default/orders", settle));
    const unknown = new Promise((settle) => subscriptions.resolve("default/nobody", settle));
    expect(await stream.next("subscribe")).toEqual({ add: ["default/orders"], remove: [] });
    expect(await stream.next("subscribe")).toEqual({ add: ["default/nobody"], remove: [] });
    const publishedWhenAnswered = known.then(() => published.length);
    stream.delta({ resources: { "service:default/orders": ORDERS }, removed: ["service:default/nobody"] });
    expect([await known, await unknown, await publishedWhenAnswered]).toEqual(["known", "unknown", 1]);
  });

  test("that comes before Welcome ends the stream: that is no control plane", async () => {
    const plane = await controlPlane();
    const { client, configuration } = sidecar(plane.address);
    client.start();
    const stream = await plane.stream();
    stream.delta({ resources: { mesh: MESH } });
    await stream.ended;
    expect(client.status).toMatchObject({ state: "waiting", lastError: "sent delta before Welcome" });
    expect(configuration.origin).toBe("none");
  });
});

describe("keeping the lease", () => {
  test("sends a heartbeat every interval of the Welcome", async () => {
    const plane = await controlPlane();
    const { client, clock } = sidecar(plane.address);
    const stream = await connected(plane, client);
    for (const sequence of [1, 2, 3]) {
      clock.advance(5_000);
      expect(await stream.next("heartbeat")).toEqual({ sequence });
      stream.heartbeat(sequence);
      const heardAtMs = clock.wall();
      await until(() => client.status.lastHeardAtMs === heardAtMs);
    }
  });

  test("dials again when nothing was heard for the lease time", async () => {
    const plane = await controlPlane();
    const { client, clock } = sidecar(plane.address);
    const stream = await connected(plane, client);
    clock.advance(14_999);
    expect(client.status.state).toBe("connected");
    clock.advance(5_000);
    expect(client.status.state).not.toBe("connected");
    expect(client.status.lastError).toContain("nothing heard");
    await stream.ended;
    await (await nextStream(plane, clock)).next("hello");
  });

  test("a goodbye is said on a clean stop, and the stream ended", async () => {
    const plane = await controlPlane();
    const { client } = sidecar(plane.address);
    const stream = await connected(plane, client);
    const stopped = Promise.all([client.stop("shutting down"), client.stop("again")]);
    expect(await stream.next("goodbye")).toEqual({ reason: "shutting down" });
    await stream.ended;
    stream.end();
    await stopped;
    expect(client.status.state).toBe("stopped");
  });

  test("a control plane that does not end the stream holds up no shutdown", async () => {
    const plane = await controlPlane();
    const { client, clock } = sidecar(plane.address);
    const stream = await connected(plane, client);
    const stopped = client.stop("shutting down");
    await stream.next("goodbye");
    clock.advance(1_000);
    await stopped;
    expect(clock.pendingCount).toBe(0);
  });
});

describe("without a control plane", () => {
  test("tries again with growing pauses up to the maximum, and finds it when it comes", async () => {
    const first = await controlPlane();
    first.close();
    const { client, clock } = sidecar(first.address);
    client.start();
    for (let attempt = 1; attempt <= 12; attempt++) {
      await until(() => client.status.state === "waiting");
      expect(client.status.failedAttempts).toBe(attempt);
      const ceilingMs = Math.min(RECONNECT_MAX_MS, 200 * 2 ** (attempt - 1));
      clock.advance(ceilingMs / 2 - 1);
      expect(client.status.state, `attempt ${attempt} came too early`).toBe("waiting");
      if (attempt < 12) clock.advance(ceilingMs / 2 + 1);
    }
    const second = await controlPlane(first.port);
    const stream = await nextStream(second, clock);
    await stream.next("hello");
    stream.welcome();
    await until(() => client.isConnected);
  });

  test("one that accepts and says nothing is left after a while", async () => {
    const plane = await controlPlane();
    const { client, clock } = sidecar(plane.address);
    client.start();
    const stream = await plane.stream();
    await stream.next("hello");
    clock.advance(WELCOME_TIMEOUT_MS);
    await stream.ended;
    expect(client.status.lastError).toContain("no Welcome");
  });

  test("comes back by difference: the second hello says what is held and used", async () => {
    const plane = await controlPlane();
    const { client, clock, subscriptions, published } = sidecar(plane.address);
    const stream = await connected(plane, client);
    subscriptions.resolve("default/orders", () => {});
    stream.delta({ revision: 2, resources: { mesh: MESH, "service:default/orders": ORDERS } });
    await stream.next("ack");
    plane.close();
    await until(() => client.status.state === "waiting");
    expect(published).toHaveLength(1);
    subscriptions.resolve("default/asked-while-away", () => {});
    const back = await controlPlane(plane.port);
    const hello = await (await nextStream(back, clock)).next("hello");
    expect(Object.keys(hello.held)).toEqual(["mesh", "service:default/orders"]);
    expect(hello.subscriptions).toEqual(["default/orders", "default/asked-while-away"]);
    expect([hello.revision, hello.incarnation]).toEqual([2, "run-1"]);
  });

  test("stopping while it waits, or dials, leaves no timer", async () => {
    const plane = await controlPlane();
    const dialling = sidecar(plane.address);
    dialling.client.start();
    await dialling.client.stop("over");
    plane.close();
    const waiting = sidecar(plane.address);
    waiting.client.start();
    await until(() => waiting.client.status.state === "waiting");
    await waiting.client.stop("over");
    expect([dialling.clock.pendingCount, waiting.clock.pendingCount]).toEqual([0, 0]);
  });

  test("a stream that breaks again and again is not dialled without pause", async () => {
    const plane = await controlPlane();
    const { client, clock } = sidecar(plane.address);
    for (let round = 1; round <= 4; round++) {
      if (round === 1) client.start();
      const stream = await nextStream(plane, clock);
      stream.welcome();
      await until(() => client.isConnected);
      stream.end();
      await until(() => client.status.state === "waiting");
      expect(client.status.failedAttempts).toBe(round);
    }
  });
});

test("superseded by another sidecar with its identity: says so, keeps what it has, retries slowly", async () => {
  const plane = await controlPlane();
  const { client, clock, configuration } = sidecar(plane.address);
  const stream = await connected(plane, client);
  stream.delta({ revision: 2, resources: { mesh: MESH } });
  await stream.next("ack");
  stream.fail(status.ALREADY_EXISTS, "workload orders-1 is registered by a newer stream");
  await until(() => client.status.state === "waiting");
  expect(client.status.lastError).toContain("newer stream");
  expect([...configuration.held.keys()]).toEqual(["mesh"]);
  clock.advance(SUPERSEDED_RETRY_MS - 1);
  expect(client.status.state).toBe("waiting");
  clock.advance(1);
  await (await plane.stream()).next("hello");
});

test("a port that speaks something else is left and dialled again", async () => {
  const { createServer } = await import("node:net");
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  closing.push(() => server.close());
  const { port } = server.address() as { port: number };
  const { client } = sidecar(`127.0.0.1:${port}`);
  client.start();
  await until(() => client.status.state === "waiting");
  expect(client.status.lastError).not.toBe("");
});
