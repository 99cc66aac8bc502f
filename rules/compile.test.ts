// Documents in, resources out: what each field becomes, what is filled in, and that equal input is equal output.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalJson } from "./canonical.ts";
import { document, IMPLIED, parentOrders } from "./compile/fixtures.ts";
import { compileService, indexDocuments, serviceNames, servicesUsedBy } from "./compile.ts";
import type { Document } from "./document.ts";
import { type Resource, resourceName } from "./resource.ts";
import { parseResource } from "./resource-check.ts";

function compileOrders(...documents: Document[]) {
  const resource = compileService(indexDocuments(documents, IMPLIED), "default/orders");
  if (resource === undefined) throw new Error("orders does not exist");
  return resource;
}

/** The way of a resource: to canonical JSON, over the wire, through the sidecar's check. */
function overTheWire(resource: Resource): Resource {
  return parseResource(resourceName(resource), JSON.parse(canonicalJson(resource)));
}

describe("a service", () => {
  test("does not exist without a document or a workload", () => {
    expect(compileService(indexDocuments([], IMPLIED), "default/payments")).toBeUndefined();
  });

  test("that is implied has port 80, http, and the default policy", () => {
    const resource = compileOrders();
    expect(resource).toMatchObject({ implied: true, ports: [{ port: 80, protocol: "http" }], rules: [] });
    expect(resource.policy).toMatchObject({
      origin: "",
      loadBalancer: { algorithm: "least-request", slowStartMs: 0 },
      connectionPool: { maxConnections: 1024, connectTimeoutMs: 1000, idleTimeoutMs: 4000 },
      timeout: { requestMs: 15_000, perTryMs: 0, idleMs: 300_000 },
      retry: { attempts: 2, backoff: { baseMs: 25, maxMs: 250 }, budget: { percent: 20, minPerSecond: 10 } },
    });
    expect(resource.policy.circuitBreaker).toBeUndefined();
    expect(resource.policy.fallback).toBeUndefined();
  });

  test("with a document is not implied any more and has the document's ports", () => {
    const resource = compileOrders(
      document("Service", "orders", { ports: [{ port: 8080 }, { port: 9090, protocol: "grpc" }] }),
    );
    expect(resource.implied).toBe(false);
    expect(resource.ports).toEqual([
      { port: 8080, protocol: "http" },
      { port: 9090, protocol: "grpc" },
    ]);
  });

  test("is listed whether implied or documented, once, sorted", () => {
    const index = indexDocuments([document("Service", "orders", {}), document("Service", "audit", {})], IMPLIED);
    expect(serviceNames(index)).toEqual(["default/audit", "default/orders", "default/orders-v1", "default/orders-v2"]);
  });
});

