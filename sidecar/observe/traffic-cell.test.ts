// What of a finished request counts against a version in a release (docs/rollouts.md).
import { expect, test } from "vitest";
import { isFailure, isJudged } from "./traffic-cell.ts";

test.each([
  [200, "", false],
  [404, "no-route", false],
  [429, "rate-limited", false],
  [500, "", true],
  // Its own pool is full: whoever answers slowly fills it.
  [503, "pool-overflow", true],
  // A fallback, or an answer that was cut, has another status.
  [200, "pool-overflow", true],
  [200, "upstream-reset", true],
])("status %i with reason %j is a failure: %s", (status, reason, expected) => {
  expect(isFailure(status, reason)).toBe(expected);
  expect(isJudged(reason)).toBe(true);
});

test("a client that went away says nothing", () => {
  expect(isJudged("client-closed")).toBe(false);
});
