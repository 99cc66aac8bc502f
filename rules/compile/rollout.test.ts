// What a release makes of the rules of its service.
import { describe, expect, test } from "vitest";
import { compileService, indexDocuments } from "../compile.ts";
import type { Document } from "../document.ts";
import { loadDocuments } from "../load.ts";
import type { ServiceResource } from "../resource.ts";
import { parseResource } from "../resource-check.ts";
import type { RolloutStatus } from "../rollout-status.ts";
import { compileRoutes, findRoute } from "../routing/table.ts";

const ROLLOUT = `
apiVersion: weft.mesh/v1
kind: Rollout
metadata: { name: orders }
spec: { service: orders, stable: orders-v1, canary: orders-v2, sticky: { header: X-User }, steps: [{ weight: 100 }] }
`;

function route(rules: string, parent = "{ name: orders }"): string {
  return `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: orders }
spec: { parentRefs: [${parent.replace("{", '{ group: "", kind: Service,')}], rules: ${rules} }
`;
}

const STATUS: RolloutStatus = {
  stable: "orders-v1",
  canary: "orders-v2",
  phase: "progressing",
  weight: 5,
  isLive: true,
};
const ALL = ["orders", "orders-v1", "orders-v2", "orders-v3"];

function compiled(text: string, status: RolloutStatus | null = STATUS, exists = ALL): ServiceResource {
  const { documents, diagnostics } = loadDocuments([{ name: "test", content: text }], { defaultNamespace: "default" });
  expect(diagnostics).toEqual([]);
  const withStatus = documents.map(
    ({ document }): Document =>
      document.kind === "Rollout" ? { ...document, ...(status === null ? {} : { status }) } : document,
  );
  const index = indexDocuments(withStatus, new Set(exists.map((name) => `default/${name}`)));
  const resource = compileService(index, "default/orders");
  expect(parseResource("service:default/orders", JSON.parse(JSON.stringify(resource)))).toMatchObject({
    service: "default/orders",
  });
  return resource as ServiceResource;
}

/** `v2:500 v1:9500` of each rule. */
function shares({ rules }: ServiceResource): string[] {
  return rules.map(({ backends }) =>
    backends.map(({ service, weight }) => `${service.replace("default/orders-", "")}:${weight}`).join(" "),
  );
}

describe("a release of a service without routes", () => {
  test("is its only rule, sticky by the user", () => {
    const resource = compiled(ROLLOUT);
    expect(shares(resource)).toEqual(["v2:500 v1:9500"]);
    expect(resource.rules[0]).toMatchObject({
      route: "Rollout default/orders",
      split: { key: { type: "header", name: "x-user" }, salt: "default/orders/orders-v2", isLive: true },
    });
  });

  test.each([
    ["before its first step", null, "v2:0 v1:10000"],
    ["that is promoted", { ...STATUS, weight: 100, isLive: false }, "v2:10000 v1:0"],
    ["whose status is about another canary", { ...STATUS, canary: "orders-v3", weight: 50 }, "v2:0 v1:10000"],
  ])("%s", (_title, status, expected) => {
    expect(shares(compiled(ROLLOUT, status))).toEqual([expected]);
  });

  test.each([
    ["sends everything to stable while the canary does not exist", STATUS, ["orders", "orders-v1"], ["v2:0 v1:10000"]],
    ["does nothing while stable does not exist", { ...STATUS, weight: 0 }, ["orders", "orders-v2"], []],
    [
      "stays with the canary when stable is cleaned away",
      { ...STATUS, weight: 100 },
      ["orders", "orders-v2"],
      ["v2:10000 v1:0"],
    ],
  ])("%s", (_title, status, exists, expected) => {
    expect(shares(compiled(ROLLOUT, status, exists))).toEqual(expected);
  });

  test("splits every port of a service that has several", () => {
    const service = `
---
apiVersion: weft.mesh/v1
kind: Service
metadata: { name: orders }
spec: { ports: [{ port: 80 }, { port: 81 }] }`;
    const { rules } = compiled(ROLLOUT + service);
    expect(rules.map(({ ports, backends }) => [ports, backends.map(({ port }) => port)])).toEqual([
      [[80], [80, 80]],
      [[81], [81, 81]],
    ]);
  });
});

