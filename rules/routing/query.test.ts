// The value of one query parameter: against the platform's own parser, and where this one differs from it.
import fc from "fast-check";
import { expect, test } from "vitest";
import { queryValue } from "./query.ts";

test.each([
  ["animal=whale", "animal", "whale"],
  ["animal=whale&animal=dolphin", "animal", "whale"],
  ["color=yellow&animal=dolphin", "animal", "dolphin"],
  ["", "animal", undefined],
  ["animals=whale", "animal", undefined],
  ["xanimal=whale", "animal", undefined],
  ["Animal=whale", "animal", undefined],
  ["animal", "animal", ""],
  ["animal=", "animal", ""],
  ["a=b=c", "a", "b=c"],
  ["&&a=1&", "a", "1"],
  ["a=x%20y", "a", "x y"],
  ["a=x+y", "a", "x y"],
  ["a=x%2By", "a", "x+y"],
  ["%61=1", "a", "1"],
  ["full+name=1", "full name", "1"],
  ["a=caf%C3%A9", "a", "café"],
  ["=1", "a", undefined],
])("in %j, %s is %j", (query, name, expected) => {
  expect(queryValue(query, name)).toBe(expected);
});

test.each([
  ["a=%zz", "%zz"],
  ["a=%", "%"],
  ["a=%ff", "%ff"],
  ["a=%zz%20", "%zz%20"],
])("a broken escape leaves the value of %j as it is", (query, expected) => {
  expect(queryValue(query, "a")).toBe(expected);
});

test("well-formed queries read as the platform reads them", () => {
  const word = fc.constantFrom("a", "b", "ab", "%61", "a+b", "%C3%A9", "a%26", "");
  const query = fc
    .array(fc.tuple(word, word, fc.boolean()), { maxLength: 5 })
    .map((pairs) => pairs.map(([name, value, equals]) => (equals ? `${name}=${value}` : name)).join("&"));
  fc.assert(
    fc.property(query, fc.constantFrom("a", "b", "ab", "a b", "é", "a&"), (text, name) => {
      expect(queryValue(text, name)).toBe(new URLSearchParams(text).get(name) ?? undefined);
    }),
    { numRuns: 1_000, verbose: 1 },
  );
});
