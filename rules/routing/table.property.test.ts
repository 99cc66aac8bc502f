// The table against a naive reference: sort all matches by the precedence as written in the Gateway API, take the
// first that holds. The reference shares no code with the table.
import fc from "fast-check";
import { expect, test } from "vitest";
import type { RouteMatch, RouteRule, ValueMatch } from "../resource.ts";
import { request, routeRule } from "./fixtures.ts";
import { PathPlace } from "./path-place.ts";
import type { RequestView } from "./request-view.ts";
import { compileRoutes, findRoute, hasRoutes } from "./table.ts";

interface Numbered {
  readonly rule: RouteRule;
  readonly ruleNumber: number;
  readonly match: RouteMatch;
  readonly matchIndex: number;
}

function naiveFind(rules: readonly RouteRule[], view: RequestView): Numbered | undefined {
  const scope = naiveScope(rules, view);
  const all = scope.flatMap((rule) =>
    rule.matches.map((match, matchIndex) => ({ rule, ruleNumber: rules.indexOf(rule), match, matchIndex })),
  );
  const keys = (one: Numbered): (number | string)[] => {
    const { path, method, headers, query } = one.match;
    return [
      naiveRank(one),
      -(path.type === "PathPrefix" ? path.value.replace(/\/$/, "") : path.value).length,
      method === "" ? 1 : 0,
      -headers.length,
      -query.length,
      one.rule.createdAtMs,
      one.rule.route.split(" ")[1] ?? "",
      one.rule.ruleIndex,
      one.matchIndex,
    ];
  };
  const before = (a: Numbered, b: Numbered): number => {
    const [keysA, keysB] = [keys(a), keys(b)];
    for (const [index, key] of keysA.entries()) {
      const other = keysB[index] as number | string;
      if (key < other) return -1;
      if (key > other) return 1;
    }
    return 0;
  };
  return all.sort(before).find((one) => naiveHolds(one.match, view));
}

function naiveRank({ rule, match: { path } }: Numbered): number {
  if (path.type === "Exact") return 0;
  if (path.type === "PathPrefix") return path.value === "/" ? 4 : 2;
  return rule.route.startsWith("GRPCRoute") && path.value.startsWith("/[^/]+/") ? 3 : 1;
}

function naiveScope(rules: readonly RouteRule[], view: RequestView): RouteRule[] {
  const onPort = rules.filter((rule) => rule.ports.length === 0 || rule.ports.includes(view.port));
  const consumer = onPort.filter((rule) => rule.fromNamespace === view.fromNamespace);
  const group = consumer.length > 0 ? consumer : onPort.filter((rule) => rule.fromNamespace === "");
  const grpc = group.filter((rule) => rule.route.startsWith("GRPCRoute"));
  return grpc.length > 0 ? grpc : group;
}

function naiveHolds(match: RouteMatch, view: RequestView): boolean {
  const parameters = new URLSearchParams(view.query);
  return (
    naivePath(match, view.path) &&
    (match.method === "" || match.method === view.method) &&
    match.headers.every((header) => naiveValue(header, view.header(header.name))) &&
    match.query.every((parameter) => naiveValue(parameter, parameters.get(parameter.name) ?? undefined))
  );
}

function naivePath({ path }: RouteMatch, requested: string): boolean {
  if (path.type === "Exact") return requested === path.value;
  if (path.type === "RegularExpression") return new RegExp(`^(?:${path.value})$`).test(requested);
  const wanted = path.value.split("/").slice(1);
  if (wanted.at(-1) === "") wanted.pop();
  const elements = requested.split("/").slice(1);
  return wanted.every((element, index) => elements[index] === element);
}

function naiveValue(wanted: ValueMatch, value: string | undefined): boolean {
  if (value === undefined) return false;
  return wanted.type === "Exact" ? value === wanted.value : new RegExp(`^(?:${wanted.value})$`).test(value);
}

// Few distinct words, so that collisions, nesting and ties are common.
const element = fc.constantFrom("a", "b", "ab", "a.b");
const path = fc
  .tuple(fc.array(element, { maxLength: 3 }), fc.boolean())
  .map(([elements, slash]) => `/${elements.join("/")}${slash && elements.length > 0 ? "/" : ""}`);
