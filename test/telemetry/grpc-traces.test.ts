// Spans of gRPC through two sidecars: the current conventions for RPC (https://opentelemetry.io/docs/specs/semconv/rpc/grpc/),
// what counts as an error on which side, retries, and the tail rule, which goes by the call's code.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client, credentials, Metadata, Server, ServerCredentials, type ServiceError, status } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cleanUp, type RunningProgram, temporaryFolder } from "../harness.ts";
import { type CollectedSpan, Collector } from "../otlp/collected.ts";
import { page, startSidecar } from "../sidecar/sidecar-process.ts";
import { meshDocument, newTrace, SPAN, settles, traceOf } from "./pair.ts";

const closing: (() => unknown)[] = [];
afterAll(async () => {
  for (const close of closing.splice(0)) await close();
  await cleanUp();
});

const bytes = (value: Buffer): Buffer => value;
const METHOD = {
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes,
};
const SERVICE = { get: { path: "/shop.Orders/Get", requestStream: false, responseStream: false, ...METHOD } };

/** A server that ends calls with the code that they ask for; "flaky" is UNAVAILABLE every other time. */
async function startServer(): Promise<string> {
  const server = new Server();
  let calls = 0;
  server.addService(SERVICE, {
    get: (
      { request }: { request: Buffer },
      callback: (error: Partial<ServiceError> | null, value?: Buffer) => void,
    ) => {
      const wanted = request.toString();
      const code = wanted === "flaky" ? (calls++ % 2 === 0 ? status.UNAVAILABLE : status.OK) : Number(wanted);
      if (code === status.OK) callback(null, Buffer.from("fine"));
      else callback({ code, details: "as asked" });
    },
  });
  const port = await new Promise<number>((settle, fail) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? settle(bound) : fail(error),
    ),
  );
  closing.push(() => server.forceShutdown());
  return `127.0.0.1:${port}`;
}

interface Calling {
  readonly web: RunningProgram;
  /** @returns the code of the call */
  readonly call: (wanted: string, traceparent?: string) => Promise<number>;
}

async function startCalling(collector: Collector, tracing: object): Promise<Calling> {
  const folder = temporaryFolder();
  const settings = { endpoint: collector.grpc, ...tracing };
  const ordersRules = join(folder, "orders.yaml");
  writeFileSync(ordersRules, meshDocument(settings));
  const orders = await startSidecar("orders", { app: await startServer(), flags: ["--rules", ordersRules] });
  const rules = join(folder, "web.yaml");
  const service = `apiVersion: weft.mesh/v1
kind: Service
metadata: { name: orders }
spec: { ports: [{ port: 80, protocol: grpc }], endpoints: [{ address: "${orders.address("inbound")}" }] }
---
apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: orders }
spec: { targetRef: { kind: Service, name: orders }, retry: { attempts: 1, on: [unavailable], backoff: { base: 1ms, max: 2ms } } }
---
`;
  writeFileSync(rules, service + meshDocument(settings));
  const web = await startSidecar("web", { flags: ["--rules", rules] });
  const options = { "grpc.default_authority": "orders", "grpc.enable_retries": 0 };
  const client = new Client(web.address("outbound"), credentials.createInsecure(), options);
  closing.push(() => client.close());
  const call = (wanted: string, traceparent?: string): Promise<number> =>
    new Promise((settle) => {
      const metadata = new Metadata();
      if (traceparent !== undefined) metadata.set("traceparent", traceparent);
      const ended = (error: ServiceError | null) => settle(error?.code ?? status.OK);
      client.makeUnaryRequest(SERVICE.get.path, bytes, bytes, Buffer.from(wanted), metadata, {}, ended);
    });
  await settles(async () => {
    await call("0", `00-${"b".repeat(32)}-${SPAN}-01`);
    const services = new Set((await collector.spans()).map(({ resource }) => resource["service.name"]));
    expect([...services].sort()).toEqual(["orders", "web"]);
  }, 30_000);
  return { web, call };
}

const sidesOf = (spans: readonly CollectedSpan[]) => ({
  clients: spans.filter(({ kind }) => kind === "client"),
  server: spans.find(({ kind }) => kind === "server")!,
});

const RPC = { "rpc.system.name": "grpc", "rpc.method": "shop.Orders/Get", "server.address": "orders" };

