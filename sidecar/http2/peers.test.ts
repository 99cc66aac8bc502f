// Both sides of a connection against peers that others wrote, over real sockets: node:http2 (nghttp2), @grpc/grpc-js, curl,
// nghttp and h2load.
import { execFile, execFileSync } from "node:child_process";
import { statSync } from "node:fs";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import * as grpc from "@grpc/grpc-js";
import { afterEach, describe, expect, it } from "vitest";
import { ERROR } from "./error-code.ts";
import { Http2Head } from "./head.ts";
import { DEFAULT_HTTP2_LIMITS } from "./limits.ts";
import { Answer, acceptEcho, requestHead } from "./testing/echo.ts";
import { dial, listen, NotingHandler } from "./testing/socket-connection.ts";

const closers: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function echoServer(limits: Parameters<typeof listen>[1] = {}) {
  const server = await listen(acceptEcho, limits);
  closers.push(() => server.close());
  return server;
}

function nodeClient(port: number, options: http2.ClientSessionOptions = {}): http2.ClientHttp2Session {
  const session = http2.connect(`http://127.0.0.1:${port}`, options);
  session.on("error", () => {});
  closers.push(() => session.destroy());
  return session;
}

async function nodeServer(
  onStream: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void,
  options: http2.ServerOptions = {},
): Promise<{ port: number; server: http2.Http2Server; sessions: http2.ServerHttp2Session[] }> {
  const server = http2.createServer(options);
  const sessions: http2.ServerHttp2Session[] = [];
  server.on("session", (session) => {
    sessions.push(session);
    session.on("error", () => {});
  });
  server.on("stream", (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
    stream.on("error", () => {});
    onStream(stream, headers);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  closers.push(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, server, sessions };
}

interface Reply {
  headers: http2.IncomingHttpHeaders;
  trailers: http2.IncomingHttpHeaders;
  body: Buffer;
}

function ask(
  session: http2.ClientHttp2Session,
  headers: http2.OutgoingHttpHeaders,
  body?: Buffer,
  trailers?: http2.OutgoingHttpHeaders,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const stream = session.request(headers, { waitForTrailers: trailers !== undefined });
    const reply: Reply = { headers: {}, trailers: {}, body: Buffer.alloc(0) };
    const chunks: Buffer[] = [];
    stream.on("response", (got) => {
      reply.headers = got;
    });
    stream.on("trailers", (got) => {
      reply.trailers = got;
    });
    if (trailers !== undefined) stream.on("wantTrailers", () => stream.sendTrailers(trailers));
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", reject);
    stream.on("end", () => {
      reply.body = Buffer.concat(chunks);
      resolve(reply);
    });
    stream.end(body);
  });
}

function patterned(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at++) bytes[at] = (at * 31 + (at >> 8)) & 0xff;
  return bytes;
}