const pattern = fc.constantFrom("/a.*", "/[ab]+", "/a/b", "(/a)+/?", ".*", "/ab?(/b)?", "/a\\.b.*", "/[^/]+/b");
const pathOf = fc.oneof(
  fc.record({ type: fc.constantFrom("Exact" as const, "PathPrefix" as const), value: path }),
  fc.record({ type: fc.constant("RegularExpression" as const), value: pattern }),
);
const someConditions = fc.uniqueArray(
  fc.record({
    name: fc.constantFrom("x", "y"),
    type: fc.constantFrom("Exact" as const, "RegularExpression" as const),
    value: fc.constantFrom("1", "2"),
  }),
  { selector: ({ name }) => name, maxLength: 2 },
);
const conditions = fc.oneof({ arbitrary: fc.constant([]), weight: 3 }, { arbitrary: someConditions, weight: 1 });
const match: fc.Arbitrary<RouteMatch> = fc.record({
  path: pathOf,
  method: fc.constantFrom("", "", "", "GET", "POST"),
  headers: conditions,
  query: conditions,
});
const rules: fc.Arbitrary<RouteRule[]> = fc
  .array(
    fc.record({
      route: fc.constantFrom("HTTPRoute default/a", "HTTPRoute default/b", "HTTPRoute a-b/c", "GRPCRoute default/g"),
      createdAtMs: fc.constantFrom(1, 2),
      ports: fc.constantFrom([], [], [80], [81, 80]),
      fromNamespace: fc.constantFrom("", "", "shop"),
      matches: fc.array(match, { minLength: 1, maxLength: 3 }),
    }),
    { minLength: 1, maxLength: 12, size: "max" },
  )
  // Place in the list stands for the place in the route, so that no two rules are equal in every key.
  .map((records) => records.map((record, ruleIndex) => routeRule(record.matches, { ...record, ruleIndex })));
const view: fc.Arbitrary<RequestView> = fc
  .record({
    path: fc.oneof({ arbitrary: path, weight: 8 }, { arbitrary: fc.constantFrom("*", "", "//a", "/a//b"), weight: 1 }),
    query: fc.constantFrom("", "x=1", "x=2&y=1", "x=1&x=2", "y=2", "x=%31", "y=+1"),
    method: fc.constantFrom("GET", "POST", "get"),
    port: fc.constantFrom(80, 81, 82),
    fromNamespace: fc.constantFrom("default", "shop"),
    headers: fc.dictionary(fc.constantFrom("x", "y"), fc.constantFrom("1", "2", "3")),
  })
  .map((parts) => request(parts.query === "" ? parts.path : `${parts.path}?${parts.query}`, parts));

test("the table finds exactly the match that precedence says", () => {
  let found = 0;
  let looked = 0;
  fc.assert(
    fc.property(rules, fc.array(view, { minLength: 1, maxLength: 8 }), (someRules, views) => {
      const table = compileRoutes(someRules);
      for (const one of views) {
        const expected = naiveFind(someRules, one);
        const hit = findRoute(table, one);
        looked += 1;
        if (expected !== undefined) found += 1;
        expect(hit && [hit.ruleNumber, hit.matchIndex]).toEqual(expected && [expected.ruleNumber, expected.matchIndex]);
        expect(hasRoutes(table, one.port, one.fromNamespace)).toBe(naiveScope(someRules, one).length > 0);
      }
    }),
    { numRuns: 1_000, verbose: 1 },
  );
  expect(found).toBeGreaterThan(looked / 5);
  expect(found).toBeLessThan(looked);
});

test("the order in which rules arrive does not matter", () => {
  fc.assert(
    fc.property(rules, view, fc.infiniteStream(fc.nat()), (someRules, one, numbers) => {
      const keyed = someRules.map((rule) => ({ rule, key: numbers.next().value as number }));
      const shuffled = keyed.sort((a, b) => a.key - b.key).map(({ rule }) => rule);
      const hit = findRoute(compileRoutes(someRules), one);
      const again = findRoute(compileRoutes(shuffled), one);
      expect(again?.rule).toBe(hit?.rule);
      expect(again?.match).toBe(hit?.match);
    }),
    { numRuns: 300, verbose: 1 },
  );
});

test("a place that is kept for a path changes nothing, whatever tables it is asked of in between", () => {
  const places = new Map<string, PathPlace>();
  let kept = 0;
  const run = (tables: RouteRule[][], views: RequestView[]): void => {
    const compiled = tables.map(compileRoutes);
    for (const one of [...views, ...views]) {
      const place = places.get(one.path) ?? new PathPlace();
      if (places.has(one.path)) kept += 1;
      places.set(one.path, place);
      const placed = { ...one, path: one.path, place, header: (name: string) => one.header(name) };
      for (const table of [...compiled, ...compiled]) {
        for (let time = 0; time < 2; time += 1) expect(findRoute(table, placed)).toBe(findRoute(table, one));
      }
    }
  };
  fc.assert(
    fc.property(fc.array(rules, { minLength: 1, maxLength: 3 }), fc.array(view, { minLength: 1, maxLength: 6 }), run),
    { numRuns: 200, verbose: 1 },
  );
  expect(kept).toBeGreaterThan(100);
});
