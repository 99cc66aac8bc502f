// Local ports that stand for services of bytes: whoever connects talks to an endpoint, and nothing is read or waited for
// before. What happens to connections that go nowhere, and to bytes when one side is slow, fails or ends.
import { afterEach, describe, expect, test } from "vitest";
import type { Log } from "../../runtime/log.ts";
import type { SocketMode } from "../../runtime/socket-output.ts";
import { headers } from "../http2/testing/frames.ts";
import type { ExchangeRecord } from "../observe/exchange-record.ts";
import { RawClient } from "./testing/raw-http2.ts";
import {
  applyRules,
  Client,
  cleanUp,
  type EndpointConnection,
  exchangeBytes,
  inboundRig,
  outboundRig,
  REFUSING_ADDRESS,
  type Rig,
  startEndpoint,
  tcpRig,
  until,
} from "./testing/rig.ts";

afterEach(cleanUp);

const MODES: SocketMode[] = ["handle", "shared", "data-events"];

/** A Service of bytes on port 25 with static endpoints. */
function bytesService(name: string, ...addresses: string[]): string {
  const endpoints = addresses.map((address) => `{ address: "${address}" }`).join(", ");
  return `
apiVersion: weft.mesh/v1
kind: Service
metadata: { name: ${name} }
spec: { ports: [{ port: 25, protocol: tcp }], endpoints: [${endpoints}] }
---
`;
}

/** The same, of sidecars. */
const MAIL = `
apiVersion: weft.mesh/v1
kind: Service
metadata: { name: caller }
spec: { ports: [{ port: 25, protocol: tcp }] }
---
`;

const ROUND_ROBIN = `
apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: mail }
spec:
  targetRef: { kind: Service, name: mail }
  loadBalancer: { algorithm: round-robin }
---
`;

function greet(connection: EndpointConnection): void {
  connection.socket.write("220 ready ");
}

function requestsOf({ path }: Rig): string[] {
  return [...path.metrics.requests.cells.entries.values()]
    .filter(({ value }) => value.value > 0)
    .map(({ values, value }) => `${values[1]} ${values[4]} ${values[5]} ${value.value}`);
}

function tunnelsOf({ path }: Rig) {
  const { tunnelsOpened, tunnels, tunnelBytes } = path.metrics;
  const sum = (family: typeof tunnels, word = "") =>
    [...family.cells.entries.values()]
      .filter(({ values }) => word === "" || values.includes(word))
      .reduce((total, { value }) => total + value.value, 0);
  return {
    opened: sum(tunnelsOpened),
    open: sum(tunnels),
    sent: sum(tunnelBytes, "sent"),
    received: sum(tunnelBytes, "received"),
  };
}

interface Seen {
  readonly authority: string;
  readonly status: number;
  readonly reason: string;
  readonly detail: string;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly attempts: readonly { readonly address: string; readonly outcome: string }[];
}

function watch({ path }: Rig): Seen[] {
  const seen: Seen[] = [];
  path.observers.push({
    onExchange: (record: ExchangeRecord) => {
      const { head, status, reason, detail, requestBytes, responseBytes } = record;
      const attempts = record.listAttempts().map(({ address, outcome }) => ({ address, outcome }));
      seen.push({ authority: head.authority, status, reason, detail, requestBytes, responseBytes, attempts });
    },
  });
  return seen;
}

/** What the log says of connections that went nowhere. */
function tcpLines({ path }: Rig): object[] {
  const lines: object[] = [];
  path.log.warn = ((facts: object) => "tcp" in facts && lines.push(facts)) as Log["warn"];
  return lines;
}

