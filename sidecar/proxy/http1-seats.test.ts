// Seats of HTTP/1.1 go from connection to connection: idle ones hold none, and nobody notices.
import { connect } from "node:net";
import { afterEach, expect, test } from "vitest";
import type { Router, SeatedLink } from "./contract.ts";
import { Http1Seats } from "./http1-seats.ts";
import {
  answering,
  Client,
  cleanUp,
  createPath,
  inboundRig,
  ok,
  type Rig,
  startEndpoint,
  until,
} from "./testing/rig.ts";

afterEach(cleanUp);

const GET = "GET / HTTP/1.1\r\nHost: app\r\n\r\n";

async function ask(client: Client): Promise<string> {
  client.received = "";
  return client.send(GET).receives("fine");
}

function seatsAre(listener: Rig["listener"], count: number): Promise<void> {
  return until(
    () => listener.seatCount === count,
    () => `${count} seats, not ${listener.seatCount}`,
  );
}

test("a connection without a request for a second has no seat, and gets one with its next request", async () => {
  const app = await answering(ok("fine"));
  const { port, listener } = await inboundRig(app.address);
  const client = new Client(port);
  await until(() => listener.connectionCount === 1);
  expect(listener.seatCount).toBe(0);
  await ask(client);
  expect(listener.seatCount).toBe(1);
  await seatsAre(listener, 0);
  expect(listener.connectionCount).toBe(1);
  await ask(client);
  expect(listener.seatCount).toBe(1);
});

test("many connections with an answer each hold a bounded number of seats", async () => {
  const app = await answering(ok("fine"));
  const { port, listener } = await inboundRig(app.address);
  const clients = Array.from({ length: 300 }, () => new Client(port));
  for (const client of clients) await ask(client);
  expect(listener.connectionCount).toBe(300);
  expect(listener.seatCount).toBeLessThanOrEqual(256);
  await Promise.all(clients.map(ask));
  await Promise.all(clients.map(ask));
  expect(listener.seatCount).toBeLessThanOrEqual(256);
  await seatsAre(listener, 0);
});

test("a seat says nothing of the client it served before", async () => {
  const app = await startEndpoint((connection) =>
    connection.socket.on("data", () => connection.socket.write(ok("fine"))),
  );
  const rules =
    "apiVersion: weft.mesh/v1\nkind: Mesh\nmetadata: { name: mesh }\nspec: { headers: { forwarded: true } }\n";
  const { port, listener } = await inboundRig(app.address, { rules });
  const first = new Client(port);
  await ask(first);
  await seatsAre(listener, 0);
  const second = connect({ port, host: "127.0.0.1", localAddress: "127.0.0.2" });
  second.write(GET);
  const { received } = await app.connection(0);
  expect(received).toContain("x-forwarded-for: 127.0.0.1\r\n");
  await until(() =>
    app.connections.some((connection) => connection.received.includes("x-forwarded-for: 127.0.0.2\r\n")),
  );
  second.destroy();
});

test("half of a head keeps its seat, however slowly the rest comes", async () => {
  const app = await answering(ok("fine"));
  const { port, listener } = await inboundRig(app.address);
  const [slow, other] = [new Client(port).send("GET / HTTP/1.1\r\nHo"), new Client(port)];
  await ask(other);
  await seatsAre(listener, 1);
  slow.send("st: app\r\n\r\n");
  expect(await slow.receives("fine")).toContain("200 OK");
});

test("an empty line before a request may be cut by any time", async () => {
  const app = await answering(ok("fine"));
  const { port, listener } = await inboundRig(app.address);
  const [slow, other] = [new Client(port).send("\r"), new Client(port)];
  await ask(other);
  await seatsAre(listener, 1);
  slow.send(`\n${GET}`);
  expect(await slow.receives("fine")).toContain("200 OK");
});

