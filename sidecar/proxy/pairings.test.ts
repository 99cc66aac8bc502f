// Every pairing of protocols through the real listeners: clients and endpoints of HTTP/1.1 and HTTP/2, Node's own.
import { once } from "node:events";
import { createServer as createHttp1Server, request as http1Request, type IncomingMessage } from "node:http";
import {
  type ClientHttp2Session,
  connect as connectHttp2,
  createServer as createHttp2Server,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo, Server } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { cleanUp, inboundRig, outboundRig, until } from "./testing/rig.ts";

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await cleanUp();
});

/** What an endpoint of either protocol saw of a request. */
interface Seen {
  readonly protocol: string;
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly headers: Record<string, unknown>;
  readonly body: string;
  readonly trailers: Record<string, unknown>;
}

interface Answer {
  readonly status?: number;
  readonly headers?: Record<string, string | string[]>;
  readonly body?: string;
  readonly trailers?: Record<string, string>;
}

async function listening(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

async function http1Endpoint(answer: (seen: Seen) => Answer): Promise<number> {
  const server = createHttp1Server((request, response) => {
    let body = "";
    request.setEncoding("latin1");
    request.on("data", (chunk: string) => {
      body += chunk;
    });
    request.on("end", () => {
      const { method = "", url = "", headers, trailers } = request;
      const seen = { protocol: "1.1", method, path: url, authority: headers.host ?? "", headers, body, trailers };
      const { status = 200, headers: fields = {}, body: content = "", trailers: last } = answer(seen);
      response.writeHead(status, last === undefined ? fields : { ...fields, trailer: Object.keys(last).join(",") });
      if (content !== "") response.write(content);
      if (last !== undefined) response.addTrailers(last);
      response.end();
    });
  });
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return listening(server);
}

async function http2Endpoint(answer: (seen: Seen) => Answer): Promise<number> {
  const server = createHttp2Server();
  server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    let body = "";
    let trailers: IncomingHttpHeaders = {};
    stream.setEncoding("latin1");
    stream.on("error", () => {});
    stream.on("data", (chunk: string) => {
      body += chunk;
    });
    stream.on("trailers", (fields: IncomingHttpHeaders) => {
      trailers = fields;
    });
    stream.on("end", () => {
      const seen = {
        protocol: "2",
        method: headers[":method"] ?? "",
        path: headers[":path"] ?? "",
        authority: headers[":authority"] ?? "",
        headers,
        body,
        trailers,
      };
      const { status = 200, headers: fields = {}, body: content = "", trailers: last } = answer(seen);
      const head = { ":status": status, ...fields };
      if (content === "" && last === undefined) return stream.respond(head, { endStream: true });
      stream.respond(head, { waitForTrailers: last !== undefined });
      if (last !== undefined) stream.on("wantTrailers", () => stream.sendTrailers(last));
      stream.end(content);
    });
  });
  cleanups.push(() => server.close());
  return listening(server);
}

interface Got {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly body: string;
  readonly trailers: Record<string, unknown>;
}

function http2Client(port: number): ClientHttp2Session {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  session.on("error", () => {});
  cleanups.push(() => session.destroy());
  return session;
}

function ask2(
  session: ClientHttp2Session,
  head: OutgoingHttpHeaders,
  body = "",
  trailers?: Record<string, string>,
): Promise<Got> {
  return new Promise((resolve, reject) => {
    const stream = session.request(
      { ":authority": "orders", ":path": "/", ...head },
      { endStream: body === "" && trailers === undefined, waitForTrailers: trailers !== undefined },
    );
    let headers: IncomingHttpHeaders & { ":status"?: number | undefined } = {};
    let last: IncomingHttpHeaders = {};
    let content = "";
    stream.setEncoding("latin1");
    stream.on("response", (fields) => {
      headers = fields;
    });
    stream.on("data", (chunk: string) => {
      content += chunk;
    });
    stream.on("trailers", (fields) => {
      last = fields;
    });
    stream.on("error", reject);
    stream.on("close", () => resolve({ status: headers[":status"] ?? 0, headers, body: content, trailers: last }));
    if (trailers !== undefined) stream.on("wantTrailers", () => stream.sendTrailers(trailers));
    if (body !== "" || trailers !== undefined) stream.end(body);
  });
}

