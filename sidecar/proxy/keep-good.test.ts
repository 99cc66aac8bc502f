// The last good response in place of a service that is down, and gRPC answers of faults, over real sockets.
import { afterEach, expect, test } from "vitest";
import {
  answering,
  cleanUp,
  exchangeBytes,
  inboundRig,
  ok,
  outboundRig,
  serviceOf,
  startEndpoint,
  until,
} from "./testing/rig.ts";

afterEach(cleanUp);

const POLICY = `
apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: orders }
spec:
  targetRef: { kind: Service, name: orders }
  retry: { attempts: 0 }
  fallback: { staleFor: 1m, status: 200, body: "static" }
---
`;

function get(target = "/", fields = ""): string {
  return `GET ${target} HTTP/1.1\r\nHost: orders\r\n${fields}Connection: close\r\n\r\n`;
}

test("a service that is down answers with what it said last: whole, once each, with its age", async () => {
  const chunked =
    "HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nX-A: 1\r\nDate: then\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
  const orders = await answering((request) => (request.startsWith("GET /chunked") ? chunked : ok("plain")));
  const { port, path } = await outboundRig({ rules: serviceOf("orders", orders.address) + POLICY });
  expect(await exchangeBytes(port, get())).toContain("\r\n\r\nplain");
  expect(await exchangeBytes(port, get("/chunked"))).toMatch(/abc[\s\S]*de/);
  await orders.stop();
  const stale = await exchangeBytes(port, get("/chunked"));
  expect(stale).toMatch(/^HTTP\/1.1 200 OK\r\n/);
  expect(stale).toMatch(
    /\r\nContent-Type: text\/csv\r\n[\s\S]*\r\nage: \d+\r\ncontent-length: 5\r\n[\s\S]*\r\n\r\nabcde$/,
  );
  expect(stale).toContain("x-weft-reason: connect-failure\r\n");
  expect(stale).not.toContain("then");
  expect(await exchangeBytes(port, get())).toContain("\r\n\r\nplain");
  expect(path.metrics.fallbacks.cell("default/orders", "stale").value).toBe(2);
});

test("what was never asked, or is somebody's own, gets the next fallback", async () => {
  const orders = await answering(ok("mine"));
  const { port } = await outboundRig({ rules: serviceOf("orders", orders.address) + POLICY });
  for (const fields of ["Cookie: sid=1\r\n", "Authorization: x\r\n"])
    expect(await exchangeBytes(port, get("/own", fields))).toContain("mine");
  await orders.stop();
  for (const fields of ["", "Cookie: sid=1\r\n", "Authorization: x\r\n"])
    expect(await exchangeBytes(port, get("/own", fields))).toContain("\r\n\r\nstatic");
});

test("an answer that was cut short is not kept", async () => {
  const cutting = await startEndpoint((connection) => {
    connection.socket.on("data", () => {
      connection.socket.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", () =>
        connection.socket.resetAndDestroy(),
      );
    });
  });
  const { port, path } = await outboundRig({ rules: serviceOf("orders", cutting.address) + POLICY });
  await exchangeBytes(port, get());
  const { state } = path.snapshots.current.services.get("default/orders")!.cluster;
  await until(() => state.activeRequests === 0);
  expect(state.lastGood?.size).toBe(0);
});

test("a fault with grpcStatus is a gRPC answer without a message", async () => {
  const app = await answering(ok("app"));
  const rules = `
apiVersion: weft.mesh/v1
kind: Fault
metadata: { name: broken }
spec: { targetRef: { kind: Service, name: caller }, abort: { percent: 100, grpcStatus: 14 } }
`;
  const { port } = await inboundRig(app.address, { rules });
  const answer = await exchangeBytes(port, get("/orders.Orders/Get", "Content-Type: application/grpc\r\n"));
  expect(answer).toMatch(/^HTTP\/1.1 200 OK\r\n/);
  expect(answer).toContain("content-type: application/grpc\r\ngrpc-status: 14\r\ngrpc-message: fault-injected: ");
  expect(answer).toContain("\r\ncontent-length: 0\r\n");
  expect(answer).toContain("x-weft-reason: fault-injected\r\n");
  expect(answer).toMatch(/\r\n\r\n$/);
});
