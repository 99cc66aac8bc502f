// Where a request would go and why, from documents and workloads to the words.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { document, parentOrders } from "./compile/fixtures.ts";
import { indexDocuments } from "./compile.ts";
import type { Document } from "./document.ts";
import { impliedServices, impliedVersions, type WorkloadFacts } from "./endpoints.ts";
import type { ExplainQuestion } from "./explain/target.ts";
import { CANDIDATES_MAX, explain } from "./explain.ts";
import type { RouteMatch, RouteRule } from "./resource.ts";
import { explainRoute } from "./routing/explain-route.ts";
import { exact, is, prefix, regex, request, routeRule } from "./routing/fixtures.ts";
import { compileRoutes, findRoute } from "./routing/table.ts";

function workload(service: string, version: string, ready = true): WorkloadFacts {
  const id = `${service}-${version}`;
  return { id, service, namespace: "default", version, labels: {}, address: `10.0.0.1:${id.length}`, zone: "", ready };
}

const WORKLOADS = [workload("orders", "v1"), workload("orders", "v2"), workload("orders", "v3", false)];

function ask(documents: readonly Document[], url: string, question: Partial<ExplainQuestion> = {}) {
  const index = indexDocuments(documents, impliedServices(WORKLOADS), impliedVersions(WORKLOADS));
  const full = { method: "GET", url, headers: [], from: "", namespace: "", ...question };
  return explain({ index, workloads: WORKLOADS, question: full });
}

const SPLIT = document("HTTPRoute", "orders", {
  parentRefs: [parentOrders],
  rules: [
    {
      name: "testers",
      matches: [{ path: { value: "/api" }, headers: [{ name: "X-Tester", value: "1" }] }],
      backendRefs: [{ name: "orders-v2" }],
    },
    {
      filters: [
        { type: "RequestMirror", requestMirror: { backendRef: { name: "orders-v3" }, percent: 10 } },
        { type: "URLRewrite", urlRewrite: { path: { type: "ReplacePrefixMatch", replacePrefixMatch: "/v1" } } },
      ],
      timeouts: { request: "5s", backendRequest: "0s" },
      retry: { attempts: 2, codes: [503] },
      backendRefs: [
        { name: "orders-v1", weight: 90 },
        {
          name: "orders-v3",
          weight: 5,
          filters: [{ type: "RequestHeaderModifier", requestHeaderModifier: { remove: ["a"] } }],
        },
        { name: "orders-v9", weight: 5 },
      ],
    },
  ],
});

