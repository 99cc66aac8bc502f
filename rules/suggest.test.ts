// Did-you-mean: near words are offered, far ones are not.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { editDistance, suggest } from "./suggest.ts";

describe("suggest", () => {
  test.each([
    ["backendRef", ["backendRefs", "filters"], "backendRefs"],
    ["backendrefs", ["backendRefs", "filters"], "backendRefs"],
    ["hostname", ["parentRefs", "hostnames"], "hostnames"],
    ["mathces", ["matches", "filters"], "matches"],
    ["Prefix", ["Exact", "PathPrefix"], "PathPrefix"],
    ["lest-request", ["round-robin", "least-request"], "least-request"],
    ["get", ["GET", "PUT"], "GET"],
    ["zzz", ["matches", "filters"], ""],
    ["a", ["b", ""], "b"],
    ["", ["matches"], ""],
  ])("for %j of %j it is %j", (typed, words, nearest) => {
    expect(suggest(typed, words)).toBe(nearest);
  });

  test("gives up on a text that is no word", () => {
    expect(suggest("x".repeat(100_000), ["matches"])).toBe("");
  });
});

test("editDistance is symmetric, zero only for equal texts, and counts swapped neighbours once", () => {
  expect(editDistance("mathces", "matches", 10)).toBe(1);
  const word = fc.string({ maxLength: 12 });
  fc.assert(
    fc.property(word, word, (a, b) => {
      const distance = editDistance(a, b, 99);
      return distance === editDistance(b, a, 99) && (distance === 0) === (a === b);
    }),
  );
});
