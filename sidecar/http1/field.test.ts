// Kinds, their names and their numbers are two lists: they say the same.
import { expect, test } from "vitest";
import { FIELD, FIELD_NAMES, fieldKind } from "./field.ts";

const NAMELESS: readonly string[] = ["unknown", "nominated"];

function wordOf(name: string): string {
  return name.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}

test("every kind has the number at which its name stands", () => {
  const words = FIELD_NAMES.map((name, kind) => (name === "" ? NAMELESS[kind] : wordOf(name)));
  expect(Object.entries(FIELD)).toEqual(words.map((word, kind) => [word, kind]));
});

test("a set of kinds fits into one number", () => {
  expect(FIELD_NAMES.length).toBeLessThanOrEqual(32);
});

test("a name is recognised whatever its case, and no other one is", () => {
  const kindOf = (name: string) => fieldKind(Buffer.from(name), 0, name.length);
  for (const [kind, name] of FIELD_NAMES.entries()) {
    if (name === "") continue;
    expect([kindOf(name), kindOf(name.toUpperCase())]).toEqual([kind, kind]);
    expect([kindOf(`${name}s`), kindOf(name.slice(1))]).toEqual([FIELD.unknown, FIELD.unknown]);
  }
});
