// What a sidecar checks of every resource before it acts on it: that it is whole, in range, and safe to use without
// another look (regular expressions compile, nothing can break out of a header line). Strict: an unknown field is
// refused, because ignoring part of a rule is acting on another rule. Not for documents; see schema.ts for those.
import { type Resource, resourceName } from "./resource.ts";
import * as shape from "./resource-shape.ts";
import { patternOf } from "./routing/pattern.ts";

/** A resource that cannot be acted on: what a Nack carries. */
export class ResourceError extends Error {
  readonly resource: string;
  /** Field path, such as `rules[3].matches[0].path.value`; empty for the resource as a whole. */
  readonly path: string;

  constructor(resource: string, path: string, message: string) {
    super(message);
    this.name = "ResourceError";
    this.resource = resource;
    this.path = path;
  }
}

/**
 * Returns `body` as a resource.
 * @param name the name it came under, which must be the one that its content gives it
 * @param body parsed JSON
 * @throws ResourceError
 */
export function parseResource(name: string, body: unknown): Resource {
  try {
    const resource: Resource = checkResource(body);
    const ownName = resourceName(resource);
    if (ownName !== name) throw new shape.Mismatch(`holds ${ownName}`);
    return resource;
  } catch (error) {
    if (error instanceof shape.Mismatch) throw new ResourceError(name, error.path, error.message);
    throw error;
  }
}

const { either, flag, integer, list, mapOf, object, optional, quantity, tagged, text, word } = shape;

const PORT_MAX = 65_535;
/** Weights of the Gateway API (HTTPBackendRef.weight). */
const WEIGHT_MAX = 1_000_000;
/** Longest time that a timer holds: 2^31-1 ms. */
const MILLISECONDS_MAX = 2_147_483_647;