describe("an HTTPRoute", () => {
  test("gets every default of the Gateway API", () => {
    const route = document("HTTPRoute", "orders", {
      parentRefs: [parentOrders],
      rules: [{ backendRefs: [{ name: "orders-v1" }] }],
    });
    expect(compileOrders(route).rules).toEqual([
      {
        route: "HTTPRoute default/orders",
        ruleIndex: 0,
        ruleName: "",
        createdAtMs: 8_640_000_000_000_000,
        ports: [],
        fromNamespace: "",
        matches: [{ path: { type: "PathPrefix", value: "/" }, method: "", headers: [], query: [] }],
        filters: [],
        backends: [{ service: "default/orders-v1", port: 0, weight: 1, filters: [], invalid: "" }],
        timeouts: { requestMs: undefined, backendRequestMs: undefined },
        retry: undefined,
      },
    ]);
  });

  test("keeps names, order and what is written", () => {
    const route = document(
      "HTTPRoute",
      "orders",
      {
        parentRefs: [
          { ...parentOrders, port: 81 },
          { ...parentOrders, port: 80 },
        ],
        rules: [
          {
            name: "writes",
            matches: [
              {
                path: { type: "Exact", value: "/orders" },
                method: "POST",
                headers: [
                  { name: "X-Tester", value: "1" },
                  { name: "x-tester", value: "2" },
                ],
                queryParams: [{ name: "Debug", type: "RegularExpression", value: "[01]" }],
              },
            ],
            timeouts: { request: "5s", backendRequest: "0s" },
            retry: { attempts: 3, codes: [503], backoff: "100ms" },
            backendRefs: [
              { name: "orders-v1", weight: 95, port: 8080 },
              { name: "orders", namespace: "other", weight: 5 },
            ],
          },
          { retry: {}, backendRefs: [{ name: "orders-v1" }] },
        ],
      },
      { creationTimestamp: "2026-01-02T03:04:05Z" },
    );
    const [writes, rest] = compileOrders(route).rules;
    expect(writes).toMatchObject({
      ruleIndex: 0,
      ruleName: "writes",
      createdAtMs: Date.UTC(2026, 0, 2, 3, 4, 5),
      ports: [80, 81],
      matches: [
        {
          path: { type: "Exact", value: "/orders" },
          method: "POST",
          headers: [{ name: "x-tester", type: "Exact", value: "1" }],
          query: [{ name: "Debug", type: "RegularExpression", value: "[01]" }],
        },
      ],
      timeouts: { requestMs: 5000, backendRequestMs: 0 },
      retry: { attempts: 3, codes: [503], backoffMs: 100 },
      backends: [
        { service: "default/orders-v1", port: 8080, weight: 95 },
        { service: "other/orders", port: 0, weight: 5 },
      ],
    });
    expect(rest).toMatchObject({ ruleIndex: 1, retry: { attempts: 1, codes: [502, 503, 504], backoffMs: 25 } });
  });

  test("of another namespace is a consumer route", () => {
    const route = document(
      "HTTPRoute",
      "faster",
      { parentRefs: [{ ...parentOrders, namespace: "default" }], rules: [{ backendRefs: [{ name: "mine" }] }] },
      { namespace: "shop" },
    );
    expect(compileOrders(route).rules[0]).toMatchObject({
      route: "HTTPRoute shop/faster",
      fromNamespace: "shop",
      backends: [{ service: "shop/mine" }],
    });
  });

  test("attached with and without a port is for every port", () => {
    const route = document("HTTPRoute", "orders", { parentRefs: [{ ...parentOrders, port: 81 }, parentOrders] });
    expect(compileOrders(route).rules[0]?.ports).toEqual([]);
  });

  test("marks a backend that is no Service as invalid", () => {
    const route = document("HTTPRoute", "orders", {
      parentRefs: [parentOrders],
      rules: [
        { backendRefs: [{ group: "storage.example.com", kind: "Bucket", name: "files" }, { name: "orders-v1" }] },
      ],
    });
    const resource = compileOrders(route);
    expect(resource.rules[0]?.backends.map(({ invalid }) => invalid)).toEqual([
      "storage.example.com/Bucket is not a Service",
      "",
    ]);
    expect(servicesUsedBy(resource)).toEqual(["default/orders-v1"]);
  });

  test("without backends has none, omitted or empty", () => {
    const route = document("HTTPRoute", "orders", {
      parentRefs: [parentOrders],
      rules: [{ timeouts: { request: "1s" } }, { backendRefs: [] }],
    });
    expect(compileOrders(route).rules.map(({ backends }) => backends)).toEqual([[], []]);
  });

  test("that redirects needs no backends", () => {
    const route = document("HTTPRoute", "orders", {
      parentRefs: [parentOrders],
      rules: [{ filters: [{ type: "RequestRedirect", requestRedirect: { scheme: "https" } }] }],
    });
    expect(compileOrders(route).rules[0]).toMatchObject({
      backends: [],
      filters: [{ type: "RequestRedirect", scheme: "https", hostname: "", port: 0, status: 302 }],
    });
  });

  test("compiles every kind of filter", () => {
    const filters = [
      {
        type: "RequestHeaderModifier",
        requestHeaderModifier: {
          set: [
            { name: "X-A", value: "1" },
            { name: "x-a", value: "2" },
          ],
          remove: ["X-Gone", "x-gone"],
        },
      },
      { type: "ResponseHeaderModifier", responseHeaderModifier: { add: [{ name: "X-B", value: "2" }] } },
      { type: "URLRewrite", urlRewrite: { path: { type: "ReplacePrefixMatch", replacePrefixMatch: "/new" } } },
      { type: "RequestMirror", requestMirror: { backendRef: { name: "shadow", port: 81 }, percent: 12.5 } },
      {
        type: "RequestMirror",
        requestMirror: { backendRef: { name: "shadow" }, fraction: { numerator: 1, denominator: 3 } },
      },
      { type: "RequestMirror", requestMirror: { backendRef: { name: "shadow" } } },
      { type: "CORS", cors: { allowOrigins: ["*"] } },
    ];
    const route = document("HTTPRoute", "orders", {
      parentRefs: [parentOrders],
      rules: [{ filters, backendRefs: [{ name: "orders-v1" }] }],
    });
    const resource = compileOrders(route);
    expect(resource.rules[0]?.filters).toEqual([
      { type: "RequestHeaderModifier", modifier: { set: [{ name: "X-A", value: "1" }], add: [], remove: ["x-gone"] } },
      { type: "ResponseHeaderModifier", modifier: { set: [], add: [{ name: "X-B", value: "2" }], remove: [] } },
      { type: "URLRewrite", hostname: "", path: { type: "ReplacePrefixMatch", value: "/new" } },
      { type: "RequestMirror", service: "default/shadow", port: 81, numerator: 125_000, denominator: 1_000_000 },
      { type: "RequestMirror", service: "default/shadow", port: 0, numerator: 1, denominator: 3 },
      { type: "RequestMirror", service: "default/shadow", port: 0, numerator: 100, denominator: 100 },
      {
        type: "CORS",
        allowOrigins: ["*"],
        allowMethods: [],
        allowHeaders: [],
        exposeHeaders: [],
        allowCredentials: false,
        maxAgeSeconds: 5,
      },
    ]);
    expect(servicesUsedBy(resource)).toEqual(["default/orders-v1", "default/shadow"]);
  });
});

