// Messages through the inbound listener to an app: framing, interim answers, tunnels, cuts. Every case runs in both
// ways of reading sockets.
import { afterEach, describe, expect, test } from "vitest";
import type { SocketMode } from "../../runtime/socket-output.ts";
import { Client, cleanUp, exchangeBytes, inboundRig, ok, startEndpoint, until } from "./testing/rig.ts";

afterEach(cleanUp);

const MODES: SocketMode[] = ["handle", "shared", "data-events"];

/** An app that is driven by the test, and the sidecar in front of it. */
async function front(socketMode: SocketMode, limits = {}) {
  const app = await startEndpoint();
  const rig = await inboundRig(app.address, { socketMode, limits });
  return { ...rig, app };
}

const GET = "GET / HTTP/1.1\r\nHost: app\r\n\r\n";

describe.each(MODES)("%s", (mode) => {
  test.each([
    ["length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", undefined],
    ["chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", undefined],
    [
      "chunked with trailers",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
      undefined,
    ],
    ["204", "HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n", undefined],
    ["304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: x\r\n\r\n", undefined],
    ["an unknown status", "HTTP/1.1 799 What\r\nContent-Length: 0\r\n\r\n", undefined],
    ["no reason phrase", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", undefined],
    [
      "hop-by-hop fields",
      "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=9\r\nX-Hop: 1\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ],
    [
      "an HTTP/1.0 server",
      "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    ],
  ])("an answer with %s arrives as it is, whole or byte by byte", async (_name, answer, expected) => {
    const { port, app } = await front(mode);
    for (const step of [answer.length, 1]) {
      const client = new Client(port).send(GET);
      const connection = await app.connection(app.connections.length);
      await connection.receives("\r\n\r\n");
      for (let at = 0; at < answer.length; at += step) {
        connection.socket.write(answer.slice(at, at + step));
        if (step === 1) await new Promise((resolve) => setImmediate(resolve));
      }
      await until(() => client.received.length >= (expected ?? answer).length);
      expect(client.received).toBe(expected ?? answer);
      connection.socket.destroy();
      client.socket.destroy();
    }
  });

  test("HEAD: the length of the body that does not come is kept, and the connection serves the next", async () => {
    const { port, app } = await front(mode);
    const client = new Client(port).send(`HEAD / HTTP/1.1\r\nHost: app\r\n\r\n${GET}`);
    const connection = await app.connection(0);
    await connection.receives("HEAD / HTTP/1.1");
    connection.socket.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    await connection.receives("GET / HTTP/1.1");
    connection.socket.write(ok("second"));
    expect(await client.receives("second")).toBe(`HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n${ok("second")}`);
  });

  test("an answer that ends with the connection becomes chunked, so that its end can be told", async () => {
    const { port, app } = await front(mode);
    const client = new Client(port).send(GET);
    const connection = await app.connection(0);
    await connection.receives("\r\n\r\n");
    connection.socket.write("HTTP/1.1 200 OK\r\n\r\nhello ");
    await client.receives("hello ");
    connection.socket.end("world");
    await client.receives("0\r\n\r\n");
    expect(client.received).toBe(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n",
    );
    client.send(GET);
    await app.connection(1);
  });

  test("an HTTP/1.0 client gets no chunks and no interim answers; the end of the connection ends the body", async () => {
    const { port, app } = await front(mode);
    const client = new Client(port).send("GET / HTTP/1.0\r\n\r\n");
    const connection = await app.connection(0);
    expect(await connection.receives("\r\n\r\n")).toMatch(/^GET \/ HTTP\/1.1\r\nHost: /);
    connection.socket.write("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    connection.socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    expect(await client.ends()).toBe("end");
    expect(client.received).toBe("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello");
  });

  test("an HTTP/1.0 client that asks for keep-alive gets it", async () => {
    const { port, app } = await front(mode);
    const client = new Client(port).send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    const connection = await app.connection(0);
    await connection.receives("\r\n\r\n");
    connection.socket.write(ok("one"));
    expect(await client.receives("one")).toContain("\r\nConnection: keep-alive\r\n");
    client.send("GET /2 HTTP/1.0\r\n\r\n");
    await connection.receives("GET /2 ");
  });

  test("interim answers pass: 100 before the body is sent, 103 before the final one", async () => {
    const { port, app } = await front(mode);
    const client = new Client(port).send(
      "PUT / HTTP/1.1\r\nHost: app\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
    );
    const connection = await app.connection(0);
    expect(await connection.receives("\r\n\r\n")).toContain("\r\nExpect: 100-continue\r\n");
    connection.socket.write("HTTP/1.1 100 Continue\r\n\r\n");
    await client.receives("HTTP/1.1 100 Continue\r\n\r\n");
    client.send("body");
    await connection.receives("\r\n\r\nbody");
    connection.socket.write("HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n");
    await client.receives("Link: </style.css>\r\n\r\n");
    connection.socket.write(ok("done"));
    expect(await client.receives("done")).not.toContain("Connection: close");
  });

  test("a final answer instead of 100 ends the client's connection, because the body may come or not", async () => {
    const { port, app } = await front(mode);
    const client = new Client(port).send(
      "PUT / HTTP/1.1\r\nHost: app\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
    );
    const connection = await app.connection(0);
    await connection.receives("\r\n\r\n");
    connection.socket.write("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n");
    expect(await client.ends()).toBe("end");
    expect(client.received).toContain("\r\nConnection: close\r\n");
    await until(() => connection.isClosed || connection.hasEnded);
  });

  test("too many interim answers are a bad response", async () => {
    const { port, app } = await front(mode, { interimResponsesMax: 3 });
    const client = new Client(port).send(GET);
    const connection = await app.connection(0);
    await connection.receives("\r\n\r\n");
    connection.socket.write("HTTP/1.1 102 Processing\r\n\r\n".repeat(4));
    expect(await client.receives("x-weft-reason")).toContain("HTTP/1.1 502 ");
  });

  test("request bodies arrive as they were sent: length, chunked, trailers", async () => {
    const { port, app } = await front(mode);
    const client = new Client(port);
    const bodies = [
      "POST /a HTTP/1.1\r\nHost: app\r\nContent-Length: 5\r\n\r\nhello",
      "POST /b HTTP/1.1\r\nHost: app\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
      "POST /c HTTP/1.1\r\nHost: app\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
    ];
    for (const [index, request] of bodies.entries()) {
      for (const character of request) client.send(character);
      const connection = await app.connection(0);
      const body = request.slice(request.indexOf("\r\n\r\n"));
      await until(
        () => connection.received.endsWith(body),
        () => connection.received,
      );
      connection.socket.write(ok(`answer ${index}`));
      await client.receives(`answer ${index}`);
    }
    expect(app.connections).toHaveLength(1);
  });

  test("pipelined requests are answered in order, however slow the first", async () => {
    const { port, app } = await front(mode);
    const client = new Client(port).send(
      "GET /1 HTTP/1.1\r\nHost: app\r\n\r\nPOST /2 HTTP/1.1\r\nHost: app\r\nContent-Length: 2\r\n\r\nab" +
        "GET /3 HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\nGET /never HTTP/1.1\r\nHost: app\r\n\r\n",
    );
    const connection = await app.connection(0);
    await connection.receives("GET /1 ");
    expect(connection.received).not.toContain("/2");
    connection.socket.write(ok("first"));
    await connection.receives("\r\n\r\nab");
    connection.socket.write(ok("second"));
    await connection.receives("GET /3 ");
    connection.socket.write(ok("third"));
    expect(await client.ends()).toBe("end");
    expect(client.received.match(/first|second|third/g)).toEqual(["first", "second", "third"]);
    expect(connection.received).not.toContain("never");
  });

  test("an answer before the end of the request reaches the client; a short rest is read away", async () => {
    const { port, app } = await front(mode);
    const client = new Client(port).send("POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 10\r\n\r\nabc");
    const connection = await app.connection(0);
    await connection.receives("\r\n\r\nabc");
    connection.socket.write("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
    await client.receives("\r\n\r\nno");
    client.send(`defghij${GET}`);
    await (await app.connection(1)).receives("GET / ");
    expect(connection.received).not.toContain("defghij");
  });

  test("an upgraded connection is a tunnel that each side ends by itself", async () => {
    const { port, app } = await front(mode);
    const upgrade = "GET /chat HTTP/1.1\r\nHost: app\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    const client = new Client(port).send(`${upgrade}early`);
    const connection = await app.connection(0);
    const head = await connection.receives("\r\n\r\n");
    expect(head).toMatch(/\r\nUpgrade: websocket\r\n/);
    expect(head).toMatch(/\r\nConnection: Upgrade\r\n/i);
    expect(head).not.toContain("early");
    connection.socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhi");
    expect(await client.receives("\r\n\r\nhi")).toMatch(/\r\nUpgrade: websocket\r\n/);
    await connection.receives("early");
    client.socket.end("last");
    await until(() => connection.hasEnded);
    expect(connection.received.endsWith("earlylast")).toBe(true);
    connection.socket.write("still talking");
    await client.receives("still talking");
    connection.socket.end("bye");
    await until(() => client.hasEnded);
    expect(client.received.endsWith("still talkingbye")).toBe(true);
  });

  test("CONNECT is a tunnel once the app agrees", async () => {
    const { port, app } = await front(mode);
    const client = new Client(port).send("CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\n\r\n");
    const connection = await app.connection(0);
    expect(await connection.receives("\r\n\r\n")).toMatch(/^CONNECT db:5432 HTTP\/1.1\r\nHost: db:5432\r\n/);
    connection.socket.write("HTTP/1.1 200 OK\r\n\r\n");
    await client.receives("\r\n\r\n");
    client.send("ping");
    await connection.receives("ping");
    connection.socket.end("pong");
    await client.receives("pong");
    await until(() => client.hasEnded);
  });

  test("an upgrade that is refused is an answer like any other", async () => {
    const { port, app } = await front(mode);
    const client = new Client(port).send("GET / HTTP/1.1\r\nHost: app\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
    const connection = await app.connection(0);
    await connection.receives("\r\n\r\n");
    connection.socket.write(ok("no"));
    await client.receives("no");
    client.send(GET);
    await connection.receives("GET / HTTP/1.1\r\nHost: app\r\nx-forwarded");
  });

  test("426 says which protocol it asks for, also where the app forgets to say that it says so", async () => {
    const { port, app } = await front(mode);
    const client = new Client(port).send(GET);
    const connection = await app.connection(0);
    await connection.receives("\r\n\r\n");
    connection.socket.write(
      "HTTP/1.1 426 Upgrade Required\r\nUpgrade: foo/2, websocket\r\nConnection: upgrade\r\nContent-Length: 2\r\n\r\nno",
    );
    expect(await client.receives("\r\n\r\nno")).toMatch(/\r\nUpgrade: foo\/2, websocket\r\n/);
    expect(client.received).toContain("\r\nConnection: Upgrade\r\n");
    client.send(GET);
    await until(() => connection.received.split("\r\n\r\n").length > 2);
    connection.socket.write("HTTP/1.1 426 Upgrade Required\r\nUpgrade: chat\r\nContent-Length: 3\r\n\r\nnay");
    const again = (await client.receives("\r\n\r\nnay")).slice(client.received.lastIndexOf("HTTP/1.1 426"));
    expect(again).toBe(
      "HTTP/1.1 426 Upgrade Required\r\nUpgrade: chat\r\nContent-Length: 3\r\nConnection: Upgrade\r\n\r\nnay",
    );
  });

  test("other answers that advertise a protocol do not: it would be the next hop's to offer", async () => {
    const { port, app } = await front(mode);
    const client = new Client(port).send(GET);
    const connection = await app.connection(0);
    await connection.receives("\r\n\r\n");
    connection.socket.write(ok("hi", "Upgrade: h2,h2c\r\nConnection: Upgrade\r\n"));
    expect(await client.receives("\r\n\r\nhi")).toBe(ok("hi"));
  });

  test.each([
    ["another protocol than was asked for", "Upgrade: chat", "Upgrade: raw"],
    ["another version", "Upgrade: foo/2", "Upgrade: foo/3"],
    ["one that was asked for on top of one that was not", "Upgrade: websocket", "Upgrade: tls/1.3, websocket"],
    ["no protocol", "Upgrade: chat", "Upgrade: ,"],
    ["a protocol in a field that is not there", "Upgrade: chat", "X-Upgrade: chat"],
    ["HTTP/2, which is not offered", "Upgrade: h2c, chat", "Upgrade: h2c"],
  ])("101 that names %s is 502, and its connection is closed", async (_name, asked, confirmed) => {
    const { port, app } = await front(mode);
    const client = new Client(port).send(`GET / HTTP/1.1\r\nHost: app\r\nConnection: upgrade\r\n${asked}\r\n\r\n`);
    const connection = await app.connection(0);
    await connection.receives("\r\n\r\n");
    connection.socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n${confirmed}\r\n\r\nraw`);
    expect(await client.receives("unexpected-upgrade")).toMatch(/^HTTP\/1.1 502 .*x-weft-reason: bad-response\r\n/s);
    expect(client.received).not.toContain("raw");
    await until(() => connection.hasEnded || connection.isClosed);
  });

  test.each([
    ["in another case", "Upgrade: websocket", "Upgrade: WebSocket"],
    ["of a list", "Upgrade: foo/2, bar", "Upgrade: bar"],
    ["of two lines", "Upgrade: foo/2\r\nUpgrade: bar", "Upgrade: bar"],
    ["with its version", "Upgrade: foo/2, bar", "Upgrade: FOO/2"],
    ["without its version", "Upgrade: foo/2", "Upgrade: foo"],
    ["with a version where any was asked for", "Upgrade: foo", "Upgrade: foo/2"],
    ["on top of another", "Upgrade: websocket, tls/1.3", "Upgrade: tls/1.3, websocket"],
  ])("101 that names a protocol that was asked for, %s, is a tunnel", async (_name, asked, confirmed) => {
    const { port, app } = await front(mode);
    const client = new Client(port).send(`GET / HTTP/1.1\r\nHost: app\r\nConnection: upgrade\r\n${asked}\r\n\r\n`);
    const connection = await app.connection(0);
    await connection.receives("\r\n\r\n");
    connection.socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n${confirmed}\r\n\r\nraw`);
    expect(await client.receives("\r\n\r\nraw")).toContain(`\r\n${confirmed}\r\n`);
    client.send("up");
    await connection.receives("up");
  });

  test.each([
    ["before any byte of the answer", "", "HTTP/1.1 502 ", "upstream-reset"],
    ["inside the head", "HTTP/1.1 200 OK\r\nContent", "HTTP/1.1 502 ", "upstream-reset"],
  ])("an app that ends %s is 502", async (_name, bytes, status, reason) => {
    const { port, app } = await front(mode);
    const client = new Client(port).send("POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 0\r\n\r\n");
    const connection = await app.connection(0);
    await connection.receives("\r\n\r\n");
    connection.socket.end(bytes);
    expect(await client.receives(reason)).toContain(status);
  });

  test.each([
    ["a length body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "end"],
    ["a chunked body", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "end"],
    ["a length body, by a reset", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "reset"],
    ["a body until close, by a reset", "HTTP/1.1 200 OK\r\n\r\nhalf", "reset"],
    ["a broken chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nZZ\r\n", "stay"],
  ])(
    "an app that cuts %s makes the client's connection a reset, never a whole-looking answer",
    async (_name, bytes, how) => {
      const { port, app } = await front(mode);
      const client = new Client(port).send(GET);
      const connection = await app.connection(0);
      await connection.receives("\r\n\r\n");
      connection.socket.write(bytes);
      if (how !== "stay") await client.receives(bytes.slice(-4).trim());
      if (how === "end") connection.socket.end();
      if (how === "reset") connection.socket.resetAndDestroy();
      expect(await client.ends()).toBe("ECONNRESET");
    },
  );

  test("bytes behind an answer are no answer to the next request", async () => {
    const { port, app } = await front(mode);
    const client = new Client(port).send(GET);
    const connection = await app.connection(0);
    await connection.receives("\r\n\r\n");
    connection.socket.write(`${ok("first")}${ok("smuggled")}`);
    await client.receives("first");
    client.send(GET);
    const fresh = await app.connection(1);
    await fresh.receives("\r\n\r\n");
    fresh.socket.write(ok("second"));
    expect(await client.receives("second")).not.toContain("smuggled");
  });

  test("a client that goes away takes its request with it", async () => {
    const { port, app, path } = await front(mode, { halfClosedGraceMs: 50 });
    for (const how of ["reset", "end", "in the body"]) {
      const index = app.connections.length;
      const body = how === "in the body" ? "POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 9\r\n\r\nabc" : GET;
      const client = new Client(port).send(body);
      const connection = await app.connection(index);
      await connection.receives("\r\n\r\n");
      if (how === "reset") client.socket.resetAndDestroy();
      else client.socket.destroy();
      await until(
        () => connection.isClosed || connection.hasEnded,
        () => how,
      );
      connection.socket.destroy();
    }
    const counted = [...path.metrics.requests.cells.entries.values()].filter(
      ({ values }) => values[5] === "client-closed",
    );
    expect(counted.reduce((sum, { value }) => sum + value.value, 0)).toBe(3);
  });

  test("a client that ends in the middle of its next request is let go with the answer to the first", async () => {
    const { port, app, listener } = await front(mode);
    for (const rest of ["GET /cut HT", "POST /cut HTTP/1.1\r\nHost: app\r\nContent-Length: 9\r\n\r\nabc"]) {
      const client = new Client(port);
      client.socket.end(GET + rest);
      const connection = await app.connection(app.connections.length);
      await connection.receives("\r\n\r\n");
      connection.socket.write(ok("answered"));
      await client.receives("answered");
      await client.ends();
      client.socket.destroy();
      await until(() => listener.connectionCount === 0);
      connection.socket.destroy();
    }
  });

  test("a client that ends its side after the request still gets its answer", async () => {
    const { port, app } = await front(mode);
    const client = new Client(port);
    client.socket.end(GET);
    const connection = await app.connection(0);
    await connection.receives("\r\n\r\n");
    connection.socket.write(ok("answered"));
    expect(await client.ends()).toBe("end");
    expect(client.received).toContain("answered");
  });
});

test.each([
  ["garbage", "\u0000\u0001\u0002\u0003\r\n\r\n", 400, "bad-request"],
  ["TLS", "\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\r\n", 400, "bad-request"],
  ["a preface of HTTP/2 that is none", "PRI * HTTP/2.0\r\n\r\nSN\r\n\r\n", 505, "version-not-supported"],
  ["no host", "GET / HTTP/1.1\r\n\r\n", 400, "bad-request"],
  ["two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, "bad-request"],
  [
    "both framings",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    400,
    "bad-request",
  ],
  ["a long line", `GET /${"a".repeat(9_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, 414, "uri-too-long"],
  ["a long head", `GET / HTTP/1.1\r\nHost: a\r\nX: ${"a".repeat(70_000)}\r\n\r\n`, 431, "header-too-large"],
  ["a bad chunk", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400, "bad-request"],
])("%s is refused, counted, and the connection ends", async (_name, bytes, status, reason) => {
  const app = await startEndpoint();
  const { port, path } = await inboundRig(app.address);
  const answer = await exchangeBytes(port, `${bytes}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`);
  expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  expect(answer).toContain(`\r\nx-weft-reason: ${reason}\r\n`);
  expect(answer.match(/HTTP\/1.1 /g)).toHaveLength(1);
  expect(app.connections.map(({ received }) => received).join("")).not.toContain("smuggled");
  const counted = [...path.metrics.requests.cells.entries.values()].filter(({ values }) => values[5] === reason);
  expect(counted.map(({ value }) => value.value)).toEqual([1]);
});

test("an app that does not listen is 503 connect-failure, and so is none at all", async () => {
  const app = await startEndpoint();
  await app.stop();
  const gone = await inboundRig(app.address);
  expect(await exchangeBytes(gone.port, `${GET.slice(0, -2)}Connection: close\r\n\r\n`)).toMatch(
    /^HTTP\/1.1 503 [\s\S]*x-weft-reason: connect-failure/,
  );
  const none = await inboundRig(undefined);
  expect(await exchangeBytes(none.port, `${GET.slice(0, -2)}Connection: close\r\n\r\n`)).toContain("connect-failure");
});
