// Streams of clients that end early: resets in every phase, errors of the sidecar itself, drains. One stream ends; its
// connection goes on, nothing is left behind, and the next request on it is clean.
import { afterEach, describe, expect, test, vi } from "vitest";
import { RequestDecoder } from "../http1/decoder.ts";
import {
  CLIENT_START,
  data,
  goaway,
  headers,
  lastHeaders,
  OK,
  type Pair,
  rst,
  SETTINGS_ACK,
  settings,
} from "../http2/testing/frames.ts";
import { RequestRelay } from "./request-relay.ts";
import { ResponseRelay } from "./response-relay.ts";
import { RetryState } from "./retry-state.ts";
import { RawClient, rawAnswering, rawEndpoint, request, serviceOf2 } from "./testing/raw-http2.ts";
import {
  answering,
  Client,
  cleanUp,
  ok,
  outboundRig,
  REFUSING_ADDRESS,
  type Rig,
  serviceOf,
  startEndpoint,
  until,
} from "./testing/rig.ts";

afterEach(async () => {
  vi.restoreAllMocks();
  await cleanUp();
});

const END = 1;

/** What exchanges hold while they run is given back. */
async function expectNothingHeld({ path }: Rig): Promise<void> {
  const { metrics, snapshots } = path;
  const active = metrics.requestsActive.cell("outbound");
  await until(
    () => active.value === 0,
    () => `no active request, not ${active.value}`,
  );
  for (const { cluster } of snapshots.current.services.values()) {
    expect(cluster.state.activeRequests).toBe(0);
    for (const state of cluster.states.values()) {
      expect(state.activeRequests).toBe(0);
      expect(state.streams.pendingCount).toBe(0);
    }
  }
  expect(path.resolvingCount).toBe(0);
}

function policy(spec: string): string {
  return `
apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: orders }
spec: { targetRef: { kind: Service, name: orders }, ${spec} }
---
`;
}

function upload(id: number, body: string, ...more: readonly Pair[]): Buffer {
  return Buffer.concat([headers(id, request("POST", ...more)), data(id, body)]);
}

/** The connection, and the seat that had the stream before, serve a request as if nothing had been. */
async function expectClean(client: RawClient, rig: Rig, id: number, body = "fine"): Promise<void> {
  await expectNothingHeld(rig);
  client.send(upload(id, "next", ["x-which", "clean"]), data(id, "", END));
  const seen = await client.ends(id);
  expect(seen).toMatchObject({ fields: { ":status": "200" }, body, isWhole: true, reset: -1 });
  expect(client.isClosed).toBe(false);
  await expectNothingHeld(rig);
}

