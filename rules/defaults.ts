// Every default of the rule language: what an absent field means, with its unit and the reason. The compiler fills
// them in; docs/rules.md shows them. Not limits (schema/limits.ts), which nobody can change.

import { type Default, MESH_DEFAULTS } from "./defaults-mesh.ts";
import { formatDuration } from "./durations.ts";

/** By kind and field path. Times are in milliseconds whatever the documents write. */
export const DEFAULTS = {
  "Service.spec.ports[].port": {
    value: 80,
    unit: "port",
    reason: "the port of plain HTTP, which callers need not name",
  },
  "Service.spec.ports[].protocol": {
    value: "http",
    unit: "",
    reason: "most services speak HTTP/1.1; nothing is guessed by waiting",
  },
  "Service.spec.endpoints[].weight": { value: 1, unit: "share", reason: "equal shares" },

  "HTTPRoute.spec.rules[].matches[].path.type": { value: "PathPrefix", unit: "", reason: "Gateway API" },
  "HTTPRoute.spec.rules[].matches[].path.value": { value: "/", unit: "", reason: "Gateway API: every path" },
  "HTTPRoute.spec.rules[].matches[].headers[].type": { value: "Exact", unit: "", reason: "Gateway API" },
  "HTTPRoute.spec.rules[].matches[].queryParams[].type": { value: "Exact", unit: "", reason: "Gateway API" },
  "HTTPRoute.spec.rules[].backendRefs[].weight": { value: 1, unit: "share", reason: "Gateway API: equal shares" },
  "HTTPRoute.spec.rules[].filters[].requestRedirect.statusCode": { value: 302, unit: "status", reason: "Gateway API" },
  "HTTPRoute.spec.rules[].filters[].requestMirror.percent": {
    value: 100,
    unit: "percent",
    reason: "Gateway API: every request",
  },
  "HTTPRoute.spec.rules[].filters[].requestMirror.fraction.denominator": {
    value: 100,
    unit: "",
    reason: "Gateway API",
  },
  "HTTPRoute.spec.rules[].filters[].cors.maxAge": {
    value: 5,
    unit: "s",
    reason: "Gateway API; what browsers assume without the header",
  },
  "HTTPRoute.spec.rules[].filters[].cors.allowCredentials": {
    value: false,
    unit: "",
    reason: "Gateway API; credentials across origins must be asked for",
  },
  "HTTPRoute.spec.rules[].retry.attempts": {
    value: 1,
    unit: "retries",
    reason: "one retry answers most transient failures; more multiplies load",
  },
  "HTTPRoute.spec.rules[].retry.codes": {
    value: [502, 503, 504],
    unit: "statuses",
    reason: "what a proxy answers for a server that it could not use",
  },
  "HTTPRoute.spec.rules[].retry.backoff": {
    value: 25,
    unit: "ms",
    reason: "as Envoy: long enough for another endpoint, short for a user",
  },
  "GRPCRoute.spec.rules[].matches[].method.type": { value: "Exact", unit: "", reason: "Gateway API" },
  "GRPCRoute.spec.rules[].matches[].headers[].type": { value: "Exact", unit: "", reason: "Gateway API" },
  "GRPCRoute.spec.rules[].backendRefs[].weight": { value: 1, unit: "share", reason: "Gateway API: equal shares" },

  "TrafficPolicy.spec.loadBalancer.algorithm": {
    value: "least-request",
    unit: "",
    reason: "of two random endpoints the less busy one: steers round slow endpoints, costs no more",
  },
  "TrafficPolicy.spec.loadBalancer.slowStart": {
    value: 0,
    unit: "ms",
    reason: "off: a delay that nobody asked for looks like a fault",
  },
  "TrafficPolicy.spec.loadBalancer.hashBalanceFactor": {
    value: 0,
    unit: "percent",
    reason: "off, as Envoy: a key that moves when its endpoint is busy is not where its cache is",
  },
  "TrafficPolicy.spec.loadBalancer.adaptive": {
    value: false,
    unit: "",
    reason: "weights that move by themselves must be asked for",
  },
  "TrafficPolicy.spec.loadBalancer.zonePreference.minHealthyPercent": {
    value: 70,
    unit: "percent",
    reason: "spills over before the own zone's endpoints carry half as much again",
  },
  "TrafficPolicy.spec.connectionPool.maxConnections": {
    value: 1024,
    unit: "connections",
    reason: "as Envoy: far above normal use, far below a process's descriptors",
  },
  "TrafficPolicy.spec.connectionPool.maxPendingRequests": {
    value: 1024,
    unit: "requests",
    reason: "as Envoy: a bound on memory when a service stops answering",
  },
  "TrafficPolicy.spec.connectionPool.maxRequests": { value: 1024, unit: "requests", reason: "as Envoy" },
  "TrafficPolicy.spec.connectionPool.maxRetries": {
    value: 1024,
    unit: "retries",
    reason: "the budget is what limits retries; this is only a bound",
  },
  "TrafficPolicy.spec.connectionPool.maxRequestsPerConnection": {
    value: 0,
    unit: "requests",
    reason: "no bound: new connections cost latency",
  },
  "TrafficPolicy.spec.connectionPool.connectTimeout": {
    value: 1000,
    unit: "ms",
    reason: "as Linkerd: within a data centre a second is a lost SYN, and another endpoint is tried",
  },
  "TrafficPolicy.spec.connectionPool.idleTimeout": {
    value: 4000,
    unit: "ms",
    reason: "under the 5 s after which Node servers close, so that no request meets a closing connection",
  },
  "TrafficPolicy.spec.connectionPool.keepAlive.interval": {
    value: 300_000,
    unit: "ms",
    reason:
      "gRFC A8: gRPC servers call more than one PING in 5 min a flood; without `keepAlive` other sidecars are asked after 10 s",
  },
  "TrafficPolicy.spec.connectionPool.keepAlive.timeout": {
    value: 20_000,
    unit: "ms",
    reason: "gRFC A8; without `keepAlive` other sidecars have 10 s",
  },
  "TrafficPolicy.spec.timeout.request": { value: 15_000, unit: "ms", reason: "as Envoy: retries included" },
  "TrafficPolicy.spec.timeout.perTry": {
    value: 0,
    unit: "ms",
    reason: "off: a slow answer is better than the same work done twice",
  },
  "TrafficPolicy.spec.timeout.idle": { value: 300_000, unit: "ms", reason: "as Envoy's stream idle timeout" },
  "TrafficPolicy.spec.retry.attempts": {
    value: 2,
    unit: "retries",
    reason: "as Istio: rides over one bad endpoint and one bad moment",
  },
  "TrafficPolicy.spec.retry.on": {
    value: ["connect-failure", "reset", "refused-stream", 502, 503, 504],
    unit: "",
    reason: "failures of the way to the service, not answers of the service",
  },
  "TrafficPolicy.spec.retry.methods": {
    value: ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"],
    unit: "",
    reason: "RFC 9110 section 9.2.2: idempotent; a POST is never repeated unasked",
  },
  "TrafficPolicy.spec.retry.backoff.base": { value: 25, unit: "ms", reason: "as Envoy, with full jitter" },
  "TrafficPolicy.spec.retry.backoff.max": { value: 250, unit: "ms", reason: "as Envoy: ten times the base" },
  "TrafficPolicy.spec.retry.budget.percent": {
    value: 20,
    unit: "percent",
    reason: "as Linkerd and the Gateway API: retries add a fifth of load at most",
  },
  "TrafficPolicy.spec.retry.budget.minPerSecond": {
    value: 10,
    unit: "retries",
    reason: "as Linkerd: quiet services can retry too",
  },
  "TrafficPolicy.spec.retry.maxBodyBytes": {
    value: 65_536,
    unit: "bytes",
    reason: "as Linkerd: memory per request in flight",
  },
  "TrafficPolicy.spec.retry.hops": {
    value: "nearest",
    unit: "",
    reason: "four hops that each retry a fifth double the load of a leaf that is down",
  },
  "TrafficPolicy.spec.retry.hedge.max": {
    value: 1,
    unit: "requests",
    reason: "the second copy gives nearly all of the gain",
  },
  "TrafficPolicy.spec.circuitBreaker.errorThresholdPercentage": {
    value: 50,
    unit: "percent",
    reason: "as opossum and Hystrix",
  },
  "TrafficPolicy.spec.circuitBreaker.volumeThreshold": {
    value: 20,
    unit: "requests",
    reason: "as Hystrix: one failed request of one is no outage",
  },
  "TrafficPolicy.spec.circuitBreaker.rollingWindow": { value: 10_000, unit: "ms", reason: "as opossum and Hystrix" },
  "TrafficPolicy.spec.circuitBreaker.resetTimeout": {
    value: 5000,
    unit: "ms",
    reason: "as Hystrix: a restart takes about as long",
  },
  "TrafficPolicy.spec.circuitBreaker.halfOpenProbes": {
    value: 1,
    unit: "requests",
    reason: "as opossum and Hystrix: one request decides",
  },
  "TrafficPolicy.spec.circuitBreaker.scope": {
    value: "service",
    unit: "",
    reason: "single endpoints are what outlier detection is for",
  },
  "TrafficPolicy.spec.outlierDetection.consecutiveErrors": { value: 5, unit: "answers", reason: "as Envoy" },
  "TrafficPolicy.spec.outlierDetection.consecutiveGatewayErrors": {
    value: 0,
    unit: "answers",
    reason: "off: consecutiveErrors counts them too",
  },
  "TrafficPolicy.spec.outlierDetection.consecutiveConnectFailures": {
    value: 0,
    unit: "connections",
    reason: "off: consecutiveErrors counts them too",
  },
  "TrafficPolicy.spec.outlierDetection.interval": { value: 10_000, unit: "ms", reason: "as Envoy" },
  "TrafficPolicy.spec.outlierDetection.baseEjectionTime": { value: 30_000, unit: "ms", reason: "as Envoy" },
  "TrafficPolicy.spec.outlierDetection.maxEjectionTime": { value: 300_000, unit: "ms", reason: "as Envoy" },
  "TrafficPolicy.spec.outlierDetection.keepAtLeast": {
    value: 1,
    unit: "endpoints",
    reason: "the last endpoint is never ejected: a share in percent means all or nothing for few hosts",
  },
  "TrafficPolicy.spec.outlierDetection.successRate.stdevFactor": { value: 1.9, unit: "deviations", reason: "as Envoy" },
  "TrafficPolicy.spec.outlierDetection.successRate.minHosts": {
    value: 5,
    unit: "endpoints",
    reason: "as Envoy: a deviation needs a crowd",
  },
  "TrafficPolicy.spec.outlierDetection.successRate.minRequests": { value: 100, unit: "requests", reason: "as Envoy" },
  "TrafficPolicy.spec.outlierDetection.failurePercentage.threshold": { value: 85, unit: "percent", reason: "as Envoy" },
  "TrafficPolicy.spec.outlierDetection.failurePercentage.minHosts": { value: 5, unit: "endpoints", reason: "as Envoy" },
  "TrafficPolicy.spec.outlierDetection.failurePercentage.minRequests": {
    value: 50,
    unit: "requests",
    reason: "as Envoy",
  },
  "TrafficPolicy.spec.outlierDetection.panicThreshold": {
    value: 0,
    unit: "percent",
    reason: "off, as Istio: it hides ejections; keepAtLeast is the safety",
  },
  "TrafficPolicy.spec.healthCheck.interval": { value: 10_000, unit: "ms", reason: "what registries commonly use" },
  "TrafficPolicy.spec.healthCheck.timeout": { value: 2000, unit: "ms", reason: "what registries commonly use" },
  "TrafficPolicy.spec.healthCheck.unhealthyThreshold": {
    value: 3,
    unit: "probes",
    reason: "as HAProxy: one lost packet is no outage",
  },
  "TrafficPolicy.spec.healthCheck.healthyThreshold": { value: 2, unit: "probes", reason: "as HAProxy" },
  "TrafficPolicy.spec.healthCheck.jitterPercent": {
    value: 10,
    unit: "percent",
    reason: "so that sidecars do not probe in step",
  },
  "TrafficPolicy.spec.fallback.status": { value: 200, unit: "status", reason: "a fallback is an answer, not an error" },

  "RateLimit.spec.limits[].maxKeys": {
    value: 10_000,
    unit: "keys",
    reason: "about a megabyte; without a bound a stranger chooses our memory",
  },
  "RateLimit.spec.limits[].mode": { value: "enforce", unit: "", reason: "what a limit is for" },
  "RateLimit.spec.concurrency.max": {
    value: 1000,
    unit: "requests",
    reason: "as Envoy's adaptive limit; only with adaptive: true may it be absent",
  },
  "RateLimit.spec.concurrency.queue": {
    value: 0,
    unit: "requests",
    reason: "no waiting: a queue adds latency when there is already too much",
  },
  "RateLimit.spec.concurrency.queueTimeout": {
    value: 500,
    unit: "ms",
    reason: "longer waits are answered after the caller has gone",
  },
  "RateLimit.spec.concurrency.adaptive": {
    value: false,
    unit: "",
    reason: "a limit that moves by itself must be asked for",
  },
  "RateLimit.spec.concurrency.mode": { value: "enforce", unit: "", reason: "what a limit is for" },
  "Authorization.spec.action": { value: "allow", unit: "", reason: "as Istio" },
  "Authorization.spec.mode": { value: "enforce", unit: "", reason: "what a rule is for" },
  "Authentication.spec.jwt.required": { value: true, unit: "", reason: "who writes the document wants tokens" },
  "Authentication.spec.jwt.providers[].jwks.refresh": {
    value: 300_000,
    unit: "ms",
    reason: "as Envoy: new keys are seen before old ones end",
  },
  "Authentication.spec.jwt.providers[].from.header": {
    value: "authorization",
    unit: "",
    reason: "RFC 6750 section 2.1",
  },
  "Authentication.spec.jwt.providers[].from.prefix": { value: "Bearer ", unit: "", reason: "RFC 6750 section 2.1" },
  "Authentication.spec.jwt.providers[].forward": {
    value: true,
    unit: "",
    reason: "services that check tokens themselves keep working",
  },
  "Authentication.spec.jwt.providers[].clockSkew": { value: 60_000, unit: "ms", reason: "as Envoy" },

  "Rollout.spec.analysis.interval": {
    value: 10_000,
    unit: "ms",
    reason: "long enough to count, short enough to hurt few",
  },
  "Rollout.spec.analysis.minRequests": { value: 50, unit: "requests", reason: "fewer are no evidence" },
  "Rollout.spec.analysis.successRate.maxDecrease": {
    value: 0.1,
    unit: "percentage points",
    reason: "stable is always compared with; less is not worth a rollback at night",
  },
  "Rollout.spec.analysis.failureLimit": { value: 2, unit: "analyses", reason: "one bad interval is noise" },
  "Rollout.spec.analysis.whenQuiet": { value: "hold", unit: "", reason: "no data is never a verdict" },
  "Rollout.spec.analysis.webhooks[].timeout": { value: 10_000, unit: "ms", reason: "one analysis interval" },
  "Rollout.spec.onFailure": { value: "rollback", unit: "", reason: "the safe side at 2 a.m." },
  "Rollout.spec.steps[].hold": {
    value: 0,
    unit: "ms",
    reason: "a step without a time ends with its first good analysis",
  },
  "Rollout.spec.steps[].pause": { value: false, unit: "", reason: "releases run by themselves unless told" },
  "Rollout.spec.steps[].allMethods": { value: false, unit: "", reason: "a mirrored write is a second write" },
  ...MESH_DEFAULTS,
} as const satisfies Readonly<Record<string, Default>>;

export type DefaultedField = keyof typeof DEFAULTS;

/** The value that stands for an absent field; `defaultOf("TrafficPolicy.spec.timeout.request")` is 15000. */
export function defaultOf<Field extends DefaultedField>(field: Field): (typeof DEFAULTS)[Field]["value"] {
  return DEFAULTS[field].value;
}

/** The defaults as a Markdown table, for docs/rules.md. */
export function defaultsTable(): string {
  const rows = Object.entries(DEFAULTS).map(
    ([field, { value, unit, reason }]) => `| \`${field}\` | ${shownValue(value, unit)} | ${reason} |\n`,
  );
  return `| field | default | why |\n|---|---|---|\n${rows.join("")}`;
}

function shownValue(value: Default["value"], unit: string): string {
  if (unit === "ms" && typeof value === "number") return `\`${formatDuration(value)}\``;
  const shown = typeof value === "string" ? JSON.stringify(value) : JSON.stringify(value).replaceAll(",", ", ");
  return unit === "" ? `\`${shown}\`` : `\`${shown}\` ${unit}`;
}
