// Active health: thresholds as a table, probes against real servers, the schedule on a clock that moves when told.
import { once } from "node:events";
import { createServer as createHttp } from "node:http";
import { createServer as createHttp2, type Http2Server, type ServerHttp2Stream } from "node:http2";
import { type AddressInfo, createServer as createTcp, type Server } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { systemClock } from "../../../runtime/clock.ts";
import { ManualClock } from "../../../runtime/manual-clock.ts";
import { seededRandom } from "../../../runtime/random.ts";
import { SocketBudget } from "../../../runtime/socket-budget.ts";
import { connectFromOwnPort, deadPort } from "../../../runtime/testing/own-port.ts";
import { ActiveHealth } from "./active-health.ts";
import { HealthChecker, type HealthCheckSettings, type ProbedHost } from "./health-checker.ts";
import { buildProbe, type ProbeKind } from "./probe.ts";

test.each([
  ["", "healthy"],
  ["x", "unprobed"],
  ["xx", "unprobed"],
  ["xxx", "unhealthy"],
  ["xx.xx", "healthy"],
  ["xxx.", "unhealthy"],
  ["xxx..", "healthy"],
  ["xxx.x.", "unhealthy"],
  ["..xxx", "unhealthy"],
])("after %j (. passed, x failed) an endpoint is %s", (results, expected) => {
  const health = new ActiveHealth();
  const thresholds = { unhealthyThreshold: 3, healthyThreshold: 2 };
  for (const result of results === "" ? "." : results) health.record(result === "x" ? "failed" : "", thresholds);
  expect(health.state).toBe(expected);
});

