// Tunnels of clients that speak HTTP/2: WebSocket by extended CONNECT (RFC 8441), and plain CONNECT.
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, type IncomingHttpHeaders } from "node:http2";
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, expect, test } from "vitest";
import { ERROR } from "../http2/error-code.ts";
import { DEFAULT_HTTP2_LIMITS } from "../http2/limits.ts";
import { data, headers, lastHeaders, OK, ping, rst } from "../http2/testing/frames.ts";
import type { DataPathLimits } from "../limits.ts";
import { FRAME_TYPE, RawClient, rawEndpoint, serviceOf2 } from "./testing/raw-http2.ts";
import {
  applyRules,
  Client,
  cleanUp,
  endings,
  inboundRig,
  outboundRig,
  serviceOf,
  startEndpoint,
  until,
} from "./testing/rig.ts";

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await cleanUp();
});

async function listening(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanups.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

setFlagsFromString("--expose-gc");
const collect: () => void = runInNewContext("gc");

const END_STREAM = 1;
const PIECE = Buffer.alloc(16_384, "x");

/** Takes upgrades to any protocol, or refuses them, and echoes. */
async function upgradingApp(status = 101): Promise<{ port: number; seen: IncomingMessage[]; sockets: Socket[] }> {
  const seen: IncomingMessage[] = [];
  const sockets: Socket[] = [];
  const server = createServer();
  server.on("upgrade", (request: IncomingMessage, socket: Socket) => {
    seen.push(request);
    sockets.push(socket);
    socket.on("error", () => {});
    if (status !== 101) {
      socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno`);
      return;
    }
    socket.write(
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: chat\r\n\r\nhello ",
    );
    socket.on("data", (bytes: Buffer) => socket.write(bytes));
    socket.on("end", () => socket.end("bye"));
  });
  return { port: await listening(server), seen, sockets };
}

async function sessionTo(port: number): Promise<ClientHttp2Session> {
  const session = connect(`http://127.0.0.1:${port}`);
  session.on("error", () => {});
  cleanups.push(() => session.destroy());
  await once(session, "remoteSettings");
  return session;
}

interface Talk {
  readonly stream: ClientHttp2Stream;
  head: IncomingHttpHeaders & { ":status"?: number | undefined };
  received: string;
  hasEnded: boolean;
}

function talk(session: ClientHttp2Session, head: Record<string, string>): Talk {
  const stream = session.request({ ":method": "CONNECT", ...head });
  const made: Talk = { stream, head: {}, received: "", hasEnded: false };
  stream.on("error", () => {});
  stream.on("response", (fields) => {
    made.head = fields;
  });
  stream.on("data", (bytes: Buffer) => {
    made.received += bytes.toString("latin1");
  });
  stream.on("end", () => {
    made.hasEnded = true;
  });
  return made;
}

const WEBSOCKET = {
  ":protocol": "websocket",
  ":scheme": "http",
  ":authority": "orders",
  ":path": "/chat?room=1",
  "sec-websocket-version": "13",
  "sec-websocket-protocol": "chat",
};

test("extended CONNECT becomes the upgrade that it stands for, and its bytes go both ways", async () => {
  const app = await upgradingApp();
  const rig = await inboundRig(`127.0.0.1:${app.port}`);
  const session = await sessionTo(rig.port);
  expect(session.remoteSettings.enableConnectProtocol).toBe(true);
  const made = talk(session, WEBSOCKET);
  await until(() => made.received === "hello ");
  expect(made.head).toMatchObject({ ":status": 200, "sec-websocket-protocol": "chat" });
  expect(made.head["upgrade"] ?? made.head["sec-websocket-accept"]).toBeUndefined();
  expect(app.seen[0]).toMatchObject({ method: "GET", url: "/chat?room=1" });
  expect(app.seen[0]?.headers).toMatchObject({ host: "orders", upgrade: "websocket", "sec-websocket-version": "13" });
  expect(Buffer.from(app.seen[0]?.headers["sec-websocket-key"] ?? "", "base64")).toHaveLength(16);
  made.stream.write("one ");
  await until(() => made.received === "hello one ");
  made.stream.end("two ");
  await until(() => made.hasEnded);
  expect(made.received).toBe("hello one two bye");
});

test("an app that refuses the upgrade is heard", async () => {
  const app = await upgradingApp(403);
  const rig = await inboundRig(`127.0.0.1:${app.port}`);
  const made = talk(await sessionTo(rig.port), WEBSOCKET);
  await until(() => made.hasEnded);
  expect(made.head[":status"]).toBe(403);
  expect(made.received).toBe("no");
});

test("the answer that opens a tunnel says what rules and policies say in answers", async () => {
  const app = await upgradingApp();
  const rules = `${serviceOf("orders", `127.0.0.1:${app.port}`)}
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: orders }
spec:
  parentRefs: [{ group: "", kind: Service, name: orders }]
  rules:
    - filters:
        - type: ResponseHeaderModifier
          responseHeaderModifier: { set: [{ name: x-set, value: "1" }], remove: [sec-websocket-protocol] }
      backendRefs: [{ name: orders, port: 80 }]
---
apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: orders }
spec:
  targetRef: { kind: Service, name: orders }
  loadBalancer: { algorithm: ring-hash, hashOn: { cookie: place } }
---
`;
  const { port } = await outboundRig({ rules });
  const made = talk(await sessionTo(port), { ...WEBSOCKET, "x-weft-debug": "1" });
  await until(() => made.received === "hello ");
  expect(made.head).toMatchObject({ ":status": 200, "x-set": "1" });
  expect(made.head["set-cookie"]?.[0]).toMatch(/^place=.+; Path=\/; HttpOnly$/);
  expect(made.head["x-weft-decision"]).toContain("status=101");
  expect(made.head["sec-websocket-protocol"]).toBeUndefined();
  const client = new Client(port).send(
    "GET / HTTP/1.1\r\nHost: orders\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
  );
  const head = await client.receives("hello ");
  expect(head).toMatch(/^HTTP\/1.1 101 /);
  for (const line of ["Upgrade: websocket", "Connection: Upgrade", "x-set: 1", "set-cookie: place="])
    expect(head).toContain(`\r\n${line}`);
});

test("an app that declines by a success is no tunnel, which the client would take it for", async () => {
  const app = await upgradingApp(200);
  const rig = await inboundRig(`127.0.0.1:${app.port}`);
  const made = talk(await sessionTo(rig.port), WEBSOCKET);
  await until(() => made.hasEnded);
  expect(made.head[":status"]).toBe(502);
  expect(made.received).toContain("declined the upgrade with 200");
});

test("extended CONNECT smuggles nothing: no h2c, behind which no framing would stand, and no Content-Length", async () => {
  const app = await upgradingApp();
  const rig = await inboundRig(`127.0.0.1:${app.port}`);
  const session = await sessionTo(rig.port);
  for (const head of [{ ":protocol": "h2c" }, { ":protocol": "h2" }, { "content-length": "20" }]) {
    const made = talk(session, { ...WEBSOCKET, ...head });
    made.stream.write("GET /smuggled HTTP/1.1\r\nHost: orders\r\n\r\n");
    await until(() => made.stream.closed);
    expect(made.head[":status"]).toBe(400);
  }
  expect(app.seen).toEqual([]);
});

test("before there is a tunnel a client sends no more than its stream's window, and all of that goes into it", async () => {
  const app = await startEndpoint();
  const rig = await inboundRig(app.address);
  const pseudo = Object.entries(WEBSOCKET).filter(([name]) => name.startsWith(":"));
  const client = new RawClient(rig.port).send(headers(1, [[":method", "CONNECT"], ...pseudo]));
  const connection = await app.connection(0);
  await connection.receives("upgrade: websocket");
  const { streamWindowBytes } = DEFAULT_HTTP2_LIMITS;
  for (let left = streamWindowBytes; left > 0; left -= PIECE.length) client.send(data(1, PIECE.subarray(0, left)));
  const updates = (): number[] => client.log.frames.filter(({ type }) => type === 8).map(({ streamId }) => streamId);
  // The connection's window is given back: what came was read.
  await until(() => updates().length > 0);
  client.send(ping("all read"));
  await until(() => client.log.frames.some(({ type }) => type === 6));
  expect(updates()).not.toContain(1);
  const before = connection.received.length;
  connection.socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  await until(() => connection.received.length - before === streamWindowBytes);
  await until(() => updates().includes(1));
});

test("what waits for a tunnel costs what its octets do, however small the frames are that it comes in", async () => {
  const app = await startEndpoint();
  const rig = await inboundRig(app.address);
  const pseudo = Object.entries(WEBSOCKET).filter(([name]) => name.startsWith(":"));
  const client = new RawClient(rig.port).send(headers(1, [[":method", "CONNECT"], ...pseudo]));
  const connection = await app.connection(0);
  await connection.receives("upgrade: websocket");
  const octets = 200_000;
  const digits = Buffer.concat(Array.from("0123456789", (digit) => data(1, digit)));
  const frames = Buffer.alloc((octets / 10) * digits.length, digits);
  const before = heldBytes();
  client.send(frames, ping("all read"));
  await until(() => client.log.frames.some(({ type }) => type === 6));
  expect(heldBytes() - before).toBeLessThan(20 * octets);
  const head = connection.received.length;
  connection.socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  await until(() => connection.received.length - head === octets);
  expect(connection.received.slice(head)).toBe("0123456789".repeat(octets / 10));
});

function heldBytes(): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

test("a client's reset ends the app's side; a tunnel does not disturb the other streams", async () => {
  const app = await upgradingApp();
  const rig = await inboundRig(`127.0.0.1:${app.port}`);
  const session = await sessionTo(rig.port);
  const [first, second] = [talk(session, WEBSOCKET), talk(session, WEBSOCKET)];
  await until(() => first.received !== "" && second.received !== "");
  first.stream.close(8);
  await until(() => app.sockets.filter((socket) => socket.destroyed).length === 1);
  second.stream.write("still here");
  await until(() => second.received === "hello still here");
});

/** A service of bytes on this port. */
function bytesOn(port: number): string {
  const ports = "ports: [{ port: 25, protocol: tcp }]";
  return `{ apiVersion: weft.mesh/v1, kind: Service, metadata: { name: mail }, spec: { ${ports}, endpoints: [{ address: "127.0.0.1:${port}" }] } }
---
`;
}

/** A tunnel of each kind through one sidecar, and the app's end of each. */
async function tunnelsOfBothKinds(limits: Partial<DataPathLimits> = {}) {
  const app = await upgradingApp();
  const mail = await startEndpoint();
  const rules = serviceOf("orders", `127.0.0.1:${app.port}`) + bytesOn(mail.port);
  const rig = await outboundRig({ rules, limits });
  const session = await sessionTo(rig.port);
  const seen = endings(rig.path);
  const plain = talk(session, { ":authority": "mail:25" });
  const extended = talk(session, WEBSOCKET);
  await until(() => extended.received === "hello " && plain.head[":status"] === 200);
  const ends = [(await mail.connection(0)).socket, app.sockets[0] as Socket];
  return { plain: plain.stream, extended: extended.stream, ends, seen };
}

/** Takes CONNECT and echoes; says "bye" when the client's side has ended. */
function echoingEndpoint() {
  return rawEndpoint(({ type, flags, streamId, payload }, socket) => {
    if (type === FRAME_TYPE.headers) socket.write(headers(streamId, OK));
    if (type === FRAME_TYPE.data && payload.length > 0) socket.write(data(streamId, payload, 0));
    const isContent = type === FRAME_TYPE.headers || type === FRAME_TYPE.data;
    if (isContent && (flags & END_STREAM) !== 0) socket.write(data(streamId, "bye", END_STREAM));
  });
}

test("CONNECT to an endpoint of HTTP/2 leaves the client's side of the tunnel open until the client ends it", async () => {
  const endpoint = await echoingEndpoint();
  const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port) });
  const seen = endings(rig.path);
  const made = talk(await sessionTo(rig.port), { ":authority": "orders:80" });
  made.stream.write("one");
  await until(() => made.received === "one");
  made.stream.end("two");
  await until(() => made.received === "onetwobye");
  const open = rig.path.metrics.tunnels.cell("outbound", "default/orders", "default/orders");
  await until(() => open.value === 0);

  const client = new Client(rig.port).send("CONNECT orders:80 HTTP/1.1\r\nhost: orders:80\r\n\r\n");
  await client.receives("HTTP/1.1 200");
  client.send("three");
  await client.receives("three");
  client.socket.end();
  await client.receives("threebye");
  expect(await client.ends()).toBe("end");
  await until(() => open.value === 0);
  expect(seen).toEqual(["200 ", "200 "]);
});

test("an endpoint of HTTP/2 that ends its side with the head of its answer has ended it for the client, too", async () => {
  let taken = "";
  const endpoint = await rawEndpoint(({ type, streamId, payload }, socket) => {
    if (type === FRAME_TYPE.headers) socket.write(lastHeaders(streamId, OK));
    if (type === FRAME_TYPE.data) taken += payload.toString("latin1");
  });
  const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port) });
  const client = new Client(rig.port).send("CONNECT orders:80 HTTP/1.1\r\nhost: orders:80\r\n\r\n");
  expect(await client.ends()).toBe("end");
  client.send("still sent");
  await until(() => taken === "still sent");
});

