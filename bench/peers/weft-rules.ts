// Rules for the sidecar under load, with features switched one by one.
import { ROUTES, routePath } from "../load/messages.ts";

export interface Features {
  /** A thousand routes, exact paths and prefixes. Without it there is no route at all. */
  readonly routes: boolean;
  /** Each route splits 95 to 5 over two services. */
  readonly split: boolean;
  /** Choice of the less loaded of two endpoints; else one after the other. */
  readonly leastRequest: boolean;
  /** Timeouts of the whole request and of one try. */
  readonly timeouts: boolean;
  /** Retries armed, with a budget. */
  readonly retries: boolean;
  /** Circuit breaker and outlier detection. */
  readonly breaker: boolean;
  /** via, x-forwarded-for, -proto and -host, x-request-id. */
  readonly hopFields: boolean;
  /** Traces for one request in a hundred. */
  readonly tracing: boolean;
  /** Percent of the requests that are traced (default 1), and the collector, if there is one. */
  readonly sampling?: number;
  readonly collector?: string;
  /** One line for every request, into nothing. */
  readonly accessLog: boolean;
  /** Of the services' ports. */
  readonly protocol?: "http" | "h2c" | "grpc";
}

export const NO_FEATURES: Features = {
  routes: false,
  split: false,
  leastRequest: false,
  timeouts: false,
  retries: false,
  breaker: false,
  hopFields: false,
  tracing: false,
  accessLog: false,
};

/** As in production: all but the access log, which is off by default. */
export const ALL_FEATURES: Features = {
  routes: true,
  split: true,
  leastRequest: true,
  timeouts: true,
  retries: true,
  breaker: true,
  hopFields: true,
  tracing: false,
  accessLog: false,
};

const RULES_PER_ROUTE = 10;
const POOL = { maxConnections: 16_384, maxPendingRequests: 16_384, maxRequests: 16_384, idleTimeout: "60s" };

/** The documents, as one YAML text. */
export function weftRules(features: Features, endpointPorts: readonly number[]): string {
  const addresses = endpointPorts.map((port) => ({ address: `127.0.0.1:${port}` }));
  const [first = { address: "" }, ...others] = addresses;
  const second = others[0] ?? first;
  const documents = [
    ...service("orders", [first], features),
    ...service("orders-v1", [first, ...others], features),
    ...service("orders-v2", [second], features),
    mesh(features),
    ...(features.routes ? routes(features) : []),
  ];
  return documents.map((document) => `${JSON.stringify(document)}\n`).join("---\n");
}

function service(name: string, endpoints: readonly object[], features: Features): object[] {
  const spec = { ports: [{ port: 80, protocol: features.protocol ?? "http" }], endpoints };
  return [
    { apiVersion: "weft.mesh/v1", kind: "Service", metadata: { name }, spec },
    { apiVersion: "weft.mesh/v1", kind: "TrafficPolicy", metadata: { name }, spec: policy(name, features) },
  ];
}

function policy(name: string, features: Features): object {
  return {
    targetRef: { kind: "Service", name },
    connectionPool: POOL,
    loadBalancer: { algorithm: features.leastRequest ? "least-request" : "round-robin" },
    timeout: features.timeouts ? { request: "15s", perTry: "5s", idle: "5m" } : { request: "0s", perTry: "0s" },
    retry: features.retries
      ? { attempts: 2, on: ["connect-failure", "reset", 502, 503, 504], budget: { percent: 20 } }
      : { attempts: 0 },
    ...(features.breaker
      ? { circuitBreaker: { errorThresholdPercentage: 50 }, outlierDetection: { consecutiveErrors: 5 } }
      : {}),
  };
}

function mesh({ hopFields, tracing, sampling = 1, collector = "http://127.0.0.1:4318", accessLog }: Features): object {
  const headers = { via: hopFields, forwarded: hopFields, requestId: hopFields };
  const traces = { endpoint: collector, protocol: "http", sampling };
  return {
    apiVersion: "weft.mesh/v1",
    kind: "Mesh",
    metadata: { name: "mesh" },
    spec: { headers, accessLog: { enabled: accessLog }, ...(tracing ? { tracing: traces } : {}) },
  };
}

function routes(features: Features): object[] {
  return Array.from({ length: ROUTES / RULES_PER_ROUTE }, (_, route) => ({
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    metadata: { name: `orders-${route}` },
    spec: {
      parentRefs: [{ group: "", kind: "Service", name: "orders" }],
      rules: Array.from({ length: RULES_PER_ROUTE }, (_, rule) => routeRule(route * RULES_PER_ROUTE + rule, features)),
    },
  }));
}

function routeRule(number: number, features: Features): object {
  const type = number % 2 === 0 ? "Exact" : "PathPrefix";
  const first = { name: "orders-v1", port: 80, weight: 95 };
  return {
    matches: [{ path: { type, value: routePath(number) } }],
    backendRefs: features.split ? [first, { name: "orders-v2", port: 80, weight: 5 }] : [first],
  };
}
