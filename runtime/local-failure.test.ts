// Which failures to connect are this side's own.
import { expect, test } from "vitest";
import { isLocalFailure } from "./local-failure.ts";

test.each([
  ["EMFILE", "127.0.0.1", true],
  ["ENFILE", "::1", true],
  ["ENOBUFS", "127.0.0.1", true],
  ["ENOMEM", "127.0.0.1", true],
  ["EADDRNOTAVAIL", "127.0.0.1", true],
  ["EADDRNOTAVAIL", "2001:db8::1", false],
  ["ECONNREFUSED", "127.0.0.1", false],
  ["ETIMEDOUT", "127.0.0.1", false],
  ["ENETUNREACH", "2001:db8::1", false],
  ["ENOTFOUND", undefined, false],
])("%s towards %s is our own: %s", (code, address, isOwn) => {
  expect(isLocalFailure(Object.assign(new Error("connect"), { code, address }))).toBe(isOwn);
});
