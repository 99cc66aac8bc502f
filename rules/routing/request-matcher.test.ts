// Matches of policies, by the same conditions as those of routes.
import { expect, test } from "vitest";
import { compileHttpMatches } from "../compile/match.ts";
import { compileMatcher } from "./request-matcher.ts";
import type { RequestView } from "./request-view.ts";

function request(method: string, path: string, headers: Record<string, string> = {}): RequestView {
  return { method, path, query: "", port: 80, fromNamespace: "default", header: (name) => headers[name] };
}

test("no match is every request", () => {
  expect(compileMatcher([]).matches(request("GET", "/"))).toBe(true);
  expect(compileMatcher(compileHttpMatches(undefined)).matches(request("PUT", "/x"))).toBe(true);
});

test("any of several matches is enough, and all conditions of one must hold", () => {
  const matcher = compileMatcher(
    compileHttpMatches([
      { path: { type: "PathPrefix", value: "/api" }, method: "GET" },
      { headers: [{ name: "X-Tester", value: "1" }] },
      { path: { type: "RegularExpression", value: "/v[0-9]+" } },
    ]),
  );
  expect(matcher.matches(request("GET", "/api/a"))).toBe(true);
  expect(matcher.matches(request("POST", "/api/a"))).toBe(false);
  expect(matcher.matches(request("GET", "/apis"))).toBe(false);
  expect(matcher.matches(request("POST", "/", { "x-tester": "1" }))).toBe(true);
  expect(matcher.matches(request("POST", "/v12"))).toBe(true);
});