describe("a release of a service with routes", () => {
  test.each([
    [
      "takes over the split of the two versions",
      "[{ backendRefs: [{ name: orders-v1, weight: 95 }, { name: orders-v2, weight: 5 }] }]",
      ["v2:500 v1:9500"],
    ],
    ["splits a rule that names stable alone", "[{ backendRefs: [{ name: orders-v1 }] }]", ["v2:500 v1:9500"]],
    ["splits a rule that names the service itself", "[{ backendRefs: [{ name: orders }] }]", ["v2:500 v1:9500"]],
    ["leaves a rule for the canary alone", "[{ backendRefs: [{ name: orders-v2 }] }]", ["v2:1"]],
    [
      "leaves the share of other versions alone",
      "[{ backendRefs: [{ name: orders-v1, weight: 8 }, { name: orders-v3, weight: 2 }] }]",
      ["v2:4000 v1:76000 v3:20000"],
    ],
    ["leaves a rule that sends nowhere alone", "[{ backendRefs: [{ name: orders-v1, weight: 0 }] }]", ["v1:0"]],
  ])("%s", (_title, rules, expected) => {
    expect(shares(compiled(`${ROLLOUT}---${route(rules)}`))).toEqual(expected);
  });

  test("adds a rule for the ports that no route names", () => {
    const service =
      "---\napiVersion: weft.mesh/v1\nkind: Service\nmetadata: { name: orders }\nspec: { ports: [{ port: 80 }, { port: 81 }] }\n";
    const { rules } = compiled(
      `${ROLLOUT}${service}---${route("[{ backendRefs: [{ name: orders-v1 }] }]", "{ name: orders, port: 81 }")}`,
    );
    expect(rules.map(({ route: title, ports }) => [title, ports])).toEqual([
      ["HTTPRoute default/orders", [81]],
      ["Rollout default/orders", [80]],
    ]);
  });

  test("goes away with its document: the route is as it was written", () => {
    const rules = "[{ backendRefs: [{ name: orders-v1, weight: 95 }, { name: orders-v2, weight: 5 }] }]";
    expect(shares(compiled(route(rules)))).toEqual(["v1:95 v2:5"]);
  });
});

describe("testers and copies", () => {
  test("testers go to the canary whatever its weight, by header and by cookie", () => {
    const match = { headers: [{ name: "X-Tester", value: "1" }] };
    const byHeader = compileRoutes(compiled(ROLLOUT, { ...STATUS, weight: 0, match }).rules);
    const byCookie = compileRoutes(compiled(ROLLOUT, { ...STATUS, weight: 0, match: { cookie: "beta.1" } }).rules);
    const canaryShare = (table: typeof byHeader, headers: Record<string, string>) =>
      findRoute(table, {
        method: "GET",
        path: "/x",
        query: "",
        port: 80,
        fromNamespace: "default",
        header: (name) => headers[name],
      })?.rule.backends[0]?.weight;
    expect(canaryShare(byHeader, { "x-tester": "1" })).toBe(10_000);
    expect(canaryShare(byHeader, { "x-tester": "2" })).toBe(0);
    expect(canaryShare(byCookie, { cookie: "a=b; beta.1=yes" })).toBe(10_000);
    expect(canaryShare(byCookie, { cookie: "betax1=yes" })).toBe(0);
  });

  test("copies are of safe methods unless told", () => {
    const mirror = (allMethods: boolean) =>
      compiled(ROLLOUT, { ...STATUS, weight: 0, mirror: { percent: 12.5, allMethods } }).rules[0]?.filters;
    expect(mirror(false)).toMatchObject([
      {
        type: "RequestMirror",
        service: "default/orders-v2",
        numerator: 1250,
        denominator: 10_000,
        methods: ["GET", "HEAD", "OPTIONS", "TRACE"],
      },
    ]);
    expect(mirror(true)?.[0]).not.toHaveProperty("methods.length");
  });
});
