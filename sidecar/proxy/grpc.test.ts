// Calls of gRPC through the real listeners, with grpc-js on both ends.
import {
  Client,
  type ClientReadableStream,
  type ClientUnaryCall,
  status as Code,
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceError,
  type sendUnaryData,
} from "@grpc/grpc-js";
import { afterEach, describe, expect, test } from "vitest";
import { data, headers, lastHeaders, type Pair } from "../http2/testing/frames.ts";
import { grpcStatusIn, grpcStatusLines } from "./grpc.ts";
import { RawClient, rawAnswering, request, serviceOf2 } from "./testing/raw-http2.ts";
import {
  answering,
  applyRules,
  Client as BytesClient,
  cleanUp,
  inboundRig,
  ok,
  outboundRig,
  type Rig,
  serviceOf,
  until,
} from "./testing/rig.ts";

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await cleanUp();
});

const bytes = (value: Buffer): Buffer => value;
const METHOD = {
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes,
};
const SHOP = {
  get: { path: "/shop.Orders/Get", requestStream: false, responseStream: false, ...METHOD },
  list: { path: "/shop.Orders/List", requestStream: false, responseStream: true, ...METHOD },
  chat: { path: "/shop.Orders/Chat", requestStream: true, responseStream: true, ...METHOD },
};

type Unary = (call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) => void;

async function startServer(get: Unary, name = ""): Promise<number> {
  const server = new Server();
  server.addService(SHOP, {
    get,
    list: (call: ServerWritableStream<Buffer, Buffer>) => {
      const count = Number(call.request.toString());
      for (let index = 0; index < count; index++) call.write(Buffer.from(`${name}${index}`));
      call.end();
    },
    chat: (call: ServerDuplexStream<Buffer, Buffer>) => {
      call.on("data", (message: Buffer) => call.write(Buffer.concat([Buffer.from("re: "), message])));
      call.on("end", () => call.end());
    },
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  cleanups.push(() => server.forceShutdown());
  return port;
}

function clientTo(port: number, authority = "orders"): Client {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
    "grpc.default_authority": authority,
    "grpc.enable_retries": 0,
  });
  cleanups.push(() => client.close());
  return client;
}

interface Outcome {
  readonly code: number;
  readonly text: string;
  readonly details: string;
  readonly metadata: Metadata;
}

function call(
  client: Client,
  text: string,
  options: { deadlineMs?: number; metadata?: Metadata; path?: string } = {},
): Promise<Outcome> {
  return new Promise((resolve) => {
    let answer = "";
    const deadline = options.deadlineMs === undefined ? {} : { deadline: Date.now() + options.deadlineMs };
    const done = (_: ServiceError | null, value?: Buffer): void => {
      answer = value?.toString() ?? "";
    };
    const made: ClientUnaryCall = client.makeUnaryRequest(
      options.path ?? SHOP.get.path,
      bytes,
      bytes,
      Buffer.from(text),
      options.metadata ?? new Metadata(),
      deadline,
      done,
    );
    made.on("status", ({ code, details, metadata }) =>
      setImmediate(() => resolve({ code, text: answer, details, metadata })),
    );
  });
}

function service(ports: readonly number[], more = ""): string {
  const endpoints = ports.map((port) => `{ address: "127.0.0.1:${port}" }`).join(", ");
  return `
apiVersion: weft.mesh/v1
kind: Service
metadata: { name: orders }
spec: { ports: [{ port: 80, protocol: grpc }], endpoints: [${endpoints}] }
---
${more}`;
}

function policy(spec: string): string {
  return `
apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: orders }
spec: { targetRef: { kind: Service, name: orders }, ${spec} }
`;
}

const echo: Unary = (made, callback) => callback(null, Buffer.from(`got ${made.request.toString()}`));

async function rigTo(get: Unary, spec = ""): Promise<{ rig: Rig; client: Client }> {
  const rig = await outboundRig({ rules: service([await startServer(get)], spec === "" ? "" : policy(spec)) });
  return { rig, client: clientTo(rig.port) };
}