describe("a client's reset", () => {
  test("while the control plane is asked", async () => {
    const rig = await outboundRig();
    let asked = 0;
    rig.path.resolver = { resolve: () => void asked++ } as never;
    const client = new RawClient(rig.port).send(upload(1, "early"));
    await until(() => asked === 1);
    client.send(rst(1, 8));
    await expectNothingHeld(rig);
    const endpoint = await answering(ok("fine"));
    const { applyRules } = await import("./testing/rig.ts");
    applyRules(rig.path, serviceOf("orders", endpoint.address));
    client.get(3);
    expect(await client.ends(3)).toMatchObject({ body: "fine" });
    expect(endpoint.connections[0]?.received).not.toContain("early");
  });

  test("while it waits for a stream", async () => {
    const held: (() => void)[] = [];
    const start = Buffer.concat([settings([3, 100]), SETTINGS_ACK]);
    const endpoint = await rawEndpoint(({ type, flags, streamId }, socket) => {
      if (type > 1 || (flags & 1) === 0) return;
      held.push(() => socket.write(Buffer.concat([headers(streamId, OK), data(streamId, "fine", END)])));
    }, start);
    const rules = serviceOf2("h2c", endpoint.port) + policy("connectionPool: { maxConnections: 1 }");
    const rig = await outboundRig({ rules });
    const client = new RawClient(rig.port);
    for (let id = 1; id <= 201; id += 2) client.get(id);
    const pool = [...(rig.path.snapshots.current.services.get("default/orders")?.cluster.states.values() ?? [])][0];
    await until(() => held.length === 100 && pool?.streams.pendingCount === 1);
    client.send(rst(201, 8));
    await until(() => pool?.streams.pendingCount === 0);
    for (const answer of held.splice(0)) answer();
    for (let id = 1; id <= 199; id += 2) expect((await client.ends(id)).body).toBe("fine");
    client.send(upload(301, "x"), data(301, "", END));
    await until(() => held.length === 1);
    held[0]?.();
    expect((await client.ends(301)).body).toBe("fine");
    await expectNothingHeld(rig);
  });

  test.each(["http", "h2c"])("while an endpoint of %s is tried, and in the middle of a body", async (protocol) => {
    let requests = 0;
    const endpoint =
      protocol === "http"
        ? await startEndpoint((connection) => {
            connection.socket.on("data", (chunk: Buffer) => {
              if (chunk.includes("POST")) requests++;
              if (connection.received.includes("next\r\n0\r\n\r\n")) connection.socket.write(ok("fine"));
            });
          })
        : await rawEndpoint(({ type, flags, streamId }, socket, log) => {
            if (type === 1) requests++;
            if (type === 0 && (flags & 1) === 1) {
              expect(log.stream(streamId).body).toBe("next");
              socket.write(Buffer.concat([headers(streamId, OK), data(streamId, "fine", END)]));
            }
          });
    const rig = await outboundRig({ rules: serviceOf2(protocol, endpoint.port) });
    const client = new RawClient(rig.port).send(upload(1, "part"));
    await until(() => requests === 1);
    client.send(rst(1, 8));
    await expectClean(client, rig, 3);
  });

  test("in backoff", async () => {
    const endpoint = await rawAnswering((id, index) =>
      index === 0 ? [lastHeaders(id, [[":status", "503"]])] : [headers(id, OK), data(id, "fine", END)],
    );
    const rules =
      serviceOf2("h2c", endpoint.port) +
      policy("retry: { attempts: 3, methods: [GET, POST], backoff: { base: 10s, max: 10s } }");
    const rig = await outboundRig({ rules });
    const client = new RawClient(rig.port).get(1);
    await until(() => rig.path.metrics.retries.cell("default/orders", "503").value === 1);
    client.send(rst(1, 8));
    await expectClean(client, rig, 3);
  });

  test.each(["http", "h2c"])(
    "while the answer of an endpoint of %s comes, more than the client takes",
    async (protocol) => {
      const large = Buffer.alloc(16_384, "x");
      let isFirst = true;
      let ended = 0;
      const endpoint =
        protocol === "http"
          ? await startEndpoint(({ socket }) => {
              socket.on("data", (chunk: Buffer) => {
                if (!isFirst) {
                  if (chunk.includes("next")) socket.write(ok("fine"));
                  return;
                }
                isFirst = false;
                socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n${"x".repeat(1 << 20)}`);
              });
              socket.on("close", () => ended++);
            })
          : await rawEndpoint(({ type, flags, streamId }, socket) => {
              if (type === 3) ended++;
              if (type > 1 || (flags & 1) === 0) return;
              if (!isFirst)
                return void socket.write(Buffer.concat([headers(streamId, OK), data(streamId, "fine", END)]));
              isFirst = false;
              socket.write(
                Buffer.concat([headers(streamId, OK), ...Array.from({ length: 4 - 1 }, () => data(streamId, large))]),
              );
              socket.write(data(streamId, large.subarray(0, 16_000)));
            });
      const rig = await outboundRig({ rules: serviceOf2(protocol, endpoint.port) });
      const client = new RawClient(rig.port).get(1);
      await until(() => client.log.stream(1).bytes > 60_000);
      client.send(rst(1, 8));
      await until(() => ended === 1);
      // The connection's window was used up by the stream that is gone: the client opens it, as clients do.
      client.send(Buffer.from([0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 1, 0, 0]));
      await expectClean(client, rig, 3);
    },
  );

  test("in a tunnel: the other end is told, the seat forgets it", async () => {
    let closed = 0;
    let tunnels = 0;
    const app = await startEndpoint(({ socket }) => {
      socket.on("data", (chunk: Buffer) => {
        if (/upgrade: websocket/i.test(chunk.toString("latin1"))) {
          tunnels++;
          socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello");
        } else if (chunk.includes("next")) socket.write(ok("fine"));
      });
      // A reset, too: RST_STREAM stands for one (RFC 8441 section 5).
      socket.on("error", () => closed++);
    });
    const rig = await outboundRig({ rules: serviceOf("orders", app.address) });
    const client = new RawClient(rig.port);
    client.send(
      headers(1, request("CONNECT", [":protocol", "websocket"], ["sec-websocket-version", "13"])),
      data(1, "early"),
    );
    await until(
      () => client.log.stream(1).body === "hello",
      () => `hello in ${JSON.stringify([client.log.stream(1), app.connections[0]?.received])}`,
    );
    expect(tunnels).toBe(1);
    await app.connections[0]?.receives("early");
    client.send(rst(1, 8));
    await until(
      () => closed === 1,
      () => "the tunnel's end",
    );
    await expectClean(client, rig, 3);
    expect(app.connections.at(-1)?.received).not.toContain("early");
  });

  test("of the whole connection, with streams in every phase", async () => {
    const endpoint = await rawEndpoint(({ type, streamId }, socket, _log) => {
      if (type === 1 && streamId % 4 === 1)
        socket.write(Buffer.concat([headers(streamId, OK), data(streamId, "part")]));
    });
    const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port) });
    for (let round = 0; round < 5; round++) {
      const client = new RawClient(rig.port);
      for (let id = 1; id < 40; id += 2) client.send(id % 3 === 0 ? upload(id, "x") : lastHeaders(id, request("GET")));
      await until(() => rig.path.metrics.requestsActive.cell("outbound").value > 10);
      client.socket.destroy();
      await expectNothingHeld(rig);
    }
    await until(() => rig.listener.connectionCount === 0);
  });
});

describe("an error of the sidecar itself ends one stream with 500", () => {
  function throwOnce(): never {
    throw new Error("injected");
  }

  test.each<[string, number, () => unknown]>([
    [
      "while the head is read",
      -1,
      () => vi.spyOn(RequestDecoder.prototype, "takeHead").mockImplementationOnce(throwOnce),
    ],
    [
      "while the head is made ready",
      500,
      () => vi.spyOn(RequestRelay.prototype, "begin").mockImplementationOnce(throwOnce),
    ],
    [
      "when the attempt may write",
      500,
      () => vi.spyOn(RequestRelay.prototype, "sendAll").mockImplementationOnce(throwOnce),
    ],
    [
      "when the answer's head comes",
      500,
      () => vi.spyOn(ResponseRelay.prototype, "head").mockImplementationOnce(throwOnce),
    ],
    [
      "while retries are decided",
      500,
      () => vi.spyOn(RetryState.prototype, "isUnwanted").mockImplementationOnce(throwOnce),
    ],
    ["in the answer's body", 0, () => vi.spyOn(ResponseRelay.prototype, "body").mockImplementationOnce(throwOnce)],
    ["at the answer's end", 0, () => vi.spyOn(ResponseRelay.prototype, "end").mockImplementationOnce(throwOnce)],
  ])("%s", async (_where, status, inject) => {
    for (const protocol of ["http", "h2c"]) {
      const endpoint =
        protocol === "http"
          ? await answering((text) => (text.startsWith("POST") ? "" : ok("fine")))
          : await rawAnswering((id) => [headers(id, OK), data(id, "fine", END)]);
      const rig = await outboundRig({ rules: serviceOf2(protocol, endpoint.port) });
      const logged = vi.spyOn(rig.path.log, "error");
      const client = new RawClient(rig.port).get(1);
      await client.ends(1);
      inject();
      const seen = await client.get(3).ends(3);
      if (status > 0) expect(seen).toMatchObject({ fields: { ":status": String(status) }, isWhole: true });
      else expect(seen).toMatchObject({ isWhole: false, reset: 2 });
      expect(logged).toHaveBeenCalledTimes(1);
      expect(await client.get(5).ends(5)).toMatchObject({ body: "fine", fields: { ":status": "200" } });
      expect(client.isClosed).toBe(false);
      await expectNothingHeld(rig);
      vi.restoreAllMocks();
    }
  });

  test("in a request's body, and where no connection can be made", async () => {
    const endpoint = await rawAnswering((id) => [headers(id, OK), data(id, "fine", END)]);
    const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port) + serviceOf("gone", REFUSING_ADDRESS) });
    const client = new RawClient(rig.port);
    vi.spyOn(RequestRelay.prototype, "addBody").mockImplementationOnce(throwOnce);
    client.send(upload(1, "x"));
    expect((await client.ends(1)).fields[":status"]).toBe("500");
    vi.spyOn(RetryState.prototype, "countOutcome").mockImplementationOnce(throwOnce);
    expect((await client.get(3, [":authority", "gone"]).ends(3)).fields[":status"]).toBe("500");
    await expectClean(client, rig, 5);
  });
});

describe("drains", () => {
  test("GOAWAY, requests under way are finished, later ones are refused unprocessed, then the end", async () => {
    const held: (() => void)[] = [];
    const endpoint = await rawEndpoint(({ type, streamId }, socket) => {
      if (type === 1)
        held.push(() => socket.write(Buffer.concat([headers(streamId, OK), data(streamId, "fine", END)])));
    });
    const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port) });
    const client = new RawClient(rig.port).get(1);
    await until(() => held.length === 1);
    const drained = rig.listener.drain(4_000);
    await until(() => client.log.goawayCode === 0);
    // Not acknowledged by a PING yet: it is still let through.
    client.get(3);
    await until(() => held.length === 2);
    await until(() => client.log.frames.filter(({ type }) => type === 7).length === 2);
    client.get(5);
    expect((await client.ends(5)).reset).toBe(7);
    for (const answer of held) answer();
    expect((await client.ends(1)).body).toBe("fine");
    expect((await client.ends(3)).body).toBe("fine");
    await drained;
    await until(() => client.isClosed);
    await expectNothingHeld(rig);
  });

  test("cut at the deadline: draining, as clients of HTTP/1.1 are told", async () => {
    const endpoint = await rawEndpoint(() => {});
    const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port) });
    const client = new RawClient(rig.port).get(1).get(3, ["content-type", "application/grpc"]);
    const other = new Client(rig.port).send("GET / HTTP/1.1\r\nHost: orders\r\n\r\n");
    await until(() => endpoint.logs[0]?.streams.has(5) === true);
    await rig.listener.drain(50);
    expect((await client.ends(1)).fields).toMatchObject({ ":status": "503", "x-weft-reason": "draining" });
    expect((await client.ends(3)).fields).toMatchObject({ "grpc-status": "14", "x-weft-reason": "draining" });
    expect(await other.receives("draining")).toContain("503");
    await expectNothingHeld(rig);
  });

  test("an endpoint that drains under load: its clients lose nothing", async () => {
    let connections = 0;
    const endpoint = await rawEndpoint(({ type, flags, streamId }, socket, log) => {
      if (type > 1 || (flags & 1) === 0) return;
      const answer = Buffer.concat([headers(streamId, OK), data(streamId, "fine", END)]);
      const count = [...log.streams.keys()].filter((id) => id > 0).length;
      if (count < 10) socket.write(answer);
      else if (count === 10) socket.write(Buffer.concat([goaway(streamId, 0), answer]));
    });
    endpoint.server.on("connection", () => connections++);
    const rig = await outboundRig({ rules: serviceOf2("h2c", endpoint.port) });
    const client = new RawClient(rig.port);
    for (let id = 1; id < 400; id += 2) {
      client.send(upload(id, "b"), data(id, "", END));
      if (id % 20 === 1) await client.ends(id);
    }
    for (let id = 1; id < 400; id += 2) expect((await client.ends(id)).fields[":status"]).toBe("200");
    expect(connections).toBeGreaterThan(5);
  });

  test("an idle client is asked to leave", async () => {
    const rig = await outboundRig({ limits: { clientIdleTimeoutMs: 20 } });
    const client = new RawClient(rig.port).get(1);
    await client.ends(1);
    await until(() => client.isClosed);
    expect(client.log.goawayCode).toBe(0);
  });
});

describe("beginnings", () => {
  test("the preface cut at every byte", async () => {
    const rig = await outboundRig({ rules: serviceOf("orders", (await answering(ok("fine"))).address) });
    for (let cut = 1; cut < 40; cut++) {
      const start = Buffer.concat([CLIENT_START, lastHeaders(1, request("GET"))]);
      const client = new RawClient(rig.port, start.subarray(0, cut));
      await new Promise((resolve) => client.socket.once("connect", () => setImmediate(resolve)));
      client.send(start.subarray(cut));
      expect((await client.ends(1)).body).toBe("fine");
    }
  });

  test("garbage behind the preface: GOAWAY; what only begins like it: HTTP/1.1's answer", async () => {
    const rig = await outboundRig({ rules: serviceOf("orders", (await answering(ok("fine"))).address) });
    const client = new RawClient(
      rig.port,
      Buffer.concat([CLIENT_START.subarray(0, 24), Buffer.from("GET / HTTP/1.1\r\n\r\n")]),
    );
    await until(() => client.isClosed);
    expect(client.log.goawayCode).toBeGreaterThan(0);
    for (const text of [
      "PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n",
      "PRI * HTTP/2.0\r\n\r\n\r\n",
      "PRI * HTTP/1.1\r\nHost: a\r\n\r\n",
      "PRX",
    ]) {
      const other = new Client(rig.port).send(text);
      other.socket.end();
      await other.ends();
      expect(other.received === "" || /^HTTP\/1.1 [45]/.test(other.received)).toBe(true);
    }
    for (const method of ["P", "PR", "PRI"]) {
      const other = new Client(rig.port).send(method);
      await new Promise((resolve) => setImmediate(resolve));
      other.send("X / HTTP/1.1\r\nHost: orders\r\nConnection: close\r\n\r\n");
      await other.receives("fine");
    }
  });
});
