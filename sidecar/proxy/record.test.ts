// What the record of an exchange says when observers see it: what routing decided, each attempt with how it ended, what
// policies did, and nothing of the request before it on the same connection.
import { afterEach, describe, expect, test } from "vitest";
import { type Decision, decisionOf } from "../observe/decision.ts";
import type { ExchangeRecord } from "../observe/exchange-record.ts";
import { renderPrometheus } from "../observe/exposition.ts";
import { startInbound } from "./inbound.ts";
import {
  answering,
  Client,
  cleanUp,
  exchangeBytes,
  inboundRig,
  ok,
  onCleanUp,
  outboundRig,
  portOf,
  REFUSING_ADDRESS,
  type Rig,
  serviceOf,
  startEndpoint,
  until,
} from "./testing/rig.ts";

afterEach(cleanUp);

const GET = "GET /a?b=1 HTTP/1.1\r\nHost: orders\r\nConnection: close\r\n\r\n";
const POST = "POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody";
const ERROR = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 3\r\n\r\nbad";
const ROUND_ROBIN = `
apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: orders }
spec:
  targetRef: { kind: Service, name: orders }
  loadBalancer: { algorithm: round-robin }
  retry: { attempts: 2, backoff: { base: 1ms, max: 2ms } }
---
`;

/** What an observer copies of a record while it may. */
function copyOf(record: ExchangeRecord) {
  const { head, acts, attemptsKept, actsKept, ...rest } = record;
  return {
    ...rest,
    requestId: record.requestId,
    durationMs: record.durationMs,
    method: head.method,
    target: head.target,
    endpoint: record.lastAttempt?.address,
    authority: head.authority,
    attempts: record.listAttempts().map((attempt) => ({ ...attempt })),
    acts: acts.slice(0, record.actsKept).map((act) => ({ ...act })),
  };
}

function watch({ path }: Rig): ReturnType<typeof copyOf>[] {
  const seen: ReturnType<typeof copyOf>[] = [];
  path.observers.push({ onExchange: (record) => seen.push(copyOf(record)) });
  return seen;
}

describe("an attempt that is given up is counted by why:", () => {
  const UPGRADE = GET.replace("Connection: close", "Connection: Upgrade\r\nUpgrade: chat");
  test.each([
    ["the client goes before there is an answer", GET, "", "client-closed"],
    ["the client goes during the answer", GET, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "client-closed"],
    [
      "the client of a tunnel goes",
      UPGRADE,
      "HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n",
      "answered",
    ],
  ])("%s", async (_name, request, answer, outcome) => {
    const endpoint = await startEndpoint();
    const rig = await outboundRig({ rules: serviceOf("orders", endpoint.address) });
    const seen = watch(rig);
    const client = new Client(rig.port).send(request);
    const connection = await endpoint.connection(0);
    await connection.receives("\r\n\r\n");
    connection.socket.write(answer);
    await client.receives(answer.slice(-4));
    client.socket.resetAndDestroy();
    await until(() => seen.length === 1);
    expect(outcomesOf(rig)).toEqual({ [outcome]: 1 });
  });

  test("the time of the request is over", async () => {
    const endpoint = await startEndpoint();
    const policy = ROUND_ROBIN.replace("retry:", "timeout: { request: 50ms }\n  retry:");
    const rig = await outboundRig({ rules: serviceOf("orders", endpoint.address) + policy });
    expect(await exchangeBytes(rig.port, GET)).toContain("x-weft-reason: request-timeout");
    expect(outcomesOf(rig)).toEqual({ "request-timeout": 1 });
  });
});

function outcomesOf({ path }: Rig): Record<string, number> {
  const cells = [...path.metrics.attempts.cells.entries.values()];
  return Object.fromEntries(cells.map(({ values, value }) => [values[1], value.value]));
}

