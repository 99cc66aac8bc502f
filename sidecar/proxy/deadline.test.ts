// Time that is left travels from hop to hop, attempts are counted, and what retry-after asks is kept to.
import { afterEach, describe, expect, test } from "vitest";
import { data, headers, lastHeaders, OK, type Pair } from "../http2/testing/frames.ts";
import { FRAME_TYPE, RawClient, rawEndpoint, request as requestOf, serviceOf2 } from "./testing/raw-http2.ts";
import {
  answering,
  cleanUp,
  exchangeBytes,
  inboundRig,
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
${spec}
---
`;
}

function get(fields = ""): string {
  return `GET / HTTP/1.1\r\nHost: orders\r\n${fields}Connection: close\r\n\r\n`;
}

const LEFT = /x-envoy-expected-rq-timeout-ms: (\d+)\r\n/;

function leftIn(text: string): number {
  return Number(LEFT.exec(text)?.[1] ?? -1);
}

describe("the time that is left", () => {
  test("goes out with every attempt, less what has passed", async () => {
    const seen: string[] = [];
    const flaky = await answering((request, index) => {
      seen.push(request);
      return index === 0 ? "HTTP/1.1 503 No\r\nContent-Length: 0\r\nRetry-After: 1\r\n\r\n" : ok("good");
    });
    const { port } = await outboundRig({
      rules: serviceOf("orders", flaky.address) + policy("  timeout: { request: 3s }"),
    });
    expect(await exchangeBytes(port, get())).toContain("good");
    expect(leftIn(seen[0]!)).toBeGreaterThan(2_800);
    expect(leftIn(seen[1]!)).toBeGreaterThan(500);
    expect(leftIn(seen[1]!)).toBeLessThanOrEqual(2_000);
    expect(seen.map((request) => /x-envoy-attempt-count: (\d)/.exec(request)?.[1])).toEqual(["1", "2"]);
  });

  test("an app that hands on what it was told lowers the timeout, and cannot raise it", async () => {
    const app = await answering((request) => ok(String(leftIn(request))));
    const { port } = await outboundRig({
      rules: serviceOf("orders", app.address) + policy("  timeout: { request: 3s }"),
    });
    const ask = async (left: string) => {
      const answer = await exchangeBytes(
        port,
        get(`X-Envoy-Expected-Rq-Timeout-Ms: ${left}\r\nX-Envoy-Attempt-Count: 7\r\n`),
      );
      return Number(answer.slice(answer.indexOf("\r\n\r\n") + 4));
    };
    expect(await ask("900")).toBeLessThanOrEqual(900);
    expect(await ask("90000")).toBeGreaterThan(2_000);
    expect(await ask("90000")).toBeLessThanOrEqual(3_000);
    for (const nonsense of ["-5", "1e3", "soon", "", "99999999999"]) expect(await ask(nonsense)).toBeGreaterThan(2_000);
    expect(app.connections.map(({ received }) => received).join("")).not.toContain("count: 7");
  });

  test("is kept to by the service's own sidecar, which has no timeout itself", async () => {
    const silent = await startEndpoint();
    const { port } = await inboundRig(silent.address);
    const answer = await exchangeBytes(port, get("x-envoy-expected-rq-timeout-ms: 60\r\n"));
    expect(answer).toMatch(/^HTTP\/1.1 504 /);
    expect(answer).toContain("x-weft-reason: request-timeout");
    expect(leftIn((await silent.connection(0)).received)).toBeLessThanOrEqual(60);
  });

  test("work whose time is over is not begun: at once, or after a wait in the service's queue", async () => {
    const app = await startEndpoint();
    const rules = `
apiVersion: weft.mesh/v1
kind: RateLimit
metadata: { name: caller }
spec:
  targetRef: { kind: Service, name: caller }
  concurrency: { max: 1, queue: 5, queueTimeout: 5s }
`;
    const { port, path } = await inboundRig(app.address, { rules });
    expect(await exchangeBytes(port, get("x-envoy-expected-rq-timeout-ms: 0\r\n"))).toContain(
      "x-weft-reason: deadline-exceeded",
    );
    expect(app.connections).toHaveLength(0);
    const first = exchangeBytes(port, get());
    const connection = await app.connection(0);
    await connection.receives("\r\n\r\n");
    const second = exchangeBytes(port, get("x-envoy-expected-rq-timeout-ms: 50\r\n"));
    await until(() => path.metrics.requestsActive.cell("inbound").value === 2);
    await turns(60);
    connection.socket.write(ok("first"));
    expect(await second).toContain("x-weft-reason: deadline-exceeded");
    expect(await first).toContain("200 OK");
    expect(connection.received.split("GET ")).toHaveLength(2);
    expect(app.connections).toHaveLength(1);
  });

  test("is not told where it is more than anybody waits: eleven days and more", async () => {
    const seen: string[] = [];
    const endpoint = await answering((request) => {
      seen.push(request);
      return ok("good");
    });
    for (const timeout of ["277h", "278h", "500h"]) {
      const { port } = await outboundRig({
        rules: serviceOf("orders", endpoint.address) + policy(`  timeout: { request: ${timeout} }`),
      });
      expect(await exchangeBytes(port, get("x-envoy-expected-rq-timeout-ms: 99999999999\r\n"))).toContain("good");
    }
    expect(seen.map(leftIn)).toEqual([expect.toSatisfy((ms) => ms > 997_000_000), -1, -1]);
  });

  test("hosts outside of the mesh are told nothing of it", async () => {
    const outside = await answering(ok("x"));
    const { port } = await outboundRig({
      rules:
        'apiVersion: weft.mesh/v1\nkind: Mesh\nmetadata: { name: mesh }\nspec: { egress: { allow: ["127.0.0.1"] } }\n',
    });
    const request = `GET / HTTP/1.1\r\nHost: ${outside.address}\r\nConnection: close\r\n\r\n`;
    expect(await exchangeBytes(port, request)).toContain("200 OK");
    expect(outside.connections[0]!.received).not.toContain("x-envoy-");
  });
});

describe("the time that a call is given", () => {
  const CALL: readonly Pair[] = [["content-type", "application/grpc"]];
  const MESSAGE = data(1, Buffer.from([0, 0, 0, 0, 0]));
  const DEADLINE_EXCEEDED = { "grpc-status": "4", "x-weft-reason": "request-timeout" };

  test.each([
    ["nothing has been answered", []],
    ["an answer has begun", [headers(1, [...OK, ...CALL]), MESSAGE]],
  ])("runs from its beginning, though its messages go on: %s", async (_what, answer) => {
    const endpoint = await rawEndpoint(({ type }, socket) => {
      if (type === FRAME_TYPE.headers) for (const bytes of answer) socket.write(bytes);
    });
    const { port } = await outboundRig({ rules: serviceOf2("grpc", endpoint.port) });
    const client = new RawClient(port).send(headers(1, requestOf("POST", ...CALL, ["grpc-timeout", "60m"])), MESSAGE);
    const { fields, trailers } = await client.ends(1);
    expect({ ...fields, ...trailers }).toMatchObject(DEADLINE_EXCEEDED);
  });

  test("is less for a later attempt, also while its messages come", async () => {
    const left: number[] = [];
    const endpoint = await rawEndpoint(({ type, streamId }, socket, log) => {
      if (type !== FRAME_TYPE.headers) return;
      left.push(Number.parseInt(log.stream(streamId).fields["grpc-timeout"] ?? "", 10));
      const again: Pair[] = [...OK, ...CALL, ["grpc-status", "14"], ["grpc-retry-pushback-ms", "100"]];
      socket.write(left.length === 1 ? lastHeaders(streamId, again) : lastHeaders(streamId, [...OK, ...CALL]));
    });
    const { port } = await outboundRig({
      rules: serviceOf2("grpc", endpoint.port) + policy("  retry: { attempts: 1, on: [unavailable] }"),
    });
    const client = new RawClient(port).send(headers(1, requestOf("POST", ...CALL, ["grpc-timeout", "5S"])), MESSAGE);
    await client.ends(1);
    expect(left[0]).toBeGreaterThan(4_500);
    expect(left[1]).toBeLessThanOrEqual((left[0] ?? 0) - 100);
  });

  test("of years is passed on in gRPC's own field, with eight digits", async () => {
    const endpoint = await rawEndpoint(({ type, streamId }, socket) => {
      if (type === FRAME_TYPE.headers) socket.write(lastHeaders(streamId, [...OK, ...CALL, ["grpc-status", "0"]]));
    });
    const { port } = await outboundRig({ rules: serviceOf2("grpc", endpoint.port) });
    const client = new RawClient(port).send(
      headers(1, requestOf("POST", ...CALL, ["grpc-timeout", "99999999H"])),
      MESSAGE,
    );
    await client.ends(1);
    const { fields } = endpoint.logs[0]!.stream(1);
    expect(fields["grpc-timeout"]).toBe("99999999S");
    expect(fields).not.toHaveProperty("x-envoy-expected-rq-timeout-ms");
  });
});

describe("retry-after", () => {
  const WAIT = "HTTP/1.1 503 No\r\nContent-Length: 0\r\n";

  test("beyond the deadline the answer is the client's, and the skipped retry is named", async () => {
    const busy = await answering(`${WAIT}Retry-After: 30\r\n\r\n`);
    const { port, path } = await outboundRig({ rules: serviceOf("orders", busy.address) + policy("") });
    expect(await exchangeBytes(port, get())).toMatch(/^HTTP\/1.1 503 No\r\n/);
    expect(path.metrics.retriesSkipped.cell(SERVICE, "retry-after").value).toBe(1);
  });

  test("of one instance's sidecar does not hold up a retry at another instance", async () => {
    const full = await answering(`${WAIT}x-weft-reason: concurrency-limited\r\nRetry-After: 30\r\n\r\n`);
    const free = await answering(ok("free"));
    const { port } = await outboundRig({
      rules: serviceOf("orders", full.address, free.address) + policy("  loadBalancer: { algorithm: round-robin }"),
    });
    for (let turn = 0; turn < 4; turn++) expect(await exchangeBytes(port, get())).toContain("free");
    expect(full.connections.length).toBeGreaterThan(0);
  });
});

test("a retry that could not begin before the deadline is not waited for", async () => {
  const bad = await answering("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
  const { port, path } = await outboundRig({
    rules:
      serviceOf("orders", bad.address) +
      policy("  timeout: { request: 1s }\n  retry: { backoff: { base: 1h, max: 1h } }"),
  });
  expect(await exchangeBytes(port, get())).toMatch(/^HTTP\/1.1 503 No\r\n/);
  expect(path.metrics.retriesSkipped.cell(SERVICE, "deadline").value).toBe(1);
});
