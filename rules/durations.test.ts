// Durations as the Gateway API and Go write them, in and out.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatDuration, parseDuration } from "./durations.ts";

describe("parseDuration", () => {
  test.each([
    ["0", 0],
    ["0s", 0],
    ["250ms", 250],
    ["5s", 5000],
    ["1m30s", 90_000],
    ["2h45m", 9_900_000],
    ["1h0m0s", 3_600_000],
    ["1.5s", 1500],
    [".5s", 500],
    ["1.s", 1000],
    ["0.1s", 100],
    ["1000us", 1],
    ["2000000ns", 2],
    ["1000µs", 1],
    ["30s15m", 930_000],
  ])("reads %s as %d ms", (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });

  test.each([
    "",
    "5",
    "s",
    "-1s",
    "+1s",
    "1 s",
    "1S",
    "1d",
    "1e3s",
    "5s ",
    "1..5s",
    "s5",
    "100us",
    "1.5ms",
    "NaNs",
    "1s\n",
  ])("refuses %j", (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });

  test("refuses a text of a megabyte without reading it", () => {
    expect(parseDuration("1s".repeat(500_000))).toBeUndefined();
  });
});

test.each([
  [0, "0s"],
  [250, "250ms"],
  [1000, "1s"],
  [90_000, "1m30s"],
  [3_600_000, "1h"],
  [5_025_001, "1h23m45s1ms"],
])("formatDuration writes %d as %s", (milliseconds, text) => {
  expect(formatDuration(milliseconds)).toBe(text);
});

test("what formatDuration writes, parseDuration reads", () => {
  fc.assert(fc.property(fc.nat(2_147_483_647), (ms) => parseDuration(formatDuration(ms)) === ms));
});
