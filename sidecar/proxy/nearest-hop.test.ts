// A chain of services, each behind both listeners of its sidecar: the leaf is down, and only the hop before it retries.
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { startInbound } from "./inbound.ts";
import { startOutbound } from "./outbound.ts";
import {
  answering,
  applyRules,
  cleanUp,
  createPath,
  exchangeBytes,
  ok,
  outboundRig,
  portOf,
  serviceOf,
} from "./testing/rig.ts";

const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  await cleanUp();
});

const HOST = "127.0.0.1";

async function serve(handler: (incoming: IncomingMessage, answer: ServerResponse) => void): Promise<string> {
  const server = createServer(handler).listen(0, HOST);
  await new Promise((resolve) => server.once("listening", resolve));
  closers.push(() => new Promise((resolve) => server.close(resolve).closeAllConnections()));
  return `${HOST}:${(server.address() as AddressInfo).port}`;
}

/** A service in the middle: calls the next through its sidecar and says 500 to any failure, as apps do. */
async function startMiddle(next: string, nextInbound: string, policy: string): Promise<string> {
  const path = await createPath();
  applyRules(path, serviceOf(next, nextInbound) + policy.replaceAll("NEXT", next));
  const outbound = await startOutbound({ path, listen: { host: HOST, port: 0 } });
  const app = await serve((_, answer) => {
    const call = request({ host: HOST, port: portOf(outbound.address), headers: { host: next } }, (reply) => {
      reply.resume();
      reply.on("end", () => answer.writeHead(reply.statusCode === 200 ? 200 : 503).end());
    });
    call.on("error", () => answer.writeHead(503).end());
    call.end();
  });
  const inbound = await startInbound({ path, listen: { host: HOST, port: 0 }, app: { host: HOST, port: portOf(app) } });
  closers.push(() => Promise.all([inbound.close(), outbound.close()]));
  return inbound.address;
}

async function loadOfDeadLeaf(requests: number, policy: string): Promise<number> {
  let leafLoad = 0;
  const leaf = await serve((_, answer) => {
    leafLoad++;
    answer.writeHead(503).end();
  });
  const leafPath = await createPath();
  const leafInbound = await startInbound({
    path: leafPath,
    listen: { host: HOST, port: 0 },
    app: { host: HOST, port: portOf(leaf) },
  });
  closers.push(() => leafInbound.close());
  let next = leafInbound.address;
  for (const name of ["d", "c", "b"]) next = await startMiddle(name, next, policy);
  const { port } = await outboundRig({ rules: serviceOf("a", next) + policy.replaceAll("NEXT", "a") });
  const get = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  let left = requests;
  const client = async (): Promise<void> => {
    while (left-- > 0) expect(await exchangeBytes(port, get)).toMatch(/^HTTP\/1.1 503 /);
  };
  await Promise.all(Array.from({ length: 8 }, client));
  return leafLoad / requests;
}

const BUDGET = "budget: { percent: 20, minPerSecond: 0 }, backoff: { base: 1ms, max: 2ms }";

function retryPolicy(more: string): string {
  return `
apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: NEXT }
spec: { targetRef: { kind: Service, name: NEXT }, retry: { ${BUDGET}${more} } }
---
`;
}

test("a dead leaf below four hops gets a fifth more than its load", async () => {
  const load = await loadOfDeadLeaf(300, retryPolicy(""));
  expect(load).toBeGreaterThan(1.05);
  expect(load).toBeLessThanOrEqual(1.3);
});

test("where every hop retries it gets what they multiply to", async () => {
  expect(await loadOfDeadLeaf(300, retryPolicy(", hops: every"))).toBeGreaterThan(1.5);
});

test("an answer that says so is not tried again; the app is told", async () => {
  const marked = await answering("HTTP/1.1 503 No\r\nContent-Length: 0\r\nX-Weft-Retry: never\r\n\r\n");
  const good = await answering(ok("good"));
  const { port, path } = await outboundRig({ rules: serviceOf("orders", marked.address) });
  const get = "GET / HTTP/1.1\r\nHost: orders\r\nConnection: close\r\n\r\n";
  expect(await exchangeBytes(port, get)).toContain("X-Weft-Retry: never");
  expect(path.metrics.retriesSkipped.cell("default/orders", "not-nearest").value).toBe(1);
  applyRules(path, serviceOf("orders", good.address));
  expect(await exchangeBytes(port, get)).toContain("good");
});