test("an endpoint's reset is CONNECT_ERROR where CONNECT opened the tunnel, CANCEL where it was extended", async () => {
  const { plain, extended, ends, seen } = await tunnelsOfBothKinds();
  for (const end of ends) end.resetAndDestroy();
  await until(() => plain.closed && extended.closed);
  expect(plain.rstCode).toBe(ERROR.connectError);
  expect(extended.rstCode).toBe(ERROR.cancel);
  expect(seen.sort()).toEqual(["101 upstream-reset", "200 upstream-reset"]);
});

test("a client's reset is told beside the status that opened the tunnel", async () => {
  const { plain, extended, seen } = await tunnelsOfBothKinds();
  plain.close(ERROR.cancel);
  extended.close(ERROR.cancel);
  await until(() => seen.length === 2);
  expect(seen.sort()).toEqual(["101 client-closed", "200 client-closed"]);
});

test("a client that ends its side and resets at once resets the endpoint, and holds no place of its pool", async () => {
  const mail = await startEndpoint();
  const policy = `
apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: mail }
spec: { targetRef: { kind: Service, name: mail }, connectionPool: { maxConnections: 1 } }
`;
  const rig = await outboundRig({ rules: bytesOn(mail.port) + policy });
  const client = new RawClient(rig.port);
  for (let round = 0; round < 3; round++) {
    const id = 1 + 2 * round;
    client.send(
      headers(id, [
        [":method", "CONNECT"],
        [":authority", "mail:25"],
      ]),
    );
    const { socket } = await mail.connection(round);
    let error = "";
    socket.on("error", ({ code = "" }: NodeJS.ErrnoException) => {
      error = code;
    });
    // Otherwise a peer that has read an end hears of no reset any more.
    socket.pause();
    await until(() => client.log.stream(id).fields[":status"] === "200");
    client.send(data(id, "half of it", END_STREAM), rst(id, ERROR.cancel));
    await until(() => rig.path.metrics.tunnels.cell("outbound", "default/mail", "default/mail").value === 0);
    await until(() => {
      socket.write("who is there?");
      return error !== "";
    });
    expect(error).toMatch(/ECONNRESET|EPIPE/);
  }
});

