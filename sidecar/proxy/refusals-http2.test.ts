// Endpoints of HTTP/2 that take connections and refuse what is sent on them: when that speaks against them, and when not.
import type { Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import {
  data,
  goaway,
  headers,
  lastHeaders,
  OK,
  rst,
  SERVER_START,
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
import { Client, cleanUp, outboundRig, type Rig, until } from "./testing/rig.ts";

afterEach(cleanUp);

const END = 1;
const UPLOAD_BYTES = 64 * 1024 * 1024;
const SHUT = Buffer.concat([settings([3, 0]), SETTINGS_ACK]);

function policy(spec: string): string {
  return `
apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: orders }
spec: { targetRef: { kind: Service, name: orders }, ${spec} }
`;
}

const good = (): Promise<RawEndpoint> => rawAnswering((id) => [headers(id, OK), data(id, "good", END)]);

function isEjected({ path }: Rig, port: number): boolean {
  const states = path.snapshots.current.services.get("default/orders")?.cluster.states.values() ?? [];
  return [...states].some(({ target, outlier }) => target.port === port && outlier.isEjected);
}

/** How many requests came, on all connections. */
function requestsAt({ logs }: RawEndpoint): number {
  return logs.reduce((sum, log) => sum + log.frames.filter(({ type }) => type === FRAME_TYPE.headers).length, 0);
}

const REFUSING: readonly [what: string, start: () => Promise<RawEndpoint>][] = [
  ["RST_STREAM REFUSED_STREAM on each", () => rawAnswering((id) => [rst(id, 7)])],
  ["GOAWAY on each connection", () => rawAnswering(() => [goaway(0, 0)])],
  ["GOAWAY with an error on each connection", () => rawAnswering(() => [goaway(0, 11)])],
  ["SETTINGS_MAX_CONCURRENT_STREAMS 0", () => rawEndpoint(() => {}, SHUT)],
];

describe.each(REFUSING)("an endpoint that refuses everything: %s", (_what, start) => {
  test.each([
    ["without a policy of its own", 2, "loadBalancer: { algorithm: round-robin }"],
    [
      "by outlierDetection",
      3,
      "loadBalancer: { algorithm: round-robin }, outlierDetection: { consecutiveErrors: 3, baseEjectionTime: 60s }",
    ],
    [
      "by its consecutiveConnectFailures",
      4,
      "loadBalancer: { algorithm: round-robin }, outlierDetection: { consecutiveErrors: 0, consecutiveConnectFailures: 4 }",
    ],
  ])("is ejected %s after %i, and no request is lost, whatever its method", async (_policy, times, spec) => {
    const bad = await start();
    const fine = await good();
    const rules = `${serviceOf2("h2c", bad.port, fine.port)}${policy(`${spec}, connectionPool: { connectTimeout: 50ms }`)}`;
    const rig = await outboundRig({ rules });
    const client = new RawClient(rig.port);
    for (let id = 1; id < 41; id += 2) {
      client.send(headers(id, request("POST")), data(id, "body", END));
      expect(await client.ends(id)).toMatchObject({ fields: { ":status": "200" }, body: "good" });
    }
    expect(isEjected(rig, bad.port)).toBe(true);
    expect(isEjected(rig, fine.port)).toBe(false);
    expect(requestsAt(fine)).toBe(20);
    // Where no stream is allowed none was ever sent.
    expect(requestsAt(bad)).toBeLessThanOrEqual(times);
  });
});

describe("what does not speak against an endpoint", () => {
  test("refusals while it works on earlier requests: it has as many as it can take", async () => {
    let held: (() => void) | undefined;
    const busy = await rawAnswering((id, _index, socket: Socket) => {
      if (held !== undefined) return [rst(id, 7)];
      held = () => socket.write(Buffer.concat([headers(id, OK), data(id, "late", END)]));
      return [];
    });
    const fine = await good();
    const spec = "loadBalancer: { algorithm: round-robin }, outlierDetection: { consecutiveErrors: 2 }";
    const rig = await outboundRig({ rules: `${serviceOf2("h2c", busy.port, fine.port)}${policy(spec)}` });
    const client = new RawClient(rig.port);
    for (let id = 1; id < 5; id += 2) client.get(id);
    await until(() => held !== undefined);
    for (let id = 5; id < 45; id += 2) expect((await client.get(id).ends(id)).body).toBe("good");
    expect(requestsAt(busy)).toBeGreaterThan(8);
    expect(isEjected(rig, busy.port)).toBe(false);
    held?.();
    expect([(await client.ends(1)).body, (await client.ends(3)).body].sort()).toEqual(["good", "late"]);
  });

  test.each([
    ["all of them", 0],
    ["all but the first, which is answered", 1],
  ])("one GOAWAY that refuses many requests counts once: %s", async (_which, named) => {
    let opened = 0;
    const endpoint = await rawEndpoint(({ type, flags, streamId }, socket, log, connection) => {
      if (type !== FRAME_TYPE.headers || (flags & 1) === 0) return;
      if (connection > 0) return void socket.write(Buffer.concat([headers(streamId, OK), data(streamId, "anew", END)]));
      if (++opened < 6) return;
      const first = Math.min(...[...log.streams.keys()].filter((id) => id > 0));
      const answer = [headers(first, OK), data(first, "first", END)];
      socket.write(Buffer.concat([goaway(named === 0 ? 0 : first, 0), ...(named === 0 ? [] : answer)]));
    });
    const other = await good();
    const rules = `${serviceOf2("h2c", endpoint.port, other.port)}${policy(
      "outlierDetection: { consecutiveErrors: 2 }, loadBalancer: { algorithm: round-robin }",
    )}`;
    const rig = await outboundRig({ rules });
    const client = new RawClient(rig.port);
    for (let id = 1; id < 25; id += 2) client.get(id);
    const bodies: string[] = [];
    for (let id = 1; id < 25; id += 2) bodies.push((await client.ends(id)).body);
    expect(bodies.every((body) => ["good", "first", "anew"].includes(body))).toBe(true);
    expect(opened).toBe(6);
    expect(isEjected(rig, endpoint.port)).toBe(false);
  });

  test("refusals with answers between them", async () => {
    let seen = 0;
    const endpoint = await rawAnswering((id) =>
      seen++ % 2 === 0 ? [rst(id, 7)] : [headers(id, OK), data(id, "fine", END)],
    );
    const other = await good();
    const spec = "loadBalancer: { algorithm: round-robin }";
    const rig = await outboundRig({ rules: `${serviceOf2("h2c", endpoint.port, other.port)}${policy(spec)}` });
    const client = new RawClient(rig.port);
    for (let id = 1; id < 61; id += 2) expect((await client.get(id).ends(id)).fields[":status"]).toBe("200");
    expect(seen).toBeGreaterThan(10);
    expect(isEjected(rig, endpoint.port)).toBe(false);
  });
});

describe("an endpoint alone that allows no streams", () => {
  test("for good: those who wait are told after the time to connect, on one connection at a time", async () => {
    const endpoint = await rawEndpoint(() => {}, SHUT);
    const spec = "connectionPool: { connectTimeout: 40ms }, retry: { attempts: 0 }";
    const rig = await outboundRig({ rules: `${serviceOf2("h2c", endpoint.port)}${policy(spec)}` });
    const client = new RawClient(rig.port);
    for (let id = 1; id < 41; id += 2) client.get(id, ["x-weft-debug", "1"]);
    for (let id = 1; id < 41; id += 2) {
      const { fields, body } = await client.ends(id);
      expect(fields).toMatchObject({ ":status": "503", "x-weft-reason": "connect-failure" });
      expect(body).toContain("the endpoint allows no streams");
    }
    expect(endpoint.logs).toHaveLength(1);
    await until(() => endpoint.logs[0]?.goawayCode === 0);
    expect((await client.get(41).ends(41)).fields[":status"]).toBe("503");
    expect(endpoint.logs).toHaveLength(2);
    expect(requestsAt(endpoint)).toBe(0);
  });

  test("for a moment: those who wait are served", async () => {
    const endpoint = await rawEndpoint(({ type, flags, streamId }, socket) => {
      if (type === FRAME_TYPE.headers && (flags & 1) === 1)
        socket.write(Buffer.concat([headers(streamId, OK), data(streamId, "now", END)]));
    }, SHUT);
    const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port) });
    const client = new RawClient(rig.port);
    for (let id = 1; id < 21; id += 2) client.get(id);
    await until(() => endpoint.logs.length === 1);
    endpoint.connections[0]?.socket.write(settings([3, 0]));
    endpoint.connections[0]?.socket.write(settings([3, 4]));
    for (let id = 1; id < 21; id += 2) expect((await client.ends(id)).body).toBe("now");
  });
});

