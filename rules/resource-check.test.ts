// What a sidecar refuses to act on, and how it says where the fault is.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { document, IMPLIED, parentOrders } from "./compile/fixtures.ts";
import { compileInbound, compileMesh, compileService, indexDocuments } from "./compile.ts";
import { parseResource, ResourceError } from "./resource-check.ts";

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** A service that has something of everything. */
function wholeService(): { [key: string]: Json } {
  const documents = [
    document("HTTPRoute", "orders", {
      parentRefs: [{ ...parentOrders, port: 80 }],
      rules: [
        {
          name: "first",
          matches: [
            {
              path: { type: "RegularExpression", value: "/a.*" },
              method: "GET",
              headers: [{ name: "x-a", value: "1" }],
              queryParams: [{ name: "q", value: "1" }],
            },
          ],
          filters: [
            {
              type: "RequestHeaderModifier",
              requestHeaderModifier: { set: [{ name: "X-A", value: "1" }], remove: ["x-b"] },
            },
            { type: "RequestMirror", requestMirror: { backendRef: { name: "shadow" }, percent: 10 } },
            { type: "URLRewrite", urlRewrite: { path: { type: "ReplaceFullPath", replaceFullPath: "/x" } } },
            { type: "CORS", cors: { allowOrigins: ["*"] } },
          ],
          timeouts: { request: "1s" },
          retry: { attempts: 2 },
          backendRefs: [{ name: "orders-v1", weight: 9 }],
        },
        { filters: [{ type: "RequestRedirect", requestRedirect: { scheme: "https" } }] },
      ],
    }),
    document("TrafficPolicy", "orders", {
      targetRef: { kind: "Service", name: "orders" },
      loadBalancer: { algorithm: "maglev", hashOn: { cookie: "user" } },
      circuitBreaker: {},
      outlierDetection: {},
      healthCheck: { http: { path: "/healthz?deep=1" } },
      fallback: { body: "{}", headers: { "content-type": "application/json" } },
    }),
  ];
  return json(compileService(indexDocuments(documents, IMPLIED), "default/orders"));
}

function json(value: unknown): { [key: string]: Json } {
  return JSON.parse(JSON.stringify(value));
}

function parseService(body: unknown) {
  return parseResource("service:default/orders", body);
}

/** Sets the member at a path such as `rules[0].backends[0].weight`; undefined takes it out. */
function changed(path: string, value: Json | undefined): Json {
  const body = wholeService();
  const keys = path.split(/[.[\]]+/).filter((key) => key !== "");
  const last = keys.pop() ?? "";
  let holder: Json = body;
  for (const key of keys) holder = (holder as { [key: string]: Json })[key] as Json;
  const members = holder as { [key: string]: Json };
  if (value === undefined) delete members[last];
  else members[last] = value;
  return body;
}

function refusal(name: string, body: unknown): ResourceError {
  try {
    parseResource(name, body);
  } catch (error) {
    if (error instanceof ResourceError) return error;
    throw error;
  }
  throw new Error("was accepted");
}

test("a compiled service is accepted and comes out equal", () => {
  expect(json(parseService(wholeService()))).toEqual(wholeService());
});

test("inbound and mesh resources are accepted", () => {
  const index = indexDocuments(
    [
      document("RateLimit", "orders", { targetRef: { kind: "Service", name: "orders" }, limits: [] }),
      document("Mesh", "mesh", { tracing: { endpoint: "http://otel:4318", protocol: "http" } }),
    ],
    IMPLIED,
  );
  const inbound = compileInbound(index, "default/orders");
  expect(parseResource("inbound:default/orders", json(inbound))).toEqual(inbound);
  expect(parseResource("mesh", json(compileMesh(index)))).toEqual(compileMesh(index));
});

