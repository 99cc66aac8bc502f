// The reason of an answer that a sidecar makes itself stands in four places: the answer's field, the access log, the
// metrics, the span. Each status is provoked for real, over HTTP/1.1, HTTP/2 and gRPC, and the places are compared.
import { readFileSync, writeFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cleanUp, type RunningProgram, temporaryFolder } from "../harness.ts";
import { Collector } from "../otlp/collected.ts";
import { type App, page, startHttpApp, startSidecar } from "../sidecar/sidecar-process.ts";
import { settles } from "./pair.ts";

const closing: (() => unknown)[] = [];
const folder = temporaryFolder();
const log = join(folder, "access.log");
let collector: Collector;
let web: RunningProgram;

/** What an endpoint of bytes does with what it is sent first. */
type Behaviour = "silent" | "reset" | "nonsense";

async function startBytes(behaviour: Behaviour): Promise<string> {
  const server: Server = createServer((socket) => {
    socket.on("error", () => {});
    closing.push(() => socket.destroy());
    socket.once("data", () => {
      if (behaviour === "reset") socket.resetAndDestroy();
      else if (behaviour === "nonsense") socket.end("HTTP/1.1 nonsense\r\n\r\n");
    });
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  closing.push(() => server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function service(name: string, endpoints: readonly string[], policy = ""): string {
  return `apiVersion: weft.mesh/v1
kind: Service
metadata: { name: ${name} }
spec: { endpoints: [${endpoints.map((address) => `{ address: "${address}" }`).join(", ")}] }
---
apiVersion: weft.mesh/v1
kind: TrafficPolicy
metadata: { name: ${name} }
spec: { targetRef: { kind: Service, name: ${name} }, retry: { attempts: 0 }${policy === "" ? "" : `, ${policy}`} }
---
`;
}

async function rules(app: App): Promise<string> {
  const [silent, resetting, nonsense] = [
    await startBytes("silent"),
    await startBytes("reset"),
    await startBytes("nonsense"),
  ];
  return [
    service("empty", []),
    service("refusing", ["127.0.0.1:1"]),
    service("resetting", [resetting]),
    service("nonsense", [nonsense]),
    service("slow", [silent], "timeout: { request: 100ms }"),
    service("late", [silent], "timeout: { perTry: 100ms }"),
    service("quiet", [silent], "timeout: { idle: 200ms, request: 0s }"),
    service("full", [silent], "connectionPool: { maxRequests: 1 }, timeout: { request: 0s }"),
    service("spent", ["127.0.0.1:1"], "").replace(
      "attempts: 0",
      "attempts: 1, budget: { percent: 0, minPerSecond: 0 }",
    ),
    service("routed", [app.address]),
    service("web", [app.address]),
    `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: routed }
spec:
  parentRefs: [{ group: "", kind: Service, name: routed }]
  rules:
    - matches: [{ path: { type: PathPrefix, value: /nowhere } }]
      backendRefs: [{ name: not-there }]
    - matches: [{ path: { type: PathPrefix, value: /moved } }]
      filters: [{ type: RequestRedirect, requestRedirect: { statusCode: 301, hostname: other } }]
---
apiVersion: weft.mesh/v1
kind: RateLimit
metadata: { name: rates }
spec:
  targetRef: { kind: Service, name: web }
  limits: [{ requests: 1, per: 24h, match: { path: { type: PathPrefix, value: /limited } } }]
---
apiVersion: weft.mesh/v1
kind: Fault
metadata: { name: faults }
spec: { targetRef: { kind: Service, name: web }, match: { path: { type: PathPrefix, value: /faulty } }, abort: { percent: 100, status: 503 } }
---
apiVersion: weft.mesh/v1
kind: Mesh
metadata: { name: mesh }
spec:
  tracing: { endpoint: "${collector.grpc}", sampling: 100 }
  accessLog: { enabled: true, file: "${log}" }
---
`,
  ].join("");
}

beforeAll(async () => {
  collector = await Collector.start();
  const app = await startHttpApp("fine");
  closing.push(() => app.close());
  const file = join(folder, "rules.yaml");
  writeFileSync(file, await rules(app));
  const flags = ["--rules", file, "--header-timeout", "300ms", "--body-idle-timeout", "300ms"];
  web = await startSidecar("web", { app: app.address, flags });
  // Tracing begins when its SDK is loaded.
  await settles(async () => {
    await raw("outbound", "GET / HTTP/1.1\r\nHost: routed\r\nConnection: close\r\n\r\n");
    expect((await collector.spans()).length).toBeGreaterThan(0);
  }, 30_000);
  // The one that the limit lets through.
  await raw("inbound", get("web", "/limited"));
  // Nothing of the beginning is written down after it.
  await settles(async () => expect(linesOf().length).toBe((await collector.spans()).length));
  // One that is never answered has all the room that there is.
  const holding = connect(addressOf("outbound"));
  closing.push(() => holding.destroy());
  holding.write(get("full"));
  await settles(async () => {
    const text = await (await page(web, "status", "/metrics")).text();
    expect(text).toMatch(/^weft_requests_active\{direction="outbound"\} 1$/m);
  });
});

afterAll(async () => {
  for (const close of closing.splice(0)) await close();
  await cleanUp();
});

type Port = "outbound" | "inbound";

interface Seen {
  readonly status: number;
  readonly reason: string;
}

function addressOf(port: Port): { readonly host: string; readonly port: number } {
  const [host = "", number = ""] = web.address(port).split(":");
  return { host, port: Number(number) };
}

/** Sends bytes, and reads what comes until the sidecar closes. */
async function raw(port: Port, text: string): Promise<Seen> {
  const socket = connect({ ...addressOf(port), allowHalfOpen: true });
  let received = "";
  socket.setEncoding("latin1").on("data", (chunk: string) => {
    received += chunk;
  });
  socket.write(text, "latin1");
  await new Promise<void>((ended) => {
    socket.on("end", ended);
    socket.on("error", () => ended());
  });
  socket.destroy();
  return { status: Number(received.slice(9, 12)), reason: /^x-weft-reason: (.*)$/m.exec(received)?.[1]?.trim() ?? "" };
}

type Fields = Readonly<Record<string, string>>;

/** One request over HTTP/2; content is not its end. */
async function overHttp2(port: Port, fields: Fields, content: string): Promise<Seen> {
  const session = connectHttp2(`http://${web.address(port)}`);
  session.on("error", () => {});
  const stream = session.request(fields, { endStream: content === "" });
  stream.on("error", () => {});
  let seen: Seen = { status: 0, reason: "" };
  stream.on("response", (head) => {
    seen = { status: head[":status"] ?? 0, reason: String(head["x-weft-reason"] ?? "") };
  });
  if (content !== "") stream.write(content);
  stream.resume();
  await new Promise<void>((closed) => stream.on("close", closed));
  session.destroy();
  return seen;
}

const linesOf = (): { status: number; reason: string }[] =>
  readFileSync(log, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as { status: number; reason: string });

/** How many requests the metrics tell of, by `STATUS REASON`. */
async function counted(): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const line of (await (await page(web, "status", "/metrics")).text()).split("\n")) {
    const found = /^weft_requests_total\{.*status="(\d+)".*reason="([^"]*)".*\} (\d+)/.exec(line);
    if (found === null) continue;
    const key = `${found[1]} ${found[2]}`;
    counts.set(key, (counts.get(key) ?? 0) + Number(found[3]));
  }
  return counts;
}

/** Spans, as `STATUS REASON`. */
async function spansOf(key: string): Promise<number> {
  const spans = await collector.spans();
  return spans.filter(
    ({ attributes }) => `${attributes["http.response.status_code"]} ${attributes["weft.reason"]}` === key,
  ).length;
}

/** Does it, and finds its status and reason in log, metrics and spans. @param status as those say it, where gRPC's 200 does not */
async function compare(act: () => Promise<Seen>, status: number, reason: string, answered = status): Promise<void> {
  const key = `${status} ${reason}`;
  const [lines, counts, spans] = [linesOf().length, await counted(), await spansOf(key)];
  expect(await act()).toEqual({ status: answered, reason });
  await settles(async () =>
    expect(
      linesOf()
        .slice(lines)
        .map((line) => `${line.status} ${line.reason}`),
    ).toEqual([key]),
  );
  expect((await counted()).get(key) ?? 0).toBe((counts.get(key) ?? 0) + 1);
  await settles(async () => expect(await spansOf(key)).toBe(spans + 1));
}

/** Head of a request over HTTP/1.1, whose connection closes behind its answer. */
const get = (host: string, path = "/", more = ""): string =>
  `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${more}\r\n`;

describe("HTTP/1.1", () => {
  const post = (rest: string): string => `POST / HTTP/1.1\r\nHost: quiet\r\nConnection: close\r\n${rest}`;
  const HTTP1: readonly [status: number, reason: string, port: Port, text: string][] = [
    [301, "redirect", "outbound", get("routed", "/moved")],
    [400, "bad-request", "outbound", "GET / HTTP/1.1\r\nHost : routed\r\n\r\n"],
    [400, "bad-request", "outbound", post("Transfer-Encoding: chunked\r\n\r\nzz\r\n")],
    [404, "no-such-service", "outbound", get("nobody")],
    [404, "no-route", "outbound", get("routed", "/else")],
    [408, "client-timeout", "outbound", "GET / HTTP/1.1\r\nHost: rou"],
    [408, "client-timeout", "outbound", post("Content-Length: 5\r\n\r\nab")],
    [414, "uri-too-long", "outbound", get("routed", `/${"a".repeat(9_000)}`)],
    [429, "rate-limited", "inbound", get("web", "/limited")],
    [431, "header-too-large", "outbound", get("routed", "/", `a: ${"a".repeat(70_000)}\r\n`)],
    [500, "invalid-backend", "outbound", get("routed", "/nowhere")],
    [501, "not-implemented", "outbound", post("Transfer-Encoding: gzip, chunked\r\n\r\n")],
    [502, "upstream-reset", "outbound", get("resetting")],
    [502, "bad-response", "outbound", get("nonsense")],
    [503, "no-healthy-endpoint", "outbound", get("empty")],
    [503, "connect-failure", "outbound", get("refusing")],
    [503, "pool-overflow", "outbound", get("full")],
    [503, "retry-budget-exhausted", "outbound", get("spent")],
    [503, "fault-injected", "inbound", get("web", "/faulty")],
    [504, "request-timeout", "outbound", get("slow")],
    [504, "per-try-timeout", "outbound", get("late")],
    [504, "stream-idle-timeout", "outbound", get("quiet")],
    [504, "deadline-exceeded", "inbound", get("web", "/", "x-envoy-expected-rq-timeout-ms: 0\r\n")],
    [505, "version-not-supported", "outbound", "GET / HTTP/3.0\r\nHost: routed\r\n\r\n"],
  ];
  test.each(HTTP1)("%d %s (%s)", async (status, reason, port, text) => {
    await compare(() => raw(port, text), status, reason);
  });
});

type Http2Case = readonly [status: number, reason: string, port: Port, fields: Fields, content: string];
const TOO_MANY = Object.fromEntries(Array.from({ length: 101 }, (_, index) => [`x-${index}`, ""]));
const asked = (host: string, path = "/"): Fields => ({ ":method": "POST", ":path": path, ":authority": host });
const HTTP2: readonly Http2Case[] = [
  [404, "no-such-service", "outbound", asked("nobody"), ""],
  [404, "no-route", "outbound", asked("routed", "/else"), ""],
  [429, "rate-limited", "inbound", asked("web", "/limited"), ""],
  [431, "header-too-large", "outbound", { ...asked("routed"), ...TOO_MANY }, ""],
  [500, "invalid-backend", "outbound", asked("routed", "/nowhere"), ""],
  [503, "no-healthy-endpoint", "outbound", asked("empty"), ""],
  [503, "connect-failure", "outbound", asked("refusing"), ""],
  [503, "pool-overflow", "outbound", asked("full"), ""],
  [503, "fault-injected", "inbound", asked("web", "/faulty"), ""],
  [504, "request-timeout", "outbound", asked("slow"), ""],
  [504, "per-try-timeout", "outbound", asked("late"), ""],
  [504, "deadline-exceeded", "inbound", { ...asked("web"), "x-envoy-expected-rq-timeout-ms": "0" }, ""],
];

describe("HTTP/2", () => {
  const more: readonly Http2Case[] = [
    [301, "redirect", "outbound", asked("routed", "/moved"), ""],
    [400, "bad-request", "outbound", { ...asked("routed"), "content-length": "x" }, ""],
    [400, "bad-request", "outbound", { ...asked("quiet"), "content-length": "1" }, "ab"],
    [408, "client-timeout", "outbound", asked("quiet"), "ab"],
    [502, "upstream-reset", "outbound", asked("resetting"), ""],
    [502, "bad-response", "outbound", asked("nonsense"), ""],
  ];
  test.each([...HTTP2, ...more])("%d %s (%s)", async (status, reason, port, fields, content) => {
    await compare(() => overHttp2(port, fields, content), status, reason);
  });
});

describe("gRPC", () => {
  test.each(HTTP2)("%d %s (%s)", async (status, reason, port, fields, content) => {
    const call = { ...fields, "content-type": "application/grpc", te: "trailers" };
    await compare(() => overHttp2(port, call, content), status, reason, 200);
  });

  test("400 bad-request: what is malformed is answered by HTTP itself", async () => {
    const call = { ...asked("routed"), "content-type": "application/grpc", "content-length": "x" };
    await compare(() => overHttp2("outbound", call, ""), 400, "bad-request");
  });
});
