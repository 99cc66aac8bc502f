// Hedged requests over real sockets: a late answer is raced by a copy elsewhere, inside the retry budget.
import { afterEach, describe, expect, test } from "vitest";
import {
  answering,
  Client,
  cleanUp,
  type Endpoint,
  type EndpointConnection,
  exchangeBytes,
  ok,
  outboundRig,
  serviceOf,
  startEndpoint,
  turns,
  until,
} from "./testing/rig.ts";

afterEach(cleanUp);

const SERVICE = "default/orders";

function policy(spec: string): string {
  return `
apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: orders }
spec:
  targetRef: { kind: Service, name: orders }
  loadBalancer: { algorithm: round-robin }
${spec}
---
`;
}

const HEDGE = "  retry: { hedge: { after: 20ms } }\n";
const GET = "GET / HTTP/1.1\r\nHost: orders\r\nConnection: close\r\n\r\n";

function put(body: string, fields = ""): string {
  return `PUT / HTTP/1.1\r\nHost: orders\r\nContent-Length: ${body.length}\r\n${fields}Connection: close\r\n\r\n${body}`;
}

/** Takes requests and never answers. */
function silent(): Promise<Endpoint> {
  return startEndpoint();
}

type Behaviour = (socket: EndpointConnection["socket"]) => void;

/** Two endpoints: whichever is asked first does the first thing, the other one the second. */
async function inTurn(...behaviours: readonly Behaviour[]): Promise<Endpoint[]> {
  const asked: EndpointConnection[] = [];
  const one = () =>
    startEndpoint((connection) => {
      connection.socket.on("data", () => behaviours[asked.push(connection) - 1]?.(connection.socket));
    });
  return [await one(), await one()];
}

function afterMs(delayMs: number, act: Behaviour): Behaviour {
  return (socket) => void turns(delayMs).then(() => act(socket));
}

const saying =
  (body: string): Behaviour =>
  (socket) =>
    socket.write(ok(body));

function hedgesOf(path: Awaited<ReturnType<typeof outboundRig>>["path"], outcome: string): number {
  return path.metrics.hedges.cell(SERVICE, outcome).value;
}

