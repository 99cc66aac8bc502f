// Documents that tests start from: one of every kind with most of its fields, and shapes of the Gateway API's mesh suite.
// Written for these tests; only they import it.

/** The smallest complete document around a spec, as YAML. */
export function yamlDocument(kind: string, spec: string, name = "orders"): string {
  const apiVersion = kind.endsWith("Route") ? "gateway.networking.k8s.io/v1" : "weft.mesh/v1";
  const indented = spec
    .split("\n")
    .map((line) => `  ${line}`)
    .join("\n");
  return `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata:\n  name: ${name}\nspec:\n${indented}\n`;
}

const PARENT = 'parentRefs: [{ group: "", kind: Service, name: orders }]';

/** A spec of every kind that uses most fields. */
export const VALID_SPECS: readonly (readonly [kind: string, spec: string])[] = [
  [
    "HTTPRoute",
    `${PARENT}
rules:
  - name: testers
    matches:
      - path: { type: PathPrefix, value: /api }
        headers: [{ name: x-tester, value: "1" }, { name: x-group, type: RegularExpression, value: "a|b" }]
        queryParams: [{ name: q, value: v }]
        method: GET
      - path: { type: RegularExpression, value: "/v[0-9]+/.*" }
    filters:
      - type: RequestHeaderModifier
        requestHeaderModifier: { set: [{ name: X-A, value: a }], add: [{ name: X-B, value: b }], remove: [X-C] }
      - type: ResponseHeaderModifier
        responseHeaderModifier: { add: [{ name: X-D, value: d }] }
      - type: URLRewrite
        urlRewrite: { hostname: new.example.com, path: { type: ReplaceFullPath, replaceFullPath: /x } }
      - type: RequestMirror
        requestMirror: { backendRef: { name: orders-v3 }, percent: 10 }
      - type: RequestMirror
        requestMirror: { backendRef: { name: orders-v4, port: 80 }, fraction: { numerator: 1, denominator: 1000 } }
      - type: CORS
        cors: { allowOrigins: ["https://*.example.com"], allowMethods: [GET, POST], allowHeaders: ["*"], maxAge: 600, allowCredentials: true }
    backendRefs:
      - { name: orders-v1, weight: 95, port: 80, filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { remove: [x-e] } }] }
      - { group: "", kind: Service, namespace: other, name: orders-v2, weight: 5 }
    timeouts: { request: 5s, backendRequest: 2s }
    retry: { attempts: 2, codes: [502, 503, 504], backoff: 25ms }
    sessionPersistence: { type: Cookie, absoluteTimeout: 1h, cookie: { name: s, lifetimeType: Permanent } }
  - matches: [{ path: { value: /old } }]
    filters:
      - type: RequestRedirect
        requestRedirect: { scheme: https, hostname: example.org, port: 8443, statusCode: 308, path: { type: ReplacePrefixMatch, replacePrefixMatch: /new } }`,
  ],
  [
    "GRPCRoute",
    `${PARENT}
rules:
  - matches:
      - method: { service: shop.v1.Orders, method: Get }
        headers: [{ name: version, value: one }]
      - method: { type: RegularExpression, service: "shop\\\\..*" }
    filters: [{ type: ResponseHeaderModifier, responseHeaderModifier: { set: [{ name: x-a, value: b }] } }]
    backendRefs: [{ name: orders-v1, port: 7070, weight: 70 }, { name: orders-v2, port: 7070, weight: 0 }]`,
  ],
  ["Service", "ports: [{ port: 80 }, { port: 9090, protocol: grpc }]\nselector: { app: orders, version: v1 }"],
  [
    "Service",
    `ports: [{ port: 80, protocol: h2c }, { port: 81, protocol: tcp }]
endpoints:
  - { address: "10.0.0.1:8080", labels: { zone: a }, weight: 2, zone: eu-1 }
  - { address: "[::1]:8080" }
  - { addresses: { "80": "10.0.0.1:8080", "81": "orders.example.com:9090" } }`,
  ],
  [
    "TrafficPolicy",
    `targetRef: { kind: Service, name: orders }
loadBalancer: { algorithm: ring-hash, hashOn: { cookie: user }, slowStart: 30s, adaptive: true, zonePreference: { enabled: true, minHealthyPercent: 50 } }
connectionPool: { maxConnections: 1024, maxPendingRequests: 1024, maxRequests: 1024, maxRetries: 3, maxRequestsPerConnection: 0, connectTimeout: 1s, idleTimeout: 4s, keepAlive: { interval: 30s, timeout: 5s } }
timeout: { request: 15s, perTry: 0s, idle: 5m }
retry: { attempts: 2, on: [connect-failure, 5xx, 503, unavailable], methods: [GET, PUT], backoff: { base: 25ms, max: 250ms }, budget: { percent: 20, minPerSecond: 0.5 }, maxBodyBytes: 65536, hops: every, hedge: { after: p95, max: 1 } }
circuitBreaker: { errorThresholdPercentage: 50, volumeThreshold: 20, rollingWindow: 10s, resetTimeout: 5s, halfOpenProbes: 3, scope: endpoint }
outlierDetection: { consecutiveErrors: 5, consecutiveGatewayErrors: 5, consecutiveConnectFailures: 3, interval: 10s, baseEjectionTime: 30s, maxEjectionTime: 300s, keepAtLeast: 1, successRate: { stdevFactor: 1.9 }, failurePercentage: { threshold: 85 }, panicThreshold: 30 }
healthCheck: { http: { path: /healthz, expectedStatuses: [200, 204] }, interval: 10s, timeout: 2s, unhealthyThreshold: 3, healthyThreshold: 2 }
fallback: { status: 200, headers: { content-type: application/json }, body: "{}", staleFor: 1m }`,
  ],
  [
    "RateLimit",
    `targetRef: { kind: Service, name: orders }
limits:
  - { requests: 100, per: 1s, burst: 50, key: { header: x-user }, match: { path: { type: PathPrefix, value: /api } }, mode: report-only, maxKeys: 100 }
  - { requests: 5, per: 1m, key: { sourceIP: true } }
concurrency: { max: 200, queue: 100, queueTimeout: 500ms, adaptive: true }
shedding: { eventLoopDelay: 100ms, heapPercent: 90 }`,
  ],
  [
    "Fault",
    "targetRef: { kind: Service, name: orders }\nmatch: { method: GET }\ndelay: { percent: 10, duration: 400ms }\nabort: { percent: 0.5, status: 503 }",
  ],
  [
    "Authorization",
    `targetRef: { kind: Service, name: orders }
action: deny
rules: [{ from: { services: [web, shop/cart], namespaces: [default], sourceIPs: [10.0.0.0/8, "::1"], claims: { role: admin } }, matches: [{ path: { value: /admin } }] }]`,
  ],
  [
    "Authentication",
    `targetRef: { kind: Service, name: orders }
jwt:
  required: false
  except: [{ path: { type: Exact, value: /healthz } }]
  providers: [{ name: main, issuer: "https://id.example.com", audiences: [shop], jwks: { url: "https://id.example.com/keys" }, claimsToHeaders: { sub: x-user }, clockSkew: 30s }]`,
  ],
  [
    "Rollout",
    `service: orders
stable: orders-v1
canary: orders-v2
sticky: { header: x-user }
steps: [{ mirror: 100, hold: 1m }, { match: { headers: [{ name: x-tester, value: "1" }] } }, { weight: 5, hold: 2m }, { weight: 50, pause: true }, { weight: 100 }]
analysis: { interval: 10s, minRequests: 50, successRate: { min: 99.0 }, latency: { p99: { max: 500ms, maxIncrease: 20 } }, failureLimit: 2 }
onFailure: rollback`,
  ],
  [
    "Mesh",
    `tracing: { endpoint: "http://127.0.0.1:4317", protocol: grpc, sampling: 1, propagation: [tracecontext, b3] }
accessLog: { enabled: true, format: text, template: "%METHOD% %PATH%", filter: { errors: true, slowerThan: 1s } }
mtls: { mode: permissive }
egress: { allow: ["*.example.com", "api.example.org:443"] }
headers: { forwarded: true, via: false, requestId: true, shadowHost: true }`,
  ],
];
