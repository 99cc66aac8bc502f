// A client that is slow gets all that was sent to it before both sides ended, however short the time is that it has for
// closing its connection; and one that has only ended its side is not told that half an answer is all.
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { afterEach, expect, test } from "vitest";
import {
  Client,
  cleanUp,
  endings,
  inboundRig,
  outboundRig,
  serviceOf,
  startEndpoint,
  tcpRig,
  until,
} from "./testing/rig.ts";

afterEach(cleanUp);

const TOTAL = 16 * 1024 * 1024;
/** All of the answer waits in the sidecar when its sides have ended, because the kernel takes no more of it. */
const LIMITS = { lingerMs: 5, writeBufferBytes: 4 * TOTAL, halfClosedGraceMs: 10_000 };
const LOOKS_AWAY_MS = 300;
const TCP = (address: string): string => `
apiVersion: weft.mesh/v1
kind: Service
metadata: { name: app }
spec: { ports: [{ port: 25, protocol: tcp }], endpoints: [{ address: "${address}" }] }
`;

/**
 * Reads nothing for a while.
 * @param ends its side at once; otherwise when the other has
 * @returns what came, once the connection is over
 */
async function readLate(port: number, first: string, ends = true): Promise<{ bytes: number; error: string }> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const got = { bytes: 0, error: "" };
  let isClosed = false;
  socket.on("error", (error: NodeJS.ErrnoException) => {
    got.error = error.code ?? "";
  });
  socket.on("close", () => {
    isClosed = true;
  });
  if (ends) socket.end(first);
  else socket.on("end", () => socket.end()).write(first);
  setTimeout(() => {
    socket.on("data", (chunk: Buffer) => {
      got.bytes += chunk.length;
    });
  }, LOOKS_AWAY_MS);
  await until(() => isClosed);
  return got;
}

test("through a local port of a service of bytes", async () => {
  const endpoint = await startEndpoint(({ socket }) => socket.end(Buffer.alloc(TOTAL)));
  const { port } = await tcpRig("app", { rules: TCP(endpoint.address), limits: LIMITS });
  expect(await readLate(port, "")).toEqual({ bytes: TOTAL, error: "" });
});

const OK = "HTTP/1.1 200 OK\r\n\r\n";

test("through CONNECT", async () => {
  const endpoint = await startEndpoint(({ socket }) => {
    socket.once("data", () => {
      socket.write(OK);
      socket.end(Buffer.alloc(TOTAL));
    });
  });
  const { port } = await inboundRig(endpoint.address, { limits: LIMITS });
  const got = await readLate(port, "CONNECT app:25 HTTP/1.1\r\nHost: app:25\r\n\r\n");
  expect(got).toEqual({ bytes: TOTAL + OK.length, error: "" });
});

test("in an answer that ends its connection", async () => {
  const head = `HTTP/1.1 200 OK\r\nContent-Length: ${TOTAL}\r\n\r\n`;
  const endpoint = await startEndpoint(({ socket }) => {
    socket.once("data", () => {
      socket.write(head);
      socket.end(Buffer.alloc(TOTAL));
    });
  });
  const { port } = await inboundRig(endpoint.address, { limits: LIMITS });
  const { bytes, error } = await readLate(port, "GET / HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n");
  expect(error).toBe("");
  expect(bytes).toBeGreaterThan(TOTAL);
});

test("in an answer that came before the end of the request, of which nothing follows", async () => {
  const head = `HTTP/1.1 200 OK\r\nContent-Length: ${TOTAL}\r\n\r\n`;
  const endpoint = await startEndpoint(({ socket }) => {
    socket.once("data", () => {
      socket.write(head);
      socket.write(Buffer.alloc(TOTAL));
    });
  });
  const { port } = await inboundRig(endpoint.address, { limits: LIMITS });
  const begun = "POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 9\r\n\r\nabc";
  const got = await readLate(port, begun, false);
  expect(got).toEqual({ bytes: TOTAL + head.length, error: "" });
});

test("and so does an endpoint that ended its own side long before", async () => {
  const got = { bytes: 0, hasEnded: false };
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    socket.end("no more from here");
    socket.on("end", () => {
      got.hasEnded = true;
    });
    setTimeout(() => {
      socket.on("data", (chunk: Buffer) => {
        got.bytes += chunk.length;
      });
      socket.resume();
    }, LOOKS_AWAY_MS);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port, listener } = await tcpRig("app", {
    rules: TCP(`127.0.0.1:${(server.address() as AddressInfo).port}`),
    limits: LIMITS,
  });
  const client = new Client(port);
  await client.receives("no more from here");
  client.socket.end(Buffer.alloc(TOTAL));
  await until(() => client.isClosed && listener.connectionCount === 0);
  await until(() => got.hasEnded);
  expect(got.bytes).toBe(TOTAL);
  server.close();
});

test("half an answer does not look whole to a client of HTTP/1.0 that has ended its side", async () => {
  const slow = await startEndpoint((connection) => {
    connection.socket.once("data", () => connection.socket.write("HTTP/1.1 200 OK\r\n\r\nhalf"));
  });
  const rig = await outboundRig({ rules: serviceOf("orders", slow.address), limits: { halfClosedGraceMs: 50 } });
  const ended = endings(rig.path);
  const client = new Client(rig.port).send("GET / HTTP/1.0\r\nHost: orders\r\n\r\n");
  await client.receives("\r\n\r\nhalf");
  client.socket.end();
  expect(await client.ends()).toBe("ECONNRESET");
  expect(ended).toEqual(["499 client-closed"]);
});
