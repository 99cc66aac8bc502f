// Policies, inbound documents and mesh settings: which document acts, and what is filled in.
import { describe, expect, test } from "vitest";
import {
  compileInbound,
  compileMesh,
  compileService,
  documentsFor,
  indexDocuments,
  servicesUsedBy,
} from "../compile.ts";
import type { Document } from "../document.ts";
import { parseResource } from "../resource-check.ts";
import { document, IMPLIED, parentOrders } from "./fixtures.ts";

function compileOrders(...documents: Document[]) {
  const resource = compileService(indexDocuments(documents, IMPLIED), "default/orders");
  if (resource === undefined) throw new Error("orders does not exist");
  return resource;
}

describe("a TrafficPolicy", () => {
  const policy = (name: string, request: string, metadata: Partial<Document["metadata"]> = {}, service = "orders") =>
    document(
      "TrafficPolicy",
      name,
      { targetRef: { kind: "Service", name: service, namespace: "default" }, timeout: { request } },
      metadata,
    );

  test("changes what it says and leaves the rest at its defaults", () => {
    const resource = compileOrders(
      document("TrafficPolicy", "orders", {
        targetRef: { kind: "Service", name: "orders" },
        loadBalancer: { algorithm: "ring-hash", hashOn: { header: "X-User" }, slowStart: "30s" },
        retry: { backoff: { base: "50ms" } },
        circuitBreaker: {},
        outlierDetection: { consecutiveErrors: 3 },
        healthCheck: { http: { path: "/healthz" } },
        fallback: { service: "stale" },
      }),
    );
    expect(resource.policy).toMatchObject({
      origin: "TrafficPolicy default/orders",
      loadBalancer: { algorithm: "ring-hash", hashOn: { type: "header", name: "x-user" }, slowStartMs: 30_000 },
      retry: { attempts: 2, backoff: { baseMs: 50, maxMs: 250 } },
      circuitBreaker: {
        errorThresholdPercentage: 50,
        volumeThreshold: 20,
        rollingWindowMs: 10_000,
        resetTimeoutMs: 5000,
        halfOpenProbes: 1,
        scope: "service",
      },
      outlierDetection: { consecutiveErrors: 3, intervalMs: 10_000, keepAtLeast: 1 },
      healthCheck: {
        probe: { type: "http", path: "/healthz", host: "", expectedStatuses: [] },
        port: 0,
        intervalMs: 10_000,
        timeoutMs: 2000,
        unhealthyThreshold: 3,
        healthyThreshold: 2,
        jitterPercent: 10,
      },
      fallback: { staleForMs: 0, service: "default/stale", answer: undefined },
    });
    expect(servicesUsedBy(resource)).toEqual(["default/stale"]);
  });

  test("of the service's namespace goes before others, then the oldest, then by name", () => {
    const foreign = policy("a", "1s", { namespace: "shop", creationTimestamp: "2020-01-01T00:00:00Z" });
    const younger = policy("b", "2s", { creationTimestamp: "2026-01-01T00:00:00Z" });
    const older = policy("c", "3s", { creationTimestamp: "2025-01-01T00:00:00Z" });
    const ageless = policy("aa", "4s");
    expect(compileOrders(foreign).policy.timeout.requestMs).toBe(1000);
    expect(compileOrders(foreign, ageless).policy.timeout.requestMs).toBe(4000);
    expect(compileOrders(foreign, younger, older, ageless).policy.timeout.requestMs).toBe(3000);
    expect(compileOrders(policy("z", "5s"), ageless).policy.timeout.requestMs).toBe(4000);
  });

  test("of a service holds for its implied versions unless they have their own", () => {
    const versions = new Map([
      ["default/orders-v1", "default/orders"],
      ["default/orders-v2", "default/orders"],
    ]);
    const index = indexDocuments([policy("orders", "3s"), policy("v2", "1s", {}, "orders-v2")], IMPLIED, versions);
    expect(compileService(index, "default/orders-v1")?.policy).toMatchObject({
      origin: "TrafficPolicy default/orders",
      timeout: { requestMs: 3000 },
    });
    expect(compileService(index, "default/orders-v2")?.policy.timeout.requestMs).toBe(1000);
  });
});