describe("a server, to node:http2", () => {
  it("answers requests without and with content, and trailers both ways", async () => {
    const { port } = await echoServer();
    const session = nodeClient(port);
    const got = await ask(session, { ":path": "/a?b=c", "echo-x": "1" });
    expect(got.headers).toMatchObject({ ":status": 200, "x-method": "GET", "x-path": "/a?b=c", "echo-x": "1" });
    expect(got.headers["x-authority"]).toBe(`127.0.0.1:${port}`);
    const posted = await ask(session, { ":method": "POST", ":path": "/" }, Buffer.from("hello"), { "x-sum": "5" });
    expect(posted.body.toString()).toBe("hello");
    expect(posted.trailers).toMatchObject({ "x-sum": "5" });
  });

  it("echoes many large bodies at a time through windows of both sides", async () => {
    const { port, connections } = await echoServer();
    const session = nodeClient(port, { maxSessionMemory: 100 });
    const body = patterned(3_000_000);
    const replies = await Promise.all(
      Array.from({ length: 8 }, () => ask(session, { ":method": "POST", ":path": "/" }, body)),
    );
    for (const reply of replies) expect(reply.body.equals(body)).toBe(true);
    expect(connections[0]?.openStreams).toBe(0);
    expect(connections[0]?.windows.stalledBytes).toBe(0);
  });

  it("serves thousands of requests on one connection, heads of all sizes among them", async () => {
    const { port } = await echoServer();
    const session = nodeClient(port);
    for (let round = 0; round < 20; round++) {
      await Promise.all(
        Array.from({ length: 50 }, async (_, index) => {
          const value = "v".repeat((round * 50 + index) % 3000);
          const reply = await ask(session, { ":path": `/${round}/${index}`, "echo-a": value, "echo-b": "same" });
          expect(reply.headers).toMatchObject({ "echo-a": value, "echo-b": "same", "x-path": `/${round}/${index}` });
        }),
      );
    }
  });

  it("takes a head of 60 KB in CONTINUATION frames and sends one back", async () => {
    const { port } = await echoServer();
    const session = nodeClient(port, { maxSendHeaderBlockLength: 1 << 20, settings: { maxHeaderListSize: 1 << 20 } });
    const value = "x".repeat(60_000);
    const reply = await ask(session, { ":path": "/", "echo-big": value });
    expect(reply.headers["echo-big"]).toBe(value);
  });

  it("goes on with other streams while one is cancelled, and drains without losing a request", async () => {
    const { port, connections, handlers } = await echoServer();
    const session = nodeClient(port);
    const cancelled = session.request({ ":method": "POST", ":path": "/" });
    cancelled.on("error", () => {});
    cancelled.write("x");
    await new Promise((resolve) => cancelled.once("response", resolve));
    const open = session.request({ ":method": "POST", ":path": "/open" });
    await new Promise((resolve) => open.once("response", resolve));
    cancelled.close(http2.constants.NGHTTP2_CANCEL);
    expect((await ask(session, { ":path": "/after" })).headers[":status"]).toBe(200);
    connections[0]?.drain();
    await new Promise((resolve) => session.once("goaway", resolve));
    const chunks: Buffer[] = [];
    open.on("data", (chunk: Buffer) => chunks.push(chunk));
    open.end("late");
    await new Promise((resolve) => open.once("end", resolve));
    expect(Buffer.concat(chunks).toString()).toBe("late");
    expect(await handlers[0]?.closed).toBe("local");
  });

  it("stops only the stream that its client does not read", async () => {
    const { port } = await echoServer();
    const session = nodeClient(port, { settings: { initialWindowSize: 65_535 } });
    const stuck = session.request({ ":method": "POST", ":path": "/" });
    stuck.on("error", () => {});
    stuck.pause();
    stuck.write(patterned(2_000_000));
    await new Promise((resolve) => stuck.once("response", resolve));
    const body = patterned(1_000_000);
    const reply = await ask(session, { ":method": "POST", ":path": "/" }, body);
    expect(reply.body.equals(body)).toBe(true);
  });
});

