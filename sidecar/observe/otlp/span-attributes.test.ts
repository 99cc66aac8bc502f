// What a span says of a request, by the conventions for HTTP and RPC, and of what the mesh decided.
import type { Attributes } from "@opentelemetry/api";
import { describe, expect, test } from "vitest";
import { AttemptRecord, ExchangeRecord } from "../exchange-record.ts";
import * as say from "./span-attributes.ts";

function said(say: (into: Attributes) => void): Attributes {
  const into: Attributes = {};
  say(into);
  return into;
}

const GET = { method: "GET", authority: "orders", path: "/a", query: "" };

describe("HTTP", () => {
  test.each([
    ["orders", "orders", 80],
    ["orders:8080", "orders", 8080],
    ["[::1]:9090", "::1", 9090],
    ["[2001:db8::1]", "2001:db8::1", 80],
    ["jo:hush@orders:81", "orders", 81],
    ["orders:http", "orders:http", 80],
  ])("the host that was asked for: %s", (authority, address, port) => {
    expect(said((into) => say.server(into, authority))).toEqual({ "server.address": address, "server.port": port });
  });

  test("a method that HTTP does not define is no name of a span", () => {
    const brew = { ...GET, method: "BREW" };
    expect(say.spanName(brew, false)).toBe("HTTP");
    expect(said((into) => say.method(into, brew, false))).toEqual({
      "http.request.method": "_OTHER",
      "http.request.method_original": "BREW",
    });
  });

  test("URLs are without users, passwords and secrets", () => {
    const login = { ...GET, authority: "jo:hush@orders:81", query: "page=2&token=hush&X-Amz-Signature=hush" };
    expect(say.fullUrl(login)).toBe("http://orders:81/a?page=2&token=REDACTED&X-Amz-Signature=REDACTED");
    expect(said((into) => say.url(into, login))["url.query"]).toBe("page=2&token=REDACTED&X-Amz-Signature=REDACTED");
  });

  test.each([
    ["CONNECT", "orders:80"],
    ["OPTIONS", "*"],
  ])("the URL of %s %s is the authority alone", (method, path) => {
    const asked = { ...GET, method, path, authority: "orders:80" };
    expect(say.fullUrl(asked)).toBe("http://orders:80");
    expect(said((into) => say.url(into, asked))["url.path"]).toBe("");
  });

  test.each([
    [200, "", 400, {}],
    [404, "", 400, { "error.type": "404" }],
    [404, "", 500, {}],
    [503, "", 500, { "error.type": "503" }],
    [404, "no-route", 500, { "error.type": "no-route" }],
  ])("status %d with reason '%s' is an error from %d on", (status, reason, errorFrom, error) => {
    expect(said((into) => say.outcome(into, status, reason, errorFrom))).toEqual({
      "http.response.status_code": status,
      ...error,
    });
  });

  test("a client that never had an answer has no status", () => {
    expect(said((into) => say.outcome(into, 0, "connect-failure", 400))).toEqual({ "error.type": "connect-failure" });
  });
});

describe("gRPC", () => {
  test("a call is named by its method", () => {
    const call = { ...GET, method: "POST", path: "/shop.Orders/Get" };
    expect(say.spanName(call, true)).toBe("shop.Orders/Get");
    expect(said((into) => say.method(into, call, true))).toEqual({
      "rpc.system.name": "grpc",
      "rpc.method": "shop.Orders/Get",
    });
  });

  test.each([
    ["OK", false, false],
    ["CANCELLED", true, false],
    ["UNKNOWN", true, true],
    ["INVALID_ARGUMENT", true, false],
    ["DEADLINE_EXCEEDED", true, true],
    ["NOT_FOUND", true, false],
    ["PERMISSION_DENIED", true, false],
    ["RESOURCE_EXHAUSTED", true, false],
    ["UNIMPLEMENTED", true, true],
    ["INTERNAL", true, true],
    ["UNAVAILABLE", true, true],
    ["DATA_LOSS", true, true],
    ["UNAUTHENTICATED", true, false],
  ])("%s: an error of the client %s, of the server %s", (code, ofClient, ofServer) => {
    expect("error.type" in said((into) => say.rpcOutcome(into, code, false))).toBe(ofClient);
    expect("error.type" in said((into) => say.rpcOutcome(into, code, true))).toBe(ofServer);
  });

  test.each([
    [{ outcome: "retried", grpcStatus: "UNAVAILABLE" }, "UNAVAILABLE"],
    [{ outcome: "connect-failure" }, "UNAVAILABLE"],
    [{ outcome: "per-try-timeout" }, "DEADLINE_EXCEEDED"],
    [{ outcome: "aborted" }, "CANCELLED"],
    [{ outcome: "" }, ""],
  ])("an attempt %j has the code %s", (attempt, code) => {
    expect(say.codeOfAttempt(Object.assign(new AttemptRecord(), attempt))).toBe(code);
  });
});

test("what the mesh decided: route, split, reason, and what policies did", () => {
  const record = new ExchangeRecord("outbound");
  record.note("fault-delay", "default/slow", 20);
  record.note("mirror", "default/shadow");
  const rule = { route: "HTTPRoute default/orders", ruleIndex: 2 } as NonNullable<ExchangeRecord["rule"]>;
  const decided = { backend: "default/orders-v2", backendIndex: 1, splitPoint: 0.7, splitBucket: 42, revision: 9 };
  Object.assign(record, { service: "default/orders", rule, reason: "connect-failure", ...decided });
  expect(said((into) => say.mesh(into, record))).toEqual({
    "weft.direction": "outbound",
    "weft.service": "default/orders",
    "weft.backend": "default/orders-v2",
    "weft.revision": 9,
    "weft.route": "HTTPRoute default/orders",
    "weft.rule": 2,
    "weft.split.backend": 1,
    "weft.split.point": 0.7,
    "weft.split.bucket": 42,
    "weft.reason": "connect-failure",
    "weft.acts": ["fault-delay default/slow 20", "mirror default/shadow"],
  });
});

test("a third attempt says so, and to which endpoint it went", () => {
  const attempt = new AttemptRecord();
  attempt.begin("retry", "default/orders", "10.0.0.1:80", "v2", 0);
  expect(said((into) => say.attempt(into, attempt, 3))).toEqual({
    "network.peer.address": "10.0.0.1",
    "network.peer.port": 80,
    "weft.attempt": 3,
    "weft.attempt.kind": "retry",
    "weft.version": "v2",
    "http.request.resend_count": 2,
  });
});
