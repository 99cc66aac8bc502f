// What a wrong spec of each kind is answered with, word for word; the frame of a document and the rules of an HTTPRoute
// are in load.errors.test.ts.
import { describe, expect, test } from "vitest";
import { formatDiagnostic } from "./diagnostic.ts";
import { loadDocuments } from "./load.ts";
import { yamlDocument } from "./test-documents.ts";

const PARENT = "parentRefs: [{ kind: Service, name: orders }]";
const DURATION = "whole milliseconds as in 250ms, 5s, 1m30s or 2h, at most 24 days";

function errorsOf(content: string): string[] {
  const { diagnostics } = loadDocuments([{ name: "r.yaml", content }], { defaultNamespace: "default" });
  return diagnostics.map(formatDiagnostic);
}

/** [kind, spec, line:column, rest of the error] */
const SPEC_ERRORS: readonly (readonly [string, string, string, string])[] = [
  ["HTTPRoute", "rules: []\nparentRefs: []", "6:10", "rules: is empty; expected at least one item"],
  [
    "HTTPRoute",
    "parentRefs: [{ name: a }]",
    "6:16",
    "parentRefs[0]: kind is missing, which in the Gateway API means Gateway; expected kind: Service",
  ],
  [
    "HTTPRoute",
    "parentRefs: [{ kind: Gateway, name: a }]",
    "6:24",
    'parentRefs[0].kind: "Gateway" is not a kind that Weft attaches rules to; expected Service',
  ],
  [
    "HTTPRoute",
    "parentRefs: [{ group: apps, kind: Service, name: a }]",
    "6:25",
    'parentRefs[0].group: "apps" is not the group of Service; expected ""',
  ],
  [
    "HTTPRoute",
    "parentRefs: [{ kind: Service, name: a, sectionName: http }]",
    "6:55",
    "parentRefs[0].sectionName: a Service has no sections; expected port, or nothing for every port",
  ],
  [
    "HTTPRoute",
    "parentRefs: [{ kind: Service, name: a }, { kind: Service, name: a }]",
    "6:44",
    "parentRefs[1]: names the same parent as an item before it; expected each service and port once",
  ],
  [
    "GRPCRoute",
    `${PARENT}\nrules: [{ matches: [{ method: {} }] }]`,
    "7:33",
    "rules[0].matches[0].method: names neither a service nor a method; expected service, method or both",
  ],
  [
    "GRPCRoute",
    `${PARENT}\nrules: [{ matches: [{ method: { method: a.b } }] }]`,
    "7:43",
    'rules[0].matches[0].method.method: "a.b" is not a gRPC method name; expected a name such as Get',
  ],
  [
    "GRPCRoute",
    `${PARENT}\nrules: [{ filters: [{ type: URLRewrite }] }]`,
    "7:31",
    'rules[0].filters[0].type: "URLRewrite" is not known; expected one of RequestHeaderModifier, ResponseHeaderModifier, RequestMirror',
  ],
  [
    "Service",
    "ports: [{ port: 0 }]",
    "6:19",
    "ports[0].port: 0 is out of range; expected a whole number from 1 to 65535",
  ],
  [
    "Service",
    "ports: [{ port: 80 }, { port: 80 }]",
    "6:33",
    "ports[1].port: port 80 is there twice; expected each port once",
  ],
  [
    "Service",
    "ports: [{ port: 80, protocol: https }]",
    "6:33",
    'ports[0].protocol: "https" is not known; expected one of http, h2c, grpc, tcp (did you mean http?)',
  ],
  ["Service", "selector: {}", "6:13", "selector: is empty; expected a label at least"],
  ["Service", "selector: { a: b }\nendpoints: []", "6:3", "has both selector and endpoints; expected one of them"],
  ["Service", "endpoints: [{ weight: 1 }]", "6:15", "endpoints[0]: has no address; expected address or addresses"],
  [
    "Service",
    "endpoints: [{ address: localhost }]",
    "6:26",
    'endpoints[0].address: "localhost" is not an address; expected HOST:PORT, as in 10.0.0.1:8080 or [::1]:8080',
  ],
  [
    "Service",
    'endpoints: [{ addresses: { "90": "a:1" } }]',
    "6:36",
    'endpoints[0].addresses["90"]: the service has no port 90; expected one of 80',
  ],
  ["TrafficPolicy", "{}", "6:3", "targetRef: is missing; expected an object"],
  [
    "TrafficPolicy",
    "targetRef: { kind: Service, name: a }\nloadBalancer: { algorithm: maglev }",
    "7:17",
    "loadBalancer: maglev without hashOn; expected hashOn: {header: NAME}, {cookie: NAME}, {query: NAME} or {sourceIP: true}",
  ],
  [
    "TrafficPolicy",
    "targetRef: { kind: Service, name: a }\nretry: { on: [connect-failur] }",
    "7:17",
    'retry.on[0]: "connect-failur" is not known; expected one of connect-failure, reset, refused-stream, retriable-4xx, gateway-error, 5xx, cancelled, deadline-exceeded, internal, resource-exhausted, unavailable, or a status from 400 to 599 (did you mean connect-failure?)',
  ],
  [
    "TrafficPolicy",
    "targetRef: { kind: Service, name: a }\nretry: { on: [99] }",
    "7:17",
    "retry.on[0]: 99 is out of range; expected a whole number from 400 to 599",
  ],
  [
    "TrafficPolicy",
    "targetRef: { kind: Service, name: a }\nretry: { methods: [get] }",
    "7:22",
    'retry.methods[0]: "get" is not upper case; expected GET, as methods are case-sensitive',
  ],
  [
    "TrafficPolicy",
    "targetRef: { kind: Service, name: a }\ncircuitBreaker: { volumeThreshold: 0 }",
    "7:38",
    "circuitBreaker.volumeThreshold: 0 is out of range; expected a whole number from 1 to 1000000000",
  ],
  [
    "TrafficPolicy",
    "targetRef: { kind: Service, name: a }\nhealthCheck: { interval: 0s, tcp: {} }",
    "7:28",
    "healthCheck.interval: is zero; expected a duration longer than zero",
  ],
  [
    "TrafficPolicy",
    "targetRef: { kind: Service, name: a }\nhealthCheck: {}",
    "7:16",
    "healthCheck: says nothing; expected exactly one of http, tcp, grpc",
  ],
  [
    "TrafficPolicy",
    "targetRef: { kind: Service, name: a }\ntimeout: { request: 1s, perTry: 2s }",
    "7:35",
    "timeout.perTry: 2s is longer than request (1s); expected at most request",
  ],
  [
    "TrafficPolicy",
    "targetRef: { kind: Service, name: a }\nfallback: { service: b, body: x }",
    "7:13",
    "fallback: has both a service and an answer of its own; expected service, or status, headers and body",
  ],
  [
    "RateLimit",
    "targetRef: { kind: Service, name: a }",
    "6:3",
    "limits nothing; expected limits, concurrency or shedding",
  ],
  [
    "RateLimit",
    "targetRef: { kind: Service, name: a }\nlimits: [{ requests: 5 }]",
    "7:12",
    `limits[0].per: is missing; expected a duration (${DURATION})`,
  ],
  ["Fault", "targetRef: { kind: Service, name: a }", "6:3", "does nothing; expected delay, abort or both"],
  [
    "Fault",
    "targetRef: { kind: Service, name: a }\nabort: { percent: 101, status: 503 }",
    "7:21",
    "abort.percent: 101 is out of range; expected a percentage from 0 to 100",
  ],
  [
    "Authorization",
    "targetRef: { kind: Service, name: a }\naction: reject",
    "7:11",
    'action: "reject" is not known; expected one of allow, deny',
  ],
  [
    "Authentication",
    "targetRef: { kind: Service, name: a }\njwt: { providers: [{ name: a, issuer: b, jwks: { inline: x } }] }",
    "7:60",
    'jwt.providers[0].jwks.inline: "x" is not a key set; expected JSON text {"keys": [...]}',
  ],
  [
    "Rollout",
    "service: a\nstable: b\ncanary: b\nsteps: [{ weight: 5 }]",
    "8:11",
    "canary: is the same service as stable; expected another version",
  ],
  [
    "Rollout",
    "service: a\nstable: b\ncanary: c\nsteps: [{ weight: 25 }, { weight: 5 }]",
    "9:37",
    "steps[1].weight: weight 5 is below the 25 of a step before it; expected at least 25",
  ],
  [
    "Rollout",
    "service: a\nstable: b\ncanary: c\nsteps: [{}]",
    "9:11",
    "steps[0]: says nothing; expected weight, mirror, match, setMirror, hold or pause",
  ],
  ["Mesh", "mtls: { mode: on }", "6:17", 'mtls.mode: "on" is not known; expected one of off, permissive, strict'],
  [
    "Mesh",
    "egress: { allow: [http://a] }",
    "6:21",
    'egress.allow[0]: "http://a" is not a host; expected *, api.example.com, *.example.com or api.example.com:443',
  ],
  [
    "Mesh",
    "accessLog: { file: /a, otlp: { endpoint: otel:4317 } }",
    "6:22",
    "accessLog.file: file beside otlp; expected one of both: records go to one place",
  ],
  [
    "Mesh",
    "tracing: { endpoint: otel:99999 }",
    "6:24",
    'tracing.endpoint: "otel:99999" is not an endpoint; expected http://HOST:PORT or HOST:PORT',
  ],
  [
    "Mesh",
    "tracing: { sampling: 1 }",
    "6:12",
    "tracing.endpoint: is missing; expected an endpoint (http://HOST:PORT or HOST:PORT)",
  ],
];

describe("specs", () => {
  test.each(SPEC_ERRORS)("%s with %j", (kind, spec, place, expected) => {
    const [first] = errorsOf(yamlDocument(kind, spec));
    expect(first).toBe(`r.yaml:${place}: spec${/^(has|limits nothing|does)/.test(expected) ? ": " : "."}${expected}`);
  });
});