describe("calls", () => {
  test("a call, its metadata both ways, and a failure of the service", async () => {
    const { client, rig } = await rigTo((made, callback) => {
      if (made.request.toString() === "fail")
        return callback({ code: Code.FAILED_PRECONDITION, details: "grüße & 100 %" });
      const metadata = new Metadata();
      metadata.set("x-last", String(made.metadata.get("x-first")[0]));
      callback(null, Buffer.from("fine"), metadata);
    });
    const metadata = new Metadata();
    metadata.set("x-first", "1");
    const got = await call(client, "hello", { metadata });
    expect(got).toMatchObject({ code: 0, text: "fine" });
    expect(got.metadata.get("x-last")).toEqual(["1"]);
    expect(await call(client, "fail")).toMatchObject({ code: Code.FAILED_PRECONDITION, details: "grüße & 100 %" });
    const counted = (name: string): number =>
      rig.path.metrics.grpcRequests.cell("outbound", "default/orders", "default/orders", "", name).value;
    expect([counted("OK"), counted("FAILED_PRECONDITION")]).toEqual([1, 1]);
  });

  test("a stream of answers, and messages both ways as they come", async () => {
    const { client } = await rigTo(echo);
    const list: ClientReadableStream<Buffer> = client.makeServerStreamRequest(
      SHOP.list.path,
      bytes,
      bytes,
      Buffer.from("500"),
      new Metadata(),
      {},
    );
    const seen: string[] = [];
    for await (const message of list) seen.push(String(message));
    expect(seen).toHaveLength(500);
    expect(seen.at(-1)).toBe("499");
    const chat = client.makeBidiStreamRequest(SHOP.chat.path, bytes, bytes, new Metadata(), {});
    const answers: string[] = [];
    chat.on("data", (message: Buffer) => answers.push(message.toString()));
    for (const word of ["one", "two", "three"]) {
      chat.write(Buffer.from(word));
      await until(() => answers.at(-1) === `re: ${word}`);
    }
    chat.end();
    await new Promise((resolve) => chat.on("status", resolve));
  });

  test("calls on one connection go to all endpoints in turn", async () => {
    const names = ["a", "b", "c"];
    const ports = await Promise.all(
      names.map((name) => startServer((_, callback) => callback(null, Buffer.from(name)))),
    );
    const rig = await outboundRig({ rules: service(ports, policy("loadBalancer: { algorithm: round-robin }")) });
    const client = clientTo(rig.port);
    const answers = [];
    for (let index = 0; index < 9; index++) answers.push((await call(client, "x")).text);
    for (const name of names) expect(answers.filter((answer) => answer === name)).toHaveLength(3);
  });

  test("through the inbound port to an app that nobody said speaks gRPC", async () => {
    const rig = await inboundRig(`127.0.0.1:${await startServer(echo)}`);
    expect(await call(clientTo(rig.port), "x")).toMatchObject({ code: 0, text: "got x" });
  });

  test("the client's cancellation reaches the service", async () => {
    let hasBegun = false;
    let isCancelled = false;
    const { client } = await rigTo((made) => {
      hasBegun = true;
      made.on("cancelled", () => {
        isCancelled = true;
      });
    });
    const made = client.makeUnaryRequest(SHOP.get.path, bytes, bytes, Buffer.from("x"), () => {});
    await until(() => hasBegun);
    made.cancel();
    await until(() => isCancelled);
  });
});

