// Which workloads and static endpoints stand behind a service.
import { expect, test } from "vitest";
import { indexDocuments } from "./compile.ts";
import type { Document } from "./document.ts";
import { compileEndpoints, impliedServices, impliedVersions, type WorkloadFacts } from "./endpoints.ts";
import { parseResource } from "./resource-check.ts";

function workload(id: string, parts: Partial<WorkloadFacts> = {}): WorkloadFacts {
  return {
    id,
    service: "orders",
    namespace: "default",
    version: "v1",
    labels: {},
    address: "10.0.0.1:15006",
    zone: "",
    ready: true,
    ...parts,
  };
}

function serviceDocument(spec: unknown): Document {
  return { apiVersion: "weft.mesh/v1", kind: "Service", metadata: { name: "orders", namespace: "default" }, spec };
}

function ids(documents: readonly Document[], service: string, workloads: readonly WorkloadFacts[]): string[] {
  const index = indexDocuments(documents, impliedServices(workloads));
  const resource = compileEndpoints(index, service, workloads);
  expect(parseResource(`endpoints:${service}`, JSON.parse(JSON.stringify(resource)))).toEqual(resource);
  return resource.endpoints.map(({ id }) => id);
}

const FLEET = [
  workload("c", { version: "v2" }),
  workload("a"),
  workload("b", { zone: "z1", labels: { tier: "gold" } }),
  workload("plain", { version: "" }),
  workload("elsewhere", { namespace: "shop" }),
  workload("other", { service: "payments" }),
  workload("draining", { ready: false }),
  workload("mute", { address: "" }),
];

test("a workload makes its service and its version exist, ready or not", () => {
  expect([...impliedServices([workload("a", { ready: false }), workload("b", { version: "" })])].sort()).toEqual([
    "default/orders",
    "default/orders-v1",
  ]);
  expect([...impliedVersions(FLEET)]).toContainEqual(["default/orders-v2", "default/orders"]);
});

test("an implied service has all its versions, sorted by id, without those that should get no traffic", () => {
  expect(ids([], "default/orders", FLEET)).toEqual(["a", "b", "c", "plain"]);
  expect(ids([], "default/orders-v1", FLEET)).toEqual(["a", "b"]);
  expect(ids([], "shop/orders", FLEET)).toEqual(["elsewhere"]);
  expect(ids([], "default/nothing", FLEET)).toEqual([]);
});

test("a workload endpoint carries what the workload says of itself", () => {
  const index = indexDocuments([], impliedServices(FLEET));
  expect(compileEndpoints(index, "default/orders", FLEET).endpoints[1]).toEqual({
    id: "b",
    address: "10.0.0.1:15006",
    addresses: {},
    weight: 1,
    zone: "z1",
    version: "v1",
    labels: { tier: "gold" },
    mesh: true,
  });
});

test("a service document without selector and endpoints selects as the implied one", () => {
  expect(ids([serviceDocument({ ports: [{ port: 80 }] })], "default/orders", FLEET)).toEqual(["a", "b", "c", "plain"]);
});

test.each([
  [{ tier: "gold" }, ["b"]],
  [{ service: "payments" }, ["other"]],
  [{ service: "orders", version: "v2" }, ["c"]],
  [{ version: "v1" }, ["a", "b", "other"]],
  [{ tier: "gold", version: "v2" }, []],
  [{ toString: "x" }, []],
])("a selector %j picks %j", (selector, expected) => {
  expect(ids([serviceDocument({ selector })], "default/orders", FLEET)).toEqual(expected);
});

test("static endpoints take the place of workloads", () => {
  const endpoints = [
    { address: "10.0.0.9:80", weight: 3, zone: "z2", labels: { version: "v3" } },
    { addresses: { "81": "10.0.0.1:9090", "80": "10.0.0.1:8080" } },
    { address: "10.0.0.9:80" },
    { address: "10.0.0.8:80", weight: 0 },
  ];
  const index = indexDocuments([serviceDocument({ endpoints })], impliedServices(FLEET));
  expect(compileEndpoints(index, "default/orders", FLEET).endpoints).toEqual([
    {
      id: "10.0.0.1:8080",
      address: "",
      addresses: { "80": "10.0.0.1:8080", "81": "10.0.0.1:9090" },
      weight: 1,
      zone: "",
      version: "",
      labels: {},
      mesh: false,
    },
    {
      id: "10.0.0.9:80",
      address: "10.0.0.9:80",
      addresses: {},
      weight: 3,
      zone: "z2",
      version: "v3",
      labels: { version: "v3" },
      mesh: false,
    },
  ]);
  expect(ids([serviceDocument({ endpoints: [] })], "default/orders", FLEET)).toEqual([]);
});