describe("a client, of node:http2", () => {
  it("sends content and trailers, and gets interim heads, content and trailers", async () => {
    const { port } = await nodeServer((stream, headers) => {
      stream.additionalHeaders({ ":status": 103, link: "</a.css>; rel=preload" });
      const chunks: Buffer[] = [];
      let trailers: http2.IncomingHttpHeaders = {};
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("trailers", (got) => {
        trailers = got;
      });
      stream.on("end", () => {
        stream.respond(
          { ":status": 200, "x-path": headers[":path"], "x-trailer": trailers["x-t"] },
          { waitForTrailers: true },
        );
        stream.on("wantTrailers", () => stream.sendTrailers({ "x-end": "yes" }));
        stream.end(Buffer.concat(chunks));
      });
    });
    const handler = new NotingHandler();
    const { connection } = await dial(port, handler);
    closers.push(() => connection.close(0));
    const answer = new Answer();
    const stream = connection.request(requestHead("POST", "/p"), false, answer);
    stream?.sendData(Buffer.from("abc"), 0, 3, false);
    const trailers = new Http2Head();
    trailers.add("x-t", "sent");
    stream?.sendTrailers(trailers);
    expect(await answer.done).toBe("end");
    expect(answer.interim.map((head) => head.status)).toEqual([103]);
    expect(answer.head.status).toBe(200);
    expect(answer.head.value("x-path")).toBe("/p");
    expect(answer.head.value("x-trailer")).toBe("sent");
    expect(answer.body.toString()).toBe("abc");
    expect(answer.trailers?.value("x-end")).toBe("yes");
  });

  it("keeps to the server's limit of streams and windows", async () => {
    const { port } = await nodeServer(
      (stream) => {
        stream.respond({ ":status": 200 });
        stream.pipe(stream);
      },
      { settings: { maxConcurrentStreams: 3, initialWindowSize: 1000 } },
    );
    const handler = new NotingHandler();
    const { connection } = await dial(port, handler);
    closers.push(() => connection.close(0));
    while (handler.settings === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(connection.peerStreamsMax).toBe(3);
    const body = patterned(500_000);
    const answers = [new Answer(), new Answer(), new Answer()];
    for (const answer of answers) {
      const stream = connection.request(requestHead("POST", "/"), false, answer);
      expect(stream?.sendData(body, 0, body.length, true)).toBe(false);
    }
    expect(connection.canOpenStream).toBe(false);
    expect(connection.request(requestHead("GET", "/"), true, new Answer())).toBeUndefined();
    for (const answer of answers) {
      expect(await answer.done).toBe("end");
      expect(answer.body.equals(body)).toBe(true);
    }
    expect(connection.canOpenStream).toBe(true);
  });

  it("tells what a server did not look at, and what it reset", async () => {
    const { port, sessions } = await nodeServer((stream, headers) => {
      if (headers[":path"] === "/refuse") stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
      else if (headers[":path"] === "/cancel") stream.close(http2.constants.NGHTTP2_CANCEL);
      else sessions[0]?.goaway(0, 3);
    });
    const handler = new NotingHandler();
    const { connection } = await dial(port, handler);
    const [refused, cancelled, late] = [new Answer(), new Answer(), new Answer()];
    connection.request(requestHead("GET", "/refuse"), true, refused);
    expect(await refused.done).toBe(`reset: peer ${ERROR.refusedStream} unprocessed`);
    connection.request(requestHead("GET", "/cancel"), true, cancelled);
    expect(await cancelled.done).toBe(`reset: peer ${ERROR.cancel}`);
    connection.request(requestHead("GET", "/late"), true, late);
    expect(await late.done).toBe(`reset: goaway ${ERROR.refusedStream} unprocessed`);
    expect(await handler.closed).toBe("peer");
  });

  it("reads slowly without stopping a stream beside it", async () => {
    const body = patterned(2_000_000);
    const { port } = await nodeServer((stream) => {
      stream.respond({ ":status": 200 });
      stream.end(body);
    });
    const { connection } = await dial(port, new NotingHandler());
    closers.push(() => connection.close(0));
    const slow = new Answer();
    connection.request(requestHead("GET", "/slow"), true, slow)?.pauseReading();
    const quick = new Answer();
    const quickStream = connection.request(requestHead("GET", "/quick"), true, quick);
    expect(await quick.done).toBe("end");
    expect(quick.body.equals(body)).toBe(true);
    expect(slow.body.length).toBeLessThanOrEqual(DEFAULT_HTTP2_LIMITS.streamWindowBytes);
    expect(connection.windows.stalledBytes).toBe(slow.body.length);
    slow.stream?.resumeReading();
    expect(await slow.done).toBe("end");
    expect(slow.body.equals(body)).toBe(true);
    expect(connection.windows.stalledBytes).toBe(0);
    quickStream?.release();
  });

  it("drains: what is open ends, then the connection", async () => {
    const { port } = await nodeServer((stream) => {
      stream.respond({ ":status": 200 });
      stream.pipe(stream);
    });
    const handler = new NotingHandler();
    const { connection } = await dial(port, handler);
    const answer = new Answer();
    const stream = connection.request(requestHead("POST", "/"), false, answer);
    connection.drain();
    expect(connection.request(requestHead("GET", "/"), true, new Answer())).toBeUndefined();
    stream?.sendData(Buffer.from("end"), 0, 3, true);
    expect(await answer.done).toBe("end");
    expect(await handler.closed).toBe("local");
  });
});

const echoMethod: grpc.MethodDefinition<Buffer, Buffer> = {
  path: "/test.Echo/Say",
  requestStream: true,
  responseStream: true,
  requestSerialize: (bytes) => bytes,
  requestDeserialize: (bytes) => bytes,
  responseSerialize: (bytes) => bytes,
  responseDeserialize: (bytes) => bytes,
};

describe("gRPC, with @grpc/grpc-js", () => {
  it("is served: messages both ways, status in trailers, and trailers-only", async () => {
    const { port } = await (async () => {
      const server = await listen(() => ({
        onHead: (stream, head) => {
          const answer = new Http2Head();
          answer.status = 200;
          answer.add("content-type", "application/grpc");
          if (head.path.endsWith("/Fail")) {
            answer.add("grpc-status", "5");
            answer.add("grpc-message", "not%20here");
            stream.sendHead(answer, true);
          } else stream.sendHead(answer, false);
        },
        onData: (stream, bytes, start, end, isEnd) => {
          if (end > start) stream.sendData(bytes, start, end, false);
          if (!isEnd) return;
          const trailers = new Http2Head();
          trailers.add("grpc-status", "0");
          stream.sendTrailers(trailers);
        },
        onTrailers: () => {},
        onInterimHead: () => {},
        onDrain: () => {},
        onReset: () => {},
      }));
      closers.push(() => server.close());
      return server;
    })();
    const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
    closers.push(() => client.close());
    const unary = (path: string, message: string): Promise<string> =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest(
          path,
          (text: string) => Buffer.from(text),
          (bytes) => bytes.toString(),
          message,
          (error, reply) => (error === null ? resolve(reply ?? "") : reject(error)),
        );
      });
    for (let call = 0; call < 200; call++) expect(await unary("/test.Echo/Say", `m${call}`)).toBe(`m${call}`);
    await expect(unary("/test.Echo/Fail", "x")).rejects.toMatchObject({ code: 5, details: "not here" });
    const stream = client.makeBidiStreamRequest(
      echoMethod.path,
      echoMethod.requestSerialize,
      echoMethod.responseDeserialize,
    );
    const got: number[] = [];
    stream.on("data", (bytes: Buffer) => got.push(bytes.length));
    for (const length of [1, 100_000, 3_000_000]) stream.write(Buffer.alloc(length));
    stream.end();
    const status = await new Promise<grpc.StatusObject>((resolve) => stream.on("status", resolve));
    expect(status.code).toBe(0);
    expect(got).toEqual([1, 100_000, 3_000_000]);
  });

  it("is called: unary and streamed, with metadata", async () => {
    const server = new grpc.Server();
    server.addService(
      { say: echoMethod },
      {
        say: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
          const trailers = new grpc.Metadata();
          trailers.set("x-trailing", String(call.metadata.get("x-leading")[0] ?? ""));
          call.on("data", (bytes: Buffer) => call.write(bytes));
          call.on("end", () => call.end(trailers));
        },
      },
    );
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    closers.push(() => server.forceShutdown());
    const { connection } = await dial(port, new NotingHandler());
    closers.push(() => connection.close(0));
    for (let call = 0; call < 50; call++) {
      const answer = new Answer();
      const stream = connection.request(
        requestHead("POST", echoMethod.path, {
          te: "trailers",
          "content-type": "application/grpc",
          "x-leading": `lead ${call}`,
        }),
        false,
        answer,
      );
      const message = Buffer.concat([Buffer.from([0, 0, 0, 0, 5]), Buffer.from("hello")]);
      stream?.sendData(message, 0, message.length, true);
      expect(await answer.done).toBe("end");
      expect(answer.body.equals(message)).toBe(true);
      expect(answer.trailers?.value("grpc-status")).toBe("0");
      expect(answer.trailers?.value("x-trailing")).toBe(`lead ${call}`);
      stream?.release();
    }
  });
});

