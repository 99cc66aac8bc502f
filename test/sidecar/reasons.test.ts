// Every word of docs/reasons.md from real processes: one sidecar beside a caller with rules that fail in every way, one
// beside a service, and some that end on purpose. Words that no input can provoke are named with why.

import { writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { REASON_NAMES, type ReasonName } from "../../rules/reason-names.ts";
import { cleanUp, eventually, type RunningProgram, startProgram, temporaryFolder, within } from "../harness.ts";
import { page, serviceDocument, sidecarArguments, startSidecar } from "./sidecar-process.ts";

/** A port on which nothing listens. */
const REFUSING = "127.0.0.1:1";

const NOT_PROVOKED: Partial<Record<ReasonName, string>> = {
  "internal-error": "a bug, or there is none to show",
  "refused-stream": "an HTTP/2 endpoint says it: sidecar/proxy/*http2*.test.ts",
};

/** Sends bytes and resolves with all that comes until the other side closes or `isEnough` says so. */
function speak(address: string, bytes: string, isEnough: (text: string) => boolean = () => false): Promise<string> {
  const { hostname, port } = new URL(`http://${address}`);
  const answer = new Promise<string>((settle) => {
    let received = "";
    const socket = connect(Number(port), hostname);
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
      if (!isEnough(received)) return;
      socket.destroy();
      settle(received);
    });
    socket.on("error", () => {});
    socket.on("close", () => settle(received));
    socket.write(bytes, "latin1");
  });
  return within(15_000, answer, () => `no end after ${JSON.stringify(bytes.slice(0, 80))}`);
}

function get(host: string, fields = "", method = "GET", target = "/"): string {
  return `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\n${fields}Connection: close\r\n\r\n`;
}

function document(kind: string, name: string, spec: string, group = "weft.mesh/v1"): string {
  return `apiVersion: ${group}\nkind: ${kind}\nmetadata: { name: ${name} }\nspec: ${spec}\n---\n`;
}

function policy(name: string, spec: string): string {
  return document("TrafficPolicy", name, `{ targetRef: { kind: Service, name: ${name} }, ${spec} }`);
}

function route(name: string, rules: string): string {
  const spec = `{ parentRefs: [{ group: "", kind: Service, name: ${name} }], rules: [${rules}] }`;
  return document("HTTPRoute", name, spec, "gateway.networking.k8s.io/v1");
}

const servers: Server[] = [];
const sockets = new Set<Socket>();

async function serve(onData: (socket: Socket) => void): Promise<string> {
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("data", () => onData(socket));
  });
  servers.push(server);
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

let caller: RunningProgram;
let service: RunningProgram;
let plain = "";
let silent = "";

/** The services of the caller's rules, each named after the word that it is for. */
async function callerRules(): Promise<string> {
  const resetting = await serve((socket) => socket.resetAndDestroy());
  const broken = await serve((socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"));
  const failing = await serve((socket) => socket.write("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"));
  const once = "retry: { attempts: 0 }";
  return [
    document("Mesh", "mesh", '{ egress: { allow: ["127.0.0.1"] } }'),
    serviceDocument("no-route", plain) +
      route("no-route", "{ matches: [{ path: { value: /only } }], backendRefs: [{ name: no-route }] }"),
    serviceDocument("invalid-backend", plain) + route("invalid-backend", "{ backendRefs: [{ name: nowhere }] }"),
    serviceDocument("no-healthy-endpoint"),
    serviceDocument("connect-failure", REFUSING) + policy("connect-failure", once),
    serviceDocument("upstream-reset", resetting) + policy("upstream-reset", once),
    serviceDocument("bad-response", broken),
    serviceDocument("request-timeout", silent) + policy("request-timeout", "timeout: { request: 50ms }"),
    serviceDocument("deadline-exceeded", plain),
    serviceDocument("per-try-timeout", silent) + policy("per-try-timeout", `timeout: { perTry: 50ms }, ${once}`),
    serviceDocument("stream-idle-timeout", silent) + policy("stream-idle-timeout", "timeout: { idle: 50ms }"),
    serviceDocument("pool-overflow", silent) + policy("pool-overflow", "connectionPool: { maxRequests: 1 }"),
    serviceDocument("circuit-open", failing) +
      policy("circuit-open", `circuitBreaker: { volumeThreshold: 1 }, ${once}`),
    serviceDocument("retry-budget-exhausted", resetting) +
      policy("retry-budget-exhausted", "retry: { budget: { percent: 0, minPerSecond: 0 } }"),
    serviceDocument("redirect", plain) +
      route("redirect", "{ filters: [{ type: RequestRedirect, requestRedirect: { hostname: other } }] }"),
    serviceDocument("cors-preflight", plain) +
      route(
        "cors-preflight",
        '{ filters: [{ type: CORS, cors: { allowOrigins: ["*"], allowMethods: [GET] } }], backendRefs: [{ name: cors-preflight }] }',
      ),
  ].join("");
}

const SERVICE_RULES = [
  document(
    "RateLimit",
    "of-path",
    "{ targetRef: { kind: Service, name: orders }, limits: [{ requests: 1, per: 1h, match: { path: { value: /limited } } }] }",
  ),
  document("RateLimit", "of-all", "{ targetRef: { kind: Service, name: orders }, concurrency: { max: 1 } }"),
  document(
    "Fault",
    "some",
    "{ targetRef: { kind: Service, name: orders }, match: { path: { value: /faulty } }, abort: { percent: 100, status: 418 } }",
  ),
].join("");

function rulesIn(text: string): string[] {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "rules.yaml"), text);
  return ["--rules", folder];
}

