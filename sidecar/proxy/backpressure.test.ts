// Bodies larger than any buffer, and peers that do not read: what is in flight stays bounded, nothing is lost.
import { createHash } from "node:crypto";
import type { Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import type { SocketMode } from "../../runtime/socket-output.ts";
import { Client, cleanUp, inboundRig, stands, startEndpoint, until } from "./testing/rig.ts";

afterEach(cleanUp);

const MODES: SocketMode[] = ["handle", "shared", "data-events"];
const CHUNK = Buffer.alloc(256 * 1024, "0123456789abcdef");
const CHUNKS = 256;
const TOTAL = CHUNK.length * CHUNKS;
/** What the kernel's own buffers of both hops may hold, with room; far under the total. */
const IN_FLIGHT_MAX = 40 * 1024 * 1024;

/** Writes the body as fast as the peer takes it. */
function pour(socket: Socket): { written: number } {
  const progress = { written: 0 };
  const more = (): void => {
    while (progress.written < TOTAL && !socket.destroyed) {
      progress.written += CHUNK.length;
      if (!socket.write(CHUNK)) {
        socket.once("drain", more);
        return;
      }
    }
  };
  more();
  return progress;
}

function counting(socket: Socket): { bytes: number; digest: () => string } {
  const hash = createHash("sha1");
  const state = { bytes: 0, digest: () => hash.digest("hex") };
  socket.removeAllListeners("data");
  socket.on("data", (chunk: Buffer) => {
    state.bytes += chunk.length;
    hash.update(chunk);
  });
  return state;
}

function digestOfAll(): string {
  const hash = createHash("sha1");
  for (let chunk = 0; chunk < CHUNKS; chunk++) hash.update(CHUNK);
  return hash.digest("hex");
}

test.each(MODES)(
  "%s: a client that does not read holds the endpoint back, then gets every byte",
  async (socketMode) => {
    const app = await startEndpoint();
    const { port } = await inboundRig(app.address, { socketMode });
    const client = new Client(port).send("GET / HTTP/1.1\r\nHost: app\r\n\r\n");
    const connection = await app.connection(0);
    await connection.receives("\r\n\r\n");
    connection.socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${TOTAL}\r\n\r\n`);
    await client.receives("\r\n\r\n");
    client.socket.pause();
    const received = counting(client.socket);
    client.socket.pause();
    const progress = pour(connection.socket);
    expect(await stands(() => progress.written)).toBeLessThan(IN_FLIGHT_MAX);
    client.socket.resume();
    await until(
      () => received.bytes === TOTAL,
      () => `${received.bytes} of ${TOTAL}`,
    );
    expect(received.digest()).toBe(digestOfAll());
  },
);

test.each(MODES)(
  "%s: an endpoint that does not read holds the client back, then gets every byte",
  async (socketMode) => {
    const app = await startEndpoint();
    const { port } = await inboundRig(app.address, { socketMode });
    const client = new Client(port).send(`PUT / HTTP/1.1\r\nHost: app\r\nContent-Length: ${TOTAL}\r\n\r\n`);
    const connection = await app.connection(0);
    await connection.receives("\r\n\r\n");
    const received = counting(connection.socket);
    connection.socket.pause();
    const progress = pour(client.socket);
    expect(await stands(() => progress.written)).toBeLessThan(IN_FLIGHT_MAX);
    connection.socket.resume();
    await until(
      () => received.bytes === TOTAL,
      () => `${received.bytes} of ${TOTAL}`,
    );
    expect(received.digest()).toBe(digestOfAll());
    connection.socket.write("HTTP/1.1 204 No Content\r\n\r\n");
    await client.receives("204 No Content");
  },
);

test.each(MODES)("%s: a tunnel holds both sides back", async (socketMode) => {
  const app = await startEndpoint();
  const { port } = await inboundRig(app.address, { socketMode });
  const client = new Client(port).send("GET / HTTP/1.1\r\nHost: app\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n");
  const connection = await app.connection(0);
  await connection.receives("\r\n\r\n");
  connection.socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n");
  await client.receives("\r\n\r\n");
  const [down, up] = [counting(client.socket), counting(connection.socket)];
  client.socket.pause();
  connection.socket.pause();
  const [fromApp, fromClient] = [pour(connection.socket), pour(client.socket)];
  expect(await stands(() => fromApp.written + fromClient.written)).toBeLessThan(2 * IN_FLIGHT_MAX);
  client.socket.resume();
  connection.socket.resume();
  await until(
    () => down.bytes === TOTAL && up.bytes === TOTAL,
    () => `${down.bytes} and ${up.bytes} of ${TOTAL}`,
  );
});

test("a client that pipelines without reading its answers gets no further ones begun", async () => {
  const big = "x".repeat(512 * 1024);
  const app = await startEndpoint((connection) => {
    let answered = 0;
    connection.socket.on("data", () => {
      const asked = connection.received.match(/\r\n\r\n/g)?.length ?? 0;
      for (; answered < asked; answered++)
        connection.socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${big.length}\r\n\r\n${big}`);
    });
  });
  const { port } = await inboundRig(app.address);
  const client = new Client(port);
  client.socket.pause();
  client.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n".repeat(400));
  await app.connection(0);
  const asked = (): number => app.connections[0]?.received.match(/GET/g)?.length ?? 0;
  expect(await stands(asked)).toBeLessThan(100);
  client.socket.resume();
  await until(
    () => asked() === 400,
    () => `${asked()} of 400`,
  );
});