describe.each(MODES)("%s: a connection", (socketMode) => {
  test("reaches a server that speaks first, before a byte of the client", async () => {
    const endpoint = await startEndpoint(greet);
    const { port } = await tcpRig("mail", { socketMode, rules: bytesService("mail", endpoint.address) });
    const client = new Client(port);
    await client.receives("220 ready ");
    const connection = await endpoint.connection(0);
    expect(connection.received).toBe("");
    client.send("HELO");
    await connection.receives("HELO");
    expect(connection.received).toBe("HELO");
  });

  test("ends each side by itself", async () => {
    const endpoint = await startEndpoint();
    const rig = await tcpRig("mail:25", { socketMode, rules: bytesService("mail", endpoint.address) });
    const client = new Client(rig.port);
    client.socket.end("all of it");
    const connection = await endpoint.connection(0);
    await until(() => connection.hasEnded);
    expect(connection.received).toBe("all of it");
    connection.socket.write("an answer, ");
    await client.receives("an answer, ");
    connection.socket.end("late");
    expect(await client.ends()).toBe("end");
    expect(client.received).toBe("an answer, late");
    await until(() => rig.listener.connectionCount === 0);
    expect(requestsOf(rig)).toEqual(["default/mail 200  1"]);
  });

  test("may be ended by the endpoint first", async () => {
    const endpoint = await startEndpoint((connection) => connection.socket.end("good bye"));
    const rig = await tcpRig("mail:25", { socketMode, rules: bytesService("mail", endpoint.address) });
    const client = new Client(rig.port);
    await until(() => client.hasEnded);
    expect(client.received).toBe("good bye");
    client.socket.end("the rest");
    const connection = await endpoint.connection(0);
    await until(() => connection.hasEnded);
    expect(connection.received).toBe("the rest");
    await until(() => rig.listener.connectionCount === 0);
  });

  test("keeps bytes that came while there was nobody to send them to", async () => {
    const rig = await tcpRig("mail:25", { socketMode });
    const asked: string[] = [];
    let tell = (): void => {};
    rig.path.resolver = {
      resolve: (service, callback) => {
        asked.push(service);
        tell = () => callback("known");
      },
    };
    const client = new Client(rig.port).send("early ");
    client.socket.end("and ended");
    await until(() => asked.length === 1);
    const endpoint = await startEndpoint();
    applyRules(rig.path, bytesService("mail", endpoint.address));
    tell();
    const connection = await endpoint.connection(0);
    await until(() => connection.hasEnded);
    expect(connection.received).toBe("early and ended");
    expect(asked).toEqual(["default/mail"]);
  });

  test("goes through the sidecar beside the app", async () => {
    const app = await startEndpoint(greet);
    const inbound = await inboundRig(app.address, { socketMode, rules: MAIL });
    const workloads = [{ service: "caller", address: `127.0.0.1:${inbound.port}` }];
    const rig = await tcpRig("caller", { socketMode, rules: MAIL, workloads });
    const client = new Client(rig.port);
    await client.receives("220 ready ");
    client.send("HELO");
    const connection = await app.connection(0);
    await connection.receives("HELO");
    expect(connection.received).toBe("HELO");
    client.socket.end();
    await until(() => connection.hasEnded);
    connection.socket.end("bye");
    await until(() => client.hasEnded);
    expect(client.received).toBe("220 ready bye");
    expect(tunnelsOf(rig)).toMatchObject({ opened: 1, sent: 4, received: 13 });
    expect(tunnelsOf(inbound)).toMatchObject({ opened: 1, sent: 4, received: 13 });
  });

  test.each(["direct", "through both sidecars"])("that is reset takes the other side with it: %s", async (way) => {
    const app = await startEndpoint(greet);
    const isDirect = way === "direct";
    const inbound = isDirect ? undefined : await inboundRig(app.address, { socketMode, rules: MAIL });
    const rules = isDirect ? bytesService("caller", app.address) : MAIL;
    const workloads = [{ service: "caller", address: `127.0.0.1:${inbound?.port}` }];
    const rig = await tcpRig("caller", { socketMode, rules, ...(isDirect ? {} : { workloads }) });
    const seen = watch(rig);
    const errors: string[] = [];
    const first = new Client(rig.port);
    await first.receives("220 ready ");
    const connection = await app.connection(0);
    connection.socket.on("error", (error: NodeJS.ErrnoException) => errors.push(error.code ?? ""));
    first.socket.resetAndDestroy();
    await until(() => connection.isClosed);
    expect(errors).toEqual(["ECONNRESET"]);
    const second = new Client(rig.port);
    await second.receives("220 ready ");
    (await app.connection(1)).socket.resetAndDestroy();
    expect(await second.ends()).toBe("ECONNRESET");
    await until(() => seen.length === 2);
    expect(seen.map(({ status, reason }) => [status, reason])).toEqual([
      [200, "client-closed"],
      [200, "upstream-reset"],
    ]);
    expect(tunnelsOf(rig)).toMatchObject({ opened: 2, open: 0 });
  });
});

