// Listeners: drain, clients that are slow or silent, the bound on connections.
import { afterEach, expect, test } from "vitest";
import { answering, Client, cleanUp, inboundRig, ok, startEndpoint, until } from "./testing/rig.ts";

afterEach(cleanUp);

test("draining ends idle connections, lets a request in progress finish with connection: close, then resolves", async () => {
  const app = await startEndpoint();
  const { port, listener } = await inboundRig(app.address);
  const [idle, busy] = [new Client(port), new Client(port)];
  busy.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n");
  const connection = await app.connection(0);
  await connection.receives("\r\n\r\n");
  await until(() => listener.connectionCount === 2);
  let isDrained = false;
  const drained = listener.drain(5_000).then(() => {
    isDrained = true;
  });
  await until(() => idle.hasEnded);
  expect(isDrained).toBe(false);
  connection.socket.write(ok("last"));
  expect(await busy.receives("last")).toContain("\r\nConnection: close\r\n");
  busy.socket.end();
  idle.socket.end();
  await drained;
  const late = new Client(port);
  await until(() => late.isClosed);
  expect(late.error).toBe("ECONNREFUSED");
});

test("draining ends connections that are idle later: after an answer that had begun, and without a request", async () => {
  const app = await startEndpoint();
  const { port, listener } = await inboundRig(app.address);
  const client = new Client(port).send("GET / HTTP/1.1\r\nHost: app\r\n\r\n");
  const connection = await app.connection(0);
  await connection.receives("\r\n\r\n");
  connection.socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nla");
  expect(await client.receives("la")).not.toMatch(/connection: close/i);
  const idle = new Client(port);
  await until(() => listener.connectionCount === 2);
  const drained = listener.drain(60_000);
  const late = new Client(port);
  // The drain has looked for idle connections.
  await until(() => idle.hasEnded);
  idle.socket.end();
  connection.socket.write("st");
  await client.receives("last");
  await until(() => client.hasEnded && late.hasEnded);
  client.socket.end();
  late.socket.end();
  await drained;
});

test("draining twice is one drain: both end with it, at the earlier of their deadlines", async () => {
  const app = await startEndpoint();
  const { port, listener } = await inboundRig(app.address);
  const busy = new Client(port).send("GET / HTTP/1.1\r\nHost: app\r\n\r\n");
  await (await app.connection(0)).receives("\r\n\r\n");
  const drains = [listener.drain(60_000), listener.drain(200)];
  await Promise.all(drains);
  await busy.ends();
  expect(listener.connectionCount).toBe(0);
  // One that comes when all is over has nothing to wait for.
  await listener.drain(60_000);
});

test("announcing a drain: new clients are still served, and told that their connection closes", async () => {
  const app = await answering(ok("fine"));
  const { port, listener } = await inboundRig(app.address);
  const early = new Client(port).send("GET / HTTP/1.1\r\nHost: app\r\n\r\n");
  expect(await early.receives("fine")).not.toMatch(/connection: close/i);
  listener.announceDrain();
  const late = new Client(port).send("GET / HTTP/1.1\r\nHost: app\r\n\r\n");
  expect(await late.receives("fine")).toMatch(/^HTTP\/1.1 200 OK\r\n[\s\S]*connection: close\r\n/i);
  expect(await late.ends()).toBe("end");
  late.socket.end();
  // Nothing is taken from a connection that is idle: its next answer says it.
  early.received = "";
  early.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n");
  expect(await early.receives("fine")).toMatch(/connection: close\r\n/i);
  early.socket.end();
  await listener.drain(5_000);
});

test("the drain deadline cuts what is left", async () => {
  const app = await startEndpoint();
  const { port, listener } = await inboundRig(app.address);
  const client = new Client(port).send("GET / HTTP/1.1\r\nHost: app\r\n\r\n");
  await (await app.connection(0)).receives("\r\n\r\n");
  await listener.drain(50);
  await client.ends();
  expect(listener.connectionCount).toBe(0);
});

