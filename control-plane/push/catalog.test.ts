// What is compiled, when, and what a change touches.
import { beforeEach, describe, expect, it } from "vitest";
import { Workload } from "../../proto/gen/weft/v1/discovery.ts";
import { type Document, documentKey, documentTitle } from "../../rules/document.ts";
import type { WorkloadFacts } from "../../rules/endpoints.ts";
import { loadDocuments } from "../../rules/load.ts";
import { Catalog } from "./catalog.ts";

function read(...texts: string[]): Document[] {
  const sources = texts.map((content, index) => ({ name: `${index}`, content }));
  const { documents, diagnostics } = loadDocuments(sources, { defaultNamespace: "d" });
  expect(diagnostics).toEqual([]);
  return documents.map(({ document }) => document);
}

const service = (name: string, spec = '{ endpoints: [{ address: "10.0.0.1:80" }] }') =>
  `{ apiVersion: weft.mesh/v1, kind: Service, metadata: { name: ${name} }, spec: ${spec} }`;
const policy = (name: string, target: string, ms = "5s") =>
  `{ apiVersion: weft.mesh/v1, kind: TrafficPolicy, metadata: { name: ${name} }, spec: { targetRef: { kind: Service, name: ${target} }, timeout: { request: ${ms} } } }`;
const route = (name: string, from: string, to: string) =>
  `{ apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: { name: ${name} }, spec: { parentRefs: [{ group: "", kind: Service, name: ${from} }], rules: [{ backendRefs: [{ name: ${to}, port: 80 }] }] } }`;
const mesh =
  "{ apiVersion: weft.mesh/v1, kind: Mesh, metadata: { name: mesh }, spec: { egress: { allow: [example.com] } } }";

const workload = (id: string, overrides: Partial<Workload> = {}): WorkloadFacts =>
  Workload.fromPartial({
    id,
    service: "orders",
    namespace: "d",
    version: "v1",
    address: "10.1.1.1:1",
    ready: true,
    ...overrides,
  });

let catalog: Catalog;
let documents: Map<string, { document: Document }>;
let population: WorkloadFacts[];

beforeEach(() => {
  documents = new Map();
  population = [];
  catalog = new Catalog(0, documents, { live: [], known: [] });
});

/** Adds or replaces documents as one revision; returns what is different. */
function apply(...texts: string[]): string[] {
  const changed = read(...texts);
  const before = changed.flatMap((document) => documents.get(documentTitle(documentKey(document)))?.document ?? []);
  documents = new Map(documents);
  for (const document of changed) documents.set(documentTitle(documentKey(document)), { document });
  return [...catalog.setDocuments(catalog.revision + 1, documents, [...before, ...changed])].sort();
}

function remove(title: string): string[] {
  const gone = documents.get(title);
  documents = new Map([...documents].filter(([name]) => name !== title));
  return [...catalog.setDocuments(catalog.revision + 1, documents, gone === undefined ? [] : [gone.document])].sort();
}

function populate(next: WorkloadFacts[], known: readonly WorkloadFacts[] = next): string[] {
  const changed = [...population, ...next];
  population = next;
  return [...catalog.setWorkloads({ live: next, known }, changed)].sort();
}

const target = (...subscriptions: string[]) => [...catalog.targetOf(["d/web"], subscriptions).keys()].sort();

