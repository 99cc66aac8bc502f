// What acts on requests, where HTTP/2 is spoken to endpoints: hedges, mirrors, fallbacks, many streams at a time.
import type { Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { ERROR } from "../http2/error-code.ts";
import { data, headers, lastHeaders, OK, rst } from "../http2/testing/frames.ts";
import {
  RawClient,
  type RawEndpoint,
  rawAnswering,
  rawEndpoint,
  request,
  type SeenStream,
  serviceOf2,
} from "./testing/raw-http2.ts";
import {
  answering,
  Client,
  cleanUp,
  exchangeBytes,
  inboundRig,
  ok,
  outboundRig,
  policy,
  REFUSING_ADDRESS,
  serviceOf,
  startEndpoint,
  until,
} from "./testing/rig.ts";

afterEach(cleanUp);

const END = 1;
const CHUNKED =
  "POST / HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Last: 1\r\n\r\n";

function named(name: string, endpoint: { port: number }): string {
  return serviceOf2("h2c", endpoint.port).replace("{ name: orders }", `{ name: ${name} }`);
}

function seenBy(endpoint: RawEndpoint): SeenStream[] {
  return endpoint.logs.flatMap((log) => [...log.streams.entries()].filter(([id]) => id > 0).map(([, seen]) => seen));
}

function fine(): Promise<RawEndpoint> {
  return rawAnswering((id) => [headers(id, OK), data(id, "fine", END)]);
}

test("a late answer is raced by a copy elsewhere, and the loser's stream is reset", async () => {
  const asked: [socket: Socket, id: number][] = [];
  const one = (): Promise<RawEndpoint> =>
    rawEndpoint(({ type, flags, streamId }, socket) => {
      if (type > 1 || (flags & 1) === 0) return;
      asked.push([socket, streamId]);
      if (asked.length >= 2) socket.write(Buffer.concat([headers(streamId, OK), data(streamId, "second", END)]));
    });
  const endpoints = [await one(), await one()];
  const rules =
    serviceOf2("h2c", ...endpoints.map(({ port }) => port)) +
    policy("orders", "loadBalancer: { algorithm: round-robin }, retry: { hedge: { after: 20ms } }");
  const rig = await outboundRig({ rules });
  const client = new RawClient(rig.port).send(headers(1, request("PUT", ["content-length", "2"])), data(1, "ab", END));
  expect((await client.ends(1)).body).toBe("second");
  const streams = endpoints.flatMap(seenBy);
  expect(streams.map(({ body }) => body)).toEqual(["ab", "ab"]);
  await until(() => streams.filter(({ reset }) => reset === 8).length === 1);
  expect((await client.get(3).ends(3)).reset === 0).toBe(false);
});

test("copies go to mirrors of either protocol, from clients of either", async () => {
  const ROUTE = (shadow: string): string => `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: orders }
spec:
  parentRefs: [{ group: "", kind: Service, name: orders }]
  rules:
    - filters: [{ type: RequestMirror, requestMirror: { backendRef: { name: ${shadow}, port: 80 } } }]
      backendRefs: [{ name: orders, port: 80 }]
---
`;
  const two = await fine();
  const one = await startEndpoint(({ socket }) => socket.on("data", () => socket.write(ok("x"))));
  const orders = await fine();
  const heard = (): string => one.connections.map(({ received }) => received).join("");
  const copiesOf = {
    two: () => seenBy(two).filter(({ isWhole }) => isWhole).length,
    one: () => [/\r\n\r\nab(?:POST|$)/, /\r\n0\r\nX-Last: 1\r\n\r\n/].filter((copy) => copy.test(heard())).length,
  };
  for (const [shadow, rules] of [
    ["two", named("two", two)],
    ["one", serviceOf("one", one.address)],
  ] as const) {
    const rig = await outboundRig({ rules: serviceOf2("h2c", orders.port) + rules + ROUTE(shadow) });
    const client = new RawClient(rig.port).send(
      headers(1, request("POST", [":authority", "orders:80"], ["content-length", "2"])),
      data(1, "ab"),
      lastHeaders(1, [["x-last", "1"]]),
    );
    expect((await client.ends(1)).body).toBe("fine");
    // One at a time: none is sent to an endpoint where another waits for its connection.
    await until(() => copiesOf[shadow]() === 1);
    expect(await exchangeBytes(rig.port, CHUNKED.replace("orders", "orders:80"))).toMatch(/^HTTP\/1.1 200 /);
    await until(
      () => copiesOf[shadow]() === 2,
      () => `two copies at ${shadow}: ${heard()}`,
    );
  }
  expect(seenBy(two).map(({ body, trailers }) => [body, trailers["x-last"]])).toEqual([
    ["ab", "1"],
    ["abcde", "1"],
  ]);
  expect(heard().split("POST")).toHaveLength(3);
});

test("a fallback speaks another protocol than the service: a chunked body comes whole", async () => {
  const two = await fine();
  const first = await outboundRig({
    rules:
      serviceOf("orders", REFUSING_ADDRESS) +
      named("spare", two) +
      policy("orders", "retry: { attempts: 0 }, fallback: { service: spare }"),
  });
  expect(await exchangeBytes(first.port, CHUNKED)).toMatch(/^HTTP\/1.1 200 [\s\S]*fine/);
  expect(seenBy(two)).toMatchObject([{ body: "abcde", trailers: { "x-last": "1" } }]);

  const one = await startEndpoint((connection) => {
    connection.socket.on("data", () => {
      if (connection.received.endsWith("\r\n0\r\n\r\n")) connection.socket.write(ok("one"));
    });
  });
  const refusing = await rawAnswering((id) => [rst(id, 7)]);
  const second = await outboundRig({
    rules:
      serviceOf2("h2c", refusing.port) +
      serviceOf("spare", one.address) +
      policy("orders", "retry: { attempts: 1 }, fallback: { service: spare }"),
  });
  const client = new RawClient(second.port).send(headers(1, request("POST")), data(1, "ab"), data(1, "", END));
  expect(await client.ends(1)).toMatchObject({ fields: { ":status": "200" }, body: "one" });
  expect(one.connections[0]?.received).toMatch(/\r\n\r\n2\r\nab\r\n0\r\n\r\n$/);
});

test("retries with a body across protocols: the second attempt gets all of it", async () => {
  let asked = 0;
  const endpoint = await rawAnswering((id) =>
    asked++ === 0 ? [lastHeaders(id, [[":status", "503"]])] : [headers(id, OK), data(id, "fine", END)],
  );
  const rig = await outboundRig({
    rules: serviceOf2("h2c", endpoint.port) + policy("orders", "retry: { attempts: 2, methods: [POST] }"),
  });
  expect(await exchangeBytes(rig.port, CHUNKED)).toMatch(/^HTTP\/1.1 200 [\s\S]*fine/);
  expect(seenBy(endpoint)).toMatchObject([
    { body: "abcde", trailers: { "x-last": "1" } },
    { body: "abcde", trailers: { "x-last": "1" } },
  ]);
});

test("thousands of streams on many connections: all are answered on few connections, nothing stays", async () => {
  const endpoint = await fine();
  const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port) });
  const clients = Array.from({ length: 100 }, () => new RawClient(rig.port));
  for (const client of clients) for (let id = 1; id < 60; id += 2) client.get(id);
  for (const client of clients) for (let id = 1; id < 60; id += 2) expect((await client.ends(id)).body).toBe("fine");
  expect(endpoint.connections.length).toBeLessThan(40);
  for (const client of clients) client.socket.destroy();
  await until(() => rig.listener.connectionCount === 0);
  expect(rig.path.metrics.requestsActive.cell("outbound").value).toBe(0);
});

