// Retries, timeouts, pools, the control plane asked on first use, snapshots that change under traffic.
import { afterEach, expect, test } from "vitest";
import type { Resolution } from "../resolver.ts";
import {
  answering,
  applyRules,
  Client,
  cleanUp,
  exchangeBytes,
  inboundRig,
  ok,
  outboundRig,
  REFUSING_ADDRESS,
  serviceOf,
  startEndpoint,
  turns,
  until,
} from "./testing/rig.ts";

afterEach(cleanUp);

const GET = "GET / HTTP/1.1\r\nHost: orders\r\nConnection: close\r\n\r\n";
const POST = "POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody";

function policy(spec: string, name = "orders"): string {
  return `
apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: ${name} }
spec:
  targetRef: { kind: Service, name: ${name} }
  loadBalancer: { algorithm: round-robin }
${spec}
---
`;
}

const ERROR = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 3\r\n\r\nbad";

test("an endpoint that answers 503 is left for another one, and its connection is kept", async () => {
  const [bad, good] = [await answering(ERROR), await answering(ok("good"))];
  const { port, path } = await outboundRig({ rules: serviceOf("orders", bad.address, good.address) + policy("") });
  for (let index = 0; index < 6; index++) expect(await exchangeBytes(port, GET)).toContain("\r\n\r\ngood");
  expect(bad.connections).toHaveLength(1);
  expect(path.metrics.retries.cell("default/orders", "503").value).toBeGreaterThanOrEqual(2);
});

test("when every try fails the last answer is the client's", async () => {
  const bad = await answering(ERROR);
  const { port } = await outboundRig({
    rules: serviceOf("orders", bad.address) + policy("  retry: { attempts: 2, backoff: { base: 1ms, max: 2ms } }"),
  });
  expect(await exchangeBytes(port, GET)).toContain("\r\n\r\nbad");
  expect(bad.connections[0]!.received.match(/GET/g)).toHaveLength(3);
});

test("a POST is not sent twice, but goes elsewhere when nothing of it was sent", async () => {
  const [bad, good] = [await answering(ERROR), await answering(ok("good"))];
  const { port, path } = await outboundRig({ rules: serviceOf("orders", bad.address) + policy("") });
  expect(await exchangeBytes(port, POST)).toContain("\r\n\r\nbad");
  expect(bad.connections[0]!.received.match(/POST/g)).toHaveLength(1);
  expect(path.metrics.retriesSkipped.cell("default/orders", "not-repeatable").value).toBe(1);
  applyRules(path, serviceOf("orders", REFUSING_ADDRESS, good.address) + policy(""));
  for (let index = 0; index < 4; index++) expect(await exchangeBytes(port, POST)).toContain("\r\n\r\ngood");
  for (const { received } of good.connections) expect(received).toMatch(/\r\n\r\nbody/);
});

test("an Idempotency-Key makes a POST repeatable, with its whole body", async () => {
  const bodies: string[] = [];
  const flaky = await startEndpoint((connection) => {
    connection.socket.on("data", () => {
      if (!connection.received.endsWith("0\r\n\r\n")) return;
      bodies.push(connection.received);
      connection.received = "";
      connection.socket.write(bodies.length === 1 ? ERROR : ok("good"));
    });
  });
  const { port } = await outboundRig({ rules: serviceOf("orders", flaky.address) + policy("") });
  const request =
    "POST / HTTP/1.1\r\nHost: orders\r\nIdempotency-Key: 1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n4\r\nbody\r\n0\r\n\r\n";
  expect(await exchangeBytes(port, request)).toContain("\r\n\r\ngood");
  expect(bodies).toHaveLength(2);
  const withoutHop = bodies.map((body) => body.replace(/x-envoy-[^\r]*\r\n/g, ""));
  expect(withoutHop[0]).toBe(withoutHop[1]);
  expect(bodies.map((body) => /x-envoy-attempt-count: (\d)/.exec(body)?.[1])).toEqual(["1", "2"]);
});

test("a body beyond maxBodyBytes is sent once, and the skipped retry is counted", async () => {
  const bad = await startEndpoint((connection) => {
    connection.socket.on("data", () => {
      if (connection.received.length > 3_000) connection.socket.write(ERROR);
    });
  });
  const { port, path } = await outboundRig({
    rules: serviceOf("orders", bad.address) + policy("  retry: { maxBodyBytes: 1000 }"),
  });
  const body = "x".repeat(3_000);
  const answer = await exchangeBytes(
    port,
    `PUT / HTTP/1.1\r\nHost: orders\r\nContent-Length: 3000\r\nConnection: close\r\n\r\n${body}`,
  );
  expect(answer).toContain("\r\n\r\nbad");
  expect(path.metrics.retriesSkipped.cell("default/orders", "body-too-large").value).toBe(1);
});