beforeAll(async () => {
  plain = await serve((socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
  silent = await serve(() => {});
  const flags = [...rulesIn(await callerRules()), "--header-timeout", "300ms", "--max-client-connections", "50"];
  [caller, service] = await Promise.all([
    startSidecar("web", { flags }),
    startSidecar("orders", { flags: rulesIn(SERVICE_RULES), app: silent }),
  ]);
});

afterAll(async () => {
  await cleanUp();
  for (const socket of sockets) socket.destroy();
  for (const server of servers) server.close();
});

function outbound(bytes: string, isEnough?: (text: string) => boolean): Promise<string> {
  return speak(caller.address("outbound"), bytes, isEnough);
}

function inbound(bytes: string): Promise<string> {
  return speak(service.address("inbound"), bytes);
}

/** A request that is at the silent endpoint and stays there until `end`. */
async function stuck(
  program: RunningProgram,
  listener: "outbound" | "inbound",
  host: string,
): Promise<{ end(): void }> {
  const { hostname, port } = new URL(`http://${program.address(listener)}`);
  const socket = connect(Number(port), hostname).on("error", () => {});
  socket.write(get(host));
  await eventually("a request is in progress", async () =>
    (await (await page(program, "status", "/metrics")).text()).includes(
      `weft_requests_active{direction="${listener}"} 1`,
    ),
  );
  return { end: () => socket.destroy() };
}

const PROVOKED: Partial<Record<ReasonName, () => Promise<string>>> = {
  "bad-request": () => outbound("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
  "uri-too-long": () => outbound(`GET /${"x".repeat(9_000)} HTTP/1.1\r\nHost: a\r\n\r\n`),
  "header-too-large": () => outbound(`GET / HTTP/1.1\r\nHost: a\r\nX-A: ${"x".repeat(70_000)}\r\n\r\n`),
  "not-implemented": () => outbound("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
  "version-not-supported": () => outbound("GET / HTTP/2.7\r\nHost: a\r\n\r\n"),
  "client-timeout": () => outbound("GET / HTTP/1.1\r\nHost: a\r\n"),
  "no-such-service": () => outbound(get("nobody")),
  "no-route": () => outbound(get("no-route")),
  "invalid-backend": () => outbound(get("invalid-backend")),
  "no-healthy-endpoint": () => outbound(get("no-healthy-endpoint")),
  "connect-failure": () => outbound(get("connect-failure")),
  "upstream-reset": () => outbound(get("upstream-reset")),
  "bad-response": () => outbound(get("bad-response")),
  "request-timeout": () => outbound(get("request-timeout")),
  "deadline-exceeded": () => outbound(get("deadline-exceeded", "x-envoy-expected-rq-timeout-ms: 0\r\n")),
  "per-try-timeout": () => outbound(get("per-try-timeout")),
  "stream-idle-timeout": () => outbound(get("stream-idle-timeout")),
  "pool-overflow": async () => {
    const first = await stuck(caller, "outbound", "pool-overflow");
    const answer = await outbound(get("pool-overflow"));
    first.end();
    return answer;
  },
  "circuit-open": async () => {
    await outbound(get("circuit-open"));
    return outbound(get("circuit-open"));
  },
  "retry-budget-exhausted": () => outbound(get("retry-budget-exhausted")),
  redirect: () => outbound(get("redirect")),
  "cors-preflight": () =>
    outbound(get("cors-preflight", "Origin: https://a\r\nAccess-Control-Request-Method: GET\r\n", "OPTIONS")),
  tunnel: () => outbound(`CONNECT ${plain} HTTP/1.1\r\nHost: ${plain}\r\n\r\n`, (text) => text.includes("\r\n\r\n")),
  "rate-limited": async () => {
    const first = speak(
      service.address("inbound"),
      get("orders", "x-envoy-expected-rq-timeout-ms: 40\r\n", "GET", "/limited"),
    );
    await first;
    return inbound(get("orders", "", "GET", "/limited"));
  },
  "concurrency-limited": async () => {
    const first = await stuck(service, "inbound", "orders");
    const answer = await inbound(get("orders"));
    first.end();
    return answer;
  },
  "fault-injected": () => inbound(get("orders", "", "GET", "/faulty")),
  "client-closed": async () => {
    const first = await stuck(caller, "outbound", "pool-overflow");
    first.end();
    const counted = 'status="499",reason="client-closed"';
    const metrics = () => page(caller, "status", "/metrics").then((answer) => answer.text());
    await eventually("it is counted", async () => (await metrics()).includes(counted));
    // Nobody is there for an answer: the word is in the metrics alone.
    return "x-weft-reason: client-closed\r\n";
  },
  "control-plane-unavailable": async () => {
    const sidecar = await startProgram(
      "weft-sidecar",
      sidecarArguments("alone", { flags: ["--control-plane", REFUSING] }),
    );
    return speak(sidecar.address("outbound"), get("anybody"));
  },
  draining: async () => {
    const sidecar = await startSidecar("ending", { flags: [...rulesIn(""), "--drain", "1s"], app: silent });
    const answer = speak(sidecar.address("inbound"), get("ending"));
    await eventually("the request is there", async () =>
      (await (await page(sidecar, "status", "/metrics")).text()).includes(
        'weft_requests_active{direction="inbound"} 1',
      ),
    );
    sidecar.signal("SIGTERM");
    return answer;
  },
  overloaded: async () => {
    const shedding = document(
      "RateLimit",
      "busy",
      "{ targetRef: { kind: Service, name: busy }, shedding: { heapPercent: 1 } }",
    );
    const sidecar = await startSidecar("busy", {
      flags: rulesIn(shedding),
      app: plain,
      env: { NODE_OPTIONS: "--max-old-space-size=100" },
    });
    const ask = () => speak(sidecar.address("inbound"), get("busy", "x-weft-priority: 0\r\n"));
    await eventually("the load is known", async () => (await ask()).includes("overloaded"));
    // Whoever says that it is important is served last of all; anything but one digit counts as the usual.
    const claims = await Promise.all(
      ["9", "99", "high"].map((claim) =>
        speak(sidecar.address("inbound"), get("busy", `x-weft-priority: ${claim}\r\n`)),
      ),
    );
    expect(claims.map((answer) => answer.includes("200 OK"))).toEqual([true, false, false]);
    return ask();
  },
};

describe("the mesh answers with the word", () => {
  test.each(Object.entries(PROVOKED))("%s", async (word, provoke) => {
    expect(await provoke()).toContain(`x-weft-reason: ${word}\r\n`);
  });
});

test("every word is provoked here, or it is said why not", () => {
  const covered = [...Object.keys(PROVOKED), ...Object.keys(NOT_PROVOKED)].sort();
  expect(covered).toEqual([...REASON_NAMES].sort());
});
