// docs/rules.md against the code: what the page promises is what the rule language does. And the documents of all pages.
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { defaultsTable } from "./defaults.ts";
import { formatDiagnostic } from "./diagnostic.ts";
import { KIND_FACTS } from "./kinds.ts";
import { loadDocuments } from "./load.ts";

const page = readFileSync(new URL("../docs/rules.md", import.meta.url), "utf8");

test("the table of defaults is that of the code", () => {
  const table = /<!-- defaults -->\n([\s\S]*)<!-- end of defaults -->/.exec(page)?.[1];
  expect(table).toBe(defaultsTable());
});

test.each(KIND_FACTS)("$kind is in the table of kinds", ({ kind, apiVersion }) => {
  expect(page).toContain(`| \`${kind}\` | \`${apiVersion}\` |`);
});

const PAGES = [
  "../README.md",
  ...readdirSync(new URL("../docs/", import.meta.url))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `../docs/${name}`),
];

test.each(PAGES)("the documents in %s are accepted as they stand", (path) => {
  const text = readFileSync(new URL(path, import.meta.url), "utf8");
  const blocks = Array.from(text.matchAll(/```yaml\n([\s\S]*?)```/g), ([, content = ""]) => content);
  for (const content of blocks.filter((block) => block.startsWith("apiVersion:"))) {
    const { diagnostics } = loadDocuments([{ name: path, content }], { defaultNamespace: "default" });
    expect(diagnostics.map(formatDiagnostic), content).toEqual([]);
  }
});

test("the examples are accepted", () => {
  const examples = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, content = ""]) => ({
    name: "rules.md",
    content,
  }));
  const { documents, diagnostics } = loadDocuments(examples, { defaultNamespace: "default" });
  expect(diagnostics.map(formatDiagnostic)).toEqual([]);
  expect(documents.length).toBeGreaterThan(4);
});

test("the errors shown are those that the code writes", () => {
  const content = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: orders }
spec:
  parentRefs: [{ group: "", kind: Service, name: orders }]
  rules:
    - name: a
      matches: [{ method: get }]
      backendRef: [{ name: orders-v2 }]
`;
  const { diagnostics } = loadDocuments([{ name: "orders.yaml", content }], { defaultNamespace: "default" });
  expect(diagnostics).toHaveLength(2);
  for (const diagnostic of diagnostics) expect(page).toContain(formatDiagnostic(diagnostic));
});

test("the table of docs/rollouts.md has the fields and defaults of a Rollout", () => {
  const text = readFileSync(new URL("../docs/rollouts.md", import.meta.url), "utf8");
  const rows = text.slice(text.indexOf("| field | default |")).split("\n\n")[0] ?? "";
  const defaults = new Map(
    Array.from(defaultsTable().matchAll(/^\| `Rollout\.spec\.([^`]+)` \| `([^`]+)`/gm), ([, field, value]) => [
      field,
      (value ?? "").replaceAll('"', ""),
    ]),
  );
  const documented = Array.from(rows.matchAll(/^\| (`[^|]+) \| ([^|]*)\|/gm), ([, fields = "", value = ""]) => ({
    fields: Array.from(fields.matchAll(/`([^`]+)`/g), ([, field = ""]) => field.replace("pNN", "p99")),
    value: /`([^`]+)`/.exec(value)?.[1],
  }));
  const names = documented.flatMap(({ fields }) => fields);
  expect([...defaults.keys()].filter((field) => !names.includes(field ?? "") && !field?.includes("webhooks"))).toEqual(
    [],
  );
  for (const { fields, value } of documented)
    for (const field of fields) expect(value, field).toBe(defaults.get(field));
});
