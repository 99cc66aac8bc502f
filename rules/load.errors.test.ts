// What a wrong document is answered with, word for word: place, path, what is wrong, what was expected.
import { describe, expect, test } from "vitest";
import { formatDiagnostic } from "./diagnostic.ts";
import { loadDocuments } from "./load.ts";
import { yamlDocument } from "./test-documents.ts";

function errorsOf(content: string): string[] {
  const { diagnostics } = loadDocuments([{ name: "r.yaml", content }], { defaultNamespace: "default" });
  return diagnostics.map(formatDiagnostic);
}

const KIND_LIST =
  "HTTPRoute, GRPCRoute, Service, TrafficPolicy, RateLimit, Fault, Authorization, Authentication, Rollout, Mesh";

describe("the frame of a document", () => {
  test.each([
    ["a word", "hello", 'r.yaml:1:1: is "hello"; expected an object with apiVersion, kind, metadata and spec'],
    ["a list", "- a", "r.yaml:1:1: is a list; expected an object with apiVersion, kind, metadata and spec"],
    ["no kind", "a: 1", `r.yaml:1:1: kind: is missing; expected one of ${KIND_LIST}`],
    [
      "an unknown kind",
      "kind: HTTPRoot",
      `r.yaml:1:7: kind: "HTTPRoot" is not a kind of Weft; expected one of ${KIND_LIST} (did you mean HTTPRoute?)`,
    ],
    [
      "a plural",
      "kind: httproutes",
      `r.yaml:1:7: kind: "httproutes" is not a kind of Weft; expected one of ${KIND_LIST} (did you mean HTTPRoute?)`,
    ],
    ["no version", "kind: Mesh", "r.yaml:1:1: apiVersion: is missing; expected weft.mesh/v1"],
    [
      "an old version",
      "apiVersion: gateway.networking.k8s.io/v1beta1\nkind: HTTPRoute",
      'r.yaml:1:13: apiVersion: "gateway.networking.k8s.io/v1beta1" is not the version of HTTPRoute; expected gateway.networking.k8s.io/v1',
    ],
    [
      "the core Service",
      "apiVersion: v1\nkind: Service",
      'r.yaml:1:13: apiVersion: "v1" is not the version of Service; expected weft.mesh/v1',
    ],
    ["items that are no list", "kind: List\nitems: 5", "r.yaml:2:8: items: is no list; expected a list of documents"],
  ])("%s", (_what, content, expected) => {
    expect(errorsOf(content)).toEqual([expected]);
  });

  test("every part that is missing is named", () => {
    expect(errorsOf("apiVersion: weft.mesh/v1\nkind: Mesh")).toEqual([
      "r.yaml:1:1: metadata: is missing; expected an object",
      "r.yaml:1:1: spec: is missing; expected an object",
    ]);
  });

  test("unknown fields of the document and of metadata are pointed at", () => {
    const content = "apiVersion: weft.mesh/v1\nkind: Mesh\nmetadata:\n  name: mesh\n  namspace: x\nspecs: {}\nspec: {}";
    expect(errorsOf(content)).toEqual([
      "r.yaml:5:3: metadata.namspace: unknown field; expected one of name, namespace, labels, annotations, creationTimestamp (did you mean namespace?)",
      "r.yaml:6:1: specs: unknown field; expected one of apiVersion, kind, metadata, spec (did you mean spec?)",
    ]);
  });

  test.each([
    [
      "name: Orders",
      "metadata.name: \"Orders\" is not a valid name; expected at most 63 lower-case letters, digits and '-', starting and ending with a letter or digit",
    ],
    [
      "name: a.b",
      "metadata.name: \"a.b\" is not a valid name; expected at most 63 lower-case letters, digits and '-', starting and ending with a letter or digit",
    ],
    [
      "name: 5",
      "metadata.name: is the number 5; expected a valid name (at most 63 lower-case letters, digits and '-', starting and ending with a letter or digit) (did you mean \"5\"?)",
    ],
  ])("a Service with %s", (name, expected) => {
    expect(errorsOf(yamlDocument("Service", "{}").replace("name: orders", name))).toEqual([`r.yaml:4:9: ${expected}`]);
  });

  test.each([
    [
      "labels: { a: 1 }",
      4 + 1,
      16,
      "metadata.labels.a: is the number 1; expected a label value (at most 63 letters, digits, '-', '_' and '.', or nothing) (did you mean \"1\"?)",
    ],
    [
      "labels: { -a: x }",
      5,
      13,
      "metadata.labels[\"-a\"]: \"-a\" is not a label key; expected letters, digits, '-', '_' and '.', with a DNS prefix and '/' or not",
    ],
    [
      "creationTimestamp: today",
      5,
      22,
      'metadata.creationTimestamp: "today" is not a time; expected RFC 3339, as in 2026-01-31T12:00:00Z',
    ],
  ])("metadata with %s", (field, line, column, expected) => {
    const content = yamlDocument("Mesh", "{}").replace("name: orders", `name: orders\n  ${field}`);
    expect(errorsOf(content)).toEqual([`r.yaml:${line}:${column}: ${expected}`]);
  });

  test("the same name twice is an error that names the first place, across files too", () => {
    const mesh = yamlDocument("Mesh", "{}");
    const { documents, diagnostics } = loadDocuments(
      [
        { name: "a.yaml", content: mesh },
        { name: "b.yaml", content: `---\n${mesh}` },
      ],
      { defaultNamespace: "default" },
    );
    expect(documents).toHaveLength(1);
    expect(diagnostics.map(formatDiagnostic)).toEqual([
      "b.yaml:5:9: metadata.name: Mesh default/orders is there twice; expected each name once (the first is at a.yaml:4:9)",
    ]);
  });
});

