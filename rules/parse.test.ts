// Hostile and broken text: each is answered in time, with a place, and never with an exception.
import { describe, expect, test } from "vitest";
import { formatDiagnostic } from "./diagnostic.ts";
import { loadDocuments } from "./load.ts";
import { DIAGNOSTICS_MAX, SOURCE_BYTES_MAX } from "./schema/limits.ts";
import { yamlDocument } from "./test-documents.ts";

function errorsOf(content: string): string[] {
  const { diagnostics } = loadDocuments([{ name: "r.yaml", content }], { defaultNamespace: "default" });
  return diagnostics.map(formatDiagnostic);
}

describe("broken YAML", () => {
  test.each([
    ["a tab that indents", "a:\n\tb: 1\n", "r.yaml:2:1: a tab indents this line; expected spaces"],
    [
      "a second colon",
      "a: b: c\n",
      "r.yaml:1:4: a second ': ' on this line; expected a line break, or quotes around text that has ': ' in it",
    ],
    [
      "an open list",
      "a: [1, 2\n",
      "r.yaml:2:1: flow sequence in block collection must be sufficiently indented and end with a ]",
    ],
    ["an open quote", "a: 'b\n", "r.yaml:2:1: missing closing 'quote"],
    ["an unknown tag", "a: !secret x\n", "r.yaml:1:4: unresolved tag: !secret"],
    ["a key that is no text", "? [a]\n: b\n", "r.yaml:1:3: a key is no text; expected a plain or quoted word"],
    [
      "a key that is there twice",
      "a: 1\nb:\n  c: 1\n  c: 2\n",
      "r.yaml:4:3: b.c: is there twice; expected each key once (the first is on line 3)",
    ],
    [
      "the same in JSON",
      '{"a": 1, "a": 2}',
      "r.yaml:1:10: a: is there twice; expected each key once (the first is on line 1)",
    ],
    ["an alias without an anchor", "a: *b\n", "r.yaml:1:4: a: there is no anchor &b before this alias"],
    ["a key that would change the prototype", "__proto__: { x: 1 }\n", "r.yaml:1:1: __proto__: is not a legal key"],
    [
      "a merge of a word",
      "a: &a x\nb: { <<: *a }\n",
      "r.yaml:2:4: b: merges something that is no object; expected <<: *anchor of an object",
    ],
  ])("%s", (_what, content, expected) => {
    expect(errorsOf(content)[0]).toBe(expected);
  });
});

describe("hostile text", () => {
  test("aliases that stand for gigabytes are refused", () => {
    const lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"];
    for (let level = 1; level < 10; level++) {
      const [own, before] = [String.fromCharCode(97 + level), String.fromCharCode(96 + level)];
      lines.push(`${own}: &${own} [${Array(10).fill(`*${before}`).join(", ")}]`);
    }
    expect(errorsOf(lines.join("\n"))[0]).toMatch(/aliases repeat too much; expected at most 100000 repeated values$/);
  });

  test("an alias of the value that it stands in is refused", () => {
    expect(errorsOf("a: &a [*a]\n")).toEqual(["r.yaml:1:7: a: is nested too deeply; expected at most 64 levels"]);
  });

  test.each([
    ["lists in flow form", "[".repeat(100_000)],
    ["balanced lists", `${"[".repeat(5000)}${"]".repeat(5000)}`],
    ["objects in flow form", "{ a: ".repeat(50_000)],
    ["lists in block form", "- ".repeat(50_000)],
    ["just too deep", `a: ${"[".repeat(70)}${"]".repeat(70)}`],
  ])("deep nesting is refused: %s", (_form, content) => {
    const errors = errorsOf(content);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatch(/is nested too deeply; expected at most 64 levels$/);
  });

  test("a source above 4 MiB is refused unread, one at the limit is read", () => {
    const filler = `${yamlDocument("Mesh", "{}")}# `;
    const atLimit = filler + "x".repeat(SOURCE_BYTES_MAX - filler.length);
    expect(errorsOf(atLimit)).toEqual([]);
    expect(errorsOf(`${atLimit}x`)).toEqual([
      "r.yaml: is 4.0 MiB large; expected at most 4 MiB; split it into several files",
    ]);
  });

  test("diagnostics are bounded and the rest counted", () => {
    const errors = errorsOf("--- a\n".repeat(DIAGNOSTICS_MAX + 37));
    expect(errors).toHaveLength(DIAGNOSTICS_MAX + 1);
    expect(errors.at(-1)).toBe("r.yaml: and 37 more");
  });

  test("a map of a hundred thousand keys takes time in proportion", () => {
    const keys = Array.from({ length: 100_000 }, (_, index) => `  k${index}: v`).join("\n");
    const errors = errorsOf(`apiVersion: weft.mesh/v1\nkind: Mesh\nmetadata: { name: m }\nspec:\n${keys}\n`);
    expect(errors[0]).toBe(
      "r.yaml:5:3: spec.k0: unknown field; expected one of tracing, accessLog, metrics, mtls, egress, headers",
    );
  }, 60_000);
});
