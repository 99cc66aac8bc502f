// Streams of HTTP/2 whose peer never opens its window: each is ended in its configured time, counted, and holds nothing
// after it, while others of the connection go on. Those that are only slow go on.
import type { Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import {
  CLIENT_START,
  data,
  headers,
  lastHeaders,
  OK,
  type Pair,
  SETTINGS_ACK,
  settings,
  windowUpdate,
} from "../http2/testing/frames.ts";
import {
  FRAME_TYPE,
  RawClient,
  type RawEndpoint,
  rawAnswering,
  rawEndpoint,
  request,
  serviceOf2,
} from "./testing/raw-http2.ts";
import { answering, Client, cleanUp, ok, outboundRig, type Rig, turns, until } from "./testing/rig.ts";

afterEach(cleanUp);

const END = 1;
const CANCEL = 8;
const ENHANCE_YOUR_CALM = 11;
/** Less than a stream's window of ours: endpoints send it without waiting. */
const LARGE = Buffer.alloc(250_000, "x");
/** A client whose streams get nothing until it says so; the connection's window is open. */
const SHUT = Buffer.concat([CLIENT_START.subarray(0, 24), settings([4, 0]), SETTINGS_ACK, windowUpdate(0, 2 ** 30)]);
const ACCEPTING = Buffer.concat([settings([4, 2 ** 20]), SETTINGS_ACK, windowUpdate(0, 2 ** 30)]);

function idle(after: string): string {
  return `
apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: orders }
spec: { targetRef: { kind: Service, name: orders }, timeout: { idle: ${after} } }
`;
}

/** Content in frames that a peer takes without a word. */
function content(id: number, bytes: Buffer, flags = END): Buffer[] {
  const frames: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += 16_384) {
    const part = bytes.subarray(at, at + 16_384);
    frames.push(data(id, part, at + part.length === bytes.length ? flags : 0));
  }
  return frames;
}

const refusals = ({ path }: Rig, direction: string): number =>
  path.metrics.http2Refusals.cell(direction, "stalled-stream").value;

async function expectNothingHeld({ path }: Rig): Promise<void> {
  await until(() => path.metrics.requestsActive.cell("outbound").value === 0);
  for (const { cluster } of path.snapshots.current.services.values())
    for (const { activeRequests, streams } of cluster.states.values())
      await until(() => activeRequests === 0 && streams.activeCount === 0);
}

test("a client that reads none of its answers is cut off, though their heads need no window", async () => {
  const text = "x".repeat(16_000);
  const raw = await rawAnswering((id) => [lastHeaders(id, [...OK, ["x-text", text]])]);
  const rig = await outboundRig({ rules: serviceOf2("h2c", raw.port) });
  const client = new RawClient(rig.port);
  await until(() => client.log.frames.length > 0);
  client.socket.pause();
  const { http2Refusals, requestsActive } = rig.path.metrics;
  const refused = http2Refusals.cell("outbound", "unread-output");
  const active = requestsActive.cell("outbound");
  for (let sent = 1; sent < 10_000 && refused.value === 0; sent += 100) {
    for (let count = 0; count < 100; count++) client.get(2 * (sent + count) - 1);
    // No more are asked at a time than may be open.
    const areAnswered = () => (raw.logs[0]?.streams.size ?? 0) > sent + 99 && active.value === 0;
    await until(() => areAnswered() || refused.value > 0);
  }
  expect(refused.value).toBe(1);
  await expectNothingHeld(rig);
  // It was alone in that.
  expect((await new RawClient(rig.port).get(1).ends(1)).fields[":status"]).toBe("200");
});

