// Messages of HTTP/2 that break off, lie or go wrong on their way, either side: what the other side gets of it.
import type { Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { data, goaway, headers, lastHeaders, OK, rst, SETTINGS_ACK, settings } from "../http2/testing/frames.ts";
import { RawClient, rawAnswering, rawEndpoint, request, serviceOf2 } from "./testing/raw-http2.ts";
import { cleanUp, exchangeBytes, inboundRig, ok, outboundRig, serviceOf, startEndpoint, until } from "./testing/rig.ts";

afterEach(cleanUp);

const GET = "GET / HTTP/1.1\r\nHost: orders\r\nConnection: close\r\n\r\n";
const END = 1;

function cutNow(socket: Socket, last: Uint8Array = Buffer.alloc(0)): readonly Buffer[] {
  socket.end(last);
  return [];
}

describe("messages that HTTP/1.1 has no place for", () => {
  test("trailers behind a body of known length: a client of HTTP/1.1 gets the body and nothing behind it", async () => {
    const endpoint = await rawAnswering((id) => [
      headers(id, [...OK, ["content-length", "2"]]),
      data(id, "ok"),
      lastHeaders(id, [["x-last", "1"]]),
    ]);
    const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port) });
    expect(await exchangeBytes(rig.port, GET)).toMatch(/\r\n\r\nok$/);
  });

  test("trailers behind a request of known length: the endpoint gets the body and nothing behind it", async () => {
    const endpoint = await startEndpoint(({ socket }) => {
      socket.on("data", (chunk: Buffer) => {
        if (chunk.includes("ab")) socket.write(ok("x"));
      });
    });
    const rig = await outboundRig({ rules: serviceOf("orders", endpoint.address) });
    const client = new RawClient(rig.port).send(
      headers(1, request("POST", ["content-length", "2"])),
      data(1, "ab"),
      lastHeaders(1, [["x-last", "1"]]),
    );
    expect((await client.ends(1)).fields[":status"]).toBe("200");
    expect(endpoint.connections[0]?.received).toMatch(/\r\n\r\nab$/);
  });

  test("trailers behind a length of 0, and towards a client of HTTP/1.0", async () => {
    const endpoint = await rawAnswering((id, index) => [
      headers(id, index === 0 ? [...OK, ["content-length", "0"]] : OK),
      ...(index === 0 ? [] : [data(id, "ok")]),
      lastHeaders(id, [["x-last", "1"]]),
    ]);
    const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port) });
    expect(await exchangeBytes(rig.port, GET)).toMatch(/\r\n\r\n$/);
    expect(await exchangeBytes(rig.port, "GET / HTTP/1.0\r\nHost: orders\r\n\r\n")).toMatch(/\r\n\r\nok$/);
    expect(await exchangeBytes(rig.port, GET)).toMatch(/\r\n\r\n2\r\nok\r\n0\r\nx-last: 1\r\n\r\n$/);
  });

  test.each(["204", "304"])("content behind %s never reaches a client of HTTP/1.1", async (status) => {
    const endpoint = await rawAnswering((id) => [
      headers(id, [[":status", status]]),
      data(id, "HTTP/1.1 200 OK\r\n\r\n", END),
    ]);
    const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port) });
    const answer = await exchangeBytes(rig.port, GET);
    // The reset may overtake the head.
    expect(answer.match(/HTTP\/1.1/g)?.length ?? 0).toBeLessThanOrEqual(1);
    expect(answer).not.toContain("OK");
  });

  test("HEAD: neither content nor trailers behind the answer", async () => {
    const endpoint = await rawAnswering((id, index) =>
      index === 0
        ? [headers(id, [...OK, ["content-length", "5"]]), lastHeaders(id, [["x-last", "1"]])]
        : [headers(id, OK), data(id, "", END)],
    );
    const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port) });
    for (let index = 0; index < 2; index++)
      expect(await exchangeBytes(rig.port, GET.replace("GET", "HEAD"))).toMatch(/^HTTP\/1.1 200 [\s\S]*\r\n\r\n$/);
  });

  test("an answer shorter or longer than its length breaks off", async () => {
    const endpoint = await rawAnswering((id, index) => [
      headers(id, [...OK, ["content-length", "5"]]),
      data(id, index === 0 ? "ab" : "abcdefg", END),
    ]);
    const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port) });
    for (let index = 0; index < 2; index++) {
      const client = new RawClient(rig.port).get(1);
      expect(await client.ends(1)).toMatchObject({ reset: 2 });
      expect((await client.get(3).ends(3)).reset).toBe(2);
    }
  });

  test("a request shorter or longer than its length is reset, and the endpoint's is given up", async () => {
    const endpoint = await rawEndpoint(() => {});
    const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port) });
    const client = new RawClient(rig.port);
    client.send(headers(1, request("POST", ["content-length", "5"])), data(1, "ab"));
    await until(() => endpoint.logs[0]?.stream(1).body === "ab");
    client.send(data(1, "c", END));
    expect((await client.ends(1)).reset).toBe(1);
    await until(() => (endpoint.logs[0]?.stream(1).reset ?? -1) >= 0);
    expect(rig.path.metrics.requestsActive.cell("outbound").value).toBe(0);
  });
});