describe("what the mesh itself says", () => {
  test("is a status of gRPC: no endpoint, no route, a limit, a time that is over", async () => {
    const rig = await outboundRig({ rules: service([1], policy("retry: { attempts: 0 }")) });
    const got = await call(clientTo(rig.port), "x");
    expect(got.code).toBe(Code.UNAVAILABLE);
    expect(got.details).toMatch(/^connect-failure: no connection to the endpoint could be made/);
    expect(got.metadata.get("x-weft-reason")).toEqual(["connect-failure"]);
    expect((await call(clientTo(rig.port, "nobody"), "x")).code).toBe(Code.UNIMPLEMENTED);
  });

  test("a deadline of the caller ends the call here, and the service hears what is left of it", async () => {
    const heard: unknown[] = [];
    const { client } = await rigTo((made, callback) => {
      heard.push(made.getDeadline());
      if (made.request.toString() === "fast") callback(null, Buffer.from("x"));
    });
    const nowMs = Date.now();
    await call(client, "fast", { deadlineMs: 5_000 });
    const left = Number(heard[0]) - nowMs;
    expect(left).toBeGreaterThan(3_000);
    expect(left).toBeLessThanOrEqual(5_100);
    expect((await call(client, "slow", { deadlineMs: 200 })).code).toBe(Code.DEADLINE_EXCEEDED);
  });

  test("the default timeout of requests does not end streams; one that is written does", async () => {
    const { client, rig } = await rigTo(() => {}, "timeout: { request: 200ms }");
    expect(await call(client, "x")).toMatchObject({ code: Code.DEADLINE_EXCEEDED });
    expect(rig.path.snapshots.current.services.get("default/orders")?.cluster.policy.timeout.grpcRequestMs).toBe(200);
    applyRules(rig.path, service([1]));
    expect(rig.path.snapshots.current.services.get("default/orders")?.cluster.policy.timeout.grpcRequestMs).toBe(0);
  });

  test("an answer that breaks off ends with a status", async () => {
    const port = await startServer(echo);
    const server = new Server();
    server.addService(SHOP, {
      get: echo,
      list: (made: ServerWritableStream<Buffer, Buffer>) => {
        made.write(Buffer.from("one"));
        setTimeout(() => server.forceShutdown(), 50);
      },
      chat: () => {},
    });
    const breaking = await new Promise<number>((resolve) =>
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (_, bound) => resolve(bound)),
    );
    expect(port).toBeGreaterThan(0);
    const rig = await outboundRig({ rules: service([breaking]) });
    const list = clientTo(rig.port).makeServerStreamRequest(
      SHOP.list.path,
      bytes,
      bytes,
      Buffer.from("1"),
      new Metadata(),
      {},
    );
    const seen: string[] = [];
    list.on("data", (message: Buffer) => seen.push(message.toString()));
    const error = await new Promise<ServiceError>((resolve) => list.on("error", resolve));
    expect(seen).toEqual(["one"]);
    expect(error.code).toBe(Code.UNAVAILABLE);
    expect(error.details).toMatch(/^upstream-reset/);
  });
});

describe("retries", () => {
  test("by code, whatever the method; and not where the service says never again", async () => {
    let tries = 0;
    const { client } = await rigTo((made, callback) => {
      tries++;
      if (tries < 3) {
        const metadata = new Metadata();
        if (made.request.toString() === "never") metadata.set("grpc-retry-pushback-ms", "-1");
        return callback({ code: Code.UNAVAILABLE, details: "not yet", metadata });
      }
      callback(null, Buffer.from("at last"));
    }, "retry: { attempts: 2, on: [unavailable] }");
    expect(await call(client, "x")).toMatchObject({ code: 0, text: "at last" });
    expect(tries).toBe(3);
    tries = 0;
    expect((await call(client, "never")).code).toBe(Code.UNAVAILABLE);
    expect(tries).toBe(1);
  });

  test("not by codes that nobody named", async () => {
    let tries = 0;
    const { client } = await rigTo((_, callback) => {
      tries++;
      callback({ code: Code.INTERNAL, details: "broken" });
    }, "retry: { attempts: 2, on: [unavailable] }");
    expect((await call(client, "x")).code).toBe(Code.INTERNAL);
    expect(tries).toBe(1);
  });
});

