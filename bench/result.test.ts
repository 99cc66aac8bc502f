// Figures are judged and percentiles taken as their names say.
import { describe, expect, it } from "vitest";
import { REPOSITORY, runProgram } from "../test/harness.ts";
import { meetsTarget, percentile } from "./result.ts";

describe("a figure", () => {
  it.each([
    [{ kind: "at-most", value: 5 }, 5, true],
    [{ kind: "at-most", value: 5 }, 5.1, false],
    [{ kind: "at-least", value: 5 }, 5, true],
    [{ kind: "at-least", value: 5 }, 4.9, false],
    [{ kind: "at-most", value: 5 }, Number.NaN, false],
  ] as const)("held to %j keeps it with %d: %s", (target, value, kept) => {
    expect(meetsTarget({ name: "x", value, unit: "", target })).toBe(kept);
  });

  it("without a bound keeps it", () => {
    expect(meetsTarget({ name: "x", value: 1, unit: "" })).toBe(true);
  });
});

describe("a percentile", () => {
  it("is the value that this share of the samples is at or under", () => {
    const samples = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect([50, 99, 100, 0].map((percent) => percentile(samples, percent))).toEqual([50, 99, 100, 1]);
    expect(percentile([7], 99)).toBe(7);
  });

  it("of nothing is refused", () => {
    expect(() => percentile([], 99)).toThrow(RangeError);
  });
});

it("npm run bench refuses a bench that does not exist, and names those that do", async () => {
  const { code, stderr } = await runProgram(`${REPOSITORY}/bench/run.ts`, ["no-such-bench"]);
  expect(code).toBe(2);
  expect(stderr).toContain("rule-change");
});