function ask1(
  port: number,
  method: string,
  path: string,
  body = "",
  headers: Record<string, string> = {},
): Promise<Got> {
  return new Promise((resolve, reject) => {
    const request = http1Request(
      { port, host: "127.0.0.1", method, path, headers: { host: "orders", ...headers } },
      (response: IncomingMessage) => {
        let content = "";
        response.setEncoding("latin1");
        response.on("data", (chunk: string) => {
          content += chunk;
        });
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: content,
            trailers: response.trailers,
          }),
        );
      },
    );
    request.on("error", reject);
    request.end(body);
  });
}

function service(port: number, protocol: string): string {
  return `
apiVersion: weft.mesh/v1
kind: Service
metadata: { name: orders }
spec: { ports: [{ port: 80, protocol: ${protocol} }], endpoints: [{ address: "127.0.0.1:${port}" }] }
`;
}

const ECHO = (seen: Seen): Answer => ({
  headers: { "content-type": "text/plain", "x-protocol": seen.protocol, "x-path": seen.path },
  body: `${seen.method} ${seen.authority} ${seen.body}`,
});

describe.each<[client: string, endpoint: string]>([
  ["h1", "h1"],
  ["h1", "h2"],
  ["h2", "h1"],
  ["h2", "h2"],
])("a client of %s, an endpoint of %s", (client, endpoint) => {
  async function rigFor(answer: (seen: Seen) => Answer): Promise<{
    ask: (method: string, path: string, body?: string, headers?: Record<string, string>) => Promise<Got>;
  }> {
    const port = endpoint === "h1" ? await http1Endpoint(answer) : await http2Endpoint(answer);
    const rig = await outboundRig({ rules: service(port, endpoint === "h1" ? "http" : "h2c") });
    if (client === "h1") return { ask: (...args) => ask1(rig.port, ...args) };
    const session = http2Client(rig.port);
    return {
      ask: (method, path, body, headers) => ask2(session, { ":method": method, ":path": path, ...headers }, body),
    };
  }

  test("a request without a body and one with a body come through, method, path, query, host and fields", async () => {
    const { ask } = await rigFor(ECHO);
    const got = await ask("GET", "/a/b?c=d", "", { "x-own": "1" });
    expect(got).toMatchObject({
      status: 200,
      body: "GET orders ",
      headers: { "x-protocol": endpoint === "h1" ? "1.1" : "2", "x-path": "/a/b?c=d" },
    });
    expect((await ask("POST", "/", "hello")).body).toBe("POST orders hello");
    expect((await ask("DELETE", "/")).body).toBe("DELETE orders ");
  });

  test("what is for one hop stops there; the hop's own fields come in", async () => {
    let seen: Seen | undefined;
    const { ask } = await rigFor((request) => {
      seen = request;
      return { headers: { "x-answer": "yes" } };
    });
    const got = await ask("GET", "/");
    expect(got.headers["x-answer"]).toBe("yes");
    expect(got.headers["transfer-encoding"]).toBe(client === "h1" && endpoint === "h1" ? "chunked" : undefined);
    expect(seen?.headers).toMatchObject({ "x-forwarded-host": "orders" });
    expect(seen?.headers["x-request-id"]).toMatch(/^[0-9a-f-]{36}$/);
    if (endpoint === "h2") expect(Object.keys(seen?.headers ?? {})).not.toContain("connection");
  });

  test("statuses without content, HEAD, and a body of a megabyte", async () => {
    const large = "x".repeat(1024 * 1024);
    const { ask } = await rigFor(({ path, method, body }) => {
      if (path === "/204") return { status: 204 };
      if (path === "/304") return { status: 304 };
      if (method === "HEAD") return { headers: { "content-length": "7" } };
      return { body: path === "/up" ? String(body.length) : large };
    });
    expect((await ask("GET", "/204")).status).toBe(204);
    expect((await ask("GET", "/304")).status).toBe(304);
    expect(await ask("HEAD", "/")).toMatchObject({ status: 200, body: "", headers: { "content-length": "7" } });
    expect((await ask("GET", "/")).body.length).toBe(large.length);
    expect((await ask("POST", "/up", large)).body).toBe(String(large.length));
  });

  test("trailers of the answer", async () => {
    const { ask } = await rigFor(() => ({ body: "x", trailers: { "x-last": "1" } }));
    const got = await ask("GET", "/", "", { te: "trailers" });
    expect(got).toMatchObject({ body: "x", trailers: { "x-last": "1" } });
  });

  test("a hundred requests at a time", async () => {
    const { ask } = await rigFor(ECHO);
    const bodies = await Promise.all(Array.from({ length: 100 }, (_, index) => ask("POST", "/", `n${index}`)));
    expect(bodies.map(({ body }) => body)).toEqual(Array.from({ length: 100 }, (_, index) => `POST orders n${index}`));
  });

  test("the mesh's own answers", async () => {
    const rig = await outboundRig();
    const got =
      client === "h1"
        ? await ask1(rig.port, "GET", "/")
        : await ask2(http2Client(rig.port), { ":method": "GET", ":path": "/" });
    expect(got).toMatchObject({ status: 404, headers: { "x-weft-reason": "no-such-service" } });
  });
});