describe("a TrafficPolicy's rarer fields", () => {
  const policyOf = (spec: object) =>
    compileOrders(document("TrafficPolicy", "orders", { targetRef: { kind: "Service", name: "orders" }, ...spec }))
      .policy;

  test.each([
    [{ loadBalancer: { algorithm: "maglev", hashOn: { sourceIP: true }, hashBalanceFactor: 125, adaptive: true } }],
    [{ loadBalancer: { algorithm: "maglev", hashBalanceFactor: 125, adaptive: true, zonePreference: undefined } }],
  ])("balancing %j", (spec) => {
    expect(policyOf(spec).loadBalancer).toMatchObject({
      hashBalanceFactor: 125,
      adaptive: true,
      zonePreference: undefined,
    });
  });

  test("a zone is preferred when it is enabled", () => {
    const zones = (zonePreference: object) =>
      policyOf({ loadBalancer: { zonePreference } }).loadBalancer.zonePreference;
    expect(zones({ enabled: true })).toEqual({ minHealthyPercent: 70 });
    expect(zones({ enabled: false, minHealthyPercent: 50 })).toBeUndefined();
  });

  test("hedges go by a time or a percentile", () => {
    const hedge = (after: string) => policyOf({ retry: { hedge: { after } } }).retry.hedge;
    expect(hedge("50ms")).toEqual({ after: 50, max: 1 });
    expect(hedge("p95")).toEqual({ after: "p95", max: 1 });
    expect(policyOf({}).retry.hedge).toBeUndefined();
  });

  test("outliers by statistics have their defaults once they are asked for", () => {
    const { outlierDetection } = policyOf({
      outlierDetection: { successRate: {}, failurePercentage: { minHosts: 3 } },
    });
    expect(outlierDetection).toMatchObject({
      successRate: { stdevFactor: 1.9, minHosts: 5, minRequests: 100 },
      failurePercentage: { threshold: 85, minHosts: 3, minRequests: 50 },
      panicThreshold: 0,
    });
  });

  test("probes by TCP and gRPC", () => {
    expect(policyOf({ healthCheck: { tcp: { port: 81 } } }).healthCheck).toMatchObject({
      probe: { type: "tcp" },
      port: 81,
    });
    expect(policyOf({ healthCheck: { grpc: { service: "shop.Orders" } } }).healthCheck).toMatchObject({
      probe: { type: "grpc", service: "shop.Orders" },
      port: 0,
    });
  });

  test("a fallback may be stale, static, or both", () => {
    expect(policyOf({ fallback: { staleFor: "1m", body: "{}" } }).fallback).toEqual({
      staleForMs: 60_000,
      service: "",
      answer: { status: 200, headers: {}, body: "{}" },
    });
    expect(policyOf({ fallback: { staleFor: "1m" } }).fallback?.answer).toBeUndefined();
  });
});

describe("inbound", () => {
  const targetRef = { kind: "Service", name: "orders" };

  test("limits and faults are compiled in the order of their names, other kinds passed on as validated", () => {
    const limits = [
      { requests: 10, per: "1m", key: { header: "X-User" }, match: { method: "POST" }, mode: "report-only" },
    ];
    const authorization = { targetRef, rules: [] };
    const index = indexDocuments(
      [
        document("RateLimit", "b", { targetRef, limits }),
        document("Fault", "a", { targetRef, abort: { percent: 1, grpcStatus: 14 } }),
        document("RateLimit", "a", {
          targetRef,
          concurrency: { max: 5, queue: 2 },
          shedding: { eventLoopDelay: "100ms" },
        }),
        document("Authorization", "x", authorization),
      ],
      IMPLIED,
    );
    const inbound = compileInbound(index, "default/orders");
    expect(inbound.rateLimits).toEqual([
      {
        origin: "RateLimit default/a",
        limits: [],
        concurrency: { max: 5, queue: 2, queueTimeoutMs: 500, adaptive: false, reportOnly: false },
        shedding: { eventLoopDelayMs: 100, heapPercent: 0 },
      },
      {
        origin: "RateLimit default/b",
        limits: [
          {
            name: "b-0",
            requests: 10,
            perMs: 60_000,
            burst: 10,
            key: { type: "header", name: "x-user" },
            matches: [{ path: { type: "PathPrefix", value: "/" }, method: "POST", headers: [], query: [] }],
            maxKeys: 10_000,
            reportOnly: true,
          },
        ],
        concurrency: undefined,
        shedding: undefined,
      },
    ]);
    expect(inbound.faults).toEqual([
      {
        origin: "Fault default/a",
        matches: [],
        delay: undefined,
        abort: { percent: 1, status: 200, grpcStatus: 14 },
      },
    ]);
    expect(inbound.documents).toEqual([{ kind: "Authorization", name: "default/x", spec: authorization }]);
    expect(parseResource("inbound:default/orders", JSON.parse(JSON.stringify(inbound)))).toEqual(inbound);
    expect(compileInbound(index, "default/payments")).toMatchObject({ rateLimits: [], faults: [], documents: [] });
  });
});

