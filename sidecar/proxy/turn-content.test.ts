// Content that came in one read with its head waits until its request has taken the steps of its turn: none of it is lost,
// none goes to another request, and who does not want it leaves the connection as it was.
import { afterEach, expect, test } from "vitest";
import { data, END_STREAM, headers, lastHeaders, rst, windowUpdate } from "../http2/testing/frames.ts";
import type { DataPath } from "./data-path.ts";
import { RawClient, request } from "./testing/raw-http2.ts";
import {
  Client,
  cleanUp,
  type Endpoint,
  endings,
  inboundRig,
  ok,
  outboundRig,
  type Rig,
  serviceOf,
  startEndpoint,
  until,
} from "./testing/rig.ts";

afterEach(cleanUp);

/** An endpoint that answers content of known length with that content. */
function echoing(): Promise<Endpoint> {
  return startEndpoint((connection) => {
    let seen = 0;
    connection.socket.on("data", () => {
      for (;;) {
        const [head = "", length = "0"] =
          /^[\s\S]*?content-length: (\d+)[\s\S]*?\r\n\r\n/i.exec(connection.received.slice(seen)) ?? [];
        const end = seen + head.length + Number(length);
        if (head === "" || connection.received.length < end) return;
        connection.socket.write(ok(connection.received.slice(seen + head.length, end)), "latin1");
        seen = end;
      }
    });
  });
}

function post(content: string, path = "/"): string {
  return `POST ${path} HTTP/1.1\r\nHost: app\r\nContent-Length: ${content.length}\r\n\r\n${content}`;
}

/** How many requests let their content wait. */
function waits(path: DataPath): () => number {
  const { content } = path.turn;
  const add = content.add.bind(content);
  let count = 0;
  content.add = (item) => {
    count++;
    add(item);
  };
  return () => count;
}

/** A connection whose protocol is known: what it reads from now on waits for the end of its turn. */
async function known({ port }: Rig): Promise<Client> {
  const client = new Client(port).send(post("first"));
  await client.receives("\r\n\r\nfirst");
  client.received = "";
  return client;
}

async function known2({ port }: Rig): Promise<RawClient> {
  const client = new RawClient(port);
  client.send(headers(1, request("POST", ["content-length", "5"])), data(1, "first", END_STREAM));
  expect((await client.ends(1)).body).toBe("first");
  return client;
}

function isIdle(path: DataPath): void {
  expect(path.metrics.requestsActive.cell("inbound").value).toBe(0);
  expect(path.turn.content.isEmpty).toBe(true);
}

test("goes to the endpoint behind its head", async () => {
  const app = await echoing();
  const rig = await inboundRig(app.address);
  const count = waits(rig.path);
  const client = await known(rig);
  client.send(post("x".repeat(4000)));
  expect(await client.receives("x".repeat(4000))).toContain("HTTP/1.1 200 OK");
  expect(count()).toBe(1);
  client.send("POST / HTTP/1.1\r\nHost: app\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\nt: 1\r\n\r\n");
  expect(await (await app.connection(0)).receives("0\r\nt: 1\r\n\r\n")).toContain("3\r\none\r\n");
  expect(count()).toBe(2);
});

test("of many connections in one turn goes to each one's own request", async () => {
  const app = await echoing();
  const rig = await inboundRig(app.address);
  const count = waits(rig.path);
  const clients = await Promise.all(Array.from({ length: 40 }, () => known(rig)));
  for (let round = 0; round < 5; round++) {
    const bodies = clients.map((_, index) => `${round}-${index}-`.repeat(700));
    for (const [index, client] of clients.entries()) client.send(post(bodies[index] as string));
    for (const [index, client] of clients.entries()) await client.receives(`\r\n\r\n${bodies[index]}`);
    for (const client of clients) client.received = "";
  }
  expect(count()).toBe(200);
  isIdle(rig.path);
});

test("of requests one behind the other stays with its request", async () => {
  const rig = await inboundRig((await echoing()).address);
  const client = await known(rig);
  client.send(["one", "two", "three"].map((content) => post(content)).join(""));
  await client.receives("\r\n\r\nthree");
  expect(client.received.replaceAll(/HTTP[\s\S]*?\r\n\r\n/g, " ")).toBe(" one two three");
});

test("that ends in a later read goes on as it comes", async () => {
  const app = await echoing();
  const rig = await inboundRig(app.address);
  const client = await known(rig);
  client.send(post("to be continued").slice(0, -9));
  await (await app.connection(0)).receives("to be ");
  client.send("continued");
  await client.receives("\r\n\r\nto be continued");
});

test("of a client that ends its side behind it is answered", async () => {
  const rig = await inboundRig((await echoing()).address);
  const seen = endings(rig.path);
  const client = await known(rig);
  client.send(post("the last")).socket.end();
  await client.receives("\r\n\r\nthe last");
  expect(await client.ends()).toBe("end");
  await until(() => seen.length === 2);
  expect(seen).toEqual(["200 ", "200 "]);
});