describe("a request whose answer is late", () => {
  test("is sent to another endpoint too, body included; the loser is cancelled", async () => {
    const [a, b] = await inTurn(() => {}, saying("fast"));
    const { port, path } = await outboundRig({ rules: serviceOf("orders", a!.address, b!.address) + policy(HEDGE) });
    expect(await exchangeBytes(port, put("hello"))).toContain("\r\n\r\nfast");
    const received = [a, b].map((one) => one!.connections[0]!.received);
    expect(received.every((text) => text.endsWith("\r\n\r\nhello"))).toBe(true);
    expect(received.map((text) => /x-envoy-attempt-count: (\d)/.exec(text)?.[1]).sort()).toEqual(["1", "2"]);
    await until(() => [a, b].some((one) => one!.connections[0]!.hasEnded || one!.connections[0]!.isClosed));
    expect(hedgesOf(path, "won")).toBe(1);
    expect(path.metrics.attempts.cell(SERVICE, "cancelled").value).toBe(1);
    expect(path.metrics.attempts.cell(SERVICE, "answered").value).toBe(1);
    expect(path.metrics.retries.cell(SERVICE, "hedge").value).toBe(1);
    const { states, state } = path.snapshots.current.services.get(SERVICE)!.cluster;
    await until(() => [...states.values()].every(({ activeRequests }) => activeRequests === 0));
    expect([state.activeRequests, state.activeRetries]).toEqual([0, 0]);
  });

  test("the first attempt says that it is the first, though it is sent after the copy", async () => {
    const [a, b] = [await startEndpoint(), await startEndpoint()];
    const sticky = policy(`${HEDGE}  connectionPool: { maxConnections: 1 }\n`).replace(
      "{ algorithm: round-robin }",
      "{ algorithm: ring-hash, hashOn: { header: x-key } }",
    );
    const { port } = await outboundRig({ rules: serviceOf("orders", a.address, b.address) + sticky });
    // One that is never copied has the only connection of the endpoint that both go to.
    const fields = "Host: orders\r\nX-Key: 1\r\n";
    const post = new Client(port).send(`POST / HTTP/1.1\r\n${fields}Content-Length: 0\r\n\r\n`);
    await until(() => a.connections.length + b.connections.length === 1);
    const [busy, free] = a.connections.length === 1 ? [a, b] : [b, a];
    new Client(port).send(`GET / HTTP/1.1\r\n${fields}\r\n`);
    await (await free.connection(0)).receives("x-envoy-attempt-count: 2\r\n");
    const waited = await busy.connection(0);
    waited.socket.write(ok("done"));
    await post.receives("done");
    await waited.receives("GET / ");
    await until(() => waited.received.endsWith("\r\n\r\n"));
    expect(waited.received.match(/x-envoy-attempt-count: \d/g)).toEqual(Array(2).fill("x-envoy-attempt-count: 1"));
  });

  test("takes the first attempt's answer when that comes after all, and cancels the copy", async () => {
    const [a, b] = await inTurn(afterMs(80, saying("late")), () => {});
    const { port, path } = await outboundRig({ rules: serviceOf("orders", a!.address, b!.address) + policy(HEDGE) });
    expect(await exchangeBytes(port, GET)).toContain("\r\n\r\nlate");
    expect(hedgesOf(path, "lost")).toBe(1);
    await until(() => [a, b].every((one) => one!.connections.length === 1));
    await until(() => [a, b].some((one) => one!.connections[0]!.isClosed || one!.connections[0]!.hasEnded));
  });

  test("the copy takes over when the first attempt breaks, and no retry is made", async () => {
    const [a, b] = await inTurn(
      afterMs(60, (socket) => socket.resetAndDestroy()),
      afterMs(120, saying("late")),
    );
    const { port, path } = await outboundRig({ rules: serviceOf("orders", a!.address, b!.address) + policy(HEDGE) });
    expect(await exchangeBytes(port, GET)).toContain("\r\n\r\nlate");
    expect(hedgesOf(path, "took-over")).toBe(1);
    expect(path.metrics.attempts.cell(SERVICE, "upstream-reset").value).toBe(1);
    expect(a!.connections.length + b!.connections.length).toBe(2);
  });

  test("an answer that the policy would retry does not win the race", async () => {
    const refuse: Behaviour = (socket) =>
      socket.write("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 3\r\n\r\nbad");
    const [a, b] = await inTurn(afterMs(120, saying("good")), refuse);
    const { port, path } = await outboundRig({ rules: serviceOf("orders", a!.address, b!.address) + policy(HEDGE) });
    expect(await exchangeBytes(port, GET)).toContain("\r\n\r\ngood");
    expect(hedgesOf(path, "failed")).toBe(1);
  });

  test("when all of them fail the request is tried again by the retry policy", async () => {
    const answers = [0, 0];
    const flaky = (index: number) =>
      startEndpoint((connection) => {
        connection.socket.on("data", () => {
          answers[index]!++;
          const isFirst = answers[index] === 1;
          const answer = isFirst ? "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n" : ok("good");
          void turns(60).then(() => connection.socket.write(answer));
        });
      });
    const [a, b] = [await flaky(0), await flaky(1)];
    const { port } = await outboundRig({ rules: serviceOf("orders", a.address, b.address) + policy(HEDGE) });
    expect(await exchangeBytes(port, GET)).toContain("\r\n\r\ngood");
    expect(answers[0]! + answers[1]!).toBeGreaterThanOrEqual(3);
  });

  test("is late from when it is complete: content that comes after the hedge's time is copied, too", async () => {
    // Nobody says 100, and the client sends its content all the same; only who gets it at once with its head answers.
    const one = () =>
      startEndpoint((connection) => {
        connection.socket.once("data", (chunk) => {
          if (String(chunk).endsWith("hello")) connection.socket.write(ok("fast"));
        });
      });
    const [a, b] = [await one(), await one()];
    const { port, path } = await outboundRig({ rules: serviceOf("orders", a.address, b.address) + policy(HEDGE) });
    const head = put("hello", "Expect: 100-continue\r\n").slice(0, -"hello".length);
    const client = new Client(port).send(head);
    await until(() => [a, b].some(({ connections }) => connections[0]?.received.endsWith("\r\n\r\n")));
    await turns(60);
    expect(a.connections.length + b.connections.length).toBe(1);
    client.send("hello");
    await client.receives("\r\n\r\nfast");
    expect(hedgesOf(path, "won")).toBe(1);
  });

  test("is gone with its copies when the client goes or its time is over", async () => {
    const [a, b] = [await silent(), await silent()];
    const { port, path } = await outboundRig({
      rules:
        serviceOf("orders", a.address, b.address) +
        policy(`  timeout: { request: 150ms }\n${HEDGE.replace("retry: { ", "retry: { attempts: 0, ")}`),
    });
    expect(await exchangeBytes(port, GET)).toContain("x-weft-reason: request-timeout");
    expect(hedgesOf(path, "lost")).toBe(1);
    const { states } = path.snapshots.current.services.get(SERVICE)!.cluster;
    await until(() => [...states.values()].every(({ activeRequests }) => activeRequests === 0));
    await until(() => [...a.connections, ...b.connections].every(({ isClosed, hasEnded }) => isClosed || hasEnded));
  });
});

