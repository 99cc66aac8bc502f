// A TrafficPolicy document, or none, -> the policy with every default filled in.
import { type DefaultedField, defaultOf } from "../defaults.ts";
import { qualifiedName } from "../diagnostic.ts";
import { type Document, documentKey, documentTitle } from "../document.ts";
import { parseDuration } from "../durations.ts";
import type { FallbackResource, HealthProbe, TrafficPolicyResource } from "../resource.ts";
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
      // A call of gRPC may stream for hours, and says itself how long it may take.
      grpcRequestMs: time(spec.timeout?.request ?? "0s", "TrafficPolicy.spec.timeout.request"),
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
    adaptive: spec?.adaptive ?? defaultOf("TrafficPolicy.spec.loadBalancer.adaptive"),
    hashBalanceFactor: spec?.hashBalanceFactor ?? defaultOf("TrafficPolicy.spec.loadBalancer.hashBalanceFactor"),
    zonePreference: compileZones(spec?.zonePreference),
  };
}

function compileZones(
  spec: NonNullable<Section<"loadBalancer">>["zonePreference"],
): TrafficPolicyResource["loadBalancer"]["zonePreference"] {
  if (spec?.enabled !== true) return undefined;
  const field = "TrafficPolicy.spec.loadBalancer.zonePreference.minHealthyPercent";
  return { minHealthyPercent: spec.minHealthyPercent ?? defaultOf(field) };
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
    maxRetries: spec?.maxRetries ?? defaultOf(`${field}.maxRetries`),
    maxRequestsPerConnection: spec?.maxRequestsPerConnection ?? defaultOf(`${field}.maxRequestsPerConnection`),
    connectTimeoutMs: time(spec?.connectTimeout, `${field}.connectTimeout`),
    idleTimeoutMs: time(spec?.idleTimeout, `${field}.idleTimeout`),
    keepAlive: compileKeepAlive(spec?.keepAlive),
  };
}

function compileKeepAlive(
  spec: NonNullable<Section<"connectionPool">>["keepAlive"],
): TrafficPolicyResource["connectionPool"]["keepAlive"] {
  if (spec === undefined) return undefined;
  const field = "TrafficPolicy.spec.connectionPool.keepAlive";
  return { intervalMs: time(spec.interval, `${field}.interval`), timeoutMs: time(spec.timeout, `${field}.timeout`) };
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
    hops: spec?.hops ?? defaultOf(`${field}.hops`),
    hedge: compileHedge(spec?.hedge),
  };
}

function compileHedge(spec: NonNullable<Section<"retry">>["hedge"]): TrafficPolicyResource["retry"]["hedge"] {
  if (spec === undefined) return undefined;
  // A percentile such as p95 is no duration and stays a word.
  return {
    after: parseDuration(spec.after) ?? spec.after,
    max: spec.max ?? defaultOf("TrafficPolicy.spec.retry.hedge.max"),
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
    halfOpenProbes: spec.halfOpenProbes ?? defaultOf(`${field}.halfOpenProbes`),
    scope: spec.scope ?? defaultOf(`${field}.scope`),
  };
}

/**
 * Without a word about outliers: an endpoint to which no connection can be made is let alone until it can be made again.
 * A killed instance stays registered until its lease ends, and each request that finds out anew pays for it. What a
 * service answers is judged only where somebody asks for it.
 */
const UNREACHABLE_ONLY: NonNullable<TrafficPolicyResource["outlierDetection"]> = {
  consecutiveErrors: 0,
  consecutiveGatewayErrors: 0,
  consecutiveConnectFailures: 2,
  intervalMs: 10_000,
  baseEjectionTimeMs: 5_000,
  maxEjectionTimeMs: 30_000,
  keepAtLeast: 1,
  successRate: undefined,
  failurePercentage: undefined,
  panicThreshold: 0,
};

