// Which rule a request goes by: the cases of the Gateway API's mesh conformance suite, and those it leaves open.
import { describe, expect, test } from "vitest";
import type { RouteMatch, RouteRule } from "../resource.ts";
import { exact, is, like, prefix, type RequestParts, regex, request, routeRule } from "./fixtures.ts";
import { hashOfPath } from "./path-index.ts";
import { compileRoutes, findRoute, hasRoutes } from "./table.ts";

/** Rules of one route, named so that a case can say which it expects. */
function route(rules: Readonly<Record<string, readonly RouteMatch[]>>, more: Partial<RouteRule> = {}): RouteRule[] {
  return Object.entries(rules).map(([ruleName, matches], ruleIndex) =>
    routeRule(matches, { ruleName, ruleIndex, ...more }),
  );
}

function found(rules: readonly RouteRule[], target: string, parts: RequestParts = {}): string | undefined {
  return findRoute(compileRoutes(rules), request(target, parts))?.rule.ruleName;
}

describe("paths and headers as in the suite's httproute-matching", () => {
  const rules = route({
    v1: [prefix("/"), prefix("/", { headers: [is("version", "one")] })],
    v2: [prefix("/v2"), prefix("/", { headers: [is("version", "two")] })],
  });
  test.each([
    ["/", {}, "v1"],
    ["/example", {}, "v1"],
    ["/", { version: "one" }, "v1"],
    ["/v2", {}, "v2"],
    ["/v2/example", {}, "v2"],
    ["/", { version: "two" }, "v2"],
    ["/v2/", {}, "v2"],
    ["/v2example", {}, "v1"],
    ["/foo/v2/example", {}, "v1"],
  ])("%s with %j goes to %s", (path, headers, expected) => {
    expect(found(rules, path, { headers })).toBe(expected);
  });
});

describe("query parameters as in the suite's httproute-query-param-matching", () => {
  const animal = (value: string) => ({ query: [is("animal", value)] });
  const rules = route({
    "1 whale": [prefix("/", animal("whale"))],
    "2 dolphin": [prefix("/", animal("dolphin"))],
    "1 path1": [prefix("/path1", animal("whale"))],
    "2 version": [prefix("/", { headers: [is("version", "one")], ...animal("whale") })],
    "1 either": [
      prefix("/path3", animal("shark")),
      prefix("/path4", { headers: [is("version", "three")], ...animal("kraken") }),
    ],
    "1 path5": [prefix("/path5")],
    "2 hydra": [prefix("/", animal("hydra"))],
  });
  test.each([
    ["/?animal=whale", {}, "1 whale"],
    ["/?animal=dolphin", {}, "2 dolphin"],
    ["/?animal=whale&otherparam=irrelevant", {}, "1 whale"],
    ["/?animal=dolphin&color=yellow", {}, "2 dolphin"],
    ["/?color=blue", {}, undefined],
    ["/?animal=dog", {}, undefined],
    ["/?animal=whaledolphin", {}, undefined],
    ["/", {}, undefined],
    ["/path1?animal=whale", {}, "1 path1"],
    ["/?animal=whale", { version: "one" }, "2 version"],
    ["/path3?animal=shark", {}, "1 either"],
    ["/path4?animal=kraken", { version: "three" }, "1 either"],
    ["/?animal=shark", {}, undefined],
    ["/path4?animal=kraken", {}, undefined],
    ["/path5?animal=hydra", {}, "1 path5"],
  ])("%s with %j goes to %s", (target, headers, expected) => {
    expect(found(rules, target, { headers })).toBe(expected);
  });
});