test("that nobody wants is read away, and the connection serves on", async () => {
  const app = await echoing();
  const rig = await outboundRig({ rules: serviceOf("app", app.address) });
  const seen = endings(rig.path);
  const client = await known(rig);
  client.send(post("for nobody").replace("Host: app", "Host: nowhere") + post("for somebody"));
  expect(await client.receives("\r\n\r\nfor somebody")).toMatch(/^HTTP\/1.1 404 [\s\S]*HTTP\/1.1 200 /);
  await until(() => seen.length === 3);
  expect(seen.map((ending) => ending.slice(0, 3))).toEqual(["200", "404", "200"]);
});

test("that breaks a rule ends its request, and does not go to the endpoint as if it were whole", async () => {
  const app = await echoing();
  const rig = await inboundRig(app.address);
  const client = await known(rig);
  client.send("POST / HTTP/1.1\r\nHost: app\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nonexx0\r\n\r\n");
  expect(await client.receives("\r\n\r\n")).toContain("HTTP/1.1 400 ");
  await client.ends();
  expect(app.connections[0]?.received ?? "").not.toMatch(/\r\n0\r\n\r\n/);
  isIdle(rig.path);
});

test("of a connection that is cut before its turn ends goes nowhere", async () => {
  const app = await echoing();
  const rig = await inboundRig(app.address);
  const seen = endings(rig.path);
  const client = await known(rig);
  const { requests } = rig.path.turn;
  const take = requests.take.bind(requests);
  requests.take = (...read) => {
    requests.take = take;
    expect(take(...read)).toBe(true);
    void rig.listener.close();
    return true;
  };
  client.send(post("cut"));
  await client.ends();
  expect(client.received).toContain("x-weft-reason: draining");
  await until(() => seen.length === 2);
  expect(seen).toEqual(["200 ", "503 draining"]);
  expect(app.connections[0]?.received).not.toContain("cut");
  isIdle(rig.path);
});

test("in frames: one, several, and with trailers behind it", async () => {
  const app = await echoing();
  const rig = await inboundRig(app.address);
  const count = waits(rig.path);
  const client = await known2(rig);
  const head = request("POST", ["content-length", "6"]);
  client.send(headers(3, head), data(3, "onetwo", END_STREAM), headers(5, head), data(5, "one"), data(5, "two", 1));
  client.send(headers(7, head), data(7, "onetwo"), data(7, "", END_STREAM), headers(9, head), data(9, "onetwo"));
  client.send(lastHeaders(9, [["t", "1"]]));
  for (const id of [3, 5, 7, 9]) expect(await client.ends(id)).toMatchObject({ body: "onetwo", isWhole: true });
  expect(count()).toBe(5);
  isIdle(rig.path);
});

test("in frames of many streams, read at once and too much to be copied, goes to each one's own request", async () => {
  const app = await echoing();
  const rig = await inboundRig(app.address);
  const count = waits(rig.path);
  const client = await known2(rig);
  client.send(windowUpdate(0, 1 << 24));
  let id = 1;
  for (let round = 0; round < 4; round++) {
    const bodies = Array.from({ length: 40 }, (_, index) => `${round}-${index}-`.repeat(700 + 5 * index));
    const first = id + 2;
    const frames = bodies.flatMap((body) => {
      id += 2;
      return [headers(id, request("POST", ["content-length", String(body.length)])), data(id, body, END_STREAM)];
    });
    client.send(...frames);
    for (const [index, body] of bodies.entries()) expect((await client.ends(first + 2 * index)).body).toBe(body);
  }
  // All waited, with what came of their content in the same read.
  expect(count()).toBe(161);
  isIdle(rig.path);
});

test("in frames that come in later reads", async () => {
  const app = await echoing();
  const rig = await inboundRig(app.address);
  const client = await known2(rig);
  client.send(headers(3, request("POST", ["content-length", "6"])));
  await (await app.connection(0)).receives("content-length: 6");
  client.send(data(3, "one"));
  await (await app.connection(0)).receives("one");
  client.send(data(3, "two", END_STREAM));
  expect((await client.ends(3)).body).toBe("onetwo");
});

test("of a stream that is reset in the read that brought it goes nowhere", async () => {
  const app = await echoing();
  const rig = await inboundRig(app.address);
  const seen = endings(rig.path);
  const client = await known2(rig);
  const head = request("POST", ["content-length", "6"]);
  client.send(headers(3, head), data(3, "nobody", 1), rst(3, 8), headers(5, head), data(5, "onetwo", 1));
  expect((await client.ends(5)).body).toBe("onetwo");
  await until(() => seen.length === 3);
  expect(seen.toSorted()).toEqual(["200 ", "200 ", "499 client-closed"]);
  expect(app.connections[0]?.received).not.toContain("nobody");
  isIdle(rig.path);
});

test("of a stream that is answered without it is dropped, and the connection serves on", async () => {
  const app = await echoing();
  const rig = await outboundRig({ rules: serviceOf("app", app.address) });
  const client = new RawClient(rig.port);
  const to = (name: string) => request("POST", [":authority", name], ["content-length", "6"]);
  client.send(headers(1, to("app")), data(1, "onetwo", END_STREAM));
  await client.ends(1);
  client.send(headers(3, to("nowhere")), data(3, "nobody", END_STREAM), headers(5, to("app")), data(5, "onetwo", 1));
  expect((await client.ends(3)).fields[":status"]).toBe("404");
  expect(await client.ends(5)).toMatchObject({ body: "onetwo", isWhole: true });
});