describe("a client that never opens a stream's window", () => {
  const large = async (): Promise<{ port: number; raw?: RawEndpoint }> => {
    const raw = await rawAnswering((id) => [headers(id, OK), ...content(id, LARGE)]);
    return { port: raw.port, raw };
  };
  const endless = async (): Promise<{ port: number; raw?: RawEndpoint }> => {
    const raw = await rawAnswering((id) => [headers(id, OK), ...content(id, LARGE.subarray(0, 200_000), 0)]);
    return { port: raw.port, raw };
  };
  const ofHttp1 = async (): Promise<{ port: number; raw?: RawEndpoint }> => ({
    port: (await answering(ok(LARGE.toString("latin1")))).port,
  });

  test.each([
    ["an answer that is whole here, from an endpoint of HTTP/2", "h2c", large],
    ["an answer that is not, from an endpoint of HTTP/2", "h2c", endless],
    ["an answer of HTTP/1.1", "http", ofHttp1],
  ])("%s: CANCEL, counted, and its other streams go on", async (_what, protocol, start) => {
    const { port, raw } = await start();
    const rig = await outboundRig({ rules: `${serviceOf2(protocol, port)}${idle("150ms")}` });
    const client = new RawClient(rig.port, SHUT).get(1);
    client.get(3).send(windowUpdate(3, 2 ** 20));
    await until(() => client.log.stream(3).bytes >= 200_000);
    const stalled = await client.ends(1);
    expect(stalled).toMatchObject({ fields: { ":status": "200" }, bytes: 0, isWhole: false, reset: CANCEL });
    expect(refusals(rig, "outbound")).toBe(1);
    client.get(5).send(windowUpdate(5, 2 ** 20));
    await until(() => client.log.stream(5).bytes >= 200_000);
    expect(client.isClosed).toBe(false);
    client.socket.destroy();
    await expectNothingHeld(rig);
    // What the endpoint was still to send is not wanted any more.
    if (start === endless) await until(() => raw?.logs[0]?.stream(1).reset === CANCEL);
  });

  test("a call of gRPC: no status waits behind the messages for ever", async () => {
    const grpc: Pair[] = [...OK, ["content-type", "application/grpc"]];
    const endpoint = await rawAnswering((id) => [headers(id, grpc), ...content(id, LARGE, 0)]);
    const rig = await outboundRig({ rules: `${serviceOf2("grpc", endpoint.port)}${idle("500ms")}` });
    const client = new RawClient(rig.port, SHUT).get(1, ["content-type", "application/grpc"]);
    expect(await client.ends(1)).toMatchObject({ bytes: 0, reset: CANCEL });
    expect(refusals(rig, "outbound")).toBe(1);
    await expectNothingHeld(rig);
  });

  test("an answer of the mesh itself", async () => {
    const rig = await outboundRig({ limits: { streamIdleTimeoutMs: 50 } });
    const client = new RawClient(rig.port, SHUT).get(1);
    expect(await client.ends(1)).toMatchObject({ fields: { ":status": "404" }, bytes: 0, reset: CANCEL });
    expect(refusals(rig, "outbound")).toBe(1);
  });

  test("one that takes a little at a time is only slow", async () => {
    const endpoint = await rawAnswering((id) => [headers(id, OK), ...content(id, LARGE)]);
    const rig = await outboundRig({ rules: `${serviceOf2("h2c", endpoint.port)}${idle("1s")}` });
    const client = new RawClient(rig.port, SHUT).get(1);
    // Two and a half times the idle time, in steps of a fifth of it.
    for (let step = 1; step <= 12; step++) {
      await turns(200);
      client.send(windowUpdate(1, 10));
      await until(() => client.log.stream(1).bytes === step * 10);
    }
    client.send(windowUpdate(1, 2 ** 20));
    expect(await client.ends(1)).toMatchObject({ bytes: LARGE.length, isWhole: true, reset: -1 });
    expect(refusals(rig, "outbound")).toBe(0);
  });
});

describe("an endpoint that never opens a stream's window", () => {
  test("a request that waits for it: 504, the stream is given up, the others go on", async () => {
    const endpoint = await rawEndpoint(({ type, flags, streamId }, socket) => {
      if (type === FRAME_TYPE.headers && (flags & 1) === 1) socket.write(lastHeaders(streamId, OK));
    });
    const rig = await outboundRig({ rules: `${serviceOf2("h2c", endpoint.port)}${idle("100ms")}` });
    const client = new RawClient(rig.port).send(headers(1, request("POST")), ...content(1, LARGE.subarray(0, 120_000)));
    expect((await client.get(3).ends(3)).fields[":status"]).toBe("200");
    const { fields } = await client.ends(1);
    expect(fields).toMatchObject({ ":status": "504", "x-weft-reason": "stream-idle-timeout" });
    await until(() => endpoint.logs[0]?.stream(1).reset === CANCEL);
    expect((await client.get(5).ends(5)).fields[":status"]).toBe("200");
    expect(endpoint.logs).toHaveLength(1);
    await expectNothingHeld(rig);
  });

  test.each(["HTTP/2", "HTTP/1.1"])(
    "a request of %s of which it takes a little at a time goes on",
    async (protocol) => {
      let taken = 0;
      let socket: Socket | undefined;
      const endpoint = await rawEndpoint(({ type, flags, streamId, payload }, from) => {
        socket = from;
        if (type === FRAME_TYPE.data) taken += payload.length;
        if (type === FRAME_TYPE.data && (flags & 1) === 1) from.write(lastHeaders(streamId, OK));
      });
      const rig = await outboundRig({
        rules: `${serviceOf2("h2c", endpoint.port)}${idle("1s")}`,
        limits: { bodyIdleTimeoutMs: 1_000 },
      });
      const body = LARGE.subarray(0, 120_000);
      const head = "POST / HTTP/1.1\r\nhost: orders\r\ncontent-length: 120000\r\n\r\n";
      const status =
        protocol === "HTTP/2"
          ? new RawClient(rig.port)
              .send(headers(1, request("POST")), ...content(1, body))
              .ends(1)
              .then(({ fields }) => fields[":status"])
          : new Client(rig.port)
              .send(`${head}${body}`)
              .receives("\r\n")
              .then((line) => line.slice(9, 12));
      await until(() => taken === 65_535);
      for (let step = 1; step <= 12; step++) {
        await turns(200);
        socket?.write(Buffer.concat([windowUpdate(1, 10), windowUpdate(0, 10)]));
        await until(() => taken === 65_535 + step * 10);
      }
      socket?.write(Buffer.concat([windowUpdate(1, 2 ** 20), windowUpdate(0, 2 ** 20)]));
      expect(await status).toBe("200");
      expect(taken).toBe(120_000);
    },
  );

  /** Answers each request with its head, and takes what its windows say. */
  const early = (): Promise<RawEndpoint> =>
    rawEndpoint(({ type, streamId }, socket) => {
      if (type === FRAME_TYPE.headers) socket.write(Buffer.concat([lastHeaders(streamId, OK)]));
    });

  test("what is left of a request whose answer is complete: CANCEL, counted", async () => {
    const endpoint = await early();
    const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port), limits: { bodyIdleTimeoutMs: 100 } });
    const body = content(1, LARGE.subarray(0, 120_000));
    const client = new RawClient(rig.port).send(headers(1, request("POST")), ...body);
    expect((await client.ends(1)).fields[":status"]).toBe("200");
    await until(() => endpoint.logs[0]?.stream(1).reset === CANCEL);
    expect(endpoint.logs[0]?.stream(1).bytes).toBe(65_535);
    expect(refusals(rig, "endpoint")).toBeLessThanOrEqual(1);
    await expectNothingHeld(rig);
    expect((await client.get(3).ends(3)).fields[":status"]).toBe("200");
  });
});