describe("precedence", () => {
  test.each<[string, Readonly<Record<string, readonly RouteMatch[]>>]>([
    ["exact before regular expression", { other: [regex("/api/orders/.*|/api/orders")], wins: [exact("/api/orders")] }],
    [
      "exact before a prefix with more conditions",
      { other: [prefix("/api", { method: "GET" })], wins: [exact("/api/orders")] },
    ],
    ["regular expression before prefix", { other: [prefix("/api/orders")], wins: [regex("/api/.*")] }],
    ["the longer regular expression", { other: [regex("/api/.*")], wins: [regex("/api/[a-z]+")] }],
    ["the longer prefix", { other: [prefix("/api")], wins: [prefix("/api/orders")] }],
    [
      "the longer prefix before a method",
      { other: [prefix("/api", { method: "GET" })], wins: [prefix("/api/orders")] },
    ],
    ["a method", { other: [prefix("/api")], wins: [prefix("/api", { method: "GET" })] }],
    [
      "a method before headers",
      { other: [prefix("/api", { headers: [is("a", "1"), is("b", "1")] })], wins: [prefix("/api", { method: "GET" })] },
    ],
    [
      "more headers",
      {
        other: [prefix("/api", { headers: [is("a", "1")] })],
        wins: [prefix("/api", { headers: [is("a", "1"), is("b", "1")] })],
      },
    ],
    [
      "headers before query parameters",
      {
        other: [prefix("/api", { query: [is("q", "1"), is("r", "1")] })],
        wins: [prefix("/api", { headers: [is("a", "1")] })],
      },
    ],
    [
      "more query parameters",
      {
        other: [prefix("/api", { query: [is("q", "1")] })],
        wins: [prefix("/api", { query: [is("q", "1"), is("r", "1")] })],
      },
    ],
    ["the earlier rule", { wins: [prefix("/api")], other: [prefix("/api/")] }],
    [
      "the earlier match of equal rank wherever it stands",
      { wins: [prefix("/none"), prefix("/api")], other: [prefix("/api")] },
    ],
  ])("prefers %s", (_name, rules) => {
    expect(found(route(rules), "/api/orders?q=1&r=1", { headers: { a: "1", b: "1" } })).toBe("wins");
  });

  test("prefers the older route, then the first by namespace and name, whatever the order of arrival", () => {
    const rule = (ruleName: string, routeTitle: string, createdAtMs: number) =>
      routeRule([prefix("/")], { ruleName, route: routeTitle, createdAtMs });
    const young = rule("young", "HTTPRoute default/a", 2);
    const old = rule("old", "HTTPRoute default/z", 1);
    const first = rule("first", "HTTPRoute default/y", 1);
    expect(found([young, old], "/")).toBe("old");
    expect(found([old, young], "/")).toBe("old");
    expect(found([young, old, first], "/")).toBe("first");
    expect(found([rule("b", "HTTPRoute a/b", 0), rule("c", "HTTPRoute a-b/a", 0)], "/")).toBe("c");
  });

  test("a method of any gRPC service goes after named services and before everything", () => {
    const rules = route(
      { all: [prefix("/")], method: [regex("/[^/]+/Get")], service: [prefix("/shop.Orders")] },
      { route: "GRPCRoute default/orders" },
    );
    expect(found(rules, "/shop.Orders/Get")).toBe("service");
    expect(found(rules, "/shop.Carts/Get")).toBe("method");
    expect(found(rules, "/shop.Carts/Put")).toBe("all");
  });
});

