// Copies of requests have bounds of their own, and requests never feel them.
import { afterEach, describe, expect, test } from "vitest";
import { systemClock } from "../../runtime/clock.ts";
import {
  answering,
  applyRules,
  cleanUp,
  exchangeBytes,
  ok,
  outboundRig,
  type RigOptions,
  serviceOf,
  startEndpoint,
  until,
} from "./testing/rig.ts";

afterEach(cleanUp);

const ROUTE = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: orders }
spec:
  parentRefs: [{ group: "", kind: Service, name: orders }]
  rules:
    - filters: [{ type: RequestMirror, requestMirror: { backendRef: { name: shadow, port: 80 } } }]
      backendRefs: [{ name: orders, port: 80 }]
---
`;
const MESH =
  "apiVersion: weft.mesh/v1\nkind: Mesh\nmetadata: { name: mesh }\nspec: { headers: { shadowHost: true } }\n---\n";

function post(body: string): string {
  return `POST / HTTP/1.1\r\nHost: orders:80\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`;
}

async function rig(shadowAddress: string, more = "", options: RigOptions = {}) {
  const orders = await startEndpoint((connection) => {
    connection.socket.on("data", () => {
      if (connection.received.endsWith("end")) connection.socket.write(ok("orders"));
    });
  });
  return outboundRig({
    ...options,
    rules: serviceOf("orders", orders.address) + serviceOf("shadow", shadowAddress) + ROUTE + more,
  });
}

function mirrored(path: Awaited<ReturnType<typeof rig>>["path"], outcome: string): number {
  return path.metrics.mirrored.cell("default/shadow", outcome).value;
}

describe("the host of a copy", () => {
  test.each([
    ["", "Host: orders:80\r\n"],
    [MESH, "Host: orders-shadow:80\r\n"],
  ])("with %j", async (more, host) => {
    const shadow = await answering(ok("x"));
    const { port } = await rig(shadow.address, more);
    expect(await exchangeBytes(port, post("end"))).toContain("orders");
    expect(await (await shadow.connection(0)).receives("end")).toContain(host);
  });
});

test("a copy of a request that was held for its service has the content that came meanwhile", async () => {
  const orders = await answering(ok("orders"));
  const shadow = await answering(ok("x"));
  const { port, path } = await outboundRig();
  path.resolver = {
    resolve: (_service, callback) => {
      setImmediate(() => {
        applyRules(path, serviceOf("orders", orders.address) + serviceOf("shadow", shadow.address) + ROUTE);
        callback("known");
      });
    },
  };
  expect(await exchangeBytes(port, post("all of it"))).toContain("orders");
  expect(await (await shadow.connection(0)).receives("all of it")).toContain("Content-Length: 9\r\n");
});

test("a copy has its time from when it is sent, however long the sidecar has run", async () => {
  const clock = { ...systemClock, now: () => systemClock.now() + 3_600_000 };
  const shadow = await startEndpoint();
  const { port, path } = await rig(shadow.address, "", { clock });
  expect(await exchangeBytes(port, post("end"))).toContain("orders");
  const copy = await shadow.connection(0);
  await copy.receives("end");
  expect(Math.abs(clock.now() - path.clock.now())).toBeLessThan(60_000);
  // Timers that were due are told within two ticks.
  const receivedMs = clock.now();
  await until(() => clock.now() > receivedMs + 50);
  copy.socket.write(ok("late"));
  await until(() => mirrored(path, "answered") + mirrored(path, "failed") > 0);
  expect(mirrored(path, "answered")).toBe(1);
});

test.each([
  ["a user's copies go where the user's requests would, those of others elsewhere, too", "x-user: U\r\n"],
  ["copies without what is hashed are spread", ""],
])("hashed: %s", async (_, field) => {
  const [one, two] = [await answering(ok("x")), await answering(ok("x"))];
  const hashed = `
apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: shadow }
spec: { targetRef: { kind: Service, name: shadow }, loadBalancer: { algorithm: maglev, hashOn: { header: x-user } } }
---
`;
  const orders = await answering(ok("orders"));
  const shadow = serviceOf("shadow", one.address, two.address);
  const { port } = await outboundRig({ rules: serviceOf("orders", orders.address) + shadow + ROUTE + hashed });
  const count = (name: string) => [one, two].filter(({ connections }) => receivedOf(connections).includes(name)).length;
  for (let turn = 0; turn < 40; turn++) {
    const user = `u${turn % 20}`;
    const head = `GET /turn-${turn}- HTTP/1.1\r\nHost: orders\r\n${field.replace("U", `${user}-`)}Connection: close\r\n\r\n`;
    expect(await exchangeBytes(port, head)).toContain("orders");
    await until(() => count(`/turn-${turn}-`) === 1);
  }
  expect([one, two].filter(({ connections }) => connections.length > 0)).toHaveLength(2);
  if (field !== "") for (let user = 0; user < 20; user++) expect(count(`: u${user}-`)).toBe(1);
});

function receivedOf(connections: readonly { readonly received: string }[]): string {
  return connections.map(({ received }) => received).join("");
}

test("a target that never answers costs requests nothing, whatever its number of copies", async () => {
  const silent = await startEndpoint();
  const { port, path } = await rig(silent.address);
  const answers = await Promise.all(Array.from({ length: 150 }, () => exchangeBytes(port, post("end"))));
  expect(answers.every((answer) => answer.includes("\r\n\r\norders"))).toBe(true);
  expect(mirrored(path, "overflow")).toBeGreaterThanOrEqual(22);
  expect(silent.connections.length).toBeLessThanOrEqual(128);
  await silent.stop();
  await until(() => mirrored(path, "failed") + mirrored(path, "overflow") >= 150);
});

test("the bodies of all copies together are bounded", async () => {
  const silent = await startEndpoint();
  const { port, path } = await rig(silent.address);
  const [count, bytes] = [80, 60 * 1024];
  const body = `${"x".repeat(bytes - 3)}end`;
  const answers = await Promise.all(Array.from({ length: count }, () => exchangeBytes(port, post(body))));
  expect(answers.every((answer) => answer.includes("\r\n\r\norders"))).toBe(true);
  const held = Math.floor((4 * 1024 * 1024) / bytes);
  expect(mirrored(path, "overflow")).toBeGreaterThanOrEqual(count - held);
  await silent.stop();
  await until(() => mirrored(path, "failed") + mirrored(path, "overflow") >= count);
});

test("of an answer to a copy no more than a bound is read", async () => {
  const endless = await startEndpoint((connection) => {
    const piece = Buffer.alloc(64 * 1024, "x");
    const write = (): void => {
      while (!connection.isClosed && connection.socket.write(piece));
    };
    connection.socket.on("drain", write);
    connection.socket.once("data", () => {
      connection.socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n");
      write();
    });
  });
  const { port, path } = await rig(endless.address);
  expect(await exchangeBytes(port, post("end"))).toContain("orders");
  await until(() => mirrored(path, "answered") === 1);
  const copy = await endless.connection(0);
  await until(() => copy.isClosed);
});

test("no copy goes where most connections are taken, and none of a body that is too large", async () => {
  const silent = await startEndpoint();
  const few = `
apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: shadow }
spec: { targetRef: { kind: Service, name: shadow }, connectionPool: { maxConnections: 2 } }
---
`;
  const { port, path } = await rig(silent.address, few);
  for (let turn = 0; turn < 5; turn++) {
    expect(await exchangeBytes(port, post("end"))).toContain("orders");
    await until(() => silent.connections.length > 0);
  }
  expect(mirrored(path, "busy")).toBeGreaterThan(0);
  expect(silent.connections.length).toBeLessThanOrEqual(2);
  const roomy = await rig(silent.address);
  expect(await exchangeBytes(roomy.port, post(`${"x".repeat(70_000)}end`))).toContain("orders");
  expect(mirrored(roomy.path, "body-too-large")).toBe(1);
});