const PARENT = "parentRefs: [{ kind: Service, name: orders }]";
const DURATION = "whole milliseconds as in 250ms, 5s, 1m30s or 2h, at most 24 days";

/** [what, one rule of an HTTPRoute, line:column below `spec:`, rest of the error] */
const RULE_ERRORS: readonly (readonly [string, string, string])[] = [
  [
    "{ matchs: [] }",
    "8:9",
    "matchs: unknown field; expected one of name, matches, filters, backendRefs, timeouts, retry, sessionPersistence (did you mean matches?)",
  ],
  ["{ matches: { path: {} } }", "8:18", "matches: is an object; expected a list"],
  ["{ backendRefs: }", "8:9", "backendRefs: is empty; expected a list"],
  [
    "{ matches: [{ path: { value: api } }] }",
    "8:36",
    "matches[0].path.value: \"api\" does not start with '/'; expected an absolute path",
  ],
  [
    "{ matches: [{ path: { value: /a//b } }] }",
    "8:36",
    "matches[0].path.value: \"/a//b\" contains '//'; expected a normalised path",
  ],
  [
    "{ matches: [{ path: { value: /a/../b } }] }",
    "8:36",
    "matches[0].path.value: \"/a/../b\" contains '/./' or '/../'; expected a normalised path",
  ],
  [
    "{ matches: [{ path: { value: /a/. } }] }",
    "8:36",
    "matches[0].path.value: \"/a/.\" contains '/./' or '/../'; expected a normalised path",
  ],
  [
    "{ matches: [{ path: { value: /a%2Fb } }] }",
    "8:36",
    "matches[0].path.value: \"/a%2Fb\" contains an encoded '/'; expected a path without %2F",
  ],
  [
    '{ matches: [{ path: { value: "/a#b" } }] }',
    "8:36",
    "matches[0].path.value: \"/a#b\" contains '#'; expected a path without a fragment",
  ],
  [
    "{ matches: [{ path: { value: /a?b=c } }] }",
    "8:36",
    "matches[0].path.value: \"/a?b=c\" contains '?'; expected a path only; match a query with queryParams",
  ],
  [
    '{ matches: [{ path: { value: "/a b" } }] }',
    "8:36",
    'matches[0].path.value: "/a b" contains a character that a path cannot have; expected such characters percent-encoded',
  ],
  [
    "{ matches: [{ path: { type: Prefix, value: /a } }] }",
    "8:35",
    'matches[0].path.type: "Prefix" is not known; expected one of Exact, PathPrefix, RegularExpression (did you mean PathPrefix?)',
  ],
  [
    '{ matches: [{ path: { type: RegularExpression, value: "/(a" } }] }',
    "8:61",
    'matches[0].path.value: "/(a" is not a regular expression (missing closing ): `/(a`); expected RE2 syntax: no look-around, no back-references',
  ],
  [
    '{ matches: [{ path: { type: RegularExpression, value: "[^a]{1000}[^b]{1000}" } }] }',
    "8:61",
    'matches[0].path.value: "[^a]{1000}[^b]{1000}" compiles to 2002 instructions; expected at most 2000',
  ],
  [
    '{ matches: [{ headers: [{ name: "a b", value: x }] }] }',
    "8:39",
    'matches[0].headers[0].name: "a b" is not a header name; expected letters, digits and any of !#$%&\'*+-.^_`|~',
  ],
  [
    "{ matches: [{ headers: [{ name: a, value: 1 }] }] }",
    "8:49",
    'matches[0].headers[0].value: is the number 1; expected a header value (text without control characters, not starting or ending with a space) (did you mean "1"?)',
  ],
  [
    "{ matches: [{ headers: [{ name: a, value: x }, { name: a, value: y }] }] }",
    "8:62",
    'matches[0].headers[1].name: header "a" is named twice; expected each name once',
  ],
  [
    "{ matches: [{ method: get }] }",
    "8:29",
    'matches[0].method: "get" is not known; expected one of GET, HEAD, POST, PUT, DELETE, CONNECT, OPTIONS, TRACE, PATCH (did you mean GET?)',
  ],
  [
    "{ backendRefs: [{ weight: 1 }] }",
    "8:23",
    "backendRefs[0].name: is missing; expected a valid name (lower-case letters, digits, '-' and '.', starting and ending with a letter or digit)",
  ],
  [
    "{ backendRefs: [{ name: a, weight: -1 }] }",
    "8:42",
    "backendRefs[0].weight: -1 is out of range; expected a whole number from 0 to 1000000",
  ],
  [
    "{ backendRefs: [{ name: a, weight: 1000001 }] }",
    "8:42",
    "backendRefs[0].weight: 1000001 is out of range; expected a whole number from 0 to 1000000",
  ],
  [
    '{ backendRefs: [{ name: a, port: "80" }] }',
    "8:40",
    'backendRefs[0].port: is the text "80"; expected a whole number from 1 to 65535 (did you mean 80?)',
  ],
  ["{ timeouts: { request: 5 } }", "8:30", `timeouts.request: is the number 5; expected a duration (${DURATION})`],
  ["{ timeouts: { request: 5 s } }", "8:30", `timeouts.request: "5 s" is not a duration; expected ${DURATION}`],
  ["{ timeouts: { request: 600h } }", "8:30", `timeouts.request: "600h" is not a duration; expected ${DURATION}`],
  [
    "{ timeouts: { request: 1s, backendRequest: 2s } }",
    "8:50",
    "timeouts.backendRequest: 2s is longer than the request timeout 1s; expected at most the request timeout",
  ],
  [
    "{ retry: { codes: [200] } }",
    "8:26",
    "retry.codes[0]: 200 is out of range; expected a whole number from 400 to 599",
  ],
  [
    "{ retry: { attempts: true } }",
    "8:28",
    "retry.attempts: is the boolean true; expected a whole number from 0 to 25",
  ],
  [
    "{ filters: [{ typ: URLRewrite }] }",
    "8:19",
    "filters[0].type: is missing; expected one of RequestHeaderModifier, ResponseHeaderModifier, RequestMirror, RequestRedirect, URLRewrite, CORS",
  ],
  [
    "{ filters: [{ type: UrlRewrite }] }",
    "8:27",
    'filters[0].type: "UrlRewrite" is not known; expected one of RequestHeaderModifier, ResponseHeaderModifier, RequestMirror, RequestRedirect, URLRewrite, CORS (did you mean URLRewrite?)',
  ],
  [
    "{ filters: [{ type: ExtensionRef }] }",
    "8:27",
    'filters[0].type: "ExtensionRef" is not known; expected one of RequestHeaderModifier, ResponseHeaderModifier, RequestMirror, RequestRedirect, URLRewrite, CORS: ExtensionRef names a kind of another product, and Weft has none',
  ],
  ["{ filters: [{ type: URLRewrite }] }", "8:19", "filters[0].urlRewrite: is missing; expected an object"],
  [
    "{ filters: [{ type: URLRewrite, urlRewrite: {} }] }",
    "8:51",
    "filters[0].urlRewrite: rewrites nothing; expected hostname, path or both",
  ],
  [
    "{ filters: [{ type: URLRewrite, urlRewrite: { hostname: a }, cors: {} }] }",
    "8:68",
    "filters[0].cors: unknown field; expected one of type, urlRewrite",
  ],
  [
    "{ filters: [{ type: URLRewrite, urlRewrite: { path: { type: ReplaceFullPath, replaceFullPath: /, replacePrefixMatch: / } } }] }",
    "8:104",
    "filters[0].urlRewrite.path.replacePrefixMatch: unknown field; expected one of type, replaceFullPath",
  ],
  [
    "{ filters: [{ type: RequestRedirect, requestRedirect: { statusCode: 200 } }] }",
    "8:75",
    "filters[0].requestRedirect.statusCode: is the number 200; expected one of 301, 302, 303, 307, 308",
  ],
  [
    "{ filters: [{ type: RequestRedirect, requestRedirect: { hostname: 10.0.0.1 } }] }",
    "8:73",
    'filters[0].requestRedirect.hostname: "10.0.0.1" is not a hostname; expected a lower-case DNS name',
  ],
  [
    "{ filters: [{ type: RequestRedirect, requestRedirect: {} }], backendRefs: [{ name: a }] }",
    "8:27",
    "filters[0].type: RequestRedirect together with backendRefs; expected one of them, as a redirect is never forwarded",
  ],
  [
    "{ filters: [{ type: RequestRedirect, requestRedirect: {} }, { type: URLRewrite, urlRewrite: { hostname: a } }] }",
    "8:75",
    "filters[1].type: URLRewrite together with RequestRedirect; expected one of them",
  ],
  [
    "{ filters: [{ type: CORS, cors: {} }, { type: CORS, cors: {} }] }",
    "8:53",
    "filters[1].type: CORS is there twice; expected one filter of this type",
  ],
  [
    '{ filters: [{ type: CORS, cors: { allowOrigins: ["*", "https://a"] } }] }',
    "8:55",
    "filters[0].cors.allowOrigins: has '*' beside other items; expected '*' alone",
  ],
  [
    "{ filters: [{ type: RequestMirror, requestMirror: { backendRef: { name: a }, percent: 1, fraction: { numerator: 1 } } }] }",
    "8:57",
    "filters[0].requestMirror: has both percent and fraction; expected one of them",
  ],
  [
    "{ filters: [{ type: RequestMirror, requestMirror: { backendRef: { name: a }, fraction: { numerator: 5, denominator: 2 } } }] }",
    "8:107",
    "filters[0].requestMirror.fraction.numerator: 5 is more than the denominator 2; expected at most the whole",
  ],
  [
    "{ filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { remove: [Content-Length] } }] }",
    "8:84",
    'filters[0].requestHeaderModifier.remove[0]: "Content-Length" is the proxy\'s own to set; expected another header',
  ],
  [
    "{ filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: Host, value: a }] } }] }",
    "8:89",
    'filters[0].requestHeaderModifier.set[0].name: "Host" is the proxy\'s own to set; expected a URLRewrite filter with hostname',
  ],
  [
    '{ filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: a, value: "b\\r\\nc: d" }] } }] }',
    "8:99",
    'filters[0].requestHeaderModifier.set[0].value: "b\\r\\nc: d" is not a header value; expected text without control characters, not starting or ending with a space',
  ],
  [
    "{ matches: [{ path: { type: Exact, value: /a } }], filters: [{ type: URLRewrite, urlRewrite: { path: { type: ReplacePrefixMatch, replacePrefixMatch: / } } }] }",
    "8:116",
    "filters[0].urlRewrite.path.type: ReplacePrefixMatch in a rule that does not have exactly one match of type PathPrefix; expected one PathPrefix match per such rule",
  ],
  [
    "{ sessionPersistence: { cookie: { lifetimeType: Permanent } } }",
    "8:29",
    "sessionPersistence: a Permanent cookie has no absoluteTimeout; expected absoluteTimeout",
  ],
];