test.each([
  ["head", "GET / HTTP/1.1\r\nHo", { headTimeoutMs: 50 }, "HTTP/1.1 408 "],
  ["body", "POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 5\r\n\r\nab", { bodyIdleTimeoutMs: 300 }, "HTTP/1.1 408 "],
])("a %s that stops is timed out", async (_name, bytes, limits, expected) => {
  const app = await startEndpoint();
  const { port, path } = await inboundRig(app.address, { limits });
  const client = new Client(port).send(bytes);
  expect(await client.receives("x-weft-reason: client-timeout")).toContain(expected);
  expect(await client.ends()).toBe("end");
  expect(path.metrics.requests.cells.entries.size).toBe(1);
});

const WAITING = "PUT / HTTP/1.1\r\nHost: app\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";

test.each([
  ["nobody says: the endpoint is late", "", "", "HTTP/1.1 504 ", "stream-idle-timeout"],
  ["was said: the client is late", "HTTP/1.1 100 Continue\r\n\r\n", "", "HTTP/1.1 408 ", "client-timeout"],
  ["did not keep the client waiting", "", "ab", "HTTP/1.1 408 ", "client-timeout"],
])("a body that waits for a 100 that %s", async (_what, said, sent, status, reason) => {
  const app = await startEndpoint();
  const { port } = await inboundRig(app.address, { limits: { bodyIdleTimeoutMs: 300 } });
  const client = new Client(port).send(WAITING + sent);
  const connection = await app.connection(0);
  await connection.receives(`\r\n\r\n${sent}`);
  connection.socket.write(said);
  const answer = await client.receives(`x-weft-reason: ${reason}`);
  expect(answer.slice(said.length)).toContain(status);
  expect(await client.ends()).toBe("end");
});

test("a head that begins like the preface of HTTP/2 and stops has the time of one head", async () => {
  const app = await startEndpoint();
  const headTimeoutMs = 1_000;
  const { port, path } = await inboundRig(app.address, { limits: { headTimeoutMs } });
  const beganMs = path.clock.now();
  expect(await new Client(port).send("P").receives("x-weft-reason: client-timeout")).toContain("HTTP/1.1 408 ");
  expect(path.clock.now() - beganMs).toBeLessThan(1.9 * headTimeoutMs);
});

test("and so has one that turns out to be none after a while", async () => {
  const app = await startEndpoint();
  const headTimeoutMs = 1_000;
  const { port, path } = await inboundRig(app.address, { limits: { headTimeoutMs } });
  const beganMs = path.clock.now();
  const client = new Client(port).send("P");
  await until(() => path.clock.now() - beganMs > 0.9 * headTimeoutMs);
  expect(await client.send("O").receives("x-weft-reason: client-timeout")).toContain("HTTP/1.1 408 ");
  expect(path.clock.now() - beganMs).toBeLessThan(1.8 * headTimeoutMs);
});

test("idle client connections close after their time", async () => {
  const app = await startEndpoint();
  const { port } = await inboundRig(app.address, { limits: { clientIdleTimeoutMs: 40 } });
  expect(await new Client(port).ends()).toBe("end");
});

test("clients get half of the file descriptors that are there for sockets, whatever the listener, and endpoints the rest", async () => {
  const app = await startEndpoint();
  const { port, path } = await inboundRig(app.address, { limits: { descriptorsMax: 1 } });
  const { sockets } = path;
  const clients = Array.from({ length: sockets.clientsMax }, () => new Client(port));
  await until(() => sockets.clients === clients.length);
  const late = new Client(port);
  await until(() => late.hasEnded || late.isClosed);
  expect(path.metrics.clientConnections.cell("inbound", "refused").value).toBe(1);
  for (const client of clients) client.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n");
  await until(() => app.connections.length === clients.length);
  expect(sockets.takesEndpoint).toBe(false);
  for (const client of clients) client.socket.destroy();
  await until(() => sockets.clients === 0 && sockets.endpoints === 0);
});

test("one connection past the bound is closed at once", async () => {
  const app = await answering(ok("x"));
  const { port, listener, path } = await inboundRig(app.address, { limits: { clientConnectionsMax: 2 } });
  const [first, second] = [new Client(port), new Client(port)];
  await until(() => listener.connectionCount === 2);
  const third = new Client(port);
  await until(() => third.hasEnded || third.isClosed);
  expect(path.metrics.clientConnections.cell("inbound", "refused").value).toBe(1);
  first.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n");
  await first.receives("200 OK");
  expect(second.isClosed).toBe(false);
});
