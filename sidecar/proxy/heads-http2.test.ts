// Heads across protocols through the real ports: interim answers, hosts, cookies, targets, odd characters, sizes.
import { afterEach, describe, expect, test } from "vitest";
import { ERROR } from "../http2/error-code.ts";
import { HpackDecoder } from "../http2/hpack-decoder.ts";
import { FieldList } from "../http2/testing/field-list.ts";
import { block, data, END_HEADERS, frame, headers, lastHeaders, OK, type Pair } from "../http2/testing/frames.ts";
import { FRAME_TYPE, RawClient, rawAnswering, rawEndpoint, request, serviceOf2 } from "./testing/raw-http2.ts";
import {
  answering,
  Client,
  cleanUp,
  exchangeBytes,
  inboundRig,
  ok,
  outboundRig,
  type Rig,
  serviceOf,
  startEndpoint,
  until,
} from "./testing/rig.ts";

afterEach(cleanUp);

/** What is written down from now on of calls of gRPC: the record of each, and how many of each code. */
function codesOf({ path }: Rig): () => string[] {
  const records: string[] = [];
  path.observers.push({
    onExchange: ({ status, reason, grpcStatus }) => void records.push(`${status} ${reason} ${grpcStatus}`),
  });
  const counts = () =>
    [...path.metrics.grpcRequests.cells.entries.values()].map(({ value, values }) => `${value.value} ${values.at(-1)}`);
  return () => [...records, ...counts()];
}

const GET = "GET / HTTP/1.1\r\nHost: orders\r\nConnection: close\r\n\r\n";
const END = 1;

describe("answers before the final one", () => {
  test("100 and 103 of an endpoint of HTTP/2 reach clients of both, but not one of HTTP/1.0", async () => {
    const endpoint = await rawAnswering((id) => [
      headers(id, [
        [":status", "103"],
        ["link", "</a>"],
      ]),
      headers(id, OK),
      data(id, "x", END),
    ]);
    const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port) });
    expect(await exchangeBytes(rig.port, GET)).toMatch(/^HTTP\/1.1 103 [\s\S]*link: <\/a>\r\n\r\nHTTP\/1.1 200/i);
    expect(await exchangeBytes(rig.port, "GET / HTTP/1.0\r\nHost: orders\r\n\r\n")).toMatch(/^HTTP\/1.1 200/);
    expect(await new RawClient(rig.port).get(1).ends(1)).toMatchObject({ interim: ["103"], body: "x" });
  });

  test("expect: 100-continue of which an endpoint says nothing ends as its silence", async () => {
    const silent = await startEndpoint();
    const rig = await outboundRig({ rules: serviceOf("orders", silent.address), limits: { bodyIdleTimeoutMs: 200 } });
    const client = new RawClient(rig.port);
    client.send(headers(1, request("POST", ["content-length", "2"], ["expect", "100-continue"])));
    const { fields } = await client.ends(1);
    expect(fields).toMatchObject({ ":status": "504", "x-weft-reason": "stream-idle-timeout" });
    expect((await silent.connection(0)).received).toMatch(/expect: 100-continue\r\n/i);
  });

  test("expect: 100-continue both ways across protocols", async () => {
    const two = await rawEndpoint(({ type, flags, streamId }, socket) => {
      if (type === 1 && (flags & 1) === 0) socket.write(headers(streamId, [[":status", "100"]]));
      if (type === 0 && (flags & 1) === 1) socket.write(lastHeaders(streamId, OK));
    });
    const rig = await outboundRig({ rules: serviceOf2("h2c", two.port) });
    const client = new Client(rig.port).send(
      "POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n",
    );
    await client.receives("HTTP/1.1 100 ");
    expect(await client.send("ab").receives("HTTP/1.1 200 ")).toContain("100");

    const one = await startEndpoint(({ socket }) => {
      socket.on("data", (chunk: Buffer) =>
        socket.write(chunk.includes("100-continue") ? "HTTP/1.1 100 Continue\r\n\r\n" : ok("x")),
      );
    });
    const other = await outboundRig({ rules: serviceOf("orders", one.address) });
    const h2 = new RawClient(other.port).send(
      headers(1, request("POST", ["content-length", "2"], ["expect", "100-continue"])),
    );
    await until(() => h2.log.stream(1).interim.includes("100"));
    expect(await h2.send(data(1, "ab", END)).ends(1)).toMatchObject({ body: "x", fields: { ":status": "200" } });
  });
});

test("what 426 asks for has no place in HTTP/2, and the connection goes on (RFC 9113 section 8.2.2)", async () => {
  const one = await answering(
    "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 2\r\n\r\nno",
  );
  const rig = await outboundRig({ rules: serviceOf("orders", one.address) });
  const client = new RawClient(rig.port);
  for (const id of [1, 3]) {
    const { fields, body } = await client.get(id).ends(id);
    expect([fields[":status"], fields["upgrade"], fields["connection"], body]).toEqual([
      "426",
      undefined,
      undefined,
      "no",
    ]);
  }
});