test("many streams of one client that all stall are ended one by one, and nothing of them stays", async () => {
  const endpoint = await rawEndpoint(({ type, flags, streamId }, socket) => {
    if (type === FRAME_TYPE.headers && (flags & 1) === 1) {
      socket.write(headers(streamId, OK));
      socket.write(Buffer.concat(content(streamId, LARGE, 0)));
    }
  }, ACCEPTING);
  const rig = await outboundRig({ rules: `${serviceOf2("h2c", endpoint.port)}${idle("200ms")}` });
  const client = new RawClient(rig.port, SHUT);
  for (let id = 1; id < 41; id += 2) client.get(id);
  for (let id = 1; id < 41; id += 2) expect(await client.ends(id)).toMatchObject({ bytes: 0, reset: CANCEL });
  expect(refusals(rig, "outbound")).toBe(20);
  await expectNothingHeld(rig);
});

describe("a head that is not finished", () => {
  const beginning = headers(3, request("GET", ["x-long", "x".repeat(500)]), END);

  test.each([
    ["in the middle of HEADERS", beginning.subarray(0, 100)],
    ["before CONTINUATION", beginning],
  ])(
    "%s: GOAWAY with ENHANCE_YOUR_CALM in the time for heads, and what was answered stays so",
    async (_where, sent) => {
      const endpoint = await rawAnswering((id) => [headers(id, OK), data(id, "fine", END)]);
      const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port), limits: { headTimeoutMs: 100 } });
      const client = new RawClient(rig.port).get(1);
      expect((await client.ends(1)).body).toBe("fine");
      client.send(sent);
      await until(() => client.isClosed);
      expect([client.log.goawayCode, client.log.goawayText]).toEqual([ENHANCE_YOUR_CALM, "unfinished-head"]);
      expect(rig.path.metrics.http2Refusals.cell("outbound", "unfinished-head").value).toBe(1);
    },
  );

  test("its frames share its time", async () => {
    const headTimeoutMs = 1_000;
    const endpoint = await rawAnswering((id) => [headers(id, OK), data(id, "fine", END)]);
    const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port), limits: { headTimeoutMs } });
    const client = new RawClient(rig.port).get(1);
    await client.ends(1);
    const beganMs = rig.path.clock.now();
    client.send(beginning.subarray(0, 100));
    await turns(0.9 * headTimeoutMs);
    client.send(beginning.subarray(100));
    await until(() => client.isClosed);
    expect(client.log.goawayText).toBe("unfinished-head");
    expect(rig.path.clock.now() - beganMs).toBeLessThan(1.8 * headTimeoutMs);
  });

  test("many that are cut and finished are none of it", async () => {
    const endpoint = await rawAnswering((id) => [headers(id, OK), data(id, "fine", END)]);
    const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port), limits: { headTimeoutMs: 500 } });
    const client = new RawClient(rig.port);
    // Always something unfinished, for three times as long as one may be.
    let rest: Buffer = Buffer.alloc(0);
    for (let id = 1; id < 31; id += 2) {
      const whole = lastHeaders(id, request("GET"));
      client.send(rest, whole.subarray(0, 20));
      rest = whole.subarray(20);
      await turns(100);
    }
    client.send(rest);
    for (let id = 1; id < 31; id += 2) expect((await client.ends(id)).body).toBe("fine");
    expect(client.isClosed).toBe(false);
  });
});