describe("GRPCRoute", () => {
  test("matches service, method and headers, and splits calls", async () => {
    const a = await startServer((_, callback) => callback(null, Buffer.from("a")));
    const b = await startServer((_, callback) => callback(null, Buffer.from("b")));
    const rig = await outboundRig({
      rules: `
${service([a])}
apiVersion: weft.mesh/v1
kind: Service
metadata: { name: others }
spec: { ports: [{ port: 80, protocol: grpc }], endpoints: [{ address: "127.0.0.1:${b}" }] }
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: { name: orders }
spec:
  parentRefs: [{ kind: Service, group: "", name: orders }]
  rules:
    - matches: [{ method: { service: shop.Orders, method: Get }, headers: [{ name: x-tester, value: "yes" }] }]
      backendRefs: [{ name: others, port: 80 }]
    - matches: [{ method: { service: shop.Orders, method: Get } }]
      backendRefs: [{ name: orders, port: 80 }]
    - matches: [{ method: { service: shop.Orders, method: Lost } }]
      backendRefs: [{ name: nobody, port: 80 }]
`,
    });
    const client = clientTo(rig.port);
    const metadata = new Metadata();
    metadata.set("x-tester", "yes");
    expect((await call(client, "x", { metadata })).text).toBe("b");
    expect((await call(client, "x")).text).toBe("a");
    expect((await call(client, "x", { path: "/shop.Orders/Other" })).code).toBe(Code.UNIMPLEMENTED);
    // Gateway API, GRPCRouteRule.backendRefs.
    const lost = await call(client, "x", { path: "/shop.Orders/Lost" });
    expect(lost.code).toBe(Code.UNAVAILABLE);
    expect(lost.metadata.get("x-weft-reason")).toEqual(["invalid-backend"]);
  });
});

describe("gRPC-Web is not gRPC", () => {
  const CALL =
    "POST /shop.Orders/Get HTTP/1.1\r\nhost: orders\r\ncontent-type: application/grpc-web+proto\r\ncontent-length: 0\r\n\r\n";
  const ANSWER = ok("trailers", "Content-Type: application/grpc-web+proto\r\n");

  test.each(["outbound", "inbound"] as const)(
    "%s: to an endpoint of HTTP/1.1 as it came, and it fails as HTTP",
    async (side) => {
      const endpoint = await answering(ANSWER);
      const rig =
        side === "inbound"
          ? await inboundRig(endpoint.address)
          : await outboundRig({ rules: serviceOf("orders", endpoint.address) });
      const client = new BytesClient(rig.port).send(CALL);
      expect(await client.receives("trailers")).toMatch(/^HTTP\/1.1 200 OK/);
      await endpoint.stop();
      client.send(CALL);
      expect(await client.receives("connect-failure")).toMatch(/HTTP\/1.1 503 /);
      expect(client.received).not.toContain("grpc-status");
    },
  );

  test("answers without trailers speak against nobody", async () => {
    const endpoint = await answering(ANSWER);
    const spec = policy("circuitBreaker: { volumeThreshold: 2 }, outlierDetection: { consecutiveErrors: 2 }");
    const rig = await outboundRig({ rules: serviceOf("orders", endpoint.address) + spec });
    const client = new BytesClient(rig.port);
    for (let count = 1; count <= 6; count++) {
      client.send(CALL.replace("grpc-web+proto", "grpc-web"));
      await until(() => client.received.split("trailers").length === count + 1);
    }
    expect(client.received.match(/HTTP\/1.1 200 OK/g)).toHaveLength(6);
    const unknown = rig.path.metrics.grpcRequests.cell("outbound", "default/orders", "default/orders", "", "UNKNOWN");
    expect(unknown.value).toBe(0);
  });
});

