// What happens between a read and the end of its turn, when requests and answers wait for their stages: nothing is lost,
// nothing is counted twice or as what it was not.
import { afterEach, expect, test } from "vitest";
import { lastHeaders, rst } from "../http2/testing/frames.ts";
import type { DataPath } from "./data-path.ts";
import { RawClient, request } from "./testing/raw-http2.ts";
import { answering, Client, cleanUp, endings, inboundRig, ok, until } from "./testing/rig.ts";

afterEach(cleanUp);

const REQUEST = "GET / HTTP/1.1\r\nHost: app\r\n\r\n";

/** Does this once, right behind the next read of a client that waits for the end of its turn. */
function behindRequest(path: DataPath, act: () => void): void {
  const { requests } = path.turn;
  const take = requests.take.bind(requests);
  requests.take = (reader, bytes, length) => {
    requests.take = take;
    const isTaken = take(reader, bytes, length);
    expect(isTaken).toBe(true);
    act();
    return isTaken;
  };
}

/** The same, when an answer has come and its exchange waits to be finished. */
function behindAnswer(path: DataPath, act: () => void): void {
  const { finish } = path.turn;
  const add = finish.add.bind(finish);
  finish.add = (exchange) => {
    finish.add = add;
    add(exchange);
    act();
  };
}

async function warm(port: number): Promise<Client> {
  const client = new Client(port).send(REQUEST);
  await client.receives("fine");
  client.received = "";
  return client;
}

test("a request that was read when a drain begins is answered, and told that its connection closes", async () => {
  const app = await answering(ok("fine"));
  const { port, listener, path } = await inboundRig(app.address);
  const client = await warm(port);
  let drained: Promise<void> | undefined;
  behindRequest(path, () => {
    drained = listener.drain(5_000);
  });
  client.send(REQUEST);
  expect(await client.receives("fine")).toMatch(/^HTTP\/1.1 200 [\s\S]*connection: close\r\n/i);
  expect(await client.ends()).toBe("end");
  client.socket.end();
  await drained;
});

test("a request that was read when its connection is cut is told why", async () => {
  const app = await answering(ok("fine"));
  const { port, listener, path } = await inboundRig(app.address);
  const seen = endings(path);
  const client = await warm(port);
  behindRequest(path, () => void listener.close());
  client.send(REQUEST);
  await client.ends();
  expect(client.received).toContain("x-weft-reason: draining");
  expect(seen).toEqual(["200 ", "503 draining"]);
  expect(path.metrics.requestsActive.cell("inbound").value).toBe(0);
});

test("an answer that is complete counts as what it is, though the connection is cut before its exchange is finished", async () => {
  const app = await answering(ok("fine"));
  const { port, listener, path } = await inboundRig(app.address);
  const seen = endings(path);
  const client = await warm(port);
  behindAnswer(path, () => void listener.close());
  client.send(REQUEST);
  await client.ends();
  expect(client.received).toMatch(/^HTTP\/1.1 200 [\s\S]*fine$/);
  expect(seen).toEqual(["200 ", "200 "]);
  expect(path.metrics.requestsActive.cell("inbound").value).toBe(0);
});

test("a client that ends its side behind its request gets the answer", async () => {
  const app = await answering(ok("fine"));
  const { port, path } = await inboundRig(app.address);
  const seen = endings(path);
  const client = await warm(port);
  client.send(REQUEST).socket.end();
  expect(await client.receives("fine")).toContain("HTTP/1.1 200 ");
  await client.ends();
  await until(() => seen.length === 2);
  expect(seen).toEqual(["200 ", "200 "]);
});

test("requests that come one after the other in one read are answered in their order", async () => {
  const app = await answering((request) => ok(request.slice(5, 6)));
  const { port, path } = await inboundRig(app.address);
  const seen = endings(path);
  const client = new Client(port);
  client.send(["a", "b", "c"].map((name) => REQUEST.replace("/", `/${name}`)).join(""));
  await client.receives("\r\n\r\nc");
  expect(client.received.replaceAll(/HTTP[\s\S]*?\r\n\r\n/g, "")).toBe("abc");
  await until(() => seen.length === 3);
  expect(path.metrics.requestsActive.cell("inbound").value).toBe(0);
});

test("a stream that is reset in the read that brought it goes nowhere, and its place serves the next", async () => {
  const app = await answering(ok("fine"));
  const { port, path } = await inboundRig(app.address);
  const seen = endings(path);
  const client = new RawClient(port);
  const head = request("GET");
  client.send(lastHeaders(1, head), rst(1, 8), lastHeaders(3, head), lastHeaders(5, head), rst(5, 8));
  expect((await client.ends(3)).body).toBe("fine");
  await until(() => seen.length === 3);
  expect(seen.toSorted()).toEqual(["200 ", "499 client-closed", "499 client-closed"]);
  expect(path.metrics.requestsActive.cell("inbound").value).toBe(0);
  expect(app.connections).toHaveLength(1);
});