test("the mesh has defaults, and the oldest Mesh document changes them", () => {
  expect(compileMesh(indexDocuments([], IMPLIED))).toEqual({
    type: "mesh",
    egress: { allow: [] },
    tracing: undefined,
    accessLog: {
      enabled: false,
      format: "json",
      template: "",
      file: "",
      otlp: undefined,
      filter: { errors: false, slowerThanMs: 0, samplingPercent: 100 },
      headers: [],
    },
    metrics: { maxSeries: 10_000, otlp: undefined },
    mtls: { mode: "off" },
    headers: { forwarded: true, via: false, requestId: true, shadowHost: false },
  });
  const mesh = (name: string, year: number, spec: unknown) =>
    document("Mesh", name, spec, { creationTimestamp: `${year}-01-01T00:00:00Z` });
  const index = indexDocuments(
    [mesh("new", 2026, {}), mesh("old", 2025, { tracing: { endpoint: "otel:4317" }, egress: { allow: ["*"] } })],
    IMPLIED,
  );
  expect(compileMesh(index)).toMatchObject({
    egress: { allow: ["*"] },
    tracing: {
      endpoint: "otel:4317",
      protocol: "grpc",
      samplingPercent: 1,
      propagation: ["tracecontext", "baggage"],
      tail: { errors: true, slowerThanMs: 0, maxPerSecond: 10 },
      attributes: {},
    },
  });
});

test("a trace format that is named twice is spoken once", () => {
  const tracing = { endpoint: "otel:4317", propagation: ["b3", "tracecontext", "b3"] };
  const mesh = compileMesh(indexDocuments([document("Mesh", "m", { tracing })], IMPLIED));
  expect(mesh.tracing?.propagation).toEqual(["b3", "tracecontext"]);
});

test("an access log filter that names what to log leaves out the rest, unless told", () => {
  const filterOf = (filter: unknown) =>
    compileMesh(indexDocuments([document("Mesh", "m", { accessLog: { filter } })], IMPLIED)).accessLog.filter;
  expect(filterOf({})).toEqual({ errors: false, slowerThanMs: 0, samplingPercent: 100 });
  expect(filterOf({ errors: true })).toEqual({ errors: true, slowerThanMs: 0, samplingPercent: 0 });
  expect(filterOf({ slowerThan: "1s", sampling: 5 })).toEqual({
    errors: false,
    slowerThanMs: 1000,
    samplingPercent: 5,
  });
});

test("the documents of a service are those that act on it", () => {
  const target = { targetRef: { kind: "Service", name: "orders" } };
  const index = indexDocuments(
    [
      document("Service", "orders", {}),
      document("HTTPRoute", "orders", { parentRefs: [parentOrders] }),
      document("HTTPRoute", "other", { parentRefs: [{ ...parentOrders, name: "payments" }] }),
      document("TrafficPolicy", "orders", target),
      document("RateLimit", "orders", target),
      document("Rollout", "orders", { service: "orders", stable: "orders-v1", canary: "orders-v2", steps: [] }),
    ],
    IMPLIED,
  );
  expect(documentsFor(index, "default/orders").map(({ kind }) => kind)).toEqual([
    "HTTPRoute",
    "RateLimit",
    "Rollout",
    "Service",
    "TrafficPolicy",
  ]);
});