test("a client is told once to go on with its content, however many endpoints say so", async () => {
  const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";
  let asked = 0;
  const one = () =>
    startEndpoint((connection) => {
      const isFirst = asked++ === 0;
      connection.socket.write(CONTINUE);
      connection.socket.on("data", () => {
        if (!connection.received.endsWith("body")) return;
        if (isFirst) connection.socket.resetAndDestroy();
        else connection.socket.write(`HTTP/1.1 103 Early Hints\r\n\r\n${ok("good")}`);
      });
    });
  const [a, b] = [await one(), await one()];
  const { port } = await outboundRig({ rules: serviceOf("orders", a.address, b.address) + policy("") });
  const PUT = `${POST.replace("POST", "PUT").slice(0, -"\r\nbody".length)}Expect: 100-continue\r\n\r\n`;
  const client = new Client(port).send(PUT);
  await client.receives(CONTINUE);
  client.send("body");
  expect(await client.receives("good")).toMatch(
    /^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 103 Early Hints\r\n\r\nHTTP\/1.1 200 /,
  );
  expect(a.connections.length + b.connections.length).toBe(2);
  const [first, second] = [await one(), await one()];
  asked = 0;
  const rules = `${serviceOf("orders", first.address)}${serviceOf("spare", second.address)}`;
  const spared = await outboundRig({
    rules: rules + policy("  retry: { attempts: 0 }\n  fallback: { service: spare }"),
  });
  const other = new Client(spared.port).send(PUT);
  await other.receives(CONTINUE);
  other.send("body");
  expect((await other.receives("good")).match(/ 100 Continue/g)).toHaveLength(1);
});

test("the keep-alive race: an endpoint that closes a reused connection costs no request, retries off", async () => {
  const racy = await startEndpoint((connection) => {
    connection.socket.on("data", () => {
      const requests = connection.received.match(/ HTTP\/1.1/g)?.length ?? 0;
      // The second request on any connection meets its end.
      if (requests === 1) connection.socket.write(ok("served"));
      else connection.socket.destroy();
    });
  });
  const { port } = await outboundRig({ rules: serviceOf("orders", racy.address) + policy("  retry: { attempts: 0 }") });
  for (let index = 0; index < 5; index++) expect(await exchangeBytes(port, GET)).toContain("served");
  expect(racy.connections.length).toBe(5);
  const post = POST.replace("POST", "PATCH");
  expect(await exchangeBytes(port, post)).toContain("x-weft-reason: upstream-reset");
});

test("the budget ends a retry storm with its own reason", async () => {
  const gone = REFUSING_ADDRESS;
  const { port } = await outboundRig({
    rules:
      serviceOf("orders", gone) +
      policy("  retry: { attempts: 3, backoff: { base: 1ms, max: 1ms }, budget: { percent: 0, minPerSecond: 1 } }"),
  });
  expect(await exchangeBytes(port, GET)).toContain("x-weft-reason: retry-budget-exhausted");
});

test("moving on from an endpoint that takes no connection costs no budget", async () => {
  const orders = await answering(ok("served"));
  const { port } = await outboundRig({
    rules:
      serviceOf("orders", REFUSING_ADDRESS, orders.address) +
      policy("  retry: { backoff: { base: 1ms, max: 1ms }, budget: { percent: 0, minPerSecond: 0 } }"),
  });
  for (let index = 0; index < 20; index++) expect(await exchangeBytes(port, POST)).toContain("served");
});

test.each([
  ["request", "  timeout: { request: 60ms }", "request-timeout", 1],
  [
    "perTry",
    "  timeout: { perTry: 40ms }\n  retry: { attempts: 1, backoff: { base: 1ms, max: 1ms } }",
    "per-try-timeout",
    2,
  ],
])("timeout.%s is answered 504 %s", async (_name, spec, reason, tries) => {
  const silent = await startEndpoint();
  const { port } = await outboundRig({ rules: serviceOf("orders", silent.address) + policy(spec) });
  const answer = await exchangeBytes(port, GET);
  expect(answer).toMatch(/^HTTP\/1.1 504 Gateway Timeout\r\n/);
  expect(answer).toContain(`x-weft-reason: ${reason}`);
  expect(silent.connections).toHaveLength(tries);
  await until(() => silent.connections.every(({ isClosed, hasEnded }) => isClosed || hasEnded));
});