describe("a request that a route takes", () => {
  test("goes by the rule that matches, and the others say why not", () => {
    const answer = ask([SPLIT], "http://orders/api/items", { headers: [{ name: "x-tester", value: "1" }] });
    expect(answer).toMatchObject({
      service: "default/orders",
      port: 80,
      reason: "",
      status: 0,
      route: "HTTPRoute default/orders",
      ruleIndex: 0,
      ruleName: "testers",
      upstreamPath: "/api/items",
      upstreamHost: "orders",
    });
    expect(answer.candidates).toEqual([
      {
        route: "HTTPRoute default/orders",
        ruleIndex: 0,
        ruleName: "testers",
        matchIndex: 0,
        outcome: "matched",
        reason: "",
        match: 'PathPrefix /api and header x-tester = "1"',
      },
      {
        route: "HTTPRoute default/orders",
        ruleIndex: 1,
        ruleName: "",
        matchIndex: 0,
        outcome: "shadowed",
        reason: "HTTPRoute default/orders rule 0 match 0 goes first: it has a longer path",
        match: "PathPrefix /",
      },
    ]);
  });

  test("shows the bucket of a release that the request's user falls into", () => {
    const spec = { service: "orders", stable: "orders-v1", canary: "orders-v2", steps: [{ weight: 100 }] };
    const status = { stable: "orders-v1", canary: "orders-v2", phase: "progressing", weight: 50, isLive: true };
    const release = (sticky?: object) => ({ ...document("Rollout", "orders", { ...spec, sticky }), status });
    const user = { headers: [{ name: "x-user", value: "ann" }] };
    const sticky = release({ header: "x-user" });
    expect(ask([sticky], "http://orders/", user).notes).toEqual([
      "Rollout default/orders splits by header x-user: bucket 4340 of 10000, so default/orders-v2",
    ]);
    expect(ask([sticky], "http://orders/").notes[0]).toMatch(/x-user, which this request does not have/);
    expect(ask([release()], "http://orders/").notes[0]).toMatch(/splits each request on its own/);
  });

  test("shows the split, what stands behind it, filters and the upstream request", () => {
    const answer = ask([SPLIT], "http://orders:80/api/items?x=1", { headers: [{ name: "x-tester", value: "0" }] });
    expect(answer.ruleIndex).toBe(1);
    expect(answer.candidates[0]).toMatchObject({ outcome: "not-matched", reason: 'header x-tester is "0", needs "1"' });
    expect(answer.backends).toEqual([
      {
        service: "default/orders-v1",
        port: 0,
        weight: 90,
        share: 90,
        reason: "",
        endpoints: 1,
        readyEndpoints: 1,
        addresses: ["10.0.0.1:9"],
        filters: [],
      },
      {
        service: "default/orders-v3",
        port: 0,
        weight: 5,
        share: 5,
        reason: "no-healthy-endpoint",
        endpoints: 1,
        readyEndpoints: 0,
        addresses: [],
        filters: ["remove request header a"],
      },
      {
        service: "default/orders-v9",
        port: 0,
        weight: 5,
        share: 5,
        reason: "invalid-backend",
        endpoints: 0,
        readyEndpoints: 0,
        addresses: [],
        filters: [],
      },
    ]);
    expect(answer.filters).toEqual([
      "mirror 10 % of the requests to default/orders-v3",
      "rewrite the path prefix / to /v1",
    ]);
    expect(answer.upstreamPath).toBe("/v1/api/items?x=1");
    expect(answer.reason).toBe("");
  });

  test("shows policies with their origin", () => {
    const policy = document("TrafficPolicy", "orders", {
      targetRef: { kind: "Service", name: "orders" },
      timeout: { request: "9s" },
      loadBalancer: { algorithm: "round-robin" },
    });
    const byField = (answer: ReturnType<typeof ask>) =>
      Object.fromEntries(answer.policies.map(({ field, value, origin }) => [field, `${value} (${origin})`]));
    expect(byField(ask([SPLIT, policy], "http://orders/"))).toMatchObject({
      "timeout.request": "5s (HTTPRoute default/orders rule 1)",
      "timeout.perTry": "none (HTTPRoute default/orders rule 1)",
      "timeout.idle": "5m (default)",
      retry: "up to 2 on connection errors, 503; backoff from 25ms (HTTPRoute default/orders rule 1)",
      loadBalancer: "round-robin (TrafficPolicy default/orders)",
      circuitBreaker: "off (default)",
    });
    expect(byField(ask([policy], "http://orders/"))["timeout.request"]).toBe("9s (TrafficPolicy default/orders)");
  });

  test("names the services where their policies differ", () => {
    const policy = document("TrafficPolicy", "v3", {
      targetRef: { kind: "Service", name: "orders-v3" },
      loadBalancer: { algorithm: "random" },
    });
    const values = ask([SPLIT, policy], "http://orders/").policies.filter(({ field }) => field === "loadBalancer");
    expect(values.map(({ value }) => value)).toEqual([
      "least-request (default/orders-v1)",
      "random (default/orders-v3)",
    ]);
  });

  const limit = (name: string) =>
    document("RateLimit", name, { targetRef: { kind: "Service", name }, limits: [{ requests: 5, per: "1s" }] });
  const limitsOf = (documents: readonly Document[], url: string) =>
    ask(documents, url)
      .policies.filter(({ field }) => field === "rateLimit")
      .map(({ value, origin }) => `${value} [${origin}]`);

  test("names the limits of the whole service behind a split, and those of one version as such", () => {
    expect(limitsOf([SPLIT, limit("orders"), limit("orders-v3")], "http://orders/")).toEqual([
      "5 requests per 1s, burst 5 [RateLimit default/orders]",
      "5 requests per 1s, burst 5 (default/orders-v3) [RateLimit default/orders-v3]",
    ]);
  });

  test("names the limits of a version where the service is balanced over all of them", () => {
    expect(limitsOf([limit("orders-v2")], "http://orders/")).toEqual([
      "5 requests per 1s, burst 5 (default/orders-v2) [RateLimit default/orders-v2]",
    ]);
    expect(limitsOf([limit("orders"), limit("orders-v1")], "http://orders-v2/")).toEqual([
      "5 requests per 1s, burst 5 [RateLimit default/orders]",
    ]);
  });

  test("names no limits where no sidecar would act: at addresses of a document", () => {
    const declared = document("Service", "stock", { endpoints: [{ address: "10.0.0.9:80" }] });
    expect(limitsOf([declared, limit("stock")], "http://stock/")).toEqual([]);
    const split = document("HTTPRoute", "orders", {
      parentRefs: [parentOrders],
      rules: [{ backendRefs: [{ name: "orders-v1" }, { name: "stock" }] }],
    });
    expect(limitsOf([declared, split, limit("stock"), limit("orders")], "http://orders/")).toEqual([
      "5 requests per 1s, burst 5 (default/orders) [RateLimit default/orders]",
    ]);
  });

  test("names the limits of a service that is declared and does not run", () => {
    const declared = document("Service", "stock", {});
    expect(limitsOf([declared, limit("stock")], "http://stock/")).toEqual([
      "5 requests per 1s, burst 5 [RateLimit default/stock]",
    ]);
  });
});