describe("a connection that goes nowhere is reset at once, counted and logged", () => {
  const HTTP = `
apiVersion: weft.mesh/v1
kind: Service
metadata: { name: mail }
spec: { ports: [{ port: 80 }, { port: 26, protocol: tcp }], endpoints: [{ address: "127.0.0.1:9" }] }
---
`;
  test.each([
    ["an unknown service", "mail:25", "", "other 404 no-such-service 1"],
    [
      "a port that is not there",
      "mail:24",
      bytesService("mail", REFUSING_ADDRESS),
      "default/mail 404 no-such-service 1",
    ],
    ["a port that speaks HTTP", "mail:80", HTTP, "default/mail 404 no-such-service 1"],
    ["no endpoints", "mail:25", bytesService("mail"), "default/mail 503 no-healthy-endpoint 1"],
    ["endpoints that refuse", "mail", bytesService("mail", REFUSING_ADDRESS), "default/mail 503 connect-failure 1"],
  ])("%s", async (_name, name, rules, counted) => {
    const rig = await tcpRig(name, { rules });
    watch(rig);
    const lines = tcpLines(rig);
    const client = new Client(rig.port).send("hello");
    expect(await client.ends()).toBe("ECONNRESET");
    expect(client.received).toBe("");
    expect(requestsOf(rig)).toEqual([counted]);
    expect(lines).toMatchObject([
      { tcp: name, service: "default/mail", reason: counted.split(" ")[2], connections: 1 },
    ]);
    expect(tunnelsOf(rig)).toEqual({ opened: 0, open: 0, sent: 0, received: 0 });
    await until(() => rig.listener.connectionCount === 0);
  });

  test("a port of the first protocol tcp is taken where none is named", async () => {
    const endpoint = await startEndpoint(greet);
    const rig = await tcpRig("mail", { rules: HTTP.replace("127.0.0.1:9", endpoint.address) });
    const seen = watch(rig);
    const client = new Client(rig.port);
    await client.receives("220 ready ");
    client.socket.resetAndDestroy();
    await until(() => seen.length === 1);
    expect(seen[0]?.authority).toBe("mail.default:26");
  });

  test("one line of the log for many of them", async () => {
    const rig = await tcpRig("mail");
    const lines = tcpLines(rig);
    for (let index = 0; index < 20; index++) await new Client(rig.port).ends();
    expect(lines).toHaveLength(1);
  });
});