describe("the inbound port", () => {
  test("hands requests of HTTP/2 to an app that speaks HTTP/1.1", async () => {
    const port = await http1Endpoint(ECHO);
    const rig = await inboundRig(`127.0.0.1:${port}`);
    const got = await ask2(http2Client(rig.port), { ":method": "POST" }, "hello");
    expect(got).toMatchObject({ status: 200, body: "POST orders hello", headers: { "x-protocol": "1.1" } });
  });

  test("hands gRPC to the app as HTTP/2 whatever the service says", async () => {
    const port = await http2Endpoint(() => ({ body: "x", trailers: { "grpc-status": "0" } }));
    const rig = await inboundRig(`127.0.0.1:${port}`);
    const got = await ask2(
      http2Client(rig.port),
      { ":method": "POST", "content-type": "application/grpc", te: "trailers" },
      "x",
    );
    expect(got).toMatchObject({ status: 200, trailers: { "grpc-status": "0" } });
  });
});

describe("streams end with their clients and endpoints", () => {
  test("a client's reset reaches the endpoint, and its other streams go on", async () => {
    const held: ServerHttp2Stream[] = [];
    const server = createHttp2Server();
    let closed = 0;
    server.on("stream", (stream: ServerHttp2Stream, headers) => {
      stream.on("error", () => {});
      stream.on("close", () => {
        closed++;
      });
      if (headers[":path"] === "/held") held.push(stream);
      else {
        stream.respond({ ":status": 200 });
        stream.end("fine");
      }
    });
    cleanups.push(() => server.close());
    const rig = await outboundRig({ rules: service(await listening(server), "h2c") });
    const session = http2Client(rig.port);
    const stream = session.request({ ":authority": "orders", ":path": "/held" });
    stream.on("error", () => {});
    await until(() => held.length === 1);
    stream.close(8);
    await until(() => closed === 1);
    expect(held[0]?.rstCode).toBe(8);
    expect((await ask2(session, {})).body).toBe("fine");
  });

  test("an endpoint that closes under a request: 502, and the next one gets a new connection", async () => {
    let count = 0;
    const server = createHttp2Server();
    server.on("stream", (stream: ServerHttp2Stream) => {
      stream.on("error", () => {});
      if (count++ === 0) stream.session?.destroy();
      else {
        stream.respond({ ":status": 200 });
        stream.end("fine");
      }
    });
    cleanups.push(() => server.close());
    const rig = await outboundRig({ rules: service(await listening(server), "h2c") });
    const session = http2Client(rig.port);
    const got = await ask2(session, { ":method": "POST" }, "x");
    expect(got).toMatchObject({ status: 502, headers: { "x-weft-reason": "upstream-reset" } });
    expect((await ask2(session, {})).body).toBe("fine");
  });

  test("an endpoint that ends gracefully: no request is lost", async () => {
    const port = await http2Endpoint(ECHO);
    const rig = await outboundRig({ rules: service(port, "h2c") });
    const session = http2Client(rig.port);
    for (let index = 0; index < 20; index++) expect((await ask2(session, {})).status).toBe(200);
  });
});