test("a tunnel in which nothing moves is reset on both sides, and said to have been idle", async () => {
  const { plain, extended, ends, seen } = await tunnelsOfBothKinds({ tunnelIdleTimeoutMs: 100 });
  await until(() => plain.closed && extended.closed && ends.every((end) => end.closed));
  expect(seen.sort()).toEqual(["101 stream-idle-timeout", "200 stream-idle-timeout"]);
});

test("a service of bytes: its server speaks first, behind a tunnel to its name, through both sidecars", async () => {
  const server = createTcpServer((socket) => {
    socket.on("error", () => {});
    socket.write("220 ready ");
    socket.on("data", (bytes: Buffer) => socket.write(`got ${bytes}`));
  });
  const port = await listening(server);
  const service = `
apiVersion: weft.mesh/v1
kind: Service
metadata: { name: caller }
spec: { ports: [{ port: 25, protocol: tcp }] }
---
`;
  const inbound = await inboundRig(`127.0.0.1:${port}`, { rules: service });
  const outbound = await outboundRig({
    rules: service,
    workloads: [{ service: "caller", address: `127.0.0.1:${inbound.port}` }],
  });
  const made = talk(await sessionTo(outbound.port), { ":authority": "caller:25" });
  await until(() => made.received === "220 ready ");
  made.stream.write("hello");
  await until(() => made.received === "220 ready got hello");
});

test("CONNECT to a host outside of the mesh, with bytes that come before the tunnel stands", async () => {
  const server = createTcpServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    socket.on("data", (bytes: Buffer) => socket.write(`got ${bytes}`));
    socket.on("end", () => socket.end("."));
  });
  const port = await listening(server);
  const rig = await outboundRig();
  applyRules(
    rig.path,
    `{ apiVersion: weft.mesh/v1, kind: Mesh, metadata: { name: mesh }, spec: { egress: { allow: ["127.0.0.1:${port}"] } } }`,
  );
  const made = talk(await sessionTo(rig.port), { ":authority": `127.0.0.1:${port}` });
  made.stream.write("early");
  await until(() => made.received === "got early");
  expect(made.head[":status"]).toBe(200);
  made.stream.end();
  await until(() => made.hasEnded);
  expect(made.received).toBe("got early.");
});
