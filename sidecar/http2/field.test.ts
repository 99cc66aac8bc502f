// The kinds that code asks for, and the list of names in which they stand, say the same.
import { expect, test } from "vitest";
import { FIELD, FIELD_KINDS, FIELD_NAMES, PSEUDO_KINDS } from "./field.ts";

function wordOf(name: string): string {
  return name.replace(":", "").replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}

test("every kind has the number at which its name stands", () => {
  const { unknown, ...known } = FIELD;
  expect(unknown).toBe(0);
  for (const [word, kind] of Object.entries(known)) expect(wordOf(FIELD_NAMES[kind] ?? "")).toBe(word);
});

test("pseudo-fields are the first kinds, and no others", () => {
  const kinds = [...FIELD_NAMES.keys()];
  expect(kinds.filter((kind) => FIELD_NAMES[kind]?.startsWith(":"))).toEqual([1, 2, 3, 4, 5, 6]);
  expect(PSEUDO_KINDS).toBe(6);
});

test("a kind fits into the byte that tables keep for it", () => {
  expect(FIELD_KINDS).toBeLessThanOrEqual(256);
});
