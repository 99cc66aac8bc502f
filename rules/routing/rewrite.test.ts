// Rewritten paths and Locations, from the tables of the Gateway API.
import { describe, expect, test } from "vitest";
import { exact, prefix, regex } from "./fixtures.ts";
import { type RedirectFilter, type RedirectRequest, redirectLocation, rewritePath } from "./rewrite.ts";

// The first eleven are the table at HTTPPathModifier.replacePrefixMatch.
test.each([
  ["/foo/bar", "/foo", "/xyz", "/xyz/bar"],
  ["/foo/bar", "/foo", "/xyz/", "/xyz/bar"],
  ["/foo/bar", "/foo/", "/xyz", "/xyz/bar"],
  ["/foo/bar", "/foo/", "/xyz/", "/xyz/bar"],
  ["/foo", "/foo", "/xyz", "/xyz"],
  ["/foo/", "/foo", "/xyz", "/xyz/"],
  ["/foo/bar", "/foo", "", "/bar"],
  ["/foo/", "/foo", "", "/"],
  ["/foo", "/foo", "", "/"],
  ["/foo/", "/foo", "/", "/"],
  ["/foo", "/foo", "/", "/"],
  ["/foo", "/foo/", "/xyz/", "/xyz"],
  ["/bar", "/", "/xyz", "/xyz/bar"],
  ["/", "/", "/xyz", "/xyz/"],
  ["/bar", "/", "/", "/bar"],
  ["/foo//bar", "/foo", "/xyz", "/xyz//bar"],
  ["/foo/b%20r", "/foo", "/xyz", "/xyz/b%20r"],
  ["*", "/", "/xyz", "*"],
  ["/prefix/one/two", "/prefix/one", "/one", "/one/two"],
  ["/strip-prefix/three", "/strip-prefix", "/", "/three"],
])("%s with prefix %s replaced by %j is %s", (path, matched, value, expected) => {
  expect(rewritePath(prefix(matched), { type: "ReplacePrefixMatch", value }, path)).toBe(expected);
});

test("ReplacePrefixMatch leaves paths alone that were not matched by a prefix", () => {
  const modifier = { type: "ReplacePrefixMatch", value: "/xyz" } as const;
  expect(rewritePath(exact("/foo"), modifier, "/foo")).toBe("/foo");
  expect(rewritePath(regex("/f.*"), modifier, "/foo")).toBe("/foo");
});

test.each([
  [exact("/foo"), "/foo", "/new", "/new"],
  [prefix("/full"), "/full/path/original", "/full-path-replacement", "/full-path-replacement"],
  [regex("/f.*"), "/foo", "/new/", "/new/"],
  [prefix("/"), "/foo", "new", "/new"],
])("ReplaceFullPath on %j of %s gives %s", (match, path, value, expected) => {
  expect(rewritePath(match, { type: "ReplaceFullPath", value }, path)).toBe(expected);
});

function redirect(parts: Partial<RedirectFilter>): RedirectFilter {
  return { type: "RequestRedirect", scheme: "", hostname: "", path: undefined, port: 0, status: 302, ...parts };
}

function asked(parts: Partial<RedirectRequest> = {}): RedirectRequest {
  return { scheme: "http", host: "echo", port: 80, path: "/a/b", query: "", ...parts };
}

describe("a Location", () => {
  test.each<[string, Partial<RedirectFilter>, Partial<RedirectRequest>, string]>([
    ["changes nothing that the filter does not name", {}, {}, "http://echo/a/b"],
    ["keeps the query", {}, { query: "x=1&y" }, "http://echo/a/b?x=1&y"],
    ["takes the filter's host", { hostname: "example.org" }, {}, "http://example.org/a/b"],
    ["takes the filter's port", { port: 8083 }, {}, "http://echo:8083/a/b"],
    ["takes the filter's host and port", { hostname: "example.org", port: 8083 }, {}, "http://example.org:8083/a/b"],
    ["leaves out port 80 of http", { port: 80 }, { port: 8080 }, "http://echo/a/b"],
    ["takes the well-known port of a new scheme", { scheme: "https" }, { port: 8080 }, "https://echo/a/b"],
    ["takes the well-known port of http too", { scheme: "http" }, { port: 8080 }, "http://echo/a/b"],
    ["keeps the port that was asked for", {}, { port: 8080, host: "echo:8080" }, "http://echo:8080/a/b"],
    ["names the port that was asked for", { hostname: "example.org" }, { port: 8080 }, "http://example.org:8080/a/b"],
    ["keeps a port that the scheme does not imply", { scheme: "https", port: 80 }, {}, "https://echo:80/a/b"],
    ["leaves out port 443 of https", { scheme: "https", port: 443 }, {}, "https://echo/a/b"],
    ["drops the port of the Host header", { scheme: "https" }, { host: "echo:80" }, "https://echo/a/b"],
    ["keeps an IPv6 address whole", {}, { host: "[::1]:80" }, "http://[::1]/a/b"],
    ["keeps an IPv6 address without a port whole", {}, { host: "[::1]" }, "http://[::1]/a/b"],
    [
      "takes a replaced prefix",
      { path: { type: "ReplacePrefixMatch", value: "/new" } },
      { query: "q" },
      "http://echo/new/b?q",
    ],
    [
      "takes a replaced path",
      { path: { type: "ReplaceFullPath", value: "/new" } },
      { query: "q" },
      "http://echo/new?q",
    ],
  ])("%s", (_name, filter, request, expected) => {
    expect(redirectLocation(redirect(filter), prefix("/a"), asked(request))).toBe(expected);
  });
});