describe("an answer that the mesh makes itself", () => {
  const redirect = document("HTTPRoute", "orders", {
    parentRefs: [parentOrders],
    rules: [
      {
        matches: [{ path: { value: "/old" } }],
        filters: [
          {
            type: "RequestRedirect",
            requestRedirect: { statusCode: 301, path: { type: "ReplacePrefixMatch", replacePrefixMatch: "/new" } },
          },
        ],
      },
    ],
  });
  const backends = (...backendRefs: unknown[]) =>
    document("HTTPRoute", "orders", { parentRefs: [parentOrders], rules: [{ backendRefs }] });

  test.each<[string, Document[], string, string, number]>([
    ["a host that is unknown", [], "http://payments/", "no-such-service", 404],
    ["a host that is no mesh name", [], "http://www.example.com/", "no-such-service", 404],
    ["no host", [], "/", "no-such-service", 404],
    ["a port that the service lacks", [document("Service", "orders", {})], "http://orders:81/", "no-such-service", 404],
    ["no rule that matches", [redirect], "http://orders/", "no-route", 404],
    ["a redirect", [redirect], "http://orders/old", "redirect", 301],
    ["weights of zero", [backends({ name: "orders-v1", weight: 0 })], "http://orders/", "invalid-backend", 500],
    ["no backends", [backends()], "http://orders/", "invalid-backend", 500],
    ["a backend that does not exist", [backends({ name: "nothing" })], "http://orders/", "invalid-backend", 500],
    [
      "a backend that is no service",
      [backends({ kind: "Bucket", name: "orders-v1" })],
      "http://orders/",
      "invalid-backend",
      500,
    ],
    [
      "a port that a backend lacks",
      [document("Service", "orders-v1", {}), backends({ name: "orders-v1", port: 81 })],
      "http://orders/",
      "invalid-backend",
      500,
    ],
    ["a backend without endpoints", [backends({ name: "orders-v3" })], "http://orders/", "no-healthy-endpoint", 503],
  ])("for %s", (_name, documents, url, reason, status) => {
    expect(ask(documents, url)).toMatchObject({ reason, status });
  });

  test("for one share is that backend's reason", () => {
    const filters = [{ type: "RequestRedirect", requestRedirect: { scheme: "https" } }];
    const answer = ask([backends({ name: "orders-v1", filters }, { name: "orders-v2" })], "http://orders/");
    expect(answer.backends.map(({ reason }) => reason)).toEqual(["redirect", ""]);
    expect(answer.reason).toBe("");
  });

  test("of a redirect says where to", () => {
    expect(ask([redirect], "http://orders/old/a?b").filters).toEqual([
      "redirect with status 301 to http://orders/new/a?b",
    ]);
  });

  test("is a preflight's when a CORS rule takes it", () => {
    const cors = document("HTTPRoute", "orders", {
      parentRefs: [parentOrders],
      rules: [{ filters: [{ type: "CORS", cors: { allowOrigins: ["*"] } }], backendRefs: [{ name: "orders-v1" }] }],
    });
    const headers = [
      { name: "Origin", value: "http://a" },
      { name: "Access-Control-Request-Method", value: "GET" },
    ];
    expect(ask([cors], "http://orders/", { method: "OPTIONS", headers }).reason).toBe("cors-preflight");
    expect(ask([cors], "http://orders/", { method: "OPTIONS" }).reason).toBe("");
  });
});