describe("what a sidecar needs", () => {
  it("is followed through backends, also around a circle", () => {
    apply(service("a"), service("b"), service("c"), route("a", "a", "b"), route("b", "b", "c"), route("c", "c", "a"));
    expect(target("d/a").filter((name) => name.startsWith("service:"))).toEqual([
      "service:d/a",
      "service:d/b",
      "service:d/c",
    ]);
  });

  it("holds what is enforced for the service and for the version that runs there", () => {
    const names = [...catalog.targetOf(["d/web", "d/web-v2"], []).keys()].sort();
    expect(names).toEqual(["inbound:d/web", "inbound:d/web-v2", "mesh"]);
  });

  it("marks what does not exist", () => {
    apply(service("a"), route("a", "a", "nowhere"));
    const versions = catalog.targetOf(["d/web"], ["d/a", "d/never"]);
    expect(versions.get("service:d/nowhere")).toBe("");
    expect(versions.get("service:d/never")).toBe("");
    expect(versions.has("endpoints:d/never")).toBe(false);
  });

  it("is compiled once and kept until nobody uses it", () => {
    apply(service("a"));
    target("d/a");
    const first = catalog.resource("service:d/a");
    target("d/a");
    expect(catalog.resource("service:d/a")).toBe(first);
    catalog.retain(new Set());
    expect(catalog.size).toBe(0);
    expect(catalog.resource("service:d/a")).toEqual(first);
  });
});

describe("a change of documents", () => {
  beforeEach(() => {
    apply(service("a"), service("b"), route("b", "b", "a"));
    target("d/a", "d/b", "d/later");
  });

  it("touches only the service they are attached to", () => {
    const untouched = catalog.resource("service:d/b");
    expect(apply(policy("p", "a"))).toEqual(["service:d/a"]);
    expect(catalog.resource("service:d/b")).toBe(untouched);
    expect(remove("TrafficPolicy d/p")).toEqual(["service:d/a"]);
  });

  it("touches both services of a document that moves from one to the other", () => {
    apply(policy("p", "a"));
    expect(apply(policy("p", "b"))).toEqual(["service:d/a", "service:d/b"]);
  });

  it("that compiles to the same is no difference", () => {
    apply(policy("p", "a", "5s"));
    expect(apply(policy("p", "a", "5000ms"))).toEqual([]);
  });

  it("lets a service appear for which somebody waits, and vanish again", () => {
    expect(apply(service("later"))).toEqual(["service:d/later"]);
    target("d/later");
    expect(remove("Service d/later")).toEqual(["endpoints:d/later", "service:d/later"]);
  });

  it("of static endpoints leaves the service as it is", () => {
    expect(apply(service("a", '{ endpoints: [{ address: "10.0.0.2:80" }] }'))).toEqual(["endpoints:d/a"]);
  });

  it("of nothing that is in use is no difference", () => {
    expect(apply(service("x"), route("x", "x", "a"), policy("x", "x"))).toEqual([]);
  });

  it("of the mesh touches the mesh", () => {
    expect(apply(mesh)).toEqual(["mesh"]);
  });
});

describe("a change of workloads", () => {
  it("makes services exist, with their versions, and fills them", () => {
    target("d/orders", "d/orders-v1", "d/orders-v2");
    expect(populate([workload("1")])).toEqual(["service:d/orders", "service:d/orders-v1"]);
    target("d/orders", "d/orders-v1", "d/orders-v2");
    expect(populate([workload("1"), workload("2")])).toEqual(["endpoints:d/orders", "endpoints:d/orders-v1"]);
  });

  it("leaves the service of one that has gone, without endpoints", () => {
    populate([workload("1")]);
    target("d/orders");
    expect(populate([], [workload("1")])).toEqual(["endpoints:d/orders"]);
    expect(populate([], [])).toEqual(["service:d/orders"]);
  });

  it("touches the services whose selector may pick it, in its namespace", () => {
    apply(service("canary", "{ selector: { track: canary } }"), service("b"));
    target("d/canary", "d/b");
    expect(populate([workload("1", { labels: { track: "canary" } })])).toEqual(["endpoints:d/canary"]);
    expect(populate([workload("1", { labels: { track: "canary" }, namespace: "other" })])).toEqual([
      "endpoints:d/canary",
    ]);
    expect(populate([workload("1", { labels: { track: "stable" } })])).toEqual([]);
  });

  it("gives a version the policy of its service, and touches it when that changes", () => {
    populate([workload("1")]);
    target("d/orders-v1");
    expect(apply(policy("p", "orders"))).toEqual(["service:d/orders-v1"]);
  });
});