test("a request timeout after the answer began resets the client", async () => {
  const slow = await startEndpoint((connection) => {
    connection.socket.on("data", () => connection.socket.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"));
  });
  const { port } = await outboundRig({
    rules: serviceOf("orders", slow.address) + policy("  timeout: { request: 60ms }"),
  });
  const client = new Client(port).send(GET);
  await client.receives("abc");
  expect(await client.ends()).toBe("ECONNRESET");
});

test("a route's timeouts and retry come before the policy's", async () => {
  const silent = await startEndpoint();
  const { port } = await outboundRig({
    rules: `${serviceOf("orders", silent.address)}
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: orders }
spec:
  parentRefs: [{ group: "", kind: Service, name: orders }]
  rules:
    - timeouts: { request: 500ms, backendRequest: 40ms }
      retry: { attempts: 2, backoff: 1ms }
      backendRefs: [{ name: orders, port: 80 }]
`,
  });
  expect(await exchangeBytes(port, GET)).toContain("x-weft-reason: per-try-timeout");
  expect(silent.connections).toHaveLength(3);
});

test("a full pool is answered at once with pool-overflow, and the queue is served in order", async () => {
  const slow = await startEndpoint();
  const { port } = await outboundRig({
    rules:
      serviceOf("orders", slow.address) +
      policy("  connectionPool: { maxConnections: 1, maxPendingRequests: 1 }\n  retry: { attempts: 0 }"),
  });
  const [first, second] = [new Client(port).send(GET), new Client(port).send(GET.replace("/ ", "/second "))];
  const connection = await slow.connection(0);
  await connection.receives("\r\n\r\n");
  await until(() => second.socket.bytesWritten > 0);
  let overflow = "";
  // The order in which two clients are read is the kernel's; a third finds the queue full once both are in.
  for (let turn = 0; turn < 100 && !overflow.includes("pool-overflow"); turn++) {
    const third = new Client(port).send(GET);
    await until(() => third.hasEnded || turn === 0 || third.socket.bytesWritten > 0);
    await new Promise((resolve) => setTimeout(resolve, 2));
    overflow = third.received;
    third.socket.destroy();
  }
  expect(overflow).toContain("HTTP/1.1 503 ");
  connection.socket.write(ok("one"));
  await first.receives("one");
  await connection.receives("/second");
  connection.socket.write(ok("two"));
  await second.receives("two");
  expect(slow.connections).toHaveLength(1);
});

test("maxRequests bounds the requests to a service in progress", async () => {
  const slow = await startEndpoint();
  const { port } = await outboundRig({
    rules: serviceOf("orders", slow.address) + policy("  connectionPool: { maxRequests: 1 }"),
  });
  const first = new Client(port).send(GET);
  await (await slow.connection(0)).receives("\r\n\r\n");
  expect(await exchangeBytes(port, GET)).toContain("x-weft-reason: pool-overflow");
  slow.connections[0]!.socket.write(ok("one"));
  await first.receives("one");
});

test.each([
  ["known", "HTTP/1.1 200 OK"],
  ["unknown", "x-weft-reason: no-such-service"],
  ["unavailable", "x-weft-reason: control-plane-unavailable"],
])("a service that the snapshot does not hold is asked for: %s", async (resolution, expected) => {
  const orders = await answering(ok("orders"));
  const { port, path } = await outboundRig();
  const asked: string[] = [];
  path.resolver = {
    resolve: (service, callback) => {
      asked.push(service);
      setImmediate(() => {
        if (resolution === "known") applyRules(path, serviceOf("orders", orders.address));
        callback(resolution as Resolution);
      });
    },
  };
  const request = "POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 4\r\nConnection: close\r\n\r\n";
  const client = new Client(port).send(request);
  await until(() => asked.length === 1);
  client.send("body");
  await client.ends();
  expect(client.received).toContain(expected);
  expect(asked).toEqual(["default/orders"]);
  if (resolution === "known") expect(orders.connections[0]!.received).toContain("\r\n\r\nbody");
});

test("a control plane that does not answer holds a request for a bounded time", async () => {
  const { port, path } = await outboundRig({ limits: { resolveTimeoutMs: 50 } });
  let late: (resolution: Resolution) => void = () => {};
  path.resolver = {
    resolve: (_service, callback) => {
      late = callback;
    },
  };
  const client = new Client(port).send("GET / HTTP/1.1\r\nHost: orders\r\n\r\n");
  expect(await client.receives("x-weft-reason")).toMatch(/^HTTP\/1.1 503 [\s\S]*retry-after: 1\r\n/);
  late("known");
  client.send("GET / HTTP/1.1\r\nHost: orders\r\n\r\n");
  await until(() => path.resolvingCount === 1);
  client.socket.destroy();
  await until(() => path.resolvingCount === 0);
});

test("a snapshot that changes under a request changes nothing for it, and everything for the next", async () => {
  const [before, after] = [await startEndpoint(), await answering(ok("after"))];
  const { port, path } = await outboundRig({ rules: serviceOf("orders", before.address) });
  const client = new Client(port).send("GET / HTTP/1.1\r\nHost: orders\r\n\r\n");
  const old = await before.connection(0);
  await old.receives("\r\n\r\n");
  applyRules(path, serviceOf("orders", after.address));
  old.socket.write(ok("before"));
  await client.receives("before");
  await until(() => old.isClosed || old.hasEnded);
  client.send("GET / HTTP/1.1\r\nHost: orders\r\n\r\n");
  await client.receives("after");
});

test("endpoints that stay keep their connections through changes of rules and of other endpoints", async () => {
  const [stays, comes] = [await answering(ok("stays")), await answering(ok("comes"))];
  const { port, path } = await outboundRig({ rules: serviceOf("orders", stays.address) });
  const client = new Client(port).send("GET / HTTP/1.1\r\nHost: orders\r\n\r\n");
  await client.receives("stays");
  const entry = path.snapshots.current.services.get("default/orders");
  applyRules(path, serviceOf("orders", stays.address) + serviceOf("other"));
  expect(path.snapshots.current.services.get("default/orders")).toBe(entry);
  applyRules(path, serviceOf("orders", stays.address, comes.address) + policy(""));
  for (let index = 0; index < 4; index++) {
    const length = client.received.length;
    client.send("GET / HTTP/1.1\r\nHost: orders\r\n\r\n");
    await until(() => client.received.length > length + 20);
  }
  expect(stays.connections).toHaveLength(1);
  expect(comes.connections).toHaveLength(1);
});

test("timeout.idle ends an exchange in which no byte moves", async () => {
  const silent = await startEndpoint();
  const { port } = await outboundRig({
    rules: serviceOf("orders", silent.address) + policy("  timeout: { idle: 50ms, request: 0s }"),
  });
  expect(await exchangeBytes(port, GET)).toMatch(/^HTTP\/1.1 504 [\s\S]*x-weft-reason: stream-idle-timeout/);
});

test("an endpoint that stops taking a body is the one that timed out, not the client", async () => {
  const deaf = await startEndpoint((connection) => connection.socket.pause());
  const { port } = await inboundRig(deaf.address, { limits: { bodyIdleTimeoutMs: 100 } });
  const client = new Client(port).send("PUT / HTTP/1.1\r\nHost: app\r\nContent-Length: 100000000\r\n\r\n");
  const block = Buffer.alloc(1 << 20);
  const pump = (): void => {
    while (!client.socket.destroyed && client.socket.write(block));
    client.socket.once("drain", pump);
  };
  pump();
  expect(await client.receives("x-weft-reason")).toContain("stream-idle-timeout");
});

test("an error inside one exchange ends that exchange with 500, counted, and nothing else", async () => {
  const orders = await answering(ok("fine"));
  const { port, path } = await outboundRig({ rules: serviceOf("orders", orders.address) });
  path.resolver = {
    resolve: () => {
      throw new Error("a bug");
    },
  };
  expect(await exchangeBytes(port, GET.replace("orders", "unknown"))).toContain("x-weft-reason: internal-error");
  expect(await exchangeBytes(port, GET)).toContain("fine");
  const counted = [...path.metrics.internalErrors.cells.entries.values()].map(({ value }) => value.value);
  expect(counted).toEqual([1]);
  expect(path.resolvingCount).toBe(0);
});

test("an upgraded connection is not counted against the request timeout, and ends when its endpoint fails", async () => {
  const app = await startEndpoint();
  const { port } = await outboundRig({
    rules: serviceOf("orders", app.address) + policy("  timeout: { request: 80ms }"),
  });
  const client = new Client(port).send(
    "GET / HTTP/1.1\r\nHost: orders\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n",
  );
  const connection = await app.connection(0);
  await connection.receives("\r\n\r\n");
  connection.socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n");
  await client.receives("\r\n\r\n");
  await turns(150);
  client.send("still here");
  await connection.receives("still here");
  connection.socket.resetAndDestroy();
  expect(await client.ends()).toBe("ECONNRESET");
});
