// Flow control from end to end where HTTP/2 is spoken: a slow reader holds its own stream back and no other one, and
// what is in flight for it stays bounded.
import { once } from "node:events";
import { connect, createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { headers, lastHeaders, OK, windowUpdate } from "../http2/testing/frames.ts";
import { RawClient, rawEndpoint, request, serviceOf2 } from "./testing/raw-http2.ts";
import {
  cleanUp,
  ok,
  onCleanUp,
  outboundRig,
  type Rig,
  serviceOf,
  stands,
  startEndpoint,
  until,
} from "./testing/rig.ts";

afterEach(cleanUp);

const CHUNK = Buffer.alloc(256 * 1024, "0123456789abcdef");
const CHUNKS = 128;
const TOTAL = CHUNK.length * CHUNKS;
/** What the kernel's own buffers of both hops may hold, with room; far under the total. */
const IN_FLIGHT_MAX = 16 * 1024 * 1024;

interface Writing {
  written: number;
}

/** Writes the body as fast as the peer takes it. */
function pour(out: NodeJS.WritableStream): Writing {
  const progress: Writing = { written: 0 };
  const more = (): void => {
    while (progress.written < TOTAL) {
      progress.written += CHUNK.length;
      if (!out.write(CHUNK)) {
        out.once("drain", more);
        return;
      }
    }
    out.end();
  };
  more();
  return progress;
}

/** An endpoint that answers /large with more than any buffer holds. */
async function pouringEndpoint(protocol: string): Promise<{ port: number; progress: () => Writing | undefined }> {
  let progress: Writing | undefined;
  if (protocol === "http") {
    const endpoint = await startEndpoint((connection) => {
      connection.socket.on("data", (chunk: Buffer) => {
        if (!chunk.includes("/large")) return void connection.socket.write(ok("fine"));
        connection.socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${TOTAL}\r\n\r\n`);
        progress = pour(connection.socket);
      });
    });
    return { port: endpoint.port, progress: () => progress };
  }
  const server = createServer();
  server.on("stream", (stream: ServerHttp2Stream, head) => {
    stream.on("error", () => {});
    stream.respond({ ":status": 200 });
    if (head[":path"] === "/large") progress = pour(stream);
    else stream.end("fine");
  });
  onCleanUp(() => server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port, progress: () => progress };
}

async function expectIdle({ path }: Rig): Promise<void> {
  await until(() => path.metrics.requestsActive.cell("outbound").value === 0);
}

test.each(["http", "h2c"])("a slow reader of an answer, an endpoint of %s", async (protocol) => {
  const { port, progress } = await pouringEndpoint(protocol);
  const rig = await outboundRig({ rules: serviceOf2(protocol, port) });
  const client = new RawClient(rig.port);
  // The connection's window is wide open, the stream's is not.
  client.send(windowUpdate(0, 2 ** 31 - 1 - 65_535), lastHeaders(1, request("GET", [":path", "/large"])));
  await until(() => client.log.stream(1).bytes === 65_535);
  expect(await stands(() => progress()?.written ?? 0)).toBeLessThan(IN_FLIGHT_MAX);
  for (let id = 3; id < 43; id += 2) {
    client.get(id);
    expect((await client.ends(id)).body).toBe("fine");
  }
  expect(client.log.stream(1).bytes).toBe(65_535);
  client.send(windowUpdate(1, 2 ** 30));
  await client.ends(1);
  expect(client.log.stream(1).bytes).toBe(TOTAL);
  await expectIdle(rig);
});

test("a slow reader of a whole connection: all of it waits, and goes on", async () => {
  const { port, progress } = await pouringEndpoint("h2c");
  const rig = await outboundRig({ rules: serviceOf2("h2c", port) });
  const client = new RawClient(rig.port).send(lastHeaders(1, request("GET", [":path", "/large"])));
  await until(() => client.log.stream(1).bytes === 65_535);
  client.get(3);
  expect(await stands(() => progress()?.written ?? 0)).toBeLessThan(IN_FLIGHT_MAX);
  expect(client.log.stream(3).fields).toMatchObject({ ":status": "200" });
  expect(client.log.stream(3).bytes).toBe(0);
  client.send(windowUpdate(0, 2 ** 30), windowUpdate(1, 2 ** 30));
  await client.ends(1);
  expect((await client.ends(3)).body).toBe("fine");
  expect(client.log.stream(1).bytes).toBe(TOTAL);
});

test.each(["http", "h2c"])("a fast uploader, an endpoint of %s that does not read", async (protocol) => {
  let taken = 0;
  let goOn: (() => void) | undefined;
  const endpoint =
    protocol === "http"
      ? await startEndpoint(({ socket }) => {
          socket.removeAllListeners("data");
          socket.on("data", (chunk: Buffer) => {
            taken += chunk.length;
            if (chunk.includes("/small")) socket.write(ok("fine"));
            if (taken > TOTAL) return void socket.write(ok("all"));
            if (goOn !== undefined || !chunk.includes("POST")) return;
            socket.pause();
            goOn = () => socket.resume();
          });
        })
      : await rawEndpoint(({ type, flags, streamId, payload }, socket, log) => {
          if (type === 0) taken += payload.length;
          if (type === 0 && goOn !== undefined && payload.length > 0 && taken > 65_535)
            socket.write(Buffer.concat([windowUpdate(0, payload.length), windowUpdate(streamId, payload.length)]));
          if (type === 1 && (flags & 1) === 0)
            goOn = () => socket.write(Buffer.concat([windowUpdate(0, 2 ** 20), windowUpdate(streamId, 2 ** 20)]));
          if (type <= 1 && (flags & 1) === 1)
            socket.write(
              Buffer.concat([lastHeaders(streamId, [...OK, ["x-got", String(log.stream(streamId).bytes)]])]),
            );
        });
  const rig = await outboundRig({ rules: serviceOf2(protocol, endpoint.port) });
  const session = connect(`http://127.0.0.1:${rig.port}`);
  onCleanUp(() => session.destroy());
  const stream = session.request({
    ":method": "POST",
    ":path": "/large",
    ":authority": "orders",
    "content-length": TOTAL,
  });
  let status: unknown;
  stream.on("response", (head) => {
    status = head[":status"];
  });
  stream.resume();
  const progress = pour(stream);
  await until(() => goOn !== undefined);
  const sent = (): number => progress.written;
  expect(await stands(sent)).toBeLessThan(IN_FLIGHT_MAX);
  for (let count = 0; count < 20; count++) {
    const small = session.request({ ":path": "/small", ":authority": "orders" });
    small.resume();
    const [head] = await once(small, "response");
    expect(head[":status"]).toBe(200);
  }
  goOn?.();
  await until(() => status !== undefined);
  expect(status).toBe(200);
  expect(taken).toBeGreaterThanOrEqual(TOTAL);
  await expectIdle(rig);
});

test("a client that waits is not blamed for silence while the endpoint does not read", async () => {
  const endpoint = await startEndpoint(({ socket }) => {
    socket.pause();
  });
  const rig = await outboundRig({ rules: serviceOf("orders", endpoint.address), limits: { bodyIdleTimeoutMs: 100 } });
  const session = connect(`http://127.0.0.1:${rig.port}`);
  onCleanUp(() => session.destroy());
  const stream = session.request({ ":method": "POST", ":authority": "orders" });
  stream.on("error", () => {});
  pour(stream);
  const [head] = await once(stream, "response");
  expect(head).toMatchObject({ ":status": 504, "x-weft-reason": "stream-idle-timeout" });
  session.destroy();
  const raw = new RawClient(rig.port).send(headers(1, request("POST")));
  expect((await raw.ends(1)).fields).toMatchObject({ ":status": "408" });
});

test.each([64, 256, 512, 1024])(
  "a body of %s KiB is whole though the app does not read its request",
  async (kibibytes) => {
    const server = createServer();
    server.on("stream", (stream: ServerHttp2Stream) => {
      stream.respond({ ":status": 200 });
      stream.end(Buffer.alloc(kibibytes * 1024));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onCleanUp(() => server.close());
    const rig = await outboundRig({ rules: serviceOf2("h2c", (server.address() as AddressInfo).port) });
    const session = connect(`http://127.0.0.1:${rig.port}`);
    onCleanUp(() => session.close());
    const stream = session.request({ ":path": "/", ":authority": "orders" });
    let bytes = 0;
    for await (const piece of stream as AsyncIterable<Buffer>) bytes += piece.length;
    expect(bytes).toBe(kibibytes * 1024);
  },
);