describe("outbound", () => {
  test("a plain request: who called what, one attempt, no act", async () => {
    const endpoint = await answering(ok("good"));
    const rig = await outboundRig({ rules: serviceOf("orders", endpoint.address) });
    const seen = watch(rig);
    await exchangeBytes(rig.port, GET);
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatchObject({
      direction: "outbound",
      method: "GET",
      target: "/a?b=1",
      authority: "orders",
      remoteAddress: "127.0.0.1",
      service: "default/orders",
      backend: "default/orders",
      revision: 1,
      status: 200,
      reason: "",
      attemptCount: 1,
      acts: [],
      responseBytes: 4,
      requestTimeoutMs: 15_000,
      requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      traceId: "",
    });
    const [attempt] = seen[0]!.attempts;
    expect(attempt).toMatchObject({ kind: "first", address: endpoint.address, status: 200, outcome: "" });
    expect(seen[0]!.durationMs).toBeGreaterThan(0);
    // The first connection had to be made.
    expect(attempt!.connectedMs).toBeGreaterThanOrEqual(attempt!.startedMs);
  });

  test("the route, its match, and where the request fell in the split", async () => {
    const [one, two] = [await answering(ok("1")), await answering(ok("2"))];
    const route = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: orders }
spec:
  parentRefs: [{ group: "", kind: Service, name: orders }]
  rules:
    - matches: [{ path: { type: Exact, value: /never } }, { path: { type: PathPrefix, value: /a } }]
      backendRefs: [{ name: one, weight: 0 }, { name: two, weight: 3 }]
---
`;
    const rules = serviceOf("orders", one.address) + serviceOf("one", one.address) + serviceOf("two", two.address);
    const rig = await outboundRig({ rules: rules + route });
    const seen = watch(rig);
    await exchangeBytes(rig.port, GET);
    expect(seen[0]).toMatchObject({
      service: "default/orders",
      backend: "default/two",
      rule: { route: "HTTPRoute default/orders", ruleIndex: 0 },
      match: { path: { type: "PathPrefix", value: "/a" } },
      backendIndex: 1,
    });
    expect(seen[0]!.splitPoint).toBeGreaterThanOrEqual(0);
    expect(seen[0]!.splitPoint).toBeLessThan(1);
  });

  test("retries: every endpoint that was tried, what it answered, and when", async () => {
    const [bad, good] = [await answering(ERROR), await answering(ok("good"))];
    const rig = await outboundRig({
      rules: serviceOf("orders", REFUSING_ADDRESS, bad.address, good.address) + ROUND_ROBIN,
    });
    const seen = watch(rig);
    for (let index = 0; index < 3; index++) await exchangeBytes(rig.port, GET);
    const tries = seen.flatMap(({ attempts }) => attempts);
    const refused = tries.find(({ address }) => address === REFUSING_ADDRESS)!;
    expect(refused).toMatchObject({ outcome: "connect-failure", status: 0 });
    expect(refused.detail).toContain("ECONNREFUSED");
    const given = tries.find(({ address }) => address === bad.address)!;
    expect(given).toMatchObject({ outcome: "retried", status: 503 });
    expect(given.endedMs).toBeGreaterThanOrEqual(given.startedMs);
    for (const { status, attempts, startedMs } of seen) {
      expect(status).toBe(200);
      expect(attempts.map(({ kind }) => kind)).toEqual(["first", "retry", "retry"].slice(0, attempts.length));
      expect(attempts.at(-1)).toMatchObject({ address: good.address, status: 200, outcome: "" });
      const starts = attempts.map((attempt) => attempt.startedMs);
      expect(starts).toEqual([...starts].sort((a, b) => a - b));
      expect(starts[0]).toBeGreaterThanOrEqual(startedMs);
    }
  });

  test("a retry that may not be made says why", async () => {
    const bad = await answering(ERROR);
    const rig = await outboundRig({ rules: serviceOf("orders", bad.address) + ROUND_ROBIN });
    const seen = watch(rig);
    await exchangeBytes(rig.port, POST);
    expect(seen[0]).toMatchObject({
      status: 503,
      reason: "",
      requestBytes: 4,
      attemptCount: 1,
      acts: [{ name: "retry-skipped", subject: "not-repeatable" }],
    });
  });

  test("endpoints that were passed over, and why", async () => {
    const good = await answering(ok("good"));
    const ejecting = ROUND_ROBIN.replace("---\n", "  outlierDetection: { consecutiveErrors: 1 }\n---\n");
    const rig = await outboundRig({ rules: serviceOf("orders", REFUSING_ADDRESS, good.address) + ejecting });
    const seen = watch(rig);
    for (let index = 0; index < 4; index++) await exchangeBytes(rig.port, GET);
    expect(seen.at(-1)!.skipped).toEqual([{ address: REFUSING_ADDRESS, why: expect.stringMatching(/^ejected: /) }]);
    expect(seen.at(-1)!.attempts.map(({ address }) => address)).toEqual([good.address]);
  });

  test("what the mesh answers itself: reason, detail, no attempt", async () => {
    const rig = await outboundRig({ rules: serviceOf("orders", REFUSING_ADDRESS) });
    const seen = watch(rig);
    await exchangeBytes(rig.port, GET.replace("orders", "nobody"));
    expect(seen[0]).toMatchObject({ status: 404, reason: "no-such-service", detail: "default/nobody", attempts: [] });
    expect(seen[0]).toMatchObject({ service: "", backend: "", rule: undefined, splitPoint: -1 });
  });

  test("a client that goes away leaves its attempt aborted", async () => {
    const silent = await startEndpoint();
    const rig = await outboundRig({ rules: serviceOf("orders", silent.address) });
    const seen = watch(rig);
    const client = new Client(rig.port).send("GET / HTTP/1.1\r\nHost: orders\r\n\r\n");
    await (await silent.connection(0)).receives("\r\n\r\n");
    client.socket.destroy();
    await until(() => seen.length === 1);
    expect(seen[0]).toMatchObject({ status: 499, reason: "client-closed", attempts: [{ outcome: "aborted" }] });
  });

  test.each([
    ["a service of bytes", "tcp", "CONNECT orders:80 HTTP/1.1\r\nHost: orders:80\r\n\r\n", 200],
    ["an upgrade", "http", GET.replace("Connection: close", "Connection: Upgrade\r\nUpgrade: chat"), 101],
  ])(
    "a tunnel to %s: when it stood, and that its endpoint answered, whoever ends it",
    async (_, protocol, asks, status) => {
      const endpoint = await startEndpoint(({ socket }) => {
        if (protocol === "http")
          socket.once("data", () => socket.write("HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n"));
        socket.on("end", () => socket.end());
      });
      const rig = await outboundRig({
        rules: serviceOf("orders", endpoint.address).replace(
          "{ end",
          `{ ports: [{ port: 80, protocol: ${protocol} }], end`,
        ),
      });
      const decisions: Decision[] = [];
      rig.path.observers.push({ onExchange: (record) => decisions.push(decisionOf(record, 0)) });
      const [orderly, reset] = [new Client(rig.port).send(asks), new Client(rig.port).send(asks)];
      for (const client of [orderly, reset]) await client.receives("\r\n\r\n");
      orderly.socket.end();
      await until(() => decisions.length === 1);
      reset.socket.resetAndDestroy();
      await until(() => decisions.length === 2);
      expect(decisions.map(({ reason }) => reason)).toEqual(["", "client-closed"]);
      for (const { attempts, answeredMs, durationMs } of decisions) {
        expect(attempts).toMatchObject([{ status, outcome: "answered" }]);
        expect(answeredMs).toBeGreaterThan(0);
        expect(answeredMs).toBeLessThanOrEqual(durationMs);
      }
    },
  );

  test("an answer that breaks is of the endpoint that began it, whatever copy was sent after it", async () => {
    const asked: string[] = [];
    const one = () =>
      startEndpoint(({ socket }) => {
        socket.on("data", () => {
          if (asked.push(`127.0.0.1:${socket.localPort}`) !== 2) return;
          const [first] = [a, b].filter(({ address }) => address === asked[0]);
          first?.connections[0]?.socket.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
        });
      });
    const [a, b] = [await one(), await one()];
    const policy = ROUND_ROBIN.replace("retry: {", "retry: { hedge: { after: 10ms }, budget: { minPerSecond: 100 },");
    const rig = await outboundRig({ rules: serviceOf("orders", a.address, b.address) + policy });
    const seen = watch(rig);
    const client = new Client(rig.port).send("GET / HTTP/1.1\r\nHost: orders\r\n\r\n");
    await client.receives("half");
    for (const { connections } of [a, b]) connections[0]?.socket.resetAndDestroy();
    await until(() => seen.length === 1);
    expect(seen[0]).toMatchObject({ status: 200, reason: "upstream-reset", endpoint: asked[0], attemptCount: 2 });
  });

  test("ids come from the head, and a request says nothing of the one before it on its connection", async () => {
    const [bad, good] = [await answering(ERROR), await answering(ok("good"))];
    const rig = await outboundRig({
      rules: serviceOf("orders", bad.address) + ROUND_ROBIN + serviceOf("ok", good.address),
    });
    const seen = watch(rig);
    const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    const client = new Client(rig.port).send(
      `GET /x HTTP/1.1\r\nHost: orders\r\ntraceparent: 00-${trace}-00f067aa0ba902b7-01\r\nx-request-id: mine\r\n\r\n`,
    );
    await client.receives("bad");
    client.send("GET /y HTTP/1.1\r\nHost: ok\r\ntraceparent: nonsense\r\n\r\n");
    await client.receives("good");
    expect(seen[0]).toMatchObject({ traceId: trace, spanId: "00f067aa0ba902b7", isSampled: true, requestId: "mine" });
    expect(seen[0]!.attempts).toHaveLength(3);
    expect(seen[1]).toMatchObject({ traceId: "", isSampled: false, target: "/y", attemptCount: 1, acts: [] });
    expect(seen[1]!.attempts).toMatchObject([{ address: good.address, status: 200, outcome: "" }]);
  });

  test.each([
    `00-${"4".repeat(31)}"-00f067aa0ba902b7-01`,
    `00-${"0".repeat(32)}-00f067aa0ba902b7-01`,
    `00-${"A".repeat(32)}-00f067aa0ba902b7-01`,
    `ff-${"4".repeat(32)}-00f067aa0ba902b7-01`,
    `00-${"4".repeat(32)}-00f067aa0ba902b7-01-more`,
  ])("what is no trace context names no trace: %s", async (traceparent) => {
    const good = await answering(ok("good"));
    const rig = await outboundRig({ rules: serviceOf("ok", good.address) });
    const seen = watch(rig);
    const client = new Client(rig.port).send(`GET /x HTTP/1.1\r\nHost: ok\r\ntraceparent: ${traceparent}\r\n\r\n`);
    await client.receives("good");
    expect(seen).toMatchObject([{ traceId: "", spanId: "", isSampled: false, status: 200 }]);
  });
});