test("more streams than a client may have: those are refused, the others answered", async () => {
  const endpoint = await rawEndpoint(() => {});
  const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port) });
  const client = new RawClient(rig.port);
  for (let id = 1; id < 2 * 260; id += 2) client.get(id);
  expect((await client.ends(515)).reset).toBe(7);
  expect(client.isClosed).toBe(false);
  expect(client.log.stream(509).reset).toBe(-1);
});

test("a call of gRPC whose client speaks HTTP/1.1 keeps its connection whole", async () => {
  const endpoint = await rawAnswering((id) => [
    headers(id, [...OK, ["content-type", "application/grpc"]]),
    data(id, "part"),
    rst(id, 2),
  ]);
  const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port) });
  const client = new Client(rig.port).send(
    "POST / HTTP/1.1\r\nHost: orders\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\n\r\n",
  );
  expect(await client.ends()).toBe("ECONNRESET");
  expect(
    await exchangeBytes(
      (await outboundRig({ rules: serviceOf("orders", (await answering(ok("x"))).address) })).port,
      "GET / HTTP/1.0\r\nHost: orders\r\n\r\n",
    ),
  ).toContain("x");
});

test("a connection with few ids left for streams is left in time, and nobody waits (RFC 9113 section 5.1.1)", async () => {
  const endpoint = await rawAnswering((id) => [headers(id, OK), data(id, "x", END)]);
  const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port) });
  const client = new RawClient(rig.port);
  expect(await client.get(1).ends(1)).toMatchObject({ body: "x" });
  const states = rig.path.snapshots.current.services.get("default/orders")?.cluster.states.values() ?? [];
  const connection = [...states][0]?.streams.lease() as { requests: number };
  // It would have taken days.
  connection.requests = 2 ** 29 - 1;
  for (const id of [3, 5]) expect(await client.get(id).ends(id)).toMatchObject({ body: "x" });
  await until(() => endpoint.logs[0]?.goawayCode === ERROR.noError);
  expect(endpoint.logs.map(({ streams }) => [...streams.keys()].filter((id) => id > 0))).toEqual([[1, 3], [1]]);
});

test("a sidecar that drains under load says GOAWAY, the callers' sidecar moves on: no request is lost", async () => {
  const app = await startEndpoint(({ socket }) => {
    socket.on("data", (chunk: Buffer) => {
      if (chunk.includes("\r\n0\r\n\r\n")) socket.write(ok("fine"));
    });
  });
  const inbound = [await inboundRig(app.address), await inboundRig(app.address)];
  const ports = inbound.map(({ port }) => port);
  const rig = await outboundRig({ rules: serviceOf2("h2c", ...ports) });
  const client = new RawClient(rig.port);
  const first = inbound[0]?.listener;
  let isDrained = false;
  let id = 1;
  let pending: number[] = [];
  while (!isDrained || id < 400) {
    for (let count = 0; count < 4; count++, id += 2) {
      client.send(headers(id, request("POST")), data(id, "body", END));
      pending.push(id);
    }
    for (const each of pending) expect((await client.ends(each)).fields[":status"]).toBe("200");
    pending = [];
    if (id === 41) await first?.drain(8_000).then(() => (isDrained = true));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  expect(first?.connectionCount).toBe(0);
});