test("trailers of HTTP/2 that must not be believed stay, as those of HTTP/1.1 do (RFC 9110 section 6.5.1)", async () => {
  const forged = ["authorization", "cookie", "content-type", "x-forwarded-for", "x-request-id", "expect", "via"];
  const last: readonly Pair[] = [["x-sum", "1"], ...forged.map((name): Pair => [name, "forged"])];
  const one = await startEndpoint(({ socket }) => {
    socket.on("data", (chunk: Buffer) => chunk.includes("\r\n0\r\n") && socket.write(ok("x")));
  });
  const rig = await outboundRig({ rules: serviceOf("orders", one.address) });
  await new RawClient(rig.port).send(headers(1, request("POST")), data(1, "abc"), lastHeaders(1, last)).ends(1);
  expect(one.connections[0]?.received).toMatch(/abc\r\n0\r\nx-sum: 1\r\n\r\n$/);

  const two = await rawAnswering((id) => [headers(id, OK), data(id, "abc"), lastHeaders(id, last)]);
  const other = await outboundRig({ rules: serviceOf2("h2c", two.port) });
  expect(await exchangeBytes(other.port, GET)).toMatch(/abc\r\n0\r\nx-sum: 1\r\n\r\n$/);
});

/** What the first head of a peer marks as never to be entered into a table. */
function secretsOf(frames: readonly { readonly type: number; readonly payload: Buffer }[]): string[] {
  const list = new FieldList();
  const payload = frames.find(({ type }) => type === FRAME_TYPE.headers)?.payload ?? Buffer.alloc(0);
  new HpackDecoder(4096).decode(payload, 0, payload.length, list);
  return list.sensitive;
}