describe("no copy is sent", () => {
  test("of a request that may not be repeated", async () => {
    const [a, b] = await inTurn(afterMs(80, saying("late")), () => {});
    const { port, path } = await outboundRig({ rules: serviceOf("orders", a!.address, b!.address) + policy(HEDGE) });
    const post = put("hello").replace("PUT", "POST");
    expect(await exchangeBytes(port, post)).toContain("\r\n\r\nlate");
    expect(a!.connections.length + b!.connections.length).toBe(1);
    expect(path.metrics.retriesSkipped.cell(SERVICE, "not-repeatable").value).toBe(1);
  });

  test("past the budget, nor without another endpoint", async () => {
    const late = () =>
      startEndpoint((connection) => {
        connection.socket.on("data", () => turns(80).then(() => connection.socket.write(ok("late"))));
      });
    const [a, b] = [await late(), await late()];
    const spent = "  retry: { hedge: { after: 20ms }, budget: { percent: 0, minPerSecond: 0 } }\n";
    const rig = await outboundRig({ rules: serviceOf("orders", a.address, b.address) + policy(spent) });
    expect(await exchangeBytes(rig.port, GET)).toContain("late");
    expect(rig.path.metrics.retriesSkipped.cell(SERVICE, "budget").value).toBe(1);
    const single = await outboundRig({ rules: serviceOf("orders", a.address) + policy(HEDGE) });
    expect(await exchangeBytes(single.port, GET)).toContain("late");
    expect(single.path.metrics.retriesSkipped.cell(SERVICE, "no-other-endpoint").value).toBe(1);
    expect(a.connections.length + b.connections.length).toBe(2);
  });
});

test("after a percentile: nothing is copied until it is known, then what is later than it", async () => {
  let isSlow = false;
  const moody = () =>
    startEndpoint((connection) => {
      connection.socket.on("data", () => {
        if (!isSlow) connection.socket.write(ok("fast"));
      });
    });
  const [a, b] = [await moody(), await moody()];
  const steady = await answering(ok("steady"));
  const { port, path } = await outboundRig({
    rules:
      serviceOf("orders", a.address, b.address, steady.address) +
      policy("  retry: { hedge: { after: p95, max: 2 }, budget: { percent: 100 } }\n"),
  });
  for (let turn = 0; turn < 60; turn++) await exchangeBytes(port, GET);
  expect(path.snapshots.current.services.get(SERVICE)!.cluster.state.percentile!.valueMs).toBeLessThan(1_000);
  isSlow = true;
  for (let turn = 0; turn < 6; turn++) expect(await exchangeBytes(port, GET)).toContain("steady");
  expect(hedgesOf(path, "won")).toBeGreaterThanOrEqual(3);
});