test.each([
  ["without a route", ""],
  [
    "with a route",
    `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: mail }
spec:
  parentRefs: [{ group: "", kind: Service, name: mail }]
  rules: [{ backendRefs: [{ name: mail, port: 25 }] }]
`,
  ],
])("a request of HTTP to a port of bytes reaches no endpoint, %s", async (_what, route) => {
  const endpoint = await startEndpoint(greet);
  const rules = bytesService("mail", endpoint.address) + route;
  const rig = await outboundRig({ rules });
  for (const head of [
    "GET / HTTP/1.1\r\nHost: mail:25",
    "POST http://mail/ HTTP/1.1\r\nHost: mail\r\nContent-Length: 0",
  ]) {
    const answer = await exchangeBytes(rig.port, `${head}\r\nConnection: close\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1.1 404 [\s\S]*x-weft-reason: no-such-service\r\n[\s\S]*speaks bytes/);
  }
  expect(endpoint.connections).toHaveLength(0);
  const tunnel = new Client(rig.port).send("CONNECT mail:25 HTTP/1.1\r\nHost: mail:25\r\n\r\n");
  expect(await tunnel.receives("220 ready ")).toMatch(/^HTTP\/1.1 200 /);
});

describe("a request of HTTP to the inbound port of an app that speaks bytes reaches no app:", () => {
  test("over HTTP/1.1", async () => {
    const app = await startEndpoint(greet);
    const rig = await inboundRig(app.address, { rules: MAIL });
    const asked = "GET / HTTP/1.1\r\nHost: caller\r\nConnection: close\r\n\r\n";
    expect(await exchangeBytes(rig.port, asked)).toMatch(
      /^HTTP\/1.1 404 [\s\S]*x-weft-reason: no-such-service\r\n[\s\S]*speaks bytes/,
    );
    const upgrade = asked.replace("close", "Upgrade\r\nUpgrade: websocket");
    expect(await exchangeBytes(rig.port, upgrade.replace("Upgrade\r\n", "Upgrade, close\r\n"))).toContain(" 404 ");
    expect(app.connections).toHaveLength(0);
  });

  test("over HTTP/2, calls of gRPC too; CONNECT on the same connection does", async () => {
    const app = await startEndpoint(greet);
    const rig = await inboundRig(app.address, { rules: MAIL });
    const client = new RawClient(rig.port).get(1).get(3, ["content-type", "application/grpc"]);
    expect((await client.ends(1)).fields).toMatchObject({ ":status": "404", "x-weft-reason": "no-such-service" });
    expect((await client.ends(3)).fields).toMatchObject({ "grpc-status": "12", "x-weft-reason": "no-such-service" });
    expect(app.connections).toHaveLength(0);
    client.send(
      headers(5, [
        [":method", "CONNECT"],
        [":authority", "caller:25"],
      ]),
    );
    await until(() => client.log.stream(5).body === "220 ready ");
  });
});

describe("tries", () => {
  test("an endpoint that refuses costs nobody a connection", async () => {
    const endpoint = await startEndpoint(greet);
    const rules = bytesService("mail", REFUSING_ADDRESS, endpoint.address) + ROUND_ROBIN;
    const rig = await tcpRig("mail", { rules });
    const seen = watch(rig);
    for (let index = 0; index < 10; index++) {
      const client = new Client(rig.port);
      await client.receives("220 ready ");
      client.socket.resetAndDestroy();
    }
    await until(() => seen.length === 10);
    expect(seen.some(({ attempts }) => attempts[0]?.outcome === "connect-failure")).toBe(true);
    expect(seen.every(({ attempts }) => attempts.at(-1)?.address === endpoint.address)).toBe(true);
  });

  test("a sidecar whose app is down is passed over", async () => {
    const app = await startEndpoint(greet);
    const [up, down] = [
      await inboundRig(app.address, { rules: MAIL }),
      await inboundRig(REFUSING_ADDRESS, { rules: MAIL }),
    ];
    const workloads = [down, up].map(({ port }) => ({ service: "caller", address: `127.0.0.1:${port}` }));
    const rig = await tcpRig("caller", {
      rules: MAIL + ROUND_ROBIN.replaceAll("name: mail", "name: caller"),
      workloads,
    });
    const seen = watch(rig);
    for (let index = 0; index < 6; index++) {
      const client = new Client(rig.port);
      await client.receives("220 ready ");
      client.socket.end();
      (await app.connection(index)).socket.end();
      await client.ends();
    }
    await until(() => seen.length === 6);
    expect(seen.some(({ attempts }) => attempts.length === 2)).toBe(true);
  });

  test("a split sends connections by weight, and no copies to anybody", async () => {
    const [stable, canary, shadow] = [await startEndpoint(greet), await startEndpoint(greet), await startEndpoint()];
    const route = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: mail }
spec:
  parentRefs: [{ group: "", kind: Service, name: mail }]
  rules:
    - filters: [{ type: RequestMirror, requestMirror: { backendRef: { name: shadow, port: 25 } } }]
      backendRefs: [{ name: stable, port: 25, weight: 80 }, { name: canary, port: 25, weight: 20 }]
---
`;
    const services = [
      bytesService("mail"),
      bytesService("stable", stable.address),
      bytesService("canary", canary.address),
    ];
    const rules = [...services, bytesService("shadow", shadow.address), route].join("");
    const rig = await tcpRig("mail", { rules });
    for (let index = 0; index < 100; index++) {
      const client = new Client(rig.port);
      await client.receives("220 ready ");
      client.socket.resetAndDestroy();
    }
    expect(stable.connections.length + canary.connections.length).toBe(100);
    expect(canary.connections.length).toBeGreaterThan(8);
    expect(canary.connections.length).toBeLessThan(35);
    expect(shadow.connections).toHaveLength(0);
  });
});