const port = integer(1, PORT_MAX);
const protocol = word("http", "h2c", "grpc", "tcp");
const portOrNone = integer(0, PORT_MAX);
const milliseconds = integer(0, MILLISECONDS_MAX);
const count = integer(0);
const service = text("NAMESPACE/NAME", /^[^/\s]+\/[^/\s]+$/);
const serviceOrNone = text("NAMESPACE/NAME or empty", /^(?:[^/\s]+\/[^/\s]+)?$/);
const address = text("HOST:PORT", /^(?:\[[0-9a-fA-F:.%]+\]|[^\s:/[\]]+):\d{1,5}$/);
const addressOrNone = text("HOST:PORT or empty", /^(?:(?:\[[0-9a-fA-F:.%]+\]|[^\s:/[\]]+):\d{1,5})?$/);
const status = integer(200, 599);
/** RFC 9110 section 5.6.2, lower case: what matches and removals are compared with. */
const lowerName = text("a lower-case header name", /^[!#$%&'*+\-.^_`|~0-9a-z]+$/);
const headerName = text("a header name", /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/);
/** RFC 9110 section 5.5 without the controls: whatever a rule says, it must not end the line. */
const headerValue = text("a header value without control characters", /^[\t\x20-\x7e\x80-\xff]*$/);
const hostname = text("a host name or empty", /^[^\s/?#@]*$/);
const absolutePath = text("a path that begins with /", /^\/[^\s?#]*$/);
const replacement = text("a path", /^[^\s?#]*$/);
const probePath = text("a path that begins with /", /^\/[^\s#]*$/);

const regularExpression: shape.Check<string> = (value) => {
  const source = text()(value);
  try {
    patternOf(source);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new shape.Mismatch(`is no RE2 regular expression: ${reason}`);
  }
  return source;
};

const pathMatch = tagged({
  Exact: object({ type: word("Exact"), value: absolutePath }),
  PathPrefix: object({ type: word("PathPrefix"), value: absolutePath }),
  RegularExpression: object({ type: word("RegularExpression"), value: regularExpression }),
});

function valueMatch(name: shape.Check<string>) {
  return tagged({
    Exact: object({ name, type: word("Exact"), value: text() }),
    RegularExpression: object({ name, type: word("RegularExpression"), value: regularExpression }),
  });
}

const routeMatch = object({
  path: pathMatch,
  method: text("a method or empty", /^[!#$%&'*+\-.^_`|~0-9A-Z]*$/),
  headers: list(valueMatch(lowerName)),
  query: list(valueMatch(text())),
});

const headerField = object({ name: headerName, value: headerValue });
const headerModifier = object({ set: list(headerField), add: list(headerField), remove: list(lowerName) });
const pathModifier = tagged({
  ReplaceFullPath: object({ type: word("ReplaceFullPath"), value: replacement }),
  ReplacePrefixMatch: object({ type: word("ReplacePrefixMatch"), value: replacement }),
});

const routeFilter = tagged({
  RequestHeaderModifier: object({ type: word("RequestHeaderModifier"), modifier: headerModifier }),
  ResponseHeaderModifier: object({ type: word("ResponseHeaderModifier"), modifier: headerModifier }),
  RequestRedirect: object({
    type: word("RequestRedirect"),
    scheme: text("a scheme or empty", /^[a-z][-+.a-z0-9]*$|^$/),
    hostname,
    path: optional(pathModifier),
    port: portOrNone,
    status: integer(300, 399),
  }),
  URLRewrite: object({ type: word("URLRewrite"), hostname, path: optional(pathModifier) }),
  RequestMirror: object({
    type: word("RequestMirror"),
    service,
    port: portOrNone,
    numerator: count,
    denominator: integer(1),
    methods: optional(list(text())),
  }),
  CORS: object({
    type: word("CORS"),
    allowOrigins: list(headerValue),
    allowMethods: list(headerValue),
    allowHeaders: list(headerValue),
    exposeHeaders: list(headerValue),
    allowCredentials: flag,
    maxAgeSeconds: count,
  }),
});

const routeRule = object({
  route: text("KIND NAMESPACE/NAME", /^[A-Za-z]+ [^/\s]+\/[^/\s]+$/),
  ruleIndex: count,
  ruleName: text(),
  createdAtMs: count,
  ports: list(port),
  fromNamespace: text(),
  matches: list(routeMatch, 1),
  filters: list(routeFilter),
  backends: list(
    object({
      service,
      port: portOrNone,
      weight: integer(0, WEIGHT_MAX),
      filters: list(routeFilter),
      invalid: text(),
    }),
  ),
  timeouts: object({ requestMs: optional(milliseconds), backendRequestMs: optional(milliseconds) }),
  retry: optional(object({ attempts: count, codes: list(integer(100, 599)), backoffMs: milliseconds })),
  split: optional(
    object({
      rollout: text(),
      key: optional(object({ type: word("header", "cookie", "claim", "query"), name: text() })),
      salt: text(),
      isLive: flag,
    }),
  ),
});

const hashOn = tagged({
  header: object({ type: word("header"), name: lowerName }),
  cookie: object({ type: word("cookie"), name: text() }),
  query: object({ type: word("query"), name: text() }),
  sourceIP: object({ type: word("sourceIP") }),
});

const trafficPolicy = object({
  origin: text(),
  loadBalancer: object({
    algorithm: word("round-robin", "random", "least-request", "peak-ewma", "ring-hash", "maglev"),
    hashOn: optional(hashOn),
    slowStartMs: milliseconds,
    adaptive: flag,
    hashBalanceFactor: count,
    zonePreference: optional(object({ minHealthyPercent: quantity(0, 100) })),
  }),
  connectionPool: object({
    maxConnections: integer(1),
    maxPendingRequests: count,
    maxRequests: count,
    maxRetries: count,
    maxRequestsPerConnection: count,
    connectTimeoutMs: milliseconds,
    idleTimeoutMs: milliseconds,
    keepAlive: optional(object({ intervalMs: milliseconds, timeoutMs: milliseconds })),
  }),
  timeout: object({
    requestMs: milliseconds,
    grpcRequestMs: milliseconds,
    perTryMs: milliseconds,
    idleMs: milliseconds,
  }),
  retry: object({
    attempts: count,
    on: list(either(integer(100, 599), text(), (value) => typeof value === "number")),
    methods: list(text()),
    backoff: object({ baseMs: milliseconds, maxMs: milliseconds }),
    budget: object({ percent: quantity(0, 100), minPerSecond: quantity(0, Number.MAX_SAFE_INTEGER) }),
    maxBodyBytes: count,
    hops: word("nearest", "every"),
    hedge: optional(
      object({
        after: either(milliseconds, text("p50 to p99", /^p\d\d$/), (value) => typeof value === "number"),
        max: integer(1),
      }),
    ),
  }),
  circuitBreaker: optional(
    object({
      errorThresholdPercentage: quantity(0, 100),
      volumeThreshold: integer(1),
      rollingWindowMs: integer(1, MILLISECONDS_MAX),
      resetTimeoutMs: integer(1, MILLISECONDS_MAX),
      halfOpenProbes: integer(1),
      scope: word("service", "endpoint"),
    }),
  ),
  outlierDetection: optional(
    object({
      consecutiveErrors: count,
      consecutiveGatewayErrors: count,
      consecutiveConnectFailures: count,
      intervalMs: integer(1, MILLISECONDS_MAX),
      baseEjectionTimeMs: milliseconds,
      maxEjectionTimeMs: milliseconds,
      keepAtLeast: count,
      successRate: optional(
        object({ stdevFactor: quantity(0, Number.MAX_SAFE_INTEGER), minHosts: count, minRequests: count }),
      ),
      failurePercentage: optional(object({ threshold: quantity(0, 100), minHosts: count, minRequests: count })),
      panicThreshold: quantity(0, 100),
    }),
  ),
  healthCheck: optional(
    object({
      probe: tagged({
        http: object({
          type: word("http"),
          path: probePath,
          host: hostname,
          expectedStatuses: list(integer(100, 599)),
        }),
        tcp: object({ type: word("tcp") }),
        grpc: object({ type: word("grpc"), service: text() }),
      }),
      port: portOrNone,
      intervalMs: integer(1, MILLISECONDS_MAX),
      timeoutMs: integer(1, MILLISECONDS_MAX),
      unhealthyThreshold: integer(1),
      healthyThreshold: integer(1),
      jitterPercent: quantity(0, 100),
    }),
  ),
  fallback: optional(
    object({
      staleForMs: milliseconds,
      service: serviceOrNone,
      answer: optional(object({ status, headers: mapOf(headerValue, headerName), body: text() })),
    }),
  ),
});

const rateRule = object({
  name: text(),
  requests: integer(1),
  perMs: integer(1, MILLISECONDS_MAX),
  burst: integer(1),
  key: tagged({
    header: object({ type: word("header"), name: lowerName }),
    all: object({ type: word("all") }),
    sourceIP: object({ type: word("sourceIP") }),
    identity: object({ type: word("identity") }),
    path: object({ type: word("path") }),
  }),
  matches: list(routeMatch),
  maxKeys: integer(1),
  reportOnly: flag,
});

const rateLimit = object({
  origin: text(),
  limits: list(rateRule),
  concurrency: optional(
    object({ max: integer(1), queue: count, queueTimeoutMs: milliseconds, adaptive: flag, reportOnly: flag }),
  ),
  shedding: optional(object({ eventLoopDelayMs: milliseconds, heapPercent: quantity(0, 100) })),
});

const fault = object({
  origin: text(),
  matches: list(routeMatch),
  delay: optional(object({ percent: quantity(0, 100), durationMs: milliseconds })),
  abort: optional(object({ percent: quantity(0, 100), status, grpcStatus: integer(-1, 16) })),
});

const endpoint = object({
  id: text(),
  address: addressOrNone,
  addresses: mapOf(address, text("a port number", /^\d{1,5}$/)),
  weight: count,
  zone: text(),
  version: text(),
  labels: mapOf(text()),
  mesh: flag,
});

const otlpTarget = { endpoint: text(), protocol: word("grpc", "http") };

const tracing = object({
  ...otlpTarget,
  samplingPercent: quantity(0, 100),
  propagation: list(word("tracecontext", "baggage", "b3", "b3multi")),
  tail: object({ errors: flag, slowerThanMs: milliseconds, maxPerSecond: quantity(0, Number.MAX_SAFE_INTEGER) }),
  attributes: mapOf(text()),
});

const accessLog = object({
  enabled: flag,
  format: word("json", "text"),
  template: text(),
  file: text(),
  otlp: optional(object(otlpTarget)),
  filter: object({ errors: flag, slowerThanMs: milliseconds, samplingPercent: quantity(0, 100) }),
  headers: list(text()),
});

const checkResource = tagged({
  service: object({
    type: word("service"),
    service,
    ports: list(object({ port, protocol, keepsHttp1: optional(flag) }), 1),
    implied: flag,
    rules: list(routeRule),
    policy: trafficPolicy,
  }),
  endpoints: object({ type: word("endpoints"), service, endpoints: list(endpoint) }),
  inbound: object({
    type: word("inbound"),
    protocol,
    service,
    rateLimits: list(rateLimit),
    faults: list(fault),
    documents: list(object({ kind: text(), name: text(), spec: (value: unknown): unknown => value })),
  }),
  mesh: object({
    type: word("mesh"),
    egress: object({ allow: list(text()) }),
    tracing: optional(tracing),
    accessLog,
    metrics: object({ maxSeries: integer(1), otlp: optional(object({ ...otlpTarget, intervalMs: integer(1) })) }),
    mtls: object({ mode: word("off", "permissive", "strict") }),
    headers: object({ forwarded: flag, via: flag, requestId: flag, shadowHost: flag }),
  }),
}) satisfies shape.Check<Resource>;
