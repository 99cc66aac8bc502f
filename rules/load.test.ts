// Loading documents: good ones as they are, bad ones with their exact diagnostics and positions.
import { describe, expect, test } from "vitest";
import { formatDiagnostic } from "./diagnostic.ts";
import { type LoadResult, loadDocuments } from "./load.ts";
import { VALID_SPECS, yamlDocument } from "./test-documents.ts";

function load(content: string, defaultNamespace = "default"): LoadResult {
  return loadDocuments([{ name: "rules.yaml", content }], { defaultNamespace });
}

function loadClean(content: string): LoadResult["documents"] {
  const { documents, diagnostics } = load(content);
  expect(diagnostics.map(formatDiagnostic)).toEqual([]);
  return documents;
}

const SERVICE = yamlDocument("Service", "ports: [{ port: 80 }]");

describe("valid documents", () => {
  test.each(VALID_SPECS)("%s with most of its fields is accepted", (kind, spec) => {
    const [loaded] = loadClean(yamlDocument(kind, spec));
    expect(loaded?.document.kind).toBe(kind);
    expect(loaded?.document.metadata).toEqual({ name: "orders", namespace: "default" });
  });

  test("a spec is kept as it was written, without defaults", () => {
    expect(loadClean(SERVICE)[0]?.document.spec).toEqual({ ports: [{ port: 80 }] });
  });

  test("the namespace is that of the document, else the default one", () => {
    const own = SERVICE.replace("name: orders", "name: orders\n  namespace: shop");
    const { documents } = load(`${own}---\n${SERVICE}`, "team");
    expect(documents.map(({ document }) => document.metadata.namespace)).toEqual(["shop", "team"]);
  });

  test("what a cluster adds to a document that was read back from it is dropped, the rest of metadata kept", () => {
    const [loaded] = loadClean(`apiVersion: weft.mesh/v1
kind: Service
metadata:
  name: orders
  namespace: shop
  uid: 6d1f
  resourceVersion: "12"
  generation: 2
  selfLink: /x
  managedFields: [{ manager: kubectl }]
  ownerReferences: []
  finalizers: [a]
  creationTimestamp: 2026-01-31T12:00:00Z
  labels: { app: orders, app.kubernetes.io/name: orders }
  annotations: { note: "any text: at all" }
spec: {}
status: { conditions: [] }
`);
    expect(loaded?.document).toEqual({
      apiVersion: "weft.mesh/v1",
      kind: "Service",
      metadata: {
        name: "orders",
        namespace: "shop",
        creationTimestamp: "2026-01-31T12:00:00Z",
        labels: { app: "orders", "app.kubernetes.io/name": "orders" },
        annotations: { note: "any text: at all" },
      },
      spec: {},
    });
  });

  test("null for a field of metadata means that it is absent, as kubectl writes it", () => {
    const [loaded] = loadClean(SERVICE.replace("name: orders", "name: orders\n  creationTimestamp: null\n  labels:"));
    expect(loaded?.document.metadata).toEqual({ name: "orders", namespace: "default" });
  });
});

describe("forms of input", () => {
  const other = SERVICE.replace("orders", "other");

  test.each([
    ["documents parted by ---", `---\n${SERVICE}---\n${other}---\n`],
    ["empty and comment-only documents between", `# first\n---\n${SERVICE}---\n# nothing\n---\nnull\n---\n${other}`],
    ["line ends of Windows", `${SERVICE}---\n${other}`.replaceAll("\n", "\r\n")],
    ["a byte order mark", `\ufeff${SERVICE}---\n${other}`],
    [
      "kind: List",
      `apiVersion: v1\nkind: List\nmetadata: { resourceVersion: "" }\nitems:\n${asItems([SERVICE, other])}`,
    ],
    ["a list kind of its own", `kind: ServiceList\nitems:\n${asItems([SERVICE, other])}`],
    ["JSON", JSON.stringify({ kind: "List", items: [json("orders"), json("other")] })],
    ["JSON indented with tabs", JSON.stringify({ kind: "List", items: [json("orders"), json("other")] }, null, "\t")],
    ["an end marker", `${SERVICE}...\n---\n${other}`],
  ])("%s", (_form, content) => {
    expect(loadClean(content).map(({ document }) => document.metadata.name)).toEqual(["orders", "other"]);
  });

  test.each(["", "\n\n", "# only a comment\n", "---\n---\n", "null\n", "kind: List\nitems: []\n"])(
    "%j has no documents and nothing wrong",
    (content) => {
      expect(loadClean(content)).toEqual([]);
    },
  );

  test("anchors and merge keys are followed", () => {
    const [loaded] = loadClean(
      yamlDocument("Service", "selector: { <<: *labels, tier: back }").replace(
        "name: orders",
        "name: orders\n  labels: &labels { app: orders, tier: front }",
      ),
    );
    expect(loaded?.document.spec).toEqual({ selector: { app: "orders", tier: "back" } });
  });

  test("several sources are one input: order kept, each document with its file", () => {
    const { documents } = loadDocuments(
      [
        { name: "a.yaml", content: other },
        { name: "b.yaml", content: SERVICE },
      ],
      { defaultNamespace: "default" },
    );
    expect(documents.map(({ file, document }) => `${file} ${document.metadata.name}`)).toEqual([
      "a.yaml other",
      "b.yaml orders",
    ]);
  });
});

describe("positions", () => {
  const { documents } = load(
    `# comment
${yamlDocument("HTTPRoute", "parentRefs:\n  - { kind: Service, name: orders }\nrules:\n  - matches:\n      - path:\n          value: /a\n    backendRefs: []")}`,
  );
  const position = (path: string) => documents[0]?.position(path);

  test.each([
    ["", 2, 1],
    ["metadata.name", 5, 9],
    ["spec", 7, 3],
    ["spec.parentRefs[0].name", 8, 30],
    ["spec.rules[0].matches[0].path.value", 12, 20],
    ["spec.rules[0].matches[0].path.type", 12, 13],
    ["spec.rules[0].backendRefs", 13, 20],
    ["spec.rules[7]", 10, 5],
    ["no.such[3].field", 2, 1],
  ])("%s is at %d:%d", (path, line, column) => {
    expect(position(path)).toEqual({ line, column });
  });

  test("a part that an alias repeats is where it was written", () => {
    const content = yamlDocument("Service", "selector: *labels").replace(
      "name: orders",
      "name: orders\n  labels: &labels\n    app: x",
    );
    expect(load(content).documents[0]?.position("spec.selector.app")).toEqual({ line: 6, column: 10 });
  });
});

function json(name: string): object {
  return { apiVersion: "weft.mesh/v1", kind: "Service", metadata: { name }, spec: {} };
}

function asItems(documents: readonly string[]): string {
  return documents.map((document) => `  - ${document.trimEnd().replaceAll("\n", "\n    ")}\n`).join("");
}