test.each([
  [undefined, { type: "PathPrefix", value: "/" }],
  [
    { service: "shop.Orders", method: "Get" },
    { type: "Exact", value: "/shop.Orders/Get" },
  ],
  [{ service: "shop.Orders" }, { type: "PathPrefix", value: "/shop.Orders" }],
  [{ method: "Get" }, { type: "RegularExpression", value: "/[^/]+/Get" }],
  [
    { type: "RegularExpression", service: "shop\\..*", method: "Get|List" },
    { type: "RegularExpression", value: "/(?:shop\\..*)/(?:Get|List)" },
  ],
  [
    { type: "RegularExpression", service: "shop|cart" },
    { type: "RegularExpression", value: "/(?:shop|cart)/[^/]+" },
  ],
  [
    { type: "RegularExpression", method: "Get|List" },
    { type: "RegularExpression", value: "/[^/]+/(?:Get|List)" },
  ],
])("a GRPCRoute match on %j is a path match", (method, path) => {
  const matches = method === undefined ? undefined : [{ method }];
  const route = document("GRPCRoute", "orders", {
    parentRefs: [parentOrders],
    rules: [{ matches, backendRefs: [{ name: "orders-v1" }] }],
  });
  expect(compileOrders(route).rules[0]).toMatchObject({ route: "GRPCRoute default/orders", matches: [{ path }] });
});

describe("for any documents", () => {
  const name = fc.constantFrom("orders", "orders-v1", "orders-v2", "payments");
  const namespace = fc.constantFrom("default", "shop");
  const rule = fc.record({
    name: fc.constantFrom(undefined, "one"),
    matches: fc.array(
      fc.record({
        path: fc.record({
          type: fc.constantFrom("Exact", "PathPrefix", undefined),
          value: fc.constantFrom("/", "/a/b"),
        }),
        method: fc.constantFrom(undefined, "GET"),
        headers: fc.constantFrom(undefined, [{ name: "X-A", value: "1" }]),
      }),
      { maxLength: 3 },
    ),
    filters: fc.constantFrom(
      undefined,
      [{ type: "RequestMirror", requestMirror: { backendRef: { name: "orders-v2" }, percent: 33.3 } }],
      [{ type: "RequestRedirect", requestRedirect: { path: { type: "ReplaceFullPath", replaceFullPath: "/x" } } }],
    ),
    backendRefs: fc.array(
      fc.record({ name, namespace: fc.option(namespace, { nil: undefined }), weight: fc.nat(100) }),
      {
        maxLength: 3,
      },
    ),
    timeouts: fc.constantFrom(undefined, { request: "1s" }, { backendRequest: "0s" }),
    retry: fc.constantFrom(undefined, { attempts: 3 }),
  });
  const route = fc
    .record({
      namespace,
      parent: name,
      port: fc.constantFrom(undefined, 80),
      rules: fc.array(rule, { minLength: 1, maxLength: 3 }),
    })
    .map(({ namespace: home, parent, port, rules }) =>
      document(
        "HTTPRoute",
        parent,
        { parentRefs: [{ ...parentOrders, namespace: "default", name: parent, port }], rules },
        { namespace: home },
      ),
    );
  const service = fc
    .record({ name, ports: fc.constantFrom(undefined, [{ port: 80 }, { port: 81, protocol: "h2c" }]) })
    .map((parts) => document("Service", parts.name, { ports: parts.ports }));
  const policy = fc
    .record({ name, namespace, attempts: fc.nat(5) })
    .map((parts) =>
      document(
        "TrafficPolicy",
        parts.name,
        { targetRef: { kind: "Service", name: parts.name, namespace: "default" }, retry: { attempts: parts.attempts } },
        { namespace: parts.namespace },
      ),
    );
  const documents = fc.uniqueArray(fc.oneof(route, service, policy), {
    selector: ({ kind, metadata }) => `${kind} ${metadata.namespace}/${metadata.name}`,
    maxLength: 10,
  });

  test("the order of the documents changes no byte, and the sidecar accepts every resource", () => {
    fc.assert(
      fc.property(documents, fc.infiniteStream(fc.nat()), (some, numbers) => {
        const keyed = some.map((one) => ({ one, key: numbers.next().value as number }));
        const shuffled = keyed.sort((a, b) => a.key - b.key).map(({ one }) => one);
        const [index, again] = [indexDocuments(some, IMPLIED), indexDocuments(shuffled, IMPLIED)];
        for (const name of serviceNames(index)) {
          const resource = compileService(index, name) as Resource;
          expect(canonicalJson(compileService(again, name))).toBe(canonicalJson(resource));
          expect(overTheWire(resource)).toEqual(resource);
        }
      }),
      { numRuns: 300, verbose: 1 },
    );
  });
});