describe("the question", () => {
  test("without routes goes to the endpoints of the service", () => {
    const answer = ask([], "http://orders/x");
    expect(answer).toMatchObject({ route: "", candidates: [], upstreamPath: "/x", reason: "" });
    expect(answer.backends).toMatchObject([{ service: "default/orders", share: 100, endpoints: 3, readyEndpoints: 2 }]);
  });

  test("of HTTP to a port that speaks bytes says how such a port is reached", () => {
    const mail = document("Service", "mail", { ports: [{ port: 25, protocol: "tcp" }, { port: 80 }] });
    const note = "port 25 speaks bytes (protocol: tcp): reached by CONNECT, or by a local port of a sidecar (--tcp)";
    const refused = { reason: "no-such-service", status: 404, port: 25, backends: [], notes: [note] };
    expect(ask([mail], "http://mail:25/")).toMatchObject(refused);
    expect(ask([mail], "http://mail:25", { method: "CONNECT" }).notes).toEqual([]);
    expect(ask([mail], "http://mail:80/").notes).toEqual([]);
  });

  test("takes the host from the Host header for a path, and from the URL otherwise", () => {
    const headers = [{ name: "Host", value: "orders.default.svc.cluster.local" }];
    expect(ask([], "/x", { headers })).toMatchObject({
      service: "default/orders",
      notes: ["the host is the Host header's"],
    });
    expect(ask([], "http://orders-v1/x", { headers }).service).toBe("default/orders-v1");
    expect(ask([], "http://user:secret@orders:8080/x").upstreamHost).toBe("orders:8080");
  });

  test("a caller that nobody knows is named, and taken for any of its namespace", () => {
    const note = (from: string, namespace = "") => ask([SPLIT], "http://orders.default/", { from, namespace }).notes;
    expect(note("nobody")).toEqual(["nobody of the mesh is called nobody: taken for some caller of namespace default"]);
    expect(note("web.shop").join()).toContain("called web.shop: taken for some caller of namespace shop");
    expect(note("no name!", "shop").join()).toContain("called no name!: taken for some caller of namespace shop");
    for (const known of ["", "orders", "orders.default", "orders-v2"]) expect(note(known)).toEqual([]);
  });

  test("looks bare names up in the caller's namespace", () => {
    expect(ask([], "http://orders/", { from: "web.shop" }).reason).toBe("no-such-service");
    expect(ask([], "http://orders.default/", { from: "web.shop" }).service).toBe("default/orders");
    expect(ask([], "http://orders/", { namespace: "shop" }).reason).toBe("no-such-service");
    expect(ask([], "http://orders/", { namespace: "shop", from: "web.default" }).service).toBe("default/orders");
  });

  test("of a caller with consumer routes says that they take the place of the service's own", () => {
    const consumer = document(
      "HTTPRoute",
      "mine",
      {
        parentRefs: [{ ...parentOrders, namespace: "default" }],
        rules: [{ backendRefs: [{ name: "orders", namespace: "default" }] }],
      },
      { namespace: "shop" },
    );
    const fromShop = ask([SPLIT, consumer], "http://orders.default/", { from: "web.shop" });
    expect(fromShop.route).toBe("HTTPRoute shop/mine");
    expect(fromShop.backends).toMatchObject([{ service: "default/orders", share: 100 }]);
    expect(fromShop.candidates.find(({ route }) => route === "HTTPRoute default/orders")?.reason).toBe(
      "routes of the caller's namespace shop take the place of the service's own",
    );
    const fromHome = ask([SPLIT, consumer], "http://orders/", { from: "web" });
    expect(fromHome.candidates.find(({ route }) => route === "HTTPRoute shop/mine")?.reason).toBe(
      "acts for callers of namespace shop only, the caller is of default",
    );
  });

  test("leaves the mesh where Mesh.spec.egress allows it", () => {
    const mesh = document("Mesh", "mesh", { egress: { allow: ["api.example.com"] } });
    expect(ask([mesh], "https://api.example.com/v1?x")).toMatchObject({
      reason: "",
      upstreamHost: "api.example.com",
      upstreamPath: "/v1",
    });
  });
});

