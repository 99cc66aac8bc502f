// What peers do to each other through a listener: interim responses, tunnels, early and late answers, injected heads,
// bodies that lie about their length. Raw bytes on both sides.
import { afterEach, describe, expect, it } from "vitest";
import {
  answering,
  Client,
  cleanUp,
  type Endpoint,
  exchangeBytes,
  inboundRig,
  ok,
  startEndpoint,
  until,
} from "../../sidecar/proxy/testing/rig.ts";

afterEach(cleanUp);

/** An inbound listener before an application that does nothing by itself, and a client. */
async function trio(): Promise<{ app: Endpoint; client: Client; port: number }> {
  const app = await startEndpoint();
  const { port } = await inboundRig(app.address);
  return { app, client: new Client(port), port };
}

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

describe("interim responses", () => {
  it("let a client wait for 100 before it sends its content", async () => {
    const { app, client } = await trio();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    const connection = await app.connection(0);
    await connection.receives("Expect: 100-continue\r\n");
    connection.socket.write("HTTP/1.1 100 Continue\r\nX-A: b\r\n\r\n");
    await client.receives("HTTP/1.1 100 Continue\r\nX-A: b\r\n\r\n");
    client.send("hello");
    await connection.receives("\r\n\r\nhello");
    connection.socket.write(ok("done"));
    await client.receives("\r\n\r\ndone");
  });

  it("need not come: the final answer may", async () => {
    const { app, client } = await trio();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    const connection = await app.connection(0);
    await connection.receives("\r\n\r\n");
    connection.socket.write("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
    await client.receives("HTTP/1.1 413 Too Large\r\n");
    expect(client.received).not.toContain("100 Continue");
  });

  it("103 goes on at once and as it came", async () => {
    const { app, client } = await trio();
    client.send(GET);
    const connection = await app.connection(0);
    await connection.receives("\r\n\r\n");
    connection.socket.write("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nlink: </b>\r\n\r\n");
    await client.receives("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nlink: </b>\r\n\r\n");
    connection.socket.write(ok("x"));
    await client.receives("\r\n\r\nx");
  });

  it("are not sent to a client of HTTP/1.0", async () => {
    const app = await answering(`HTTP/1.1 103 Hints\r\n\r\n${ok("x")}`);
    const { port } = await inboundRig(app.address);
    const received = await exchangeBytes(port, "GET / HTTP/1.0\r\n\r\n");
    expect(received.startsWith("HTTP/1.1 200 OK\r\n")).toBe(true);
  });
});

describe("a tunnel", () => {
  const UPGRADE = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
  const SWITCH = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

  it("carries bytes both ways, those sent too early too, and each half closes by itself", async () => {
    const { app, client } = await trio();
    client.send(`${UPGRADE}early`);
    const connection = await app.connection(0);
    await connection.receives("Upgrade: websocket\r\n");
    expect(connection.received.endsWith("\r\n\r\n")).toBe(true);
    connection.socket.write(`${SWITCH}first`, "latin1");
    await client.receives("\r\n\r\nfirst");
    await connection.receives("\r\n\r\nearly");
    client.socket.end("last\0GET / HTTP/1.1\r\n");
    await connection.receives("earlylast\0GET / HTTP/1.1\r\n");
    await until(() => connection.hasEnded);
    connection.socket.end("after the half close");
    await client.receives("after the half close");
    expect(await client.ends()).toBe("end");
  });

  it("is not there when the application answers otherwise: the next bytes are the next request", async () => {
    const app = await answering((request) => ok(request.slice(0, 6)));
    const { port } = await inboundRig(app.address);
    const client = new Client(port).send(`${UPGRADE}GET /2 HTTP/1.1\r\nHost: a\r\n\r\n`);
    await client.receives("GET /c");
    await client.receives("GET /2");
  });

  it("that CONNECT asked for is refused with the end of the connection: what came for it is no request", async () => {
    const app = await answering("HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n");
    for (const address of [app.address, undefined]) {
      const { port } = await inboundRig(address);
      const client = new Client(port).send(
        "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\nGET /inner HTTP/1.1\r\nHost: a\r\n\r\n",
      );
      expect(await client.ends()).toBe("end");
      expect(client.received.match(/HTTP\/1.1 /g)).toHaveLength(1);
      expect(client.received.toLowerCase()).toContain("\r\nconnection: close\r\n");
    }
    expect(app.connections.map(({ received }) => received).join("")).not.toContain("inner");
  });

  it("is refused when nobody asked for one", async () => {
    const app = await answering(`${SWITCH}HTTP/1.1 200 OK\r\n\r\n`);
    const { port } = await inboundRig(app.address);
    const received = await exchangeBytes(port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    expect(received).toMatch(/^HTTP\/1.1 502 [\s\S]*x-weft-reason: bad-response\r\n/);
    expect(received).not.toContain("101");
  });

  it("is not made by h2c: the application never sees the offer", async () => {
    const app = await answering(ok("plain"));
    const { port } = await inboundRig(app.address);
    const fields = "Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n";
    expect(await exchangeBytes(port, `GET / HTTP/1.1\r\nHost: a\r\n${fields}\r\n`)).toContain("plain");
    expect(app.connections[0]?.received.toLowerCase()).not.toMatch(/h2c|http2-settings|upgrade/);
  });
});

describe("HTTP/1.0", () => {
  it("a client gets chunks as bytes until close", async () => {
    const app = await answering(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\nX: y\r\n\r\n",
    );
    const { port } = await inboundRig(app.address);
    const received = await exchangeBytes(port, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    expect(received).toBe("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcde");
  });

  it("a client is told of no transfer coding, not even of content that does not come", async () => {
    const app = await answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    const { port } = await inboundRig(app.address);
    const received = await exchangeBytes(port, "HEAD / HTTP/1.0\r\n\r\n");
    expect(received).toBe("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
  });

  it("a client keeps its connection where the length is known", async () => {
    const app = await answering(ok("abc"));
    const { port } = await inboundRig(app.address);
    const client = new Client(port);
    for (let count = 1; count <= 2; count++) {
      client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
      await until(() => client.received.split("abc").length === count + 1);
    }
    expect(client.received).toContain("Connection: keep-alive\r\n");
  });

  it("a server's content until close becomes chunks for a client of HTTP/1.1", async () => {
    const app = await startEndpoint((connection) => {
      connection.socket.once("data", () => connection.socket.end("HTTP/1.0 200 OK\r\n\r\nhello"));
    });
    const { port } = await inboundRig(app.address);
    const client = new Client(port).send(GET);
    await client.receives("0\r\n\r\n");
    expect(client.received).toMatch(
      /^HTTP\/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n[\s\S]*\r\n5\r\nhello\r\n0\r\n\r\n$/,
    );
    expect(client.hasEnded).toBe(false);
  });
});

describe("an injected head", () => {
  it("behind an answer reaches nobody, and its connection is not used again", async () => {
    const app = await startEndpoint((connection) => {
      connection.socket.on("data", () => connection.socket.write(`${ok("mine")}${ok("evil")}`));
    });
    const { port } = await inboundRig(app.address);
    const client = new Client(port);
    for (let count = 1; count <= 3; count++) {
      client.send(GET);
      await until(() => client.received.split("mine").length === count + 1);
    }
    expect(client.received).not.toContain("evil");
    expect(app.connections).toHaveLength(3);
  });

  it("on a connection at rest is not the answer to the next request", async () => {
    const { app, client } = await trio();
    client.send(GET);
    const first = await app.connection(0);
    await first.receives("\r\n\r\n");
    first.socket.write(ok("mine"));
    await client.receives("mine");
    first.socket.write(ok("evil"));
    await until(() => first.isClosed || first.hasEnded);
    client.send(GET);
    const second = await app.connection(1);
    await second.receives("\r\n\r\n");
    second.socket.write(ok("yours"));
    await client.receives("yours");
    expect(client.received).not.toContain("evil");
  });

  it("before the request was sent whole ends that connection for others", async () => {
    const { app, client } = await trio();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
    const connection = await app.connection(0);
    await connection.receives("hello");
    connection.socket.write(ok("early"));
    await client.receives("early");
    client.send(`world${GET}`);
    const next = await app.connection(1);
    expect((await next.receives("\r\n\r\n")).startsWith("GET / HTTP/1.1\r\n")).toBe(true);
    expect(connection.received).not.toContain("GET");
  });
});

describe("a body that lies", () => {
  it("in chunks reaches the application cut, never whole", async () => {
    const { app, client } = await trio();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    const connection = await app.connection(0);
    await connection.receives("hello");
    client.send("5;\nX\r\n0\r\n\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n");
    await client.receives("HTTP/1.1 400 ");
    await until(() => connection.isClosed || connection.hasEnded);
    // The body alone: a request id at the end of the head may end with 0, too.
    const body = connection.received.slice(connection.received.indexOf("\r\n\r\n") + 4);
    expect(body).toBe("5\r\nhello\r\n");
    expect(connection.received).not.toContain("admin");
    expect(app.connections).toHaveLength(1);
  });

  it("by a client that goes away reaches the application cut", async () => {
    const { app, client } = await trio();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
    const connection = await app.connection(0);
    await connection.receives("hello");
    client.socket.resetAndDestroy();
    await until(() => connection.isClosed || connection.hasEnded);
    expect(connection.received.endsWith("hello")).toBe(true);
  });

  it.each([
    ["shorter than its length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"],
    ["with chunks that do not end", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"],
  ])("from the application, %s, ends in a reset", async (_, answer) => {
    const { app, client } = await trio();
    client.send(GET);
    const connection = await app.connection(0);
    await connection.receives("\r\n\r\n");
    connection.socket.write(answer);
    await client.receives("hello");
    connection.socket.end();
    expect(await client.ends()).toBe("ECONNRESET");
  });

  it("until close, when the connection breaks, does not end as if it were whole", async () => {
    const { app, client } = await trio();
    client.send(GET);
    const connection = await app.connection(0);
    await connection.receives("\r\n\r\n");
    connection.socket.write("HTTP/1.1 200 OK\r\n\r\nhello");
    await client.receives("hello");
    connection.socket.resetAndDestroy();
    expect(await client.ends()).toBe("ECONNRESET");
    expect(client.received).not.toContain("0\r\n\r\n");
  });
});

describe("pipelined requests", () => {
  it("are answered in order and end at the first that is refused", async () => {
    const app = await answering((request) => ok(`<${request.slice(4, 6)}>`));
    const { port } = await inboundRig(app.address);
    const bad = "GET /3 HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n";
    const request = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
    const received = await exchangeBytes(port, `${request("/1")}${request("/2")}${bad}${request("/4")}`);
    expect(received).toMatch(/<\/1>[\s\S]*<\/2>[\s\S]*HTTP\/1.1 400 /);
    expect(app.connections.map((connection) => connection.received).join("")).not.toMatch(/GET \/[34]/);
  });

  it("behind one that says close are not looked at", async () => {
    const app = await answering(ok("x"));
    const { port } = await inboundRig(app.address);
    const received = await exchangeBytes(port, `GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n${GET}`);
    expect(received.split("HTTP/1.1 ")).toHaveLength(2);
    expect(app.connections[0]?.received.split("GET ")).toHaveLength(2);
  });
});

describe("an answer", () => {
  it("that comes byte by byte is the same answer", async () => {
    const text = "HTTP/1.1 200 OK\r\nX-Case: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n";
    const { app, client } = await trio();
    client.send(GET);
    const connection = await app.connection(0);
    await connection.receives("\r\n\r\n");
    connection.socket.setNoDelay(true);
    for (const character of text) {
      connection.socket.write(character, "latin1");
      await new Promise(setImmediate);
    }
    await client.receives("X-T: 1\r\n\r\n");
    expect(client.received).toBe(text);
  });

  it("to HEAD has no content, and the next one is not taken for it", async () => {
    const app = await answering((request) =>
      request.startsWith("HEAD") ? "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" : ok("x"),
    );
    const { port } = await inboundRig(app.address);
    const client = new Client(port).send(`HEAD / HTTP/1.1\r\nHost: a\r\n\r\n${GET}`);
    await client.receives("\r\n\r\nx");
    expect(client.received).toContain("Content-Length: 500\r\n");
    expect(app.connections).toHaveLength(1);
  });
});