test("nor is half of an empty line lost where seats are given back at once", async () => {
  const app = await answering(ok("fine"));
  const { port, listener } = await inboundRig(app.address);
  const begun = Array.from({ length: 257 }, () => new Client(port).send("GET / HT"));
  await seatsAre(listener, begun.length);
  const client = new Client(port).send("\r");
  await seatsAre(listener, begun.length + 1);
  client.send(`\n${GET}`);
  expect(await client.receives("fine")).toContain("200 OK");
  await seatsAre(listener, begun.length);
});

test("seats come back from clients that end, reset or are refused, and serve others", async () => {
  const app = await answering(ok("fine"));
  const { port, listener } = await inboundRig(app.address);
  for (const leave of ["end", "reset", "close", "nonsense"] as const) {
    const client = new Client(port);
    if (leave === "close") client.send(GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
    else if (leave === "nonsense") client.send("GET / HTTP/9\r\n\r\n");
    else await ask(client);
    if (leave === "end") client.socket.end();
    else if (leave === "reset") client.socket.resetAndDestroy();
    else await client.ends();
    await seatsAre(listener, 0);
    client.socket.destroy();
    await ask(new Client(port));
    await seatsAre(listener, 0);
  }
});

test("a tunnel whose client is gone keeps its seat from others", async () => {
  const app = await startEndpoint(({ socket }) => {
    socket.once("data", () => {
      socket.pause();
      socket.end("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n");
    });
  });
  // More than the kernel takes waits in the process when both sides have ended.
  const words = "words".repeat(4 * 1024 * 1024);
  const { port, listener } = await inboundRig(app.address, { limits: { writeBufferBytes: 2 * words.length } });
  const client = new Client(port);
  client.send("GET / HTTP/1.1\r\nHost: app\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n");
  await client.receives("101");
  client.send(words).socket.end();
  await until(() => listener.connectionCount === 0);
  expect(listener.seatCount).toBe(0);
  expect(await new Client(port).send(GET).receives("unexpected-upgrade")).toContain("502 Bad Gateway");
  const connection = await app.connection(0);
  expect(connection.hasEnded).toBe(false);
  connection.socket.resume();
  await until(() => connection.hasEnded);
  expect(connection.received.endsWith(`\r\n\r\n${words}`)).toBe(true);
});

test("a tunnel whose client fails is over, and its seat is for others", async () => {
  const app = await startEndpoint((connection) => {
    connection.socket.once("data", () =>
      connection.socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n"),
    );
  });
  const { port, listener } = await inboundRig(app.address);
  const client = new Client(port);
  client.send("GET / HTTP/1.1\r\nHost: app\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n");
  await client.receives("101");
  const connection = await app.connection(0);
  client.send("words");
  await connection.receives("words");
  client.socket.resetAndDestroy();
  await until(() => listener.connectionCount === 0 && connection.isClosed);
  expect(listener.seatCount).toBe(0);
  expect(await new Client(port).send(GET).receives("unexpected-upgrade")).toContain("502 Bad Gateway");
});

test("free seats wait for as many connections as there were, and go when nobody needs them", async () => {
  const router: Router = { direction: "outbound", route: () => {} };
  const seats = new Http1Seats(await createPath(), router);
  const link: SeatedLink = {
    remoteAddress: "",
    isDraining: false,
    headLeftMs: 1_000,
    isEmpty: true,
    write: () => true,
    writeBytes: () => true,
    takeProgress: () => false,
    pauseReading: () => {},
    resumeReading: () => {},
    endWrites: () => {},
    close: () => {},
    reset: () => {},
    cut: () => {},
    onSeatLeft: () => {},
  };
  const take = (count: number) => Array.from({ length: count }, () => seats.take(link));
  const first = take(1_000);
  for (const seat of first) seat.onLinkClosed();
  expect([seats.takenCount, seats.freeCount]).toEqual([0, 1_000]);
  const again = take(1_000);
  expect(new Set([...first, ...again]).size).toBe(1_000);
  for (const seat of again) seat.onLinkClosed();
  await until(() => seats.freeCount === 64);
});
