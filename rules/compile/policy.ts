// A TrafficPolicy document, or none, -> the policy with every default filled in.
import { type DefaultedField, defaultOf } from "../defaults.ts";
import { qualifiedName } from "../diagnostic.ts";
import { type Document, documentKey, documentTitle } from "../document.ts";
import { parseDuration } from "../durations.ts";
import type { TrafficPolicyResource } from "../resource.ts";
import type { TrafficPolicySpec } from "../schema/traffic-policy.ts";

type Sections = Partial<TrafficPolicySpec>;
type Section<Name extends keyof TrafficPolicySpec> = TrafficPolicySpec[Name];
type DurationField = {
  [F in DefaultedField]: ReturnType<typeof defaultOf<F>> extends number ? F : never;
}[DefaultedField];

export function compilePolicy(document: Document<TrafficPolicySpec> | undefined): TrafficPolicyResource {
  const spec: Sections = document?.spec ?? {};
  return {
    origin: document === undefined ? "" : documentTitle(documentKey(document)),
    loadBalancer: compileLoadBalancer(spec.loadBalancer),
    connectionPool: compilePool(spec.connectionPool),
    timeout: {
      requestMs: time(spec.timeout?.request, "TrafficPolicy.spec.timeout.request"),
      perTryMs: time(spec.timeout?.perTry, "TrafficPolicy.spec.timeout.perTry"),
      idleMs: time(spec.timeout?.idle, "TrafficPolicy.spec.timeout.idle"),
    },
    retry: compileRetry(spec.retry),
    circuitBreaker: compileBreaker(spec.circuitBreaker),
    outlierDetection: compileOutliers(spec.outlierDetection),
    healthCheck: compileHealthCheck(spec.healthCheck),
    fallback: compileFallback(spec.fallback, document?.metadata.namespace ?? ""),
  };
}

/** Milliseconds of a duration, or of its default. */
function time(duration: string | undefined, field: DurationField): number {
  const written = duration === undefined ? undefined : parseDuration(duration);
  return written ?? defaultOf(field);
}

function compileLoadBalancer(spec: Section<"loadBalancer">): TrafficPolicyResource["loadBalancer"] {
  return {
    algorithm: spec?.algorithm ?? defaultOf("TrafficPolicy.spec.loadBalancer.algorithm"),
    hashOn: compileHashOn(spec?.hashOn),
    slowStartMs: time(spec?.slowStart, "TrafficPolicy.spec.loadBalancer.slowStart"),
  };
}

function compileHashOn(
  spec: NonNullable<Section<"loadBalancer">>["hashOn"],
): TrafficPolicyResource["loadBalancer"]["hashOn"] {
  if (spec?.header !== undefined) return { type: "header", name: spec.header.toLowerCase() };
  if (spec?.cookie !== undefined) return { type: "cookie", name: spec.cookie };
  if (spec?.query !== undefined) return { type: "query", name: spec.query };
  return spec?.sourceIP === true ? { type: "sourceIP" } : undefined;
}

function compilePool(spec: Section<"connectionPool">): TrafficPolicyResource["connectionPool"] {
  const field = "TrafficPolicy.spec.connectionPool";
  return {
    maxConnections: spec?.maxConnections ?? defaultOf(`${field}.maxConnections`),
    maxPendingRequests: spec?.maxPendingRequests ?? defaultOf(`${field}.maxPendingRequests`),
    maxRequests: spec?.maxRequests ?? defaultOf(`${field}.maxRequests`),
    maxRequestsPerConnection: spec?.maxRequestsPerConnection ?? defaultOf(`${field}.maxRequestsPerConnection`),
    connectTimeoutMs: time(spec?.connectTimeout, `${field}.connectTimeout`),
    idleTimeoutMs: time(spec?.idleTimeout, `${field}.idleTimeout`),
  };
}

function compileRetry(spec: Section<"retry">): TrafficPolicyResource["retry"] {
  const field = "TrafficPolicy.spec.retry";
  return {
    attempts: spec?.attempts ?? defaultOf(`${field}.attempts`),
    on: spec?.on ?? defaultOf(`${field}.on`),
    methods: spec?.methods ?? defaultOf(`${field}.methods`),
    backoff: {
      baseMs: time(spec?.backoff?.base, `${field}.backoff.base`),
      maxMs: time(spec?.backoff?.max, `${field}.backoff.max`),
    },
    budget: {
      percent: spec?.budget?.percent ?? defaultOf(`${field}.budget.percent`),
      minPerSecond: spec?.budget?.minPerSecond ?? defaultOf(`${field}.budget.minPerSecond`),
    },
    maxBodyBytes: spec?.maxBodyBytes ?? defaultOf(`${field}.maxBodyBytes`),
  };
}

function compileBreaker(spec: Section<"circuitBreaker">): TrafficPolicyResource["circuitBreaker"] {
  if (spec === undefined) return undefined;
  const field = "TrafficPolicy.spec.circuitBreaker";
  return {
    errorThresholdPercentage: spec.errorThresholdPercentage ?? defaultOf(`${field}.errorThresholdPercentage`),
    volumeThreshold: spec.volumeThreshold ?? defaultOf(`${field}.volumeThreshold`),
    rollingWindowMs: time(spec.rollingWindow, `${field}.rollingWindow`),
    resetTimeoutMs: time(spec.resetTimeout, `${field}.resetTimeout`),
  };
}

function compileOutliers(spec: Section<"outlierDetection">): TrafficPolicyResource["outlierDetection"] {
  if (spec === undefined) return undefined;
  const field = "TrafficPolicy.spec.outlierDetection";
  return {
    consecutiveErrors: spec.consecutiveErrors ?? defaultOf(`${field}.consecutiveErrors`),
    intervalMs: time(spec.interval, `${field}.interval`),
    baseEjectionTimeMs: time(spec.baseEjectionTime, `${field}.baseEjectionTime`),
    maxEjectionTimeMs: time(spec.maxEjectionTime, `${field}.maxEjectionTime`),
    keepAtLeast: spec.keepAtLeast ?? defaultOf(`${field}.keepAtLeast`),
  };
}

/** Only HTTP probes have a compiled form; the others are without effect here. */
function compileHealthCheck(spec: Section<"healthCheck">): TrafficPolicyResource["healthCheck"] {
  if (spec?.http === undefined) return undefined;
  const field = "TrafficPolicy.spec.healthCheck";
  return {
    path: spec.http.path,
    intervalMs: time(spec.interval, `${field}.interval`),
    timeoutMs: time(spec.timeout, `${field}.timeout`),
    unhealthyThreshold: spec.unhealthyThreshold ?? defaultOf(`${field}.unhealthyThreshold`),
    healthyThreshold: spec.healthyThreshold ?? defaultOf(`${field}.healthyThreshold`),
  };
}

function compileFallback(spec: Section<"fallback">, namespace: string): TrafficPolicyResource["fallback"] {
  if (spec === undefined) return undefined;
  if (spec.service !== undefined) return { service: qualifiedName(spec.namespace ?? namespace, spec.service) };
  if (spec.status === undefined && spec.headers === undefined && spec.body === undefined) return undefined;
  return {
    status: spec.status ?? defaultOf("TrafficPolicy.spec.fallback.status"),
    headers: spec.headers ?? {},
    body: spec.body ?? "",
  };
}
