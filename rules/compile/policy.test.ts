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
      },
      outlierDetection: { consecutiveErrors: 3, intervalMs: 10_000, keepAtLeast: 1 },
      healthCheck: {
        path: "/healthz",
        intervalMs: 10_000,
        timeoutMs: 2000,
        unhealthyThreshold: 3,
        healthyThreshold: 2,
      },
      fallback: { service: "default/stale" },
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

test("inbound documents of a service are passed on as validated, sorted", () => {
  const spec = { targetRef: { kind: "Service", name: "orders" }, limits: [{ requests: 1, per: "1s" }] };
  const index = indexDocuments(
    [document("RateLimit", "b", spec), document("Fault", "a", { ...spec }), document("RateLimit", "a", spec)],
    IMPLIED,
  );
  expect(compileInbound(index, "default/orders").documents.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
    "Fault default/a",
    "RateLimit default/a",
    "RateLimit default/b",
  ]);
  expect(compileInbound(index, "default/orders").documents[1]?.spec).toEqual(spec);
  expect(compileInbound(index, "default/payments").documents).toEqual([]);
});

test("the mesh has defaults, and the oldest Mesh document changes them", () => {
  expect(compileMesh(indexDocuments([], IMPLIED))).toEqual({
    type: "mesh",
    egress: { allow: [] },
    tracing: undefined,
    accessLog: { enabled: false, format: "json", file: "" },
    mtls: { mode: "off" },
    headers: { forwarded: true, via: false, requestId: true },
  });
  const mesh = (name: string, year: number, spec: unknown) =>
    document("Mesh", name, spec, { creationTimestamp: `${year}-01-01T00:00:00Z` });
  const index = indexDocuments(
    [mesh("new", 2026, {}), mesh("old", 2025, { tracing: { endpoint: "otel:4317" }, egress: { allow: ["*"] } })],
    IMPLIED,
  );
  expect(compileMesh(index)).toMatchObject({
    egress: { allow: ["*"] },
    tracing: { endpoint: "otel:4317", protocol: "grpc", samplingPercent: 1 },
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