test("of very many matches the nearest are explained, in the order of precedence, and the rest is counted", () => {
  const rules = Array.from({ length: 1_000 }, (_, index) => ({
    matches: [{ path: { value: `/p${index}` } }],
    backendRefs: [{ name: "orders-v1" }],
  }));
  const headers = [{ name: "x", value: "1" }];
  const catchAll = [
    { matches: [{ headers }], backendRefs: [{ name: "orders-v1" }] },
    { backendRefs: [{ name: "orders-v1" }] },
  ];
  const route = document("HTTPRoute", "orders", { parentRefs: [parentOrders], rules: [...rules, ...catchAll] });
  const answer = ask([route], "http://orders/p999");
  expect(answer.candidates).toHaveLength(CANDIDATES_MAX);
  expect(answer.notes).toEqual([`${1_002 - CANDIDATES_MAX} more matches do not have the request and are left out`]);
  expect(answer.candidates.find(({ outcome }) => outcome === "matched")?.ruleIndex).toBe(999);
  expect(answer.candidates.slice(-2).map(({ ruleIndex, outcome }) => [ruleIndex, outcome])).toEqual([
    [1_000, "not-matched"],
    [1_001, "shadowed"],
  ]);
});

describe("every match of a table is explained", () => {
  const match: fc.Arbitrary<RouteMatch> = fc.constantFrom(
    prefix("/"),
    prefix("/a"),
    prefix("/a", { method: "POST" }),
    exact("/a"),
    regex("/a.*"),
    prefix("/", { headers: [is("x", "1")] }),
    prefix("/", { query: [is("q", "1")] }),
  );
  const rules: fc.Arbitrary<RouteRule[]> = fc
    .array(
      fc.record({
        matches: fc.array(match, { minLength: 1, maxLength: 2 }),
        ports: fc.constantFrom([], [81]),
        fromNamespace: fc.constantFrom("", "", "shop"),
        route: fc.constantFrom("HTTPRoute default/a", "GRPCRoute default/b"),
      }),
      { maxLength: 8 },
    )
    .map((records) => records.map((record, ruleIndex) => routeRule(record.matches, { ...record, ruleIndex })));
  const view = fc
    .record({
      path: fc.constantFrom("/", "/a", "/a/b", "/a?q=1", "/?q=2"),
      port: fc.constantFrom(80, 81),
      fromNamespace: fc.constantFrom("default", "shop"),
      headers: fc.constantFrom({}, { x: "1" }),
    })
    .map((parts) => request(parts.path, parts));

  test("the matched one is the lookup's, every other one says why not", () => {
    fc.assert(
      fc.property(rules, view, (someRules, one) => {
        const table = compileRoutes(someRules);
        const hit = findRoute(table, one);
        const explained = explainRoute(table, one);
        expect(explained.length).toBe(someRules.flatMap(({ matches }) => matches).length);
        const matched = explained.filter(({ outcome }) => outcome === "matched");
        expect(matched.map(({ ruleIndex, matchIndex }) => [ruleIndex, matchIndex])).toEqual(
          hit === undefined ? [] : [[hit.rule.ruleIndex, hit.matchIndex]],
        );
        for (const { outcome, reason } of explained) expect(reason === "").toBe(outcome === "matched");
        if (hit === undefined) expect(explained.every(({ outcome }) => outcome === "not-matched")).toBe(true);
      }),
      { numRuns: 500, verbose: 1 },
    );
  });
});
