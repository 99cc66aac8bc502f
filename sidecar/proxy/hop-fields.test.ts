// What is left of a time is told in whole milliseconds, the same for the same time whenever the request came.
import { expect, test } from "vitest";
import { hopLines } from "./hop-fields.ts";

test("a whole time that is left is told as it is, at whatever time of the clock", () => {
  const told = new Set<string>();
  for (let request = 0; request < 10_000; request++) {
    const nowMs = 1_000 + request * 7.123_456_789;
    told.add(hopLines("time", 1, nowMs + 15_000 - nowMs, false));
  }
  expect([...told]).toEqual(["x-envoy-expected-rq-timeout-ms: 15000\r\n"]);
});

test("a part of a millisecond that has passed is one less, and none left is one", () => {
  expect(hopLines("time", 1, 14_999.99, false)).toContain(": 14999\r\n");
  expect(hopLines("time", 1, 0.2, true)).toBe("x-envoy-expected-rq-timeout-ms: 1\r\ngrpc-timeout: 1m\r\n");
});