describe("matching", () => {
  test.each([
    ["/foo", "/foo", true],
    ["/foo", "/foo/", true],
    ["/foo", "/foo/bar", true],
    ["/foo", "/foobar", false],
    ["/foo", "/Foo", false],
    ["/foo", "/", false],
    ["/foo/", "/foo", true],
    ["/foo/", "/foo/bar", true],
    ["/foo/", "/foobar", false],
    ["/foo", "/foo//bar", true],
    ["/foo", "//foo", false],
    ["/foo", "/%66oo", false],
    ["/foo/bar", "/foo", false],
    ["/", "/anything/at/all", true],
    ["/", "*", true],
    ["/", "", true],
  ])("prefix %s against %s: %s", (value, path, expected) => {
    expect(found(route({ yes: [prefix(value)] }), path) === "yes").toBe(expected);
  });

  test.each([
    ["/foo", "/foo", true],
    ["/foo", "/foo/", false],
    ["/foo/", "/foo", false],
    ["/foo/", "/foo/", true],
    ["/foo", "/Foo", false],
    ["/foo", "/foo/bar", false],
    ["/", "/", true],
    ["/", "/a", false],
    ["/", "", false],
  ])("exact %s against %s: %s", (value, path, expected) => {
    expect(found(route({ yes: [exact(value)] }), path) === "yes").toBe(expected);
  });

  test("methods are case-sensitive", () => {
    const rules = route({ yes: [prefix("/", { method: "GET" })] });
    expect(found(rules, "/", { method: "GET" })).toBe("yes");
    expect(found(rules, "/", { method: "get" })).toBeUndefined();
  });

  test("regular expressions match whole values of paths, headers and query parameters", () => {
    expect(found(route({ yes: [regex("/a[0-9]")] }), "/a1")).toBe("yes");
    expect(found(route({ yes: [regex("/a[0-9]")] }), "/a12")).toBeUndefined();
    const header = route({ yes: [prefix("/", { headers: [like("x", "[ab]+")] })] });
    expect(found(header, "/", { headers: { x: "abba" } })).toBe("yes");
    expect(found(header, "/", { headers: { x: "abbac" } })).toBeUndefined();
    expect(found(header, "/")).toBeUndefined();
    const query = route({ yes: [prefix("/", { query: [like("x", "[ab]*")] })] });
    expect(found(query, "/?x=ab")).toBe("yes");
    expect(found(query, "/?x")).toBe("yes");
    expect(found(query, "/?y=ab")).toBeUndefined();
  });

  test("asks for headers and query only where a rule needs them", () => {
    const table = compileRoutes(route({ plain: [exact("/a")], header: [prefix("/b", { headers: [is("x", "1")] })] }));
    const asked: string[] = [];
    const view = (path: string) => ({ ...request(path), header: (name: string) => void asked.push(name) });
    expect(findRoute(table, view("/a"))?.rule.ruleName).toBe("plain");
    expect(findRoute(table, view("/c"))).toBeUndefined();
    expect(asked).toEqual([]);
    expect(findRoute(table, view("/b"))).toBeUndefined();
    expect(asked).toEqual(["x"]);
  });
});

describe("scopes", () => {
  test("a rule for some ports acts on those only", () => {
    const rules = [
      ...route({ "port 80": [prefix("/a")] }, { ports: [80] }),
      ...route({ all: [prefix("/")] }, { route: "HTTPRoute default/all" }),
    ];
    expect(found(rules, "/a", { port: 80 })).toBe("port 80");
    expect(found(rules, "/b", { port: 80 })).toBe("all");
    expect(found(rules, "/a", { port: 81 })).toBe("all");
  });

  test("a port without rules has no routes, which is not the same as no match", () => {
    const table = compileRoutes(route({ a: [prefix("/a")] }, { ports: [80] }));
    expect(hasRoutes(table, 80, "default")).toBe(true);
    expect(hasRoutes(table, 81, "default")).toBe(false);
    expect(findRoute(table, request("/b", { port: 80 }))).toBeUndefined();
    expect(findRoute(table, request("/a", { port: 81 }))).toBeUndefined();
    expect(hasRoutes(compileRoutes([]), 80, "default")).toBe(false);
  });

  test("consumer routes take the place of producer routes, for their namespace and port only", () => {
    const rules = [
      ...route({ producer: [prefix("/")] }),
      ...route({ consumer: [prefix("/a")] }, { route: "HTTPRoute shop/mine", fromNamespace: "shop", ports: [80] }),
    ];
    expect(found(rules, "/a", { fromNamespace: "shop" })).toBe("consumer");
    expect(found(rules, "/b", { fromNamespace: "shop" })).toBeUndefined();
    expect(found(rules, "/b", { fromNamespace: "shop", port: 81 })).toBe("producer");
    expect(found(rules, "/a", { fromNamespace: "default" })).toBe("producer");
  });

  test("where a GRPCRoute is attached, HTTPRoutes do not act on that port", () => {
    const rules = [
      ...route({ http: [prefix("/")] }),
      ...route({ grpc: [prefix("/shop.Orders")] }, { route: "GRPCRoute default/orders", ports: [9090] }),
    ];
    expect(found(rules, "/shop.Orders/Get", { port: 9090 })).toBe("grpc");
    expect(found(rules, "/other", { port: 9090 })).toBeUndefined();
    expect(found(rules, "/other", { port: 80 })).toBe("http");
  });
});