describe("a service is refused, with the place,", () => {
  test.each<[string, Json | undefined, RegExp]>([
    ["rules[0].matches[0].path.value", "(", /no RE2 regular expression/],
    ["rules[0].matches[0].path.value", "(?=a)", /no RE2 regular expression/],
    ["rules[0].matches[0].path.type", "Prefix", /one of Exact, PathPrefix, RegularExpression/],
    ["rules[0].matches[0].headers[0].name", "X-A", /lower-case header name/],
    ["rules[0].matches[0].headers[0].type", undefined, /missing/],
    ["rules[0].matches", [], /at least 1/],
    ["rules[0].filters[0].modifier.set[0].value", "a\r\nx-evil: 1", /control characters/],
    ["rules[0].filters[0].modifier.set[0].name", "x evil", /header name/],
    ["rules[0].filters[0].modifier.remove[0]", "X-B", /lower-case/],
    ["rules[0].filters[1].denominator", 0, /from 1/],
    ["rules[0].filters[2].path.value", "/a b", /a path/],
    ["rules[0].filters[0].type", "ExtensionRef", /one of RequestHeaderModifier/],
    ["rules[0].backends[0].weight", 1_000_001, /from 0 to 1000000/],
    ["rules[0].backends[0].weight", 0.5, /integer/],
    ["rules[0].backends[0].weight", -1, /integer/],
    ["rules[0].backends[0].service", "orders", /NAMESPACE\/NAME/],
    ["rules[0].backends[0].port", 65_536, /from 0 to 65535/],
    ["rules[0].timeouts.requestMs", "1s", /integer/],
    ["rules[0].timeouts.requestMs", 2_147_483_648, /2147483647/],
    ["rules[0].retry.codes[0]", 99, /from 100 to 599/],
    ["rules[0].ports[0]", 0, /from 1 to 65535/],
    ["rules[0].route", "orders", /KIND NAMESPACE\/NAME/],
    ["rules[0].surprise", 1, /not a known field/],
    ["rules[1].filters[0].status", 200, /from 300 to 399/],
    ["rules", {}, /a list/],
    ["rules[0]", null, /an object/],
    ["ports", [], /at least 1/],
    ["ports[0].protocol", "quic", /one of http, h2c, grpc, tcp/],
    ["implied", "yes", /true or false/],
    ["policy.loadBalancer.algorithm", "fastest", /one of round-robin/],
    ["policy.loadBalancer.hashOn.type", "ip", /one of header/],
    ["policy.retry.budget.percent", 101, /from 0 to 100/],
    ["policy.fallback.answer.headers.x", "a\nb", /control characters/],
    ["policy.circuitBreaker.rollingWindowMs", 0, /from 1/],
    ["policy", undefined, /missing/],
  ])("%s = %j", (path, value, message) => {
    const error = refusal("service:default/orders", changed(path, value));
    expect(error.resource).toBe("service:default/orders");
    expect(error.path).toBe(path);
    expect(error.message).toMatch(message);
  });

  test.each<[string, unknown]>([
    ["nothing", undefined],
    ["null", null],
    ["a list", []],
    ["a text", "service"],
    ["an object without a type", {}],
    ["a type that does not exist", { type: "listener" }],
  ])("%s", (_name, body) => {
    expect(refusal("service:default/orders", body).message).not.toBe("");
  });

  test("a key that is no own field of an object", () => {
    const body = JSON.parse(`{"type":"mesh","__proto__":{"egress":{"allow":[]}}}`);
    expect(refusal("mesh", body).path).toBe("egress");
  });
});

test("a resource under another's name is refused", () => {
  expect(refusal("service:default/payments", wholeService()).message).toBe("holds service:default/orders");
  expect(refusal("endpoints:default/orders", wholeService()).path).toBe("");
});

test.each([
  ["10.0.0.1:8080", true],
  ["localhost:80", true],
  ["[::1]:80", true],
  ["orders.example.com:443", true],
  ["10.0.0.1", false],
  ["::1:80", false],
  ["host:", false],
  ["http://host:80", false],
  ["ho st:80", false],
  ["host:80\r\n", false],
])("the endpoint address %j is accepted: %s", (address, accepted) => {
  const endpoint = { id: "a", address, addresses: {}, weight: 1, zone: "", version: "", labels: {}, mesh: true };
  const body = { type: "endpoints", service: "default/orders", endpoints: [endpoint] };
  if (accepted) expect(parseResource("endpoints:default/orders", body)).toEqual(body);
  else expect(refusal("endpoints:default/orders", body).path).toBe("endpoints[0].address");
});

test("whatever one member is replaced with, the answer is a resource or a ResourceError that names a place", () => {
  const paths = [...memberPaths(wholeService(), "")];
  expect(paths.length).toBeGreaterThan(100);
  fc.assert(
    fc.property(fc.constantFrom(...paths), fc.jsonValue(), (path, value) => {
      // As it would come off the wire: JSON has no -0.
      const body = changed(path, JSON.parse(JSON.stringify(value)) as Json);
      try {
        expect(json(parseService(body))).toEqual(body);
      } catch (error) {
        expect(error).toBeInstanceOf(ResourceError);
        if (path !== "service") expect((error as ResourceError).path).not.toBe("");
      }
    }),
    { numRuns: 2_000, verbose: 1 },
  );
});

function* memberPaths(value: Json, path: string): Generator<string> {
  if (value === null || typeof value !== "object") return;
  for (const [key, member] of Object.entries(value)) {
    const step = Array.isArray(value) ? `${path}[${key}]` : path === "" ? key : `${path}.${key}`;
    yield step;
    yield* memberPaths(member, step);
  }
}