describe("what a library would not say", () => {
  const TOLD: Pair[] = [
    ["content-type", "application/grpc"],
    ["te", "trailers"],
  ];

  /** One call to an endpoint that answers with these frames. */
  async function callRaw(frames: (id: number, index: number) => Buffer[], more: Pair[] = [], spec = "") {
    const endpoint = await rawAnswering(frames);
    const rig = await outboundRig({ rules: serviceOf2("grpc", endpoint.port) + (spec === "" ? "" : policy(spec)) });
    const ended: unknown[] = [];
    rig.path.observers.push({
      onExchange: (record) =>
        ended.push(
          record.listAttempts().map(({ grpcStatus }) => grpcStatus),
          record.grpcStatus,
        ),
    });
    const client = new RawClient(rig.port);
    const seen = await client.send(lastHeaders(1, request("POST", ...TOLD, ...more))).ends(1);
    await until(() => ended.length > 0);
    return { seen, codes: ended, got: endpoint.logs[0]!.stream(1).fields };
  }

  const head = (id: number, code: string): Buffer => headers(id, [[":status", "200"], TOLD[0]!, ["grpc-status", code]]);

  test("the code of a call is that of its trailers, whatever its head said before its messages", async () => {
    const message = Buffer.alloc(5);
    const both = (id: number) => [head(id, "0"), data(id, message), lastHeaders(id, [["grpc-status", "13"]])];
    const { seen, codes } = await callRaw(both);
    expect(seen).toMatchObject({ fields: { "grpc-status": "0" }, trailers: { "grpc-status": "13" } });
    expect(codes).toEqual([["INTERNAL"], "INTERNAL"]);
    // Some servers end an answer without messages by an empty frame.
    const empty = await callRaw((id) => [head(id, "5"), data(id, Buffer.alloc(0), 1)]);
    expect(empty.codes).toEqual([["NOT_FOUND"], "NOT_FOUND"]);
    const tired = (id: number, index: number) => [head(id, index === 0 ? "14" : "0"), data(id, Buffer.alloc(0), 1)];
    const retried = await callRaw(tired, [], "retry: { on: [unavailable] }");
    expect(retried.codes).toEqual([["UNAVAILABLE", "OK"], "OK"]);
  });

  test("a deadline that is none goes on as it came, beside no other", async () => {
    const answer = (id: number) => [lastHeaders(id, [[":status", "200"], TOLD[0]!, ["grpc-status", "0"]])];
    for (const told of ["123456789S", "-1S", "1x", "S", "1.5S"]) {
      const { got } = await callRaw(answer, [["grpc-timeout", told]]);
      expect(got["grpc-timeout"]).toBe(told);
    }
    const { got } = await callRaw(answer, [["grpc-timeout", "1x"]], "timeout: { request: 9s }");
    expect(got["grpc-timeout"]).toMatch(/^(9000|8\d\d\d)m$/);
  });
});

test("ejects an endpoint by its codes", async () => {
  const good = await startServer((_, callback) => callback(null, Buffer.from("good")));
  const bad = await startServer((_, callback) => callback({ code: Code.UNAVAILABLE, details: "bad" }));
  const rig = await outboundRig({
    rules: service(
      [good, bad],
      policy(
        "retry: { attempts: 0 }, loadBalancer: { algorithm: round-robin }, outlierDetection: { consecutiveGatewayErrors: 3, baseEjectionTime: 60s, keepAtLeast: 1 }",
      ),
    ),
  });
  const client = clientTo(rig.port);
  const codes: number[] = [];
  for (let index = 0; index < 20; index++) codes.push((await call(client, "x")).code);
  expect(codes.filter((code) => code === Code.UNAVAILABLE)).toHaveLength(3);
});

test("messages of statuses are escaped, and statuses are read from trailers", () => {
  expect(grpcStatusLines(13, "100 % grüße\r\n")).toBe(
    "grpc-status: 13\r\ngrpc-message: 100 %25 gr%C3%BC%C3%9Fe%0D%0A\r\n",
  );
  expect(grpcStatusIn("grpc-message: x\r\nGrpc-Status: 14\r\n\r\n")).toBe(14);
  expect(grpcStatusIn("x: grpc-status: 0\r\n\r\n")).toBe(2);
  expect(grpcStatusIn("")).toBe(2);
});