describe("bounds", () => {
  const pool = (settings: string): string => `
apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: mail }
spec:
  targetRef: { kind: Service, name: mail }
  connectionPool: { ${settings} }
  timeout: { request: 5s }
  retry: { attempts: 0 }
---
`;

  test("past maxConnections they wait for their turn, past maxPendingRequests they are reset", async () => {
    const endpoint = await startEndpoint(greet);
    const rules = bytesService("mail", endpoint.address) + pool("maxConnections: 1, maxPendingRequests: 1");
    const rig = await tcpRig("mail", { rules });
    const first = new Client(rig.port);
    await first.receives("220 ready ");
    const second = new Client(rig.port).send("hello");
    await until(() => rig.listener.connectionCount === 2);
    const third = new Client(rig.port);
    expect(await third.ends()).toBe("ECONNRESET");
    expect(requestsOf(rig)).toEqual(["default/mail 503 pool-overflow 1"]);
    expect(second.received).toBe("");
    first.socket.resetAndDestroy();
    await second.receives("220 ready ");
    await (await endpoint.connection(1)).receives("hello");
  });

  test("past maxRequests they are reset", async () => {
    const endpoint = await startEndpoint(greet);
    const rig = await tcpRig("mail", { rules: bytesService("mail", endpoint.address) + pool("maxRequests: 1") });
    const first = new Client(rig.port);
    await first.receives("220 ready ");
    expect(await new Client(rig.port).ends()).toBe("ECONNRESET");
    first.socket.resetAndDestroy();
    await until(() => tunnelsOf(rig).open === 0);
    await new Client(rig.port).receives("220 ready ");
  });

  test("an open circuit resets them", async () => {
    const breaker = `
apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: mail }
spec:
  targetRef: { kind: Service, name: mail }
  retry: { attempts: 0 }
  circuitBreaker: { errorThresholdPercentage: 50, volumeThreshold: 3, rollingWindow: 10s, resetTimeout: 30s }
---
`;
    const rig = await tcpRig("mail", { rules: bytesService("mail", REFUSING_ADDRESS) + breaker });
    for (let index = 0; index < 5; index++) expect(await new Client(rig.port).ends()).toBe("ECONNRESET");
    expect(requestsOf(rig).sort()).toEqual(["default/mail 503 circuit-open 2", "default/mail 503 connect-failure 3"]);
  });

  test("a tunnel in which nothing moves is reset on both sides", async () => {
    const endpoint = await startEndpoint(greet);
    const rules = bytesService("mail", endpoint.address);
    const rig = await tcpRig("mail", { rules, limits: { tunnelIdleTimeoutMs: 60 } });
    const seen = watch(rig);
    const client = new Client(rig.port);
    expect(await client.ends()).toBe("ECONNRESET");
    const connection = await endpoint.connection(0);
    await until(() => connection.isClosed);
    expect(seen).toMatchObject([{ status: 200, reason: "stream-idle-timeout", responseBytes: 10 }]);
  });

  test("connections past the bound of the listener are closed", async () => {
    const endpoint = await startEndpoint(greet);
    const rules = bytesService("mail", endpoint.address);
    const rig = await tcpRig("mail", { rules, limits: { clientConnectionsMax: 1 } });
    await new Client(rig.port).receives("220 ready ");
    const second = new Client(rig.port);
    await second.ends();
    expect(second.received).toBe("");
    expect(rig.path.metrics.clientConnections.cell("outbound", "refused").value).toBe(1);
  });
});