describe("heads", () => {
  test("a field that may never enter a table stays so on its way, both ways (RFC 7541 section 7.1.3)", async () => {
    const secret = Buffer.concat([
      Buffer.from([0x10, 8]),
      Buffer.from("x-secret"),
      Buffer.from([5]),
      Buffer.from("12345"),
    ]);
    const endpoint = await rawAnswering((id) => [frame(1, END_HEADERS | END, id, Buffer.concat([block(OK), secret]))]);
    const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port) });
    const client = new RawClient(rig.port);
    client.send(frame(1, END_HEADERS | END, 1, Buffer.concat([block(request("GET")), secret])));
    expect((await client.ends(1)).fields["x-secret"]).toBe("12345");
    expect(secretsOf(endpoint.logs[0]?.frames ?? [])).toEqual(["x-secret"]);
    expect(secretsOf(client.log.frames)).toEqual(["x-secret"]);
  });

  test("host alone, both, crumbs of cookies, OPTIONS *: as HTTP/1.1 says them", async () => {
    const endpoint = await answering(ok("x"));
    const rig = await outboundRig({ rules: serviceOf("orders", endpoint.address) });
    const client = new RawClient(rig.port);
    const bare = request("GET").filter(([name]) => name !== ":authority");
    client.send(lastHeaders(1, [...bare, ["host", "orders"], ["cookie", "a=1"], ["x-a", "1"], ["cookie", "b=2"]]));
    expect((await client.ends(1)).fields[":status"]).toBe("200");
    const first = endpoint.connections[0]?.received ?? "";
    expect(first).toContain("cookie: a=1; b=2\r\n");
    expect(first.match(/^host:/gim)).toHaveLength(1);
    client.send(lastHeaders(3, request("GET", ["host", "orders"])));
    expect((await client.ends(3)).fields[":status"]).toBe("200");
    client.send(lastHeaders(5, request("OPTIONS", [":path", "*"])));
    expect((await client.ends(5)).fields[":status"]).toBe("200");
    expect(endpoint.connections[0]?.received).toContain("OPTIONS * HTTP/1.1\r\n");
    client.send(lastHeaders(7, bare));
    expect((await client.ends(7)).fields[":status"]).toBe("400");
  });

  test("targets and fields of HTTP/1.1 as HTTP/2 says them", async () => {
    const endpoint = await rawAnswering((id) => [headers(id, OK), data(id, "x", END)]);
    const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port) });
    const ask = async (target: string, method = "GET"): Promise<Record<string, string> | undefined> => {
      const answer = await exchangeBytes(
        rig.port,
        `${method} ${target} HTTP/1.1\r\nHost: orders\r\nConnection: close, x-mine\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nTE: trailers, gzip\r\n\r\n`,
      );
      expect(answer).toMatch(/^HTTP\/1.1 200 /);
      return [...(endpoint.logs[0]?.streams.values() ?? [])].at(-1)?.fields;
    };
    expect(await ask("http://orders/a?b")).toMatchObject({ ":path": "/a?b", ":authority": "orders", te: "trailers" });
    expect(await ask("http://orders")).toMatchObject({ ":path": "/" });
    expect(await ask("http://orders?x=1")).toMatchObject({ ":path": "/?x=1" });
    expect(await ask("*", "OPTIONS")).toMatchObject({ ":path": "*" });
    const fields = await ask("//a//b/../c");
    expect(fields).toMatchObject({ ":path": "//a//b/../c" });
    for (const name of ["connection", "x-mine", "keep-alive", "host"]) expect(fields).not.toHaveProperty(name);
  });

  test("what one protocol takes in a path the other takes as well", async () => {
    const endpoint = await answering(ok("x"));
    const two = await rawAnswering((id) => [lastHeaders(id, OK)]);
    const rig = await outboundRig({ rules: serviceOf("orders", endpoint.address) });
    const rig2 = await outboundRig({ rules: serviceOf2("h2c", two.port) });
    for (const character of "\"<>[]{}|^`\\'()!$&,;=@:%~\x80\xff\x7f\x01 \t#") {
      const status = (await new RawClient(rig.port).get(1, [":path", `/a${character}b`]).ends(1)).fields[":status"];
      const answer = await exchangeBytes(
        rig2.port,
        `GET /a${character}b HTTP/1.1\r\nHost: orders\r\nConnection: close\r\n\r\n`,
      );
      expect([character, status]).toEqual([character, answer.slice(9, 12)]);
    }
  });

  test("malformed: told why, then reset with PROTOCOL_ERROR, and the connection goes on", async () => {
    const endpoint = await answering(ok("x"));
    const rig = await outboundRig({ rules: serviceOf("orders", endpoint.address) });
    const client = new RawClient(rig.port);
    const malformed: readonly (readonly Pair[])[] = [
      request("GET", ["X-Upper", "1"]),
      request("GET", ["connection", "close"]),
      request("GET", ["te", "gzip"]),
      [...request("GET"), [":path", "/late"]],
      request("GET").filter(([name]) => name !== ":path"),
    ];
    for (const [index, fields] of malformed.entries()) {
      const id = index * 2 + 1;
      const ended = await client.send(lastHeaders(id, fields)).ends(id);
      expect(ended.fields[":status"], fields.join()).toBe("400");
      expect(ended).toMatchObject({ isWhole: false, reset: ERROR.protocolError });
      expect(ended.body).not.toBe("");
    }
    expect((await client.get(21).ends(21)).fields[":status"]).toBe("200");
    expect(endpoint.connections).toHaveLength(1);
  });

  test("too large: 431, and the connection goes on", async () => {
    const endpoint = await answering(ok("x"));
    const rig = await outboundRig({ rules: serviceOf("orders", endpoint.address) });
    const client = new RawClient(rig.port);
    const fields = Array.from({ length: 99 }, (_, index): Pair => [`x-${index}`, "v".repeat(100)]);
    expect((await client.get(1, ...fields, ["x-more", "1"], ["x-most", "1"]).ends(1)).fields[":status"]).toBe("431");
    expect(
      (await client.get(3, ["x-large", "v".repeat(12_000)], ["y-large", "v".repeat(3_000)]).ends(3)).fields[":status"],
    ).toBe("200");
    expect((await client.get(5).ends(5)).fields[":status"]).toBe("200");
    const inbound = await inboundRig(endpoint.address);
    expect((await new RawClient(inbound.port).get(1).ends(1)).fields[":status"]).toBe("200");
  });

  test.each([
    ["more fields than HTTP/2 takes", 120],
    ["one more than HTTP/1.1 takes", 99],
  ])("a call of gRPC that is too large is told in gRPC's terms: %s", async (_what, count) => {
    const rig = await outboundRig({ rules: serviceOf2("grpc", 1) });
    const codes = codesOf(rig);
    const client = new RawClient(rig.port);
    const metadata = Array.from({ length: count }, (_, index): Pair => [`x-${index}`, "v"]);
    client.send(headers(1, request("POST", ...metadata, ["content-type", "application/grpc+proto"])));
    const { fields, isWhole } = await client.ends(1);
    expect(fields).toMatchObject({ ":status": "200", "grpc-status": "8", "x-weft-reason": "header-too-large" });
    expect(fields["grpc-message"]).toContain("too-many-fields");
    expect(isWhole).toBe(true);
    expect(client.log.frames.some(({ type, flags }) => type === FRAME_TYPE.headers && (flags & END) === END)).toBe(
      true,
    );
    expect(codes()).toEqual(["431 header-too-large RESOURCE_EXHAUSTED", "1 RESOURCE_EXHAUSTED"]);
  });

  test.each([
    ["by what HTTP/2 forbids", ["connection", "close"]],
    ["by what HTTP/1.1 forbids", ["host", "a/b"]],
  ] satisfies [string, Pair][])(
    "a call of gRPC that is malformed %s has its code in records and figures",
    async (_what, field) => {
      const rig = await outboundRig({ rules: serviceOf2("grpc", 1) });
      const codes = codesOf(rig);
      const client = new RawClient(rig.port);
      client.send(headers(1, request("POST", ["content-type", "application/grpc"], field)));
      await client.ends(1);
      expect(codes()).toEqual(["400 bad-request INTERNAL", "1 INTERNAL"]);
    },
  );
});
