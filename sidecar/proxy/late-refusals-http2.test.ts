// Requests of HTTP/2 whose head is good and whose rest breaks a rule: the client is told, and so is the log.
import { afterEach, describe, expect, test } from "vitest";
import { ERROR } from "../http2/error-code.ts";
import { data, frame, headers, lastHeaders, OK, type Pair, uint32, windowUpdate } from "../http2/testing/frames.ts";
import { FRAME_TYPE, RawClient, rawEndpoint, request, serviceOf2 } from "./testing/raw-http2.ts";
import { cleanUp, endings, outboundRig, serviceOf, startEndpoint, until } from "./testing/rig.ts";

afterEach(cleanUp);

const END = 1;
const FIVE: Pair = ["content-length", "5"];
const TOO_MANY = Array.from({ length: 101 }, (_, index): Pair => [`x-${index}`, ""]);

/** What follows the head, and the rule that it breaks. */
const MALFORMED: readonly [what: string, length: readonly Pair[], rest: readonly Buffer[], detail: string][] = [
  ["content shorter than its length", [FIVE], [data(1, "c", END)], "content-length-differs"],
  ["content longer than its length", [FIVE], [data(1, "abcdef")], "content-length-differs"],
  ["trailers before all of its length", [FIVE], [lastHeaders(1, [["x-sum", "1"]])], "content-length-differs"],
  ["trailers of a bad name", [], [lastHeaders(1, [["X-Sum", "1"]])], "bad-field-name"],
  ["trailers of a bad value", [], [lastHeaders(1, [["x-sum", "a\r\nb: c"]])], "bad-field-value"],
  ["a field of the connection in trailers", [], [lastHeaders(1, [["connection", "close"]])], "connection-field"],
];

describe.each([
  ["h2c", async () => serviceOf2("h2c", (await rawEndpoint(() => {})).port)],
  ["http", async () => serviceOf("orders", (await startEndpoint()).address)],
])("to an endpoint of %s", (_protocol, startRules) => {
  test.each(MALFORMED)("%s: answered 400, reset, and recorded as that", async (_what, length, rest, detail) => {
    const rig = await outboundRig({ rules: await startRules() });
    const ended = endings(rig.path);
    const client = new RawClient(rig.port).send(headers(1, request("POST", ...length)), data(1, "ab"));
    await until(() => rig.path.metrics.requestsActive.cell("outbound").value === 1);
    const seen = await client.send(...rest).ends(1);
    expect(seen.fields).toMatchObject({ ":status": "400", "x-weft-reason": "bad-request" });
    expect(seen.body).toContain(detail);
    await until(() => seen.reset === ERROR.protocolError);
    expect(ended).toEqual(["400 bad-request"]);
    expect(rig.path.metrics.http2Refusals.cell("outbound", detail).value).toBe(1);
    expect(client.log.goawayCode).toBe(-1);
  });
});

test("trailers that are merely too large are answered 431, in order", async () => {
  const rig = await outboundRig({ rules: serviceOf2("h2c", (await rawEndpoint(() => {})).port) });
  const ended = endings(rig.path);
  const client = new RawClient(rig.port).send(headers(1, request("POST")), data(1, "ab"), lastHeaders(1, TOO_MANY));
  const seen = await client.ends(1);
  expect(seen.fields).toMatchObject({ ":status": "431", "x-weft-reason": "header-too-large" });
  expect(seen.isWhole).toBe(true);
  await until(() => seen.reset === ERROR.noError);
  expect(ended).toEqual(["431 header-too-large"]);
});

test("where an answer has begun, a reset with the rule's code ends both", async () => {
  const endpoint = await rawEndpoint(({ type, streamId }, socket) => {
    if (type === FRAME_TYPE.headers) socket.write(Buffer.concat([headers(streamId, OK), data(streamId, "half")]));
  });
  const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port) });
  const ended = endings(rig.path);
  const client = new RawClient(rig.port).send(headers(1, request("POST", FIVE)), data(1, "ab"));
  await until(() => client.log.stream(1).body === "half");
  expect(await client.send(data(1, "c", END)).ends(1)).toMatchObject({ isWhole: false, reset: ERROR.protocolError });
  await until(() => (endpoint.logs[0]?.stream(1).reset ?? -1) >= 0);
  expect(ended).toEqual(["200 bad-request"]);
});

/** Frames of stream 1 that are answered by a reset alone. */
const RESET_ONLY: readonly [detail: string, frames: readonly Buffer[]][] = [
  ["frame-after-half-close", [data(1, "c", END), data(1, "d")]],
  ["trailers-without-end", [headers(1, [["x-sum", "1"]])]],
  ["pseudo-field-in-trailers", [lastHeaders(1, [[":path", "/"]])]],
  ["zero-window-update", [windowUpdate(1, 0)]],
  ["window-overflow", [windowUpdate(1, 0x7fffffff)]],
  ["self-dependency", [frame(2, 0, 1, Buffer.concat([uint32(1), Buffer.from([0])]))]],
];

describe.each([
  ["before an answer", "400 bad-request", []],
  ["within an answer", "200 bad-request", [headers(1, OK), data(1, "half")]],
])(
  "a request that is reset for the rule that it breaks, %s, is not one whose client went away:",
  (_when, end, begun) => {
    test.each(RESET_ONLY)("%s", async (detail, frames) => {
      const endpoint = await rawEndpoint(({ type }, socket) => {
        if (type === FRAME_TYPE.headers && begun.length > 0) socket.write(Buffer.concat(begun));
      });
      const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port) });
      const ended: string[] = [];
      rig.path.observers.push({
        onExchange: (record) => void ended.push(`${record.status} ${record.reason}: ${record.detail}`),
      });
      const client = new RawClient(rig.port).send(headers(1, request("POST")), data(1, "ab"));
      await until(
        () =>
          endpoint.logs[0]?.stream(1).body === "ab" && client.log.stream(1).body === (begun.length > 0 ? "half" : ""),
      );
      expect((await client.send(...frames).ends(1)).reset).toBeGreaterThan(0);
      await until(() => ended.length > 0);
      expect(ended).toEqual([`${end}: ${detail}`]);
      expect(client.log.goawayCode).toBe(-1);
      await until(() => (endpoint.logs[0]?.stream(1).reset ?? -1) >= 0);
    });
  },
);

test("requests that end with their connection, for a rule that it breaks, say which", async () => {
  const endpoint = await rawEndpoint(() => {});
  const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port) });
  const ended: string[] = [];
  rig.path.observers.push({
    onExchange: (record) => void ended.push(`${record.status} ${record.reason}: ${record.detail}`),
  });
  const client = new RawClient(rig.port).get(1).get(3);
  await until(() => endpoint.logs[0]?.stream(3).isWhole === true);
  client.send(windowUpdate(0, 0));
  await until(() => ended.length === 2);
  expect(ended).toEqual(Array(2).fill("499 client-closed: the connection broke a rule: connection-zero-window-update"));
});