const servers: (Server | Http2Server)[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function targetOf(server: Server | Http2Server) {
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { host: "127.0.0.1", port: (server.address() as AddressInfo).port };
}

function probe(kind: ProbeKind, target: { host: string; port: number }, timeoutMs = 5_000): Promise<string> {
  return new Promise((resolve) => {
    buildProbe(kind, timeoutMs, systemClock)(target, resolve);
  });
}

const closed = { host: "127.0.0.1", port: 1 };

describe("an HTTP probe", () => {
  const kind = { type: "http", path: "/healthz?deep=1", host: "", expectedStatuses: [] } as const;

  test("asks for the path and passes on 2xx, or on what is expected", async () => {
    const asked: (string | undefined)[] = [];
    let status = 204;
    const target = await targetOf(
      createHttp((request, response) => {
        asked.push(request.url, request.headers.host);
        response.writeHead(status).end();
      }),
    );
    expect(await probe(kind, target)).toBe("");
    expect(await probe({ ...kind, host: "orders" }, target)).toBe("");
    expect(asked).toEqual(["/healthz?deep=1", `127.0.0.1:${target.port}`, "/healthz?deep=1", "orders"]);
    status = 503;
    expect(await probe(kind, target)).toBe("status 503");
    expect(await probe({ ...kind, expectedStatuses: [503] }, target)).toBe("");
  });

  test("fails when nothing listens, and when there is no answer in time", async () => {
    expect(await probe(kind, closed)).toMatch(/ECONNREFUSED/);
    const silent = await targetOf(createTcp((socket) => socket.on("error", () => {})));
    expect(await probe(kind, silent, 30)).toBe("no answer in 30 ms");
  });
});

test("a TCP probe passes when the connection is made", async () => {
  const target = await targetOf(createTcp((socket) => socket.end()));
  expect(await probe({ type: "tcp" }, target)).toBe("");
  expect(await probe({ type: "tcp" }, closed)).toMatch(/ECONNREFUSED/);
});

test.each([
  [1, ""],
  [2, "not SERVING"],
])("a gRPC probe of a service with status %i gives %j", async (status, expected) => {
  const asked: string[] = [];
  const server = createHttp2();
  server.on("stream", (stream: ServerHttp2Stream, headers) => {
    stream.on("data", (bytes: Buffer) => asked.push(`${headers[":path"]} ${bytes.subarray(7).toString()}`));
    stream.on("end", () => {
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end(Buffer.from([0, 0, 0, 0, 2, 8, status]));
    });
  });
  const target = await targetOf(server);
  expect(await probe({ type: "grpc", service: "shop.Orders" }, target)).toBe(expected);
  expect(asked).toEqual(["/grpc.health.v1.Health/Check shop.Orders"]);
});

describe("a gRPC probe reads an answer", () => {
  const OK = { "grpc-status": "0" };
  const SERVING = [8, 1];

  /** A frame of gRPC. */
  function framed(message: readonly number[], flags = 0): number[] {
    return [flags, 0, 0, 0, message.length, ...message];
  }

  /** @param pieces each leaves in a DATA frame of its own; none: the answer is its trailers */
  async function probeOf(pieces: readonly (readonly number[])[], fields = OK, status = 200): Promise<string> {
    const server = createHttp2();
    server.on("stream", (stream: ServerHttp2Stream) => {
      stream.on("error", () => {});
      const head = { ":status": status, "content-type": "application/grpc" };
      if (pieces.length === 0) return stream.respond({ ...head, ...fields }, { endStream: true });
      stream.respond(head, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers(fields));
      for (const piece of pieces) stream.write(Buffer.from(piece));
      stream.end();
    });
    return probe({ type: "grpc", service: "" }, await targetOf(server));
  }

  test.each<[string, readonly number[]]>([
    ["with an unknown number behind the status", [...SERVING, 0x10, 0x96, 0x01]],
    ["with an unknown text before it", [0x1a, 2, 0x61, 0x62, ...SERVING]],
    ["with unknown fields of fixed length", [0x11, 1, 2, 3, 4, 5, 6, 7, 8, ...SERVING, 0x1d, 1, 2, 3, 4]],
    ["with an unknown group", [0x13, 0x08, 2, 0x14, ...SERVING]],
    ["whose field 1 is a text, too, which is another one", [...SERVING, 0x0a, 1, 0x02]],
    ["whose status stands twice: the last one counts", [8, 2, ...SERVING]],
    ["whose number is written at length", [0x88, 0x00, 0x81, 0x80, 0x00]],
  ])("%s, as protobuf says", async (_name, message) => {
    expect(await probeOf([framed(message)])).toBe("");
  });

  test("that is cut at every byte", async () => {
    const answer = framed([0x1a, 2, 0x61, 0x62, ...SERVING]);
    for (let cut = 1; cut < answer.length; cut++)
      expect(await probeOf([answer.slice(0, cut), answer.slice(cut)])).toBe("");
    expect(await probeOf(answer.map((octet) => [octet]))).toBe("");
  });

  test.each<[string, readonly number[], string]>([
    ["of a status that is not SERVING", framed([8, 2]), "not SERVING"],
    ["that says SERVING first and something else last", framed([...SERVING, 8, 3]), "not SERVING"],
    ["without fields: UNKNOWN", framed([]), "not SERVING"],
    ["that is compressed, which nobody allowed", framed(SERVING, 1), "a compressed answer"],
    ["that is cut", framed(SERVING).slice(0, -1), "not one message"],
    ["without a message", [], "not one message"],
    ["of two messages", [...framed(SERVING), ...framed(SERVING)], "not one message"],
    ["that is no protobuf", framed([0x0f, 1]), "not a HealthCheckResponse"],
    ["whose field is cut", framed([...SERVING, 0x1a, 9]), "not a HealthCheckResponse"],
    ["whose number does not end", framed([8, ...new Array<number>(10).fill(0x80), 0]), "not a HealthCheckResponse"],
    ["whose group is ended by another", framed([...SERVING, 0x13, 0x1c]), "not a HealthCheckResponse"],
    ["whose group does not end", framed([...SERVING, 0x13, 0x10, 1]), "not a HealthCheckResponse"],
    ["with field 0", framed([...SERVING, 0, 1]), "not a HealthCheckResponse"],
  ])("%s as a failure", async (_name, answer, error) => {
    expect(await probeOf([answer])).toBe(error);
  });

  test("of more than anybody sends, however it begins, as a failure", async () => {
    const error = "an answer of more than 1024 bytes";
    expect(await probeOf([framed(SERVING), new Array<number>(1_018).fill(0)])).toBe(error);
    expect(await probeOf([framed(SERVING), new Array<number>(1_017).fill(0)])).toBe("not one message");
  });

  test("whose call failed, with or without a message, as a failure", async () => {
    expect(await probeOf([], { "grpc-status": "12" })).toBe("grpc-status 12");
    expect(await probeOf([framed(SERVING)], { "grpc-status": "14" })).toBe("grpc-status 14");
    expect(await probeOf([framed(SERVING)], {} as typeof OK)).toBe("no grpc-status");
    expect(await probeOf([[]], {} as typeof OK, 503)).toBe("status 503");
  });
});

test("a gRPC probe of an endpoint that closes the connection, or does not speak HTTP/2, fails", async () => {
  const closing = await targetOf(createTcp((socket) => socket.end()));
  expect(await probe({ type: "grpc", service: "" }, closing)).not.toBe("");
  const http1 = await targetOf(createHttp((_request, response) => response.end("ok")));
  expect(await probe({ type: "grpc", service: "" }, http1)).not.toBe("");
});

test("a gRPC probe fails when nothing listens", async () => {
  expect(await probe({ type: "grpc", service: "" }, closed)).toMatch(/ECONNREFUSED/);
});

test("a TCP probe that met itself fails", async () => {
  const port = await deadPort();
  const end = connectFromOwnPort(port);
  expect(await probe({ type: "tcp" }, { host: "127.0.0.1", port })).toMatch(/ECONNREFUSED/);
  end();
});

describe("a checker", () => {
  const settings: HealthCheckSettings = {
    kind: { type: "tcp" },
    port: 0,
    intervalMs: 1_000,
    timeoutMs: 5_000,
    jitterPercent: 10,
    unhealthyThreshold: 2,
    healthyThreshold: 1,
  };
  const unbounded = new SocketBudget(Number.POSITIVE_INFINITY);

  test("takes a socket of the budget for each probe, and sends none without", async () => {
    const asked: string[] = [];
    let wake = (): void => {};
    const clock = new ManualClock();
    const sockets = new SocketBudget(0);
    const target = await targetOf(createTcp((socket) => socket.on("error", () => {})));
    const silent = await targetOf(createTcp((socket) => socket.on("error", () => {})));
    const checker = new HealthChecker(settings, {
      clock,
      random: seededRandom(3),
      sockets,
      onChange: () => {},
      onProbe: (_, error) => {
        asked.push(error);
        wake();
      },
    });
    sockets.clients = sockets.socketsMax;
    checker.setHosts([{ target, active: new ActiveHealth() }]);
    clock.advance(5_000);
    expect(sockets.endpoints).toBe(0);
    sockets.clients = 0;
    const probed = new Promise<void>((resolve) => {
      wake = resolve;
    });
    clock.advance(1_100);
    expect(sockets.endpoints).toBe(1);
    await probed;
    expect([asked, sockets.endpoints]).toEqual([[""], 0]);
    checker.close();

    const http = { ...settings, kind: { type: "http", path: "/", host: "", expectedStatuses: [] } } as const;
    const tools = { clock, random: seededRandom(4), sockets, onChange: () => {}, onProbe: () => {} };
    const stopped = new HealthChecker(http, tools);
    stopped.setHosts([{ target: silent, active: new ActiveHealth() }]);
    clock.advance(100);
    expect(sockets.endpoints).toBe(1);
    stopped.close();
    expect(sockets.endpoints).toBe(0);
  });

  test("probes every endpoint until it leaves, finds it unhealthy and healthy again", async () => {
    const changes: string[] = [];
    let wake = (): void => {};
    let probes = 0;
    const clock = new ManualClock();
    const server = createTcp((socket) => socket.end());
    const target = await targetOf(server);
    const host: ProbedHost = { target, active: new ActiveHealth() };
    const checker = new HealthChecker(settings, {
      clock,
      random: seededRandom(1),
      sockets: unbounded,
      onChange: () => changes.push(host.active.state),
      onProbe: () => {
        probes++;
        wake();
      },
    });
    const nextProbe = async (): Promise<void> => {
      const probed = new Promise<void>((resolve) => {
        wake = resolve;
      });
      clock.advance(1_100);
      await probed;
    };
    checker.setHosts([host]);
    await nextProbe();
    expect(host.active.state).toBe("healthy");
    server.close();
    await nextProbe();
    await nextProbe();
    expect(changes).toEqual(["unhealthy"]);
    server.listen(target.port, "127.0.0.1");
    await once(server, "listening");
    await nextProbe();
    expect(changes).toEqual(["unhealthy", "healthy"]);
    checker.setHosts([]);
    clock.advance(60_000);
    expect(probes).toBe(4);
    expect(clock.pendingCount).toBe(0);
  });

  test("first probes are spread over a tenth of the interval, the others jittered", () => {
    const clock = new ManualClock();
    const checker = new HealthChecker(settings, {
      clock,
      random: seededRandom(2),
      sockets: unbounded,
      onChange: () => {},
      onProbe: () => {},
    });
    checker.setHosts(Array.from({ length: 20 }, () => ({ target: closed, active: new ActiveHealth() })));
    expect(clock.pendingCount).toBe(20);
    checker.close();
    expect(clock.pendingCount).toBe(0);
  });
});