function has(program: string): boolean {
  try {
    execFileSync("which", [program], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

function run(program: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(program, args, { maxBuffer: 1 << 26, timeout: 30_000 }, (error, stdout, stderr) =>
      error === null ? resolve(stdout + stderr) : reject(new Error(`${error.message}\n${stdout}${stderr}`)),
    );
  });
}

describe("command-line clients", () => {
  it.skipIf(!has("curl"))("curl with prior knowledge", async () => {
    const { port } = await echoServer();
    const out = await run("curl", [
      ...["-sS", "-i", "--http2-prior-knowledge", "-H", "echo-a: 1", "--data-binary", `@${process.execPath}`],
      ...["-o", "/dev/null", "-D", "-", "-w", "%{size_download}"],
      `http://127.0.0.1:${port}/from-curl`,
    ]);
    expect(out).toMatch(/^HTTP\/2 200/);
    expect(out).toContain("x-path: /from-curl");
    expect(out).toContain(String(statSync(process.execPath).size));
  });

  it.skipIf(!has("nghttp"))("nghttp, with upload and trailers", async () => {
    const { port } = await echoServer();
    const out = await run("nghttp", [
      ...["-v", "--trailer", "x-t: 1", "-d", import.meta.filename, "-H", ":method: POST"],
      `http://127.0.0.1:${port}/up`,
    ]);
    expect(out).toMatch(/:status: 200/);
    expect(out).toMatch(/recv .*x-t: 1/s);
  });

  it.skipIf(!has("h2load"))("h2load, 20,000 requests on 4 connections of 16 streams", async () => {
    const { port } = await echoServer();
    const out = await run("h2load", ["-n", "20000", "-c", "4", "-m", "16", `http://127.0.0.1:${port}/load`]);
    expect(out).toMatch(/20000 succeeded, 0 failed, 0 errored/);
  });
});
