// Unified diffs: known cases by hand, and for any two texts that applying the diff gives the new one.
import fc from "fast-check";
import { expect, test } from "vitest";
import { unifiedDiff } from "./unified-diff.ts";

const text = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join("");

test("equal texts have no diff", () => {
  expect(unifiedDiff("a", "b", "x\ny\n", "x\ny\n")).toEqual([]);
});

test("a change has three lines of context and its line numbers", () => {
  const before = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];
  const after = ["1", "2", "3", "4", "five", "6", "7", "8", "9"];
  expect(unifiedDiff("a", "b", text(before), text(after))).toEqual([
    "--- a",
    "+++ b",
    "@@ -2,7 +2,7 @@",
    " 2",
    " 3",
    " 4",
    "-5",
    "+five",
    " 6",
    " 7",
    " 8",
  ]);
});

test("changes far apart are hunks of their own, near ones share one", () => {
  const before = Array.from({ length: 30 }, (_, index) => `line ${index}`);
  const change = (...at: number[]): string[] =>
    before.map((line, index) => (at.includes(index) ? `new ${index}` : line));
  const hunksOf = (after: readonly string[]): string[] =>
    unifiedDiff("a", "b", text(before), text(after)).filter((line) => line.startsWith("@@"));
  expect(hunksOf(change(5, 12))).toEqual(["@@ -3,14 +3,14 @@"]);
  expect(hunksOf(change(5, 13))).toEqual(["@@ -3,7 +3,7 @@", "@@ -11,7 +11,7 @@"]);
});

test("a text that appears or goes has an empty range on the other side", () => {
  expect(unifiedDiff("a", "b", "", "x\n")).toEqual(["--- a", "+++ b", "@@ -0,0 +1 @@", "+x"]);
  expect(unifiedDiff("a", "b", "x\ny\n", "")).toEqual(["--- a", "+++ b", "@@ -1,2 +0,0 @@", "-x", "-y"]);
});

test("applying the diff of any two texts to the old one gives the new one", () => {
  const lines = fc.array(fc.constantFrom("a", "b", "c", "d", ""), { maxLength: 40 });
  fc.assert(
    fc.property(lines, lines, (before, after) => {
      expect(patched(before, unifiedDiff("a", "b", text(before), text(after)))).toEqual(after);
    }),
    { numRuns: 500 },
  );
});

test("two large texts that share little are compared in bounded time, and the diff still holds", () => {
  const before = Array.from({ length: 5_000 }, (_, index) => `old ${index}`);
  const after = Array.from({ length: 5_000 }, (_, index) => (index % 2 === 0 ? `old ${index}` : `new ${index}`));
  expect(patched(before, unifiedDiff("a", "b", text(before), text(after)))).toEqual(after);
});

/** What `patch` does, checking that context, removed lines and ranges fit. */
function patched(before: readonly string[], diff: readonly string[]): string[] {
  const result: string[] = [];
  let at = 0;
  for (const line of diff.slice(2)) {
    const header = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@$/.exec(line);
    if (header !== null) {
      const start = Number(header[1]) - (header[2] === "0" ? 0 : 1);
      result.push(...before.slice(at, start));
      at = start;
      expect(result.length).toBe(Number(header[3]) - (header[4] === "0" ? 0 : 1));
    } else if (line.startsWith("+")) result.push(line.slice(1));
    else {
      expect(before[at]).toBe(line.slice(1));
      if (line.startsWith(" ")) result.push(line.slice(1));
      at++;
    }
  }
  return [...result, ...before.slice(at)];
}
