// Which ends of an exchange are failures, and which of them are the service's.
import { expect, test } from "vitest";
import { hasFailed, hasServiceFailed } from "./failed-exchange.ts";

test.each([
  ["an answer", 200, "", "", false, false],
  ["an answer that a client has deserved", 404, "", "", false, false],
  ["an error of the service", 500, "", "", true, true],
  ["a request that the mesh refused", 404, "no-route", "", true, false],
  ["a client that went away", 499, "client-closed", "", true, false],
  ["a tunnel whose client failed", 101, "client-closed", "", true, false],
  ["a tunnel that was idle", 200, "stream-idle-timeout", "", true, true],
  ["an answer that was cut short", 200, "upstream-reset", "", true, true],
  ["an answer whose time was over before its end", 200, "request-timeout", "", true, true],
  ["a fault with a status of its own", 418, "fault-injected", "", true, false],
  ["a fault that looks like an error", 503, "fault-injected", "", true, true],
  ["an answer that a rule gives", 302, "redirect", "", false, false],
  ["a call that failed", 200, "", "UNAVAILABLE", true, true],
  ["a call that the caller is to blame for", 200, "", "NOT_FOUND", false, false],
])("%s: status %d, reason '%s', code '%s'", (_name, status, reason, grpcStatus, failed, byService) => {
  expect(hasFailed({ status, reason, grpcStatus })).toBe(failed);
  expect(hasServiceFailed({ status, reason, grpcStatus })).toBe(byService);
});