function compileOutliers(spec: Section<"outlierDetection">): TrafficPolicyResource["outlierDetection"] {
  if (spec === undefined) return UNREACHABLE_ONLY;
  const field = "TrafficPolicy.spec.outlierDetection";
  return {
    consecutiveErrors: spec.consecutiveErrors ?? defaultOf(`${field}.consecutiveErrors`),
    consecutiveGatewayErrors: spec.consecutiveGatewayErrors ?? defaultOf(`${field}.consecutiveGatewayErrors`),
    consecutiveConnectFailures: spec.consecutiveConnectFailures ?? defaultOf(`${field}.consecutiveConnectFailures`),
    intervalMs: time(spec.interval, `${field}.interval`),
    baseEjectionTimeMs: time(spec.baseEjectionTime, `${field}.baseEjectionTime`),
    maxEjectionTimeMs: time(spec.maxEjectionTime, `${field}.maxEjectionTime`),
    keepAtLeast: spec.keepAtLeast ?? defaultOf(`${field}.keepAtLeast`),
    successRate: spec.successRate && {
      stdevFactor: spec.successRate.stdevFactor ?? defaultOf(`${field}.successRate.stdevFactor`),
      minHosts: spec.successRate.minHosts ?? defaultOf(`${field}.successRate.minHosts`),
      minRequests: spec.successRate.minRequests ?? defaultOf(`${field}.successRate.minRequests`),
    },
    failurePercentage: spec.failurePercentage && {
      threshold: spec.failurePercentage.threshold ?? defaultOf(`${field}.failurePercentage.threshold`),
      minHosts: spec.failurePercentage.minHosts ?? defaultOf(`${field}.failurePercentage.minHosts`),
      minRequests: spec.failurePercentage.minRequests ?? defaultOf(`${field}.failurePercentage.minRequests`),
    },
    panicThreshold: spec.panicThreshold ?? defaultOf(`${field}.panicThreshold`),
  };
}

function compileHealthCheck(spec: Section<"healthCheck">): TrafficPolicyResource["healthCheck"] {
  const probe = spec === undefined ? undefined : compileProbe(spec);
  if (spec === undefined || probe === undefined) return undefined;
  const field = "TrafficPolicy.spec.healthCheck";
  return {
    probe,
    port: spec.http?.port ?? spec.tcp?.port ?? spec.grpc?.port ?? 0,
    intervalMs: time(spec.interval, `${field}.interval`),
    timeoutMs: time(spec.timeout, `${field}.timeout`),
    unhealthyThreshold: spec.unhealthyThreshold ?? defaultOf(`${field}.unhealthyThreshold`),
    healthyThreshold: spec.healthyThreshold ?? defaultOf(`${field}.healthyThreshold`),
    jitterPercent: spec.jitterPercent ?? defaultOf(`${field}.jitterPercent`),
  };
}

function compileProbe({ http, tcp, grpc }: NonNullable<Section<"healthCheck">>): HealthProbe | undefined {
  if (http !== undefined)
    return { type: "http", path: http.path, host: http.host ?? "", expectedStatuses: http.expectedStatuses ?? [] };
  if (tcp !== undefined) return { type: "tcp" };
  return grpc && { type: "grpc", service: grpc.service ?? "" };
}

function compileFallback(spec: Section<"fallback">, namespace: string): FallbackResource | undefined {
  if (spec === undefined) return undefined;
  const isStatic = spec.status !== undefined || spec.headers !== undefined || spec.body !== undefined;
  return {
    staleForMs: spec.staleFor === undefined ? 0 : (parseDuration(spec.staleFor) ?? 0),
    service: spec.service === undefined ? "" : qualifiedName(spec.namespace ?? namespace, spec.service),
    answer: isStatic
      ? {
          status: spec.status ?? defaultOf("TrafficPolicy.spec.fallback.status"),
          headers: spec.headers ?? {},
          body: spec.body ?? "",
        }
      : undefined,
  };
}