test("requests that are for no known service are counted by the listener that they came to", async () => {
  const { path, port } = await outboundRig();
  const inbound = await startInbound({ path, listen: { host: "127.0.0.1", port: 0 }, app: undefined });
  onCleanUp(() => inbound.close());
  const refused = "NO HTTP\r\n\r\n";
  await exchangeBytes(portOf(inbound.address), refused);
  await exchangeBytes(port, "GET / HTTP/1.1\r\nHost: nobody\r\nConnection: close\r\n\r\n");
  await exchangeBytes(port, refused);
  const counted = [...renderPrometheus(path.metrics).matchAll(/^weft_requests_total\{(.*)\} (\d+)$/gm)].map(
    ([, labels = "", count]) =>
      ["direction", "reason"].map((name) => new RegExp(`${name}="([^"]*)"`).exec(labels)?.[1]).concat(count),
  );
  expect(counted.sort()).toEqual([
    ["inbound", "bad-request", "1"],
    ["outbound", "bad-request", "1"],
    ["outbound", "no-such-service", "1"],
  ]);
});

describe("inbound", () => {
  test("limits and faults that acted are named", async () => {
    const app = await answering(ok("app"));
    const rig = await inboundRig(app.address, {
      rules: `
apiVersion: weft.mesh/v1
kind: RateLimit
metadata: { name: few }
spec:
  targetRef: { kind: Service, name: caller }
  limits: [{ requests: 1, per: 1h, burst: 1 }]
---
apiVersion: weft.mesh/v1
kind: Fault
metadata: { name: slow }
spec:
  targetRef: { kind: Service, name: caller }
  delay: { percent: 100, duration: 5ms }
`,
    });
    const seen = watch(rig);
    const get = "GET / HTTP/1.1\r\nHost: caller\r\nConnection: close\r\n\r\n";
    for (let index = 0; index < 2; index++) await exchangeBytes(rig.port, get);
    expect(seen[0]).toMatchObject({ direction: "inbound", status: 200, acts: [{ name: "fault-delay", value: 5 }] });
    expect(seen[0]!.acts[0]!.subject).toContain("slow");
    expect(seen[1]).toMatchObject({ status: 429, reason: "rate-limited", acts: [{ name: "rate-limit", value: 1 }] });
    expect(seen[1]!.acts[0]!.subject).toContain("few");
  });
});