describe("rules of an HTTPRoute", () => {
  test.each(RULE_ERRORS)("%s", (rule, place, expected) => {
    const content = yamlDocument("HTTPRoute", `${PARENT}\nrules:\n  - ${rule}`);
    expect(errorsOf(content)).toEqual([`r.yaml:${place}: spec.rules[0].${expected}`]);
  });

  test("a rule name that is used already", () => {
    const content = yamlDocument("HTTPRoute", `${PARENT}\nrules:\n  - name: a\n  - name: a`);
    expect(errorsOf(content)).toEqual([
      'r.yaml:9:13: spec.rules[1].name: "a" names another rule of this route already; expected a name of its own',
    ]);
  });
});

test("one run reports everything, by line, and the good documents of the file are there", () => {
  const bad = yamlDocument(
    "HTTPRoute",
    `${PARENT}\nhostname: x\nrules:\n  - timeouts: { request: 5 }\n  - retry: { attempts: -1 }`,
  );
  const content = `${yamlDocument("Mesh", "{}")}---\n${bad}---\na: [\n---\n${yamlDocument("Service", "{}")}`;
  const { documents, diagnostics } = loadDocuments([{ name: "r.yaml", content }], { defaultNamespace: "default" });
  expect(documents.map(({ document }) => document.kind)).toEqual(["Mesh", "Service"]);
  expect(diagnostics.map(({ line, path }) => `${line} ${path}`)).toEqual([
    "14 spec.hostname",
    "16 spec.rules[0].timeouts.request",
    "17 spec.rules[1].retry.attempts",
    "20 ",
  ]);
});

test("a diagnostic of a document names it", () => {
  const { diagnostics } = loadDocuments([{ name: "r", content: yamlDocument("Mesh", "x: 1") }], {
    defaultNamespace: "team",
  });
  expect(diagnostics[0]?.document).toEqual({ kind: "Mesh", namespace: "team", name: "orders" });
});

test("a namespace from outside, which documents go by that name none, is held to the rule of namespaces", () => {
  const content = `${yamlDocument("Service", "{}")}---\n${yamlDocument("Service", "{}").replace("metadata:", "metadata:\n  namespace: shop")}`;
  const { documents, diagnostics } = loadDocuments([{ name: "r.yaml", content }], { defaultNamespace: "a/b" });
  expect(documents.map(({ document }) => document.metadata.namespace)).toEqual(["shop"]);
  expect(diagnostics.map(formatDiagnostic)).toEqual([
    `r.yaml:4:3: metadata.namespace: "a/b" is not a valid name; expected at most 63 lower-case letters, digits and '-', starting and ending with a letter or digit`,
  ]);
});