describe("calls of a caller that samples", () => {
  let collector: Collector;
  let web: RunningProgram;
  let call: Calling["call"];

  beforeAll(async () => {
    collector = await Collector.start();
    ({ web, call } = await startCalling(collector, { sampling: 0 }));
  });

  test("a call is a client span and a server span, by the conventions for RPC", async () => {
    const { trace, parent } = newTrace();
    expect(await call("0", parent)).toBe(status.OK);
    const { clients, server } = sidesOf(await traceOf(collector, trace, 2));
    const [client] = clients;
    expect(client).toMatchObject({ name: "shop.Orders/Get", parentId: SPAN, error: false });
    expect(server).toMatchObject({ name: "shop.Orders/Get", parentId: client!.spanId, error: false });
    for (const { attributes } of [client!, server]) {
      expect(attributes).toMatchObject({ ...RPC, "rpc.response.status_code": "OK" });
      expect(attributes).not.toHaveProperty("error.type");
      expect(attributes).not.toHaveProperty("http.request.method");
    }
    expect(client!.attributes).toMatchObject({ "network.peer.address": "127.0.0.1" });
    expect(server.attributes).toMatchObject({ "client.address": "127.0.0.1" });
  });

  test.each([
    ["NOT_FOUND", status.NOT_FOUND, false],
    ["INTERNAL", status.INTERNAL, true],
    ["DEADLINE_EXCEEDED", status.DEADLINE_EXCEEDED, true],
  ] as const)(
    "%s is an error of the client span, and of the server span where it is the server's fault",
    async (name, code, isServerError) => {
      const { trace, parent } = newTrace();
      expect(await call(String(code), parent)).toBe(code);
      const { clients, server } = sidesOf(await traceOf(collector, trace, 2));
      expect(clients[0]).toMatchObject({ error: true });
      expect(clients[0]!.attributes).toMatchObject({ "rpc.response.status_code": name, "error.type": name });
      expect(server).toMatchObject({ error: isServerError });
      expect(server.attributes).toMatchObject({ "rpc.response.status_code": name });
    },
  );

  test("a retried call is one client span per attempt, each with its own code", async () => {
    const { trace, parent } = newTrace();
    expect(await call("flaky", parent)).toBe(status.OK);
    const { clients } = sidesOf(await traceOf(collector, trace, 4));
    const [first, second] = clients.sort(
      (a, b) => Number(a.attributes["weft.attempt"]) - Number(b.attributes["weft.attempt"]),
    );
    expect(first).toMatchObject({ error: true, links: [] });
    expect(first!.attributes).toMatchObject({ "rpc.response.status_code": "UNAVAILABLE", "error.type": "UNAVAILABLE" });
    expect(second).toMatchObject({ error: false, links: [first!.spanId] });
    expect(second!.attributes).toMatchObject({ "rpc.response.status_code": "OK", "weft.attempt.kind": "retry" });
  });

  test("a call that the mesh answers itself has its code and its reason", async () => {
    const { trace, parent } = newTrace();
    const gone = new Client(web.address("outbound"), credentials.createInsecure(), {
      "grpc.default_authority": "nobody",
    });
    closing.push(() => gone.close());
    const metadata = new Metadata();
    metadata.set("traceparent", parent);
    const code = await new Promise<number>((settle) =>
      gone.makeUnaryRequest(SERVICE.get.path, bytes, bytes, Buffer.from("0"), metadata, {}, (error) =>
        settle(error?.code ?? 0),
      ),
    );
    expect(code).toBe(status.UNIMPLEMENTED);
    const [span] = await traceOf(collector, trace, 1);
    expect(span).toMatchObject({ error: true });
    expect(span!.attributes).toMatchObject({
      "weft.reason": "no-such-service",
      "error.type": "no-such-service",
      "rpc.response.status_code": "UNIMPLEMENTED",
    });
    expect(await call("0")).toBe(status.OK);
  });
});

test("the tail rule goes by the code: what is the server's fault is kept, what is the caller's is not", async () => {
  const collector = await Collector.start();
  const { web, call } = await startCalling(collector, { sampling: 0, tail: { errors: true, maxPerSecond: 1_000 } });
  const unsampled = (digit: string) => `00-${digit.repeat(32)}-${SPAN}-00`;
  await call("0", unsampled("1"));
  await call(String(status.NOT_FOUND), unsampled("2"));
  for (const [index, code] of [status.INTERNAL, status.DATA_LOSS, status.UNKNOWN].entries())
    await call(String(code), unsampled(String(3 + index)));
  for (const digit of ["3", "4", "5"]) {
    const spans = await traceOf(collector, digit.repeat(32), 2);
    expect(spans.map(({ attributes }) => attributes["weft.sampling.kept_for"])).toEqual(["error", "error"]);
  }
  const kept = new Set((await collector.spans()).map(({ traceId }) => traceId[0]));
  expect(kept).toEqual(new Set(["b", "3", "4", "5"]));
  const text = await (await page(web, "status", "/metrics")).text();
  expect(text).toMatch(/^weft_traced_requests_total\{why="error"\} 3$/m);
});