describe("draining", () => {
  test("takes no more connections, and lets those there are end by themselves", async () => {
    const endpoint = await startEndpoint(greet);
    const rig = await tcpRig("mail", { rules: bytesService("mail", endpoint.address) });
    const client = new Client(rig.port);
    await client.receives("220 ready ");
    let isDrained = false;
    const refusals: Client[] = [];
    const drained = rig.listener.drain(60_000).then(() => {
      isDrained = true;
    });
    // The port is closed after a while without new connections.
    await until(() => {
      const late = new Client(rig.port);
      late.socket.on("connect", () => late.socket.resetAndDestroy());
      return refusals.push(late) > 1 && refusals.some(({ error }) => error === "ECONNREFUSED");
    });
    client.send("still here");
    const connection = await endpoint.connection(0);
    await connection.receives("still here");
    expect(isDrained).toBe(false);
    connection.socket.write("of course");
    await client.receives("of course");
    client.socket.end();
    connection.socket.end();
    await drained;
  });

  test("cuts what is left when its time is over", async () => {
    const endpoint = await startEndpoint(greet);
    const rig = await tcpRig("mail", { rules: bytesService("mail", endpoint.address) });
    const seen = watch(rig);
    const client = new Client(rig.port);
    await client.receives("220 ready ");
    await rig.listener.drain(50);
    expect(await client.ends()).toBe("ECONNRESET");
    expect(seen).toMatchObject([{ status: 200, reason: "draining" }]);
    await until(() => endpoint.connections[0]?.isClosed === true);
  });

  test("a sidecar beside the server that cuts a tunnel resets it for the client, too", async () => {
    const app = await startEndpoint(greet);
    const inbound = await inboundRig(app.address, { rules: MAIL });
    const workloads = [{ service: "caller", address: `127.0.0.1:${inbound.port}` }];
    const client = new Client((await tcpRig("caller", { rules: MAIL, workloads })).port);
    await client.receives("220 ready ");
    const seen = watch(inbound);
    await inbound.listener.drain(50);
    expect(await client.ends()).toBe("ECONNRESET");
    expect(seen).toMatchObject([{ status: 200, reason: "draining" }]);
    await until(() => app.connections[0]?.isClosed === true);
  });

  test("an endpoint that leaves the configuration keeps its connections and gets no more", async () => {
    const [old, young] = [await startEndpoint(greet), await startEndpoint(greet)];
    const rig = await tcpRig("mail", { rules: bytesService("mail", old.address) });
    const client = new Client(rig.port);
    await client.receives("220 ready ");
    applyRules(rig.path, bytesService("mail", young.address));
    await new Client(rig.port).receives("220 ready ");
    expect([old.connections.length, young.connections.length]).toEqual([1, 1]);
    client.send("still here");
    await (await old.connection(0)).receives("still here");
    applyRules(rig.path, "");
    client.send(", and again");
    await (await old.connection(0)).receives("still here, and again");
    expect(await new Client(rig.port).ends()).toBe("ECONNRESET");
  });
});