describe("endpoints that do not speak as they should", () => {
  test("HTTP/1.1 where HTTP/2 was asked for: 503 that says so, at once, and no request was sent", async () => {
    const endpoint = await startEndpoint(({ socket }) => {
      socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"));
    });
    const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port) });
    const answer = await exchangeBytes(rig.port, GET);
    expect(answer).toMatch(/^HTTP\/1.1 503 [\s\S]*the endpoint does not speak HTTP\/2/);
    for (const { received } of endpoint.connections) expect(received).not.toContain("orders");
  });

  test("nothing, not even SETTINGS: the request's own time ends it", async () => {
    const endpoint = await startEndpoint();
    const rules = `${serviceOf2("h2c", endpoint.port)}
apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: t }
spec: { targetRef: { kind: Service, name: orders }, timeout: { request: 100ms } }
`;
    const rig = await outboundRig({ rules });
    expect(await exchangeBytes(rig.port, GET)).toMatch(/^HTTP\/1.1 504 /);
  });

  test.each<[string, (id: number, socket: Socket) => readonly Buffer[]]>([
    ["before the head", (_, socket) => cutNow(socket)],
    ["within the head", (id, socket) => cutNow(socket, headers(id, OK).subarray(0, 12))],
  ])("an endpoint cut %s: 502", async (_where, cut) => {
    const endpoint = await rawAnswering((id, _index, socket) => cut(id, socket));
    const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port) });
    const client = new RawClient(rig.port).send(lastHeaders(1, request("POST")));
    expect((await client.ends(1)).fields).toMatchObject({ ":status": "502", "x-weft-reason": "upstream-reset" });
  });

  test.each<[string, (id: number) => Buffer]>([
    ["within its body", (id) => Buffer.concat([headers(id, OK), data(id, "part"), data(id, "cut").subarray(0, 10)])],
    [
      "within its trailers",
      (id) => Buffer.concat([headers(id, OK), data(id, "part"), lastHeaders(id, [["x", "1"]]).subarray(0, 10)]),
    ],
  ])(
    "an endpoint cut %s: INTERNAL_ERROR; a call of gRPC ends with a status; other streams go on",
    async (_where, frames) => {
      const endpoint = await rawEndpoint(({ type, streamId }, socket) => {
        if (type === 1) socket.end(frames(streamId));
      });
      const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port) });
      const client = new RawClient(rig.port).get(1);
      expect(await client.ends(1)).toMatchObject({ body: expect.stringMatching(/^part/), reset: 2, isWhole: false });
      client.get(3, ["content-type", "application/grpc"]);
      const call = await client.ends(3);
      expect(call).toMatchObject({
        isWhole: true,
        trailers: { "x-weft-reason": "upstream-reset", "grpc-status": "14" },
      });
      expect(client.isClosed).toBe(false);
      await until(() => rig.path.metrics.requestsActive.cell("outbound").value === 0);
    },
  );

  test.each([0, 1, 2, 3, 5, 8, 9, 11, 12, 13])(
    "RST_STREAM %i before the answer: 502, and it is not sent again",
    async (code) => {
      let requests = 0;
      const endpoint = await rawAnswering((id, index) => {
        requests++;
        return index === 0 ? [lastHeaders(id, OK)] : [rst(id, code)];
      });
      const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port) });
      const client = new RawClient(rig.port).get(1);
      await client.ends(1);
      expect((await client.send(lastHeaders(3, request("POST"))).ends(3)).fields[":status"]).toBe("502");
      expect(requests).toBe(2);
    },
  );

  test("a reset on a connection that served before is no race with its close: it counts against the endpoint", async () => {
    let requests = 0;
    const endpoint = await rawAnswering((id, index) => {
      requests++;
      return index === 0 ? [lastHeaders(id, OK)] : [rst(id, 2)];
    });
    const rules = `${serviceOf2("h2c", endpoint.port)}
apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: t }
spec: { targetRef: { kind: Service, name: orders }, retry: { attempts: 0 } }
`;
    const rig = await outboundRig({ rules });
    const client = new RawClient(rig.port).get(1);
    await client.ends(1);
    expect((await client.get(3).ends(3)).fields[":status"]).toBe("502");
    expect(requests).toBe(2);
  });

  test.each<[string, (id: number) => Buffer]>([
    ["REFUSED_STREAM", (id) => rst(id, 7)],
    ["GOAWAY below it", () => goaway(0, 0)],
    ["GOAWAY with an error below it", () => goaway(0, 11)],
  ])("%s: a POST with a body goes elsewhere, whole", async (_what, refusal) => {
    let refused = 0;
    const endpoint = await rawAnswering((id) => {
      if (refused++ === 0) return [refusal(id)];
      return [headers(id, OK), data(id, "done", END)];
    });
    const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port) });
    const client = new RawClient(rig.port).send(headers(1, request("POST")));
    await until(() => endpoint.logs[0]?.streams.has(1) === true);
    client.send(data(1, "body"), lastHeaders(1, [["x-last", "1"]]));
    expect(await client.ends(1)).toMatchObject({ fields: { ":status": "200" }, body: "done" });
    const log = endpoint.logs.at(-1);
    const last = [...(log?.streams.entries() ?? [])].filter(([id]) => id > 0).at(-1)?.[1];
    expect(last).toMatchObject({ body: "body", trailers: { "x-last": "1" } });
  });

  test.each<[string, (id: number) => Buffer]>([
    ["GOAWAY", () => goaway(0, 0)],
    ["RST_STREAM", (id) => rst(id, 7)],
  ])(
    "an app that refuses a call by %s gets it again from its own sidecar, whatever its method",
    async (_how, refuse) => {
      const app = await rawAnswering((id, index) => [index === 0 ? refuse(id) : lastHeaders(id, OK)]);
      const rig = await inboundRig(app.address);
      const client = new RawClient(rig.port).send(
        headers(1, request("POST", ["content-type", "application/grpc"])),
        data(1, "a message", END),
      );
      expect((await client.ends(1)).fields).toEqual(expect.objectContaining({ ":status": "200" }));
      const bodies = app.logs.flatMap((log) => [...log.streams.values()].map(({ body }) => body));
      expect(bodies.filter((body) => body !== "")).toEqual(["a message", "a message"]);
    },
  );

  test("refused for good: 503, after as many tries as the policy has", async () => {
    const endpoint = await rawAnswering((id) => [rst(id, 7)]);
    const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port) });
    expect((await new RawClient(rig.port).get(1).ends(1)).fields).toMatchObject({
      ":status": "503",
      "x-weft-reason": "refused-stream",
    });
  });

  test("one stream at a time, later fewer, then more: requests wait, none is lost", async () => {
    let open = 0;
    let most = 0;
    const held: (() => void)[] = [];
    const endpoint = await rawEndpoint(
      ({ type, flags, streamId }, socket) => {
        if (type !== 1 || (flags & 1) === 0) return;
        most = Math.max(most, ++open);
        held.push(() => {
          open--;
          socket.write(Buffer.concat([headers(streamId, OK), data(streamId, "x", END)]));
        });
      },
      Buffer.concat([settings([3, 2]), SETTINGS_ACK]),
    );
    const rules = `${serviceOf2("h2c", endpoint.port)}
apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: t }
spec: { targetRef: { kind: Service, name: orders }, connectionPool: { maxConnections: 1 } }
`;
    const rig = await outboundRig({ rules });
    const client = new RawClient(rig.port).get(1);
    await until(() => held.length === 1);
    for (let id = 3; id < 21; id += 2) client.get(id);
    await until(() => held.length === 2);
    endpoint.connections[0]?.socket.write(settings([3, 1]));
    for (const answer of held.splice(0)) answer();
    await until(() => held.length === 1);
    expect(most).toBe(2);
    endpoint.connections[0]?.socket.write(settings([3, 0]));
    for (const answer of held.splice(0)) answer();
    await until(() => [1, 3, 5].every((id) => client.log.stream(id).isWhole));
    expect(open).toBe(0);
    endpoint.connections[0]?.socket.write(settings([3, 100]));
    await until(() => held.length === 7);
    for (const answer of held.splice(0)) answer();
    for (let id = 1; id < 21; id += 2) expect((await client.ends(id)).fields[":status"]).toBe("200");
    expect(endpoint.connections).toHaveLength(1);
  });
});