describe("an endpoint that takes connections and says nothing", () => {
  const quiet = "connectionPool: { keepAlive: { timeout: 60ms } }, loadBalancer: { algorithm: round-robin }";

  test("gets no requests: they go elsewhere, whatever their method, and it is ejected", async () => {
    const frozen = await rawEndpoint(() => {}, Buffer.alloc(0));
    const fine = await good();
    const rig = await outboundRig({ rules: `${serviceOf2("h2c", frozen.port, fine.port)}${policy(quiet)}` });
    const client = new RawClient(rig.port);
    for (let id = 1; id < 21; id += 2) {
      client.send(headers(id, request("POST")), data(id, "body", END));
      expect((await client.ends(id)).body).toBe("good");
    }
    expect(requestsAt(frozen)).toBe(0);
    expect(isEjected(rig, frozen.port)).toBe(true);
  });

  test("alone: 503 that says so", async () => {
    const frozen = await rawEndpoint(() => {}, Buffer.alloc(0));
    const rules = `${serviceOf2("h2c", frozen.port)}${policy(`${quiet}, retry: { attempts: 0 }`)}`;
    const client = new RawClient((await outboundRig({ rules })).port).get(1);
    expect((await client.ends(1)).body).toContain("no SETTINGS after 60 ms");
  });

  test("and stops reading in the middle of an upload: its place is free at once, whatever still waits for it", async () => {
    const endpoint = await rawEndpoint(({ type, flags, streamId }, socket, _log, connection) => {
      if (connection === 0 && type === FRAME_TYPE.headers) {
        socket.write(Buffer.concat([windowUpdate(0, 2 ** 30), windowUpdate(streamId, 2 ** 30)]));
        socket.pause();
      } else if (type === FRAME_TYPE.headers && (flags & 1) === 1) socket.write(lastHeaders(streamId, OK));
    });
    const spec =
      "connectionPool: { maxConnections: 1, keepAlive: { interval: 50ms, timeout: 100ms } }, retry: { attempts: 0 }";
    const rig = await outboundRig({ rules: `${serviceOf2("h2c", endpoint.port)}${policy(spec)}` });
    // More than sockets hold on the way.
    const upload = new Client(rig.port).send(
      `POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: ${UPLOAD_BYTES}\r\n\r\n`,
    );
    upload.socket.write(Buffer.alloc(UPLOAD_BYTES));
    expect(await upload.receives("did not answer PING")).toMatch(/^HTTP\/1.1 502 /);
    const begunMs = performance.now();
    expect((await new RawClient(rig.port).get(1).ends(1)).fields[":status"]).toBe("200");
    // The rest of what waited would have been given a minute.
    expect(performance.now() - begunMs).toBeLessThan(20_000);
  });

  test("in the middle of calls: those that may go elsewhere do, the others are told in time, and it is blamed", async () => {
    const fine = await good();
    let asked = 0;
    const freezing = await rawEndpoint(({ type, flags, streamId }, socket, log) => {
      if (type === FRAME_TYPE.ping && (flags & 1) === 0) asked++;
      if (type !== FRAME_TYPE.headers) return;
      if (log.streams.size <= 2) socket.write(lastHeaders(streamId, OK));
    }, SERVER_START);
    const spec =
      "connectionPool: { keepAlive: { interval: 40ms, timeout: 40ms } }, outlierDetection: { consecutiveErrors: 2, baseEjectionTime: 60s }, loadBalancer: { algorithm: round-robin }";
    const rig = await outboundRig({ rules: `${serviceOf2("h2c", freezing.port, fine.port)}${policy(spec)}` });
    const client = new RawClient(rig.port);
    // The first ones make the connections used: what follows is no race with the end of an idle one.
    for (const id of [1, 3]) expect((await client.get(id).ends(id)).fields[":status"]).toBe("200");
    for (let id = 5; id < 13; id += 2) client.send(lastHeaders(id, request(id < 9 ? "GET" : "POST")));
    const ends = [];
    for (let id = 5; id < 13; id += 2) ends.push(await client.ends(id));
    expect(asked).toBeGreaterThan(0);
    expect(ends.slice(0, 2).map(({ fields }) => fields[":status"])).toEqual(["200", "200"]);
    expect(
      ends
        .slice(2)
        .map(({ fields }) => fields[":status"])
        .sort(),
    ).toEqual(["200", "502"]);
    expect(ends.map(({ body }) => body).join()).toContain("did not answer PING");
    expect(isEjected(rig, freezing.port)).toBe(true);
  });
});
