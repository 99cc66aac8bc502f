// Damaged documents: whatever is changed in a good one, the loader answers with documents or with diagnostics that
// stand somewhere in the text, and never throws.
import fc from "fast-check";
import { expect, test } from "vitest";
import { stringify } from "yaml";
import { formatDiagnostic } from "./diagnostic.ts";
import { type LoadResult, loadDocuments } from "./load.ts";
import { VALID_SPECS, yamlDocument } from "./test-documents.ts";

const SOURCES = VALID_SPECS.map(([kind, spec]) => yamlDocument(kind, spec));

function load(content: string): LoadResult {
  return loadDocuments([{ name: "r.yaml", content }], { defaultNamespace: "default" });
}

function expectSound(content: string, { documents, diagnostics }: LoadResult): void {
  const lines = content.split("\n");
  for (const diagnostic of diagnostics) {
    const { line, column } = diagnostic;
    expect(line, formatDiagnostic(diagnostic)).toBeGreaterThanOrEqual(1);
    expect(line).toBeLessThanOrEqual(lines.length);
    expect(column).toBeGreaterThanOrEqual(1);
    expect(column).toBeLessThanOrEqual((lines[line - 1] ?? "").length + 1);
    expect(diagnostic.message).not.toMatch(/undefined|\[object|Invalid input/);
  }
  for (const { document, position } of documents) {
    expect(document.metadata.name).toBeTypeOf("string");
    expect(position("metadata.name").line).toBeGreaterThanOrEqual(1);
  }
}

test("text with pieces cut out, doubled or replaced", () => {
  const edit = fc.record({
    at: fc.nat(2000),
    length: fc.nat(12),
    insert: fc.oneof(
      fc.constantFrom(
        "",
        ":",
        "- ",
        "{",
        "}",
        "[",
        "]",
        '"',
        "'",
        "\n",
        "  ",
        "\t",
        "#",
        "*a",
        "&a ",
        "!x ",
        "null",
        "|",
        "---\n",
      ),
      fc.string({ maxLength: 5 }),
    ),
  });
  fc.assert(
    fc.property(fc.constantFrom(...SOURCES), fc.array(edit, { minLength: 1, maxLength: 4 }), (source, edits) => {
      let content = source;
      for (const { at, length, insert } of edits) {
        const start = at % (content.length + 1);
        content = content.slice(0, start) + insert + content.slice(start + length);
      }
      expectSound(content, load(content));
    }),
    { numRuns: 600 },
  );
});

const anything = fc.anything({
  maxDepth: 2,
  withNullPrototype: false,
  key: fc.constantFrom("name", "type", "a", "value", "x-y"),
});

test("documents with one value replaced by anything", () => {
  fc.assert(
    fc.property(fc.constantFrom(...SOURCES), fc.nat(1000), anything, (source, pick, value) => {
      const [loaded] = load(source).documents;
      const document = structuredClone(loaded?.document) as unknown as Record<string, unknown>;
      const places = [...placesOf(document)];
      const place = places[pick % places.length];
      if (place === undefined) return;
      (place.owner as Record<string | number, unknown>)[place.key] = value;
      const content = stringify(JSON.parse(JSON.stringify(document) ?? "null") ?? null);
      expectSound(content, load(content));
    }),
    { numRuns: 600 },
  );
});

test("what was loaded can be written and loaded again, as YAML and as JSON, with the same meaning", () => {
  for (const source of SOURCES) {
    const [first] = load(source).documents;
    for (const again of [stringify(first?.document), JSON.stringify(first?.document)]) {
      const { documents, diagnostics } = load(again);
      expect(diagnostics).toEqual([]);
      expect(documents[0]?.document).toEqual(first?.document);
    }
  }
});

function* placesOf(value: unknown): Generator<{ owner: object; key: string | number }> {
  if (typeof value !== "object" || value === null) return;
  for (const [key, member] of Object.entries(value)) {
    yield { owner: value, key };
    yield* placesOf(member);
  }
}
