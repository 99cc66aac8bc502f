// Bodies larger than any buffer, and peers that do not read: what is in flight stays bounded, nothing is lost.
import { createHash } from "node:crypto";
import { once } from "node:events";
import type { Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { ManualClock } from "../../runtime/manual-clock.ts";
import type { SocketMode } from "../../runtime/socket-output.ts";
import { serviceOf2 } from "./testing/raw-http2.ts";
import { Client, cleanUp, inboundRig, ok, outboundRig, stands, startEndpoint, tcpRig, until } from "./testing/rig.ts";

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

describe.each(MODES)("%s: whoever takes slowly what waits in the process is not idle:", (socketMode) => {
  const IDLE_MS = 1_600;
  /** In an eighth of the idle time, as often as it is looked at, so much is taken: more than what goes into the kernel at once. */
  const STEP_BYTES = TOTAL / 16;
  const POLICY = `apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: orders }
spec: { targetRef: { kind: Service, name: orders }, timeout: { idle: ${IDLE_MS}ms } }
---
`;

  /** Everything may wait in the process. */
  function slowRig(protocol: string, port: number) {
    const clock = new ManualClock();
    const limits = { writeBufferBytes: TOTAL * 2, streamIdleTimeoutMs: IDLE_MS, tunnelIdleTimeoutMs: IDLE_MS };
    const options = { clock, socketMode, limits, rules: serviceOf2(protocol, port) + POLICY };
    return { clock, starting: protocol === "tcp" ? tcpRig("orders", options) : outboundRig(options) };
  }

  /** `from` sends all, then `to` takes it while time goes on. */
  async function move(from: Socket, to: Socket, clock: ManualClock): Promise<number> {
    const received = counting(to);
    to.pause();
    const progress = pour(from);
    await until(() => progress.written === TOTAL && from.writableLength === 0);
    let nextLook = STEP_BYTES;
    to.on("data", () => {
      for (; received.bytes >= nextLook; nextLook += STEP_BYTES) clock.advance(IDLE_MS / 8);
    });
    to.resume();
    await until(() => received.bytes >= TOTAL || to.destroyed);
    return received.bytes;
  }

  test.each(["http", "tcp"])("a client (%s)", async (protocol) => {
    const endpoint = await startEndpoint();
    const { clock, starting } = slowRig(protocol, endpoint.port);
    const client = new Client((await starting).port).send("GET / HTTP/1.1\r\nHost: orders\r\n\r\n");
    const connection = await endpoint.connection(0);
    await connection.receives("\r\n\r\n");
    // The last byte is not there yet: the exchange goes on.
    connection.socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${TOTAL + 1}\r\n\r\n`);
    await client.receives("\r\n\r\n");
    expect(await move(connection.socket, client.socket, clock)).toBe(TOTAL);
    const last = once(client.socket, "data");
    connection.socket.write("!");
    expect(String(await last)).toBe("!");
  });

  test("an endpoint", async () => {
    const endpoint = await startEndpoint();
    const { clock, starting } = slowRig("http", endpoint.port);
    const client = new Client((await starting).port);
    client.send(`POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: ${TOTAL}\r\n\r\n`);
    const connection = await endpoint.connection(0);
    await connection.receives("\r\n\r\n");
    expect(await move(client.socket, connection.socket, clock)).toBe(TOTAL);
    connection.socket.write(ok("all"));
    await client.receives("all");
  });
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