test("rules are numbered densely in the order given, and hits say which match it was", () => {
  const rules = route({ a: [exact("/1")], b: [exact("/2"), exact("/3")] });
  const table = compileRoutes(rules);
  expect(table.rules).toBe(rules);
  expect(findRoute(table, request("/3"))).toMatchObject({ ruleNumber: 1, matchIndex: 1, match: exact("/3") });
  expect(findRoute(table, request("/3"))).toBe(findRoute(table, request("/3")));
});

test("paths that share a hash are told apart", () => {
  const [first, second] = collidingPaths();
  const table = compileRoutes([
    routeRule([exact(first)], { ruleName: "first" }),
    routeRule([prefix(second)], { ruleName: "second", ruleIndex: 1 }),
  ]);
  expect(findRoute(table, request(first))?.rule.ruleName).toBe("first");
  expect(findRoute(table, request(second))?.rule.ruleName).toBe("second");
  expect(findRoute(table, request(`${second}/x`))?.rule.ruleName).toBe("second");
  expect(findRoute(table, request(`${first}/x`))).toBeUndefined();
  const onlyFirst = compileRoutes([routeRule([prefix(first)])]);
  expect(findRoute(onlyFirst, request(second))).toBeUndefined();
});

test("paths of any length are told apart by any of their characters", () => {
  for (const length of [...Array.from({ length: 20 }, (_, index) => index + 2), 1_023, 1_024, 1_025, 5_000]) {
    const path = `/${"a".repeat(length - 1)}`;
    const rules = [routeRule([exact(path)]), routeRule([prefix(`${path}/b`)], { ruleName: "b", ruleIndex: 1 })];
    const table = compileRoutes(rules);
    expect(findRoute(table, request(path))).toBeDefined();
    expect(findRoute(table, request(`${path}/b/c`))?.rule.ruleName).toBe("b");
    for (let at = Math.max(1, length - 9); at < length; at += 1) {
      const other = `${path.slice(0, at)}b${path.slice(at + 1)}`;
      expect([other, findRoute(table, request(other))]).toEqual([other, undefined]);
      expect(findRoute(table, request(`${other}/b`))).toBeUndefined();
    }
    expect(findRoute(table, request(path.slice(0, -1)))).toBeUndefined();
    expect(findRoute(table, request(`${path}a`))).toBeUndefined();
  }
});

test("a rule with characters that no request can bring holds for none, not for those with the same low octet", () => {
  const table = compileRoutes([routeRule([exact("/\u4e2d")]), routeRule([prefix("/a\u4e2d")], { ruleIndex: 1 })]);
  for (const path of ["/-", "/a-", "/a-/b"]) expect(findRoute(table, request(path))).toBeUndefined();
});

/** Two paths with one hash: found by trying, as a birthday party would. */
function collidingPaths(): [string, string] {
  const seen = new Map<number, string>();
  for (let number = 0; ; number += 1) {
    const path = `/p${number.toString(36)}`;
    const hash = hashOfPath(path);
    const other = seen.get(hash);
    if (other !== undefined) return [other, path];
    seen.set(hash, path);
  }
}
