// Regular expressions of rules: what they match, what is remembered, and that no input makes them slow.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { literalPrefix, PATTERN_CACHE_ENTRIES_MAX, patternOf } from "./pattern.ts";

test.each([
  ["a+", "aaa", true],
  ["a+", "baaa", false],
  ["a+", "aaab", false],
  ["/orders/[0-9]+", "/orders/42", true],
  ["/orders/[0-9]+", "/orders/42/items", false],
  ["a|ab", "ab", true],
  ["^a$", "a", true],
  ["(?i)abc", "ABC", true],
  ["abc", "ABC", false],
  [".*", "a\nb", false],
  ["", "", true],
  ["é+", "éé", true],
  ["x🙂?", "x", true],
])("%s on %j is %s", (source, value, expected) => {
  const pattern = patternOf(source);
  expect(pattern.test(value)).toBe(expected);
  expect(pattern.test(value)).toBe(expected);
});

test.each(["(", "[a", "a**", "(?=a)", "(a)\\1", "\\"])("%s is refused", (source) => {
  expect(() => patternOf(source)).toThrow();
});

test.each([
  ["/api/v1/users/[0-9]+", "/api/v1/users/"],
  ["^/api/.*", "/api/"],
  ["/a\\.b/c+", "/a.b/"],
  ["abc", "abc"],
  ["ab?c", "a"],
  ["ab{2}", "a"],
  ["a|b", ""],
  ["a[|]b", ""],
  ["(?i)abc", ""],
  ["\\d+", ""],
  ["a\\Qb*\\E", "a"],
  ["x🙂?y", "x"],
])("%s begins with %j whatever it matches", (source, prefix) => {
  expect(literalPrefix(source)).toBe(prefix);
});

describe("for any value", () => {
  const piece = fc.constantFrom(
    "a",
    "b",
    "/",
    "\\.",
    ".",
    "a?",
    "b*",
    "[ab]",
    "(a|b)",
    "c{2}",
    "^",
    "$",
    "é",
    "🙂?",
    "|",
  );
  const source = fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join(""));
  const value = fc.array(fc.constantFrom("a", "b", "c", "/", ".", "é", "🙂"), { maxLength: 6 }).map((p) => p.join(""));

  test("the answer is that of the platform's engine on the whole value", () => {
    fc.assert(
      fc.property(source, value, (pattern, text) => {
        const compiled = patternOf(pattern);
        const expected = new RegExp(`^(?:${pattern})$`, "u").test(text);
        expect(compiled.test(text)).toBe(expected);
        expect(compiled.test(text)).toBe(expected);
      }),
      { numRuns: 2_000, verbose: 1 },
    );
  });
});

test("the memory of answers is bounded and never wrong", () => {
  const pattern = patternOf("/x/[0-9]*[02468]");
  for (let round = 0; round < 2; round += 1) {
    for (let number = 0; number < PATTERN_CACHE_ENTRIES_MAX * 5; number += 1) {
      expect(pattern.test(`/x/${number}`)).toBe(number % 2 === 0);
    }
  }
});

test("a pattern that makes backtracking engines hang takes time in proportion to its input", () => {
  const pattern = patternOf("(a+)+b");
  expect(pattern.test("a".repeat(20_000))).toBe(false);
  expect(pattern.test(`${"a".repeat(20_000)}b`)).toBe(true);
});

test("equal expressions in use are one pattern, so that a rule change compiles only what is new", () => {
  const pattern = patternOf("/held/[0-9]+");
  expect(patternOf("/held/[0-9]+")).toBe(pattern);
  expect(patternOf("/held/[0-9]*")).not.toBe(pattern);
});
