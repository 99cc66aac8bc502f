// Filters and policies in words, one line each.
import { formatDuration } from "../durations.ts";
import type {
  HeaderModifier,
  InboundResource,
  PathModifier,
  RateLimitResource,
  RateRule,
  RouteFilter,
  RouteMatch,
  TrafficPolicyResource,
} from "../resource.ts";

/** What filters do, in their order. */
export function filtersInWords(filters: readonly RouteFilter[], match: RouteMatch | undefined): string[] {
  return filters.flatMap((filter) => filterInWords(filter, match));
}

function filterInWords(filter: RouteFilter, match: RouteMatch | undefined): string[] {
  switch (filter.type) {
    case "RequestHeaderModifier":
      return modifierInWords("request", filter.modifier);
    case "ResponseHeaderModifier":
      return modifierInWords("response", filter.modifier);
    case "RequestRedirect":
      return [`redirect with status ${filter.status}`];
    case "URLRewrite":
      return [
        ...(filter.hostname === "" ? [] : [`rewrite the host to ${filter.hostname}`]),
        ...(filter.path === undefined ? [] : [pathInWords(filter.path, match)]),
      ];
    case "RequestMirror": {
      const percent = (filter.numerator / filter.denominator) * 100;
      const port = filter.port === 0 ? "" : ` port ${filter.port}`;
      const what = filter.methods === undefined ? "requests" : `${filter.methods.join(", ")} requests`;
      return [`mirror ${rounded(percent)} % of the ${what} to ${filter.service}${port}`];
    }
    case "CORS":
      return [`answer CORS for origins ${filter.allowOrigins.join(", ") || "none"}`];
  }
}

function modifierInWords(side: string, { set, add, remove }: HeaderModifier): string[] {
  return [
    ...set.map(({ name, value }) => `set ${side} header ${name}: ${value}`),
    ...add.map(({ name, value }) => `add ${side} header ${name}: ${value}`),
    ...remove.map((name) => `remove ${side} header ${name}`),
  ];
}

function pathInWords(modifier: PathModifier, match: RouteMatch | undefined): string {
  if (modifier.type === "ReplaceFullPath") return `rewrite the path to ${modifier.value}`;
  return `rewrite the path prefix ${match?.path.value ?? ""} to ${modifier.value === "" ? "/" : modifier.value}`;
}

/** At most two decimals. */
export function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

export function timeInWords(milliseconds: number): string {
  return milliseconds === 0 ? "none" : formatDuration(milliseconds);
}

/** The fields of a policy that are asked about most, in words, by their names in the rules. */
export function policyInWords(policy: TrafficPolicyResource): Map<string, string> {
  return new Map([
    ["loadBalancer", loadBalancerInWords(policy.loadBalancer)],
    ["connectionPool", poolInWords(policy.connectionPool)],
    ["timeout.request", timeInWords(policy.timeout.requestMs)],
    ["timeout.perTry", timeInWords(policy.timeout.perTryMs)],
    ["timeout.idle", timeInWords(policy.timeout.idleMs)],
    ["retry", retryInWords(policy.retry)],
    ["circuitBreaker", breakerInWords(policy.circuitBreaker)],
    ["outlierDetection", outliersInWords(policy.outlierDetection)],
    ["healthCheck", healthCheckInWords(policy.healthCheck)],
    ["fallback", fallbackInWords(policy.fallback)],
  ]);
}

function loadBalancerInWords(loadBalancer: TrafficPolicyResource["loadBalancer"]): string {
  const { algorithm, hashOn, slowStartMs, adaptive, hashBalanceFactor, zonePreference } = loadBalancer;
  const parts: string[] = [algorithm];
  if (hashOn !== undefined)
    parts[0] += ` on ${hashOn.type === "sourceIP" ? "sourceIP" : `${hashOn.type} ${hashOn.name}`}`;
  if (hashBalanceFactor > 0) parts.push(`at most ${hashBalanceFactor} % of the mean load`);
  if (slowStartMs > 0) parts.push(`slow start ${formatDuration(slowStartMs)}`);
  if (adaptive) parts.push("adaptive weights");
  if (zonePreference !== undefined) parts.push(`own zone while ${zonePreference.minHealthyPercent} % of it is healthy`);
  return parts.join(", ");
}

function poolInWords(pool: TrafficPolicyResource["connectionPool"]): string {
  const { maxConnections, maxPendingRequests, maxRequests, connectTimeoutMs, keepAlive } = pool;
  const asks =
    keepAlive === undefined || keepAlive.intervalMs === 0 ? "" : `; PING after ${timeInWords(keepAlive.intervalMs)}`;
  return (
    `at most ${maxConnections} connections, ${maxRequests} requests, ${maxPendingRequests} waiting; ` +
    `connect within ${timeInWords(connectTimeoutMs)}${asks}`
  );
}

function retryInWords({ attempts, on, backoff, budget, hedge }: TrafficPolicyResource["retry"]): string {
  const copies = hedge === undefined ? "" : `hedge after ${hedgeDelayInWords(hedge.after)}, at most ${hedge.max}`;
  if (attempts === 0) return copies === "" ? "off" : copies;
  const wait = `${formatDuration(backoff.baseMs)} to ${formatDuration(backoff.maxMs)}`;
  const limit = `${budget.percent} % of requests, at least ${budget.minPerSecond} per second`;
  return `up to ${attempts} on ${on.join(", ")}; backoff ${wait}; budget ${limit}${copies === "" ? "" : `; ${copies}`}`;
}

function hedgeDelayInWords(after: number | string): string {
  return typeof after === "number" ? formatDuration(after) : after;
}

function breakerInWords(breaker: TrafficPolicyResource["circuitBreaker"]): string {
  if (breaker === undefined) return "off";
  const { errorThresholdPercentage, volumeThreshold, rollingWindowMs, resetTimeoutMs, halfOpenProbes, scope } = breaker;
  return (
    `per ${scope}, opens at ${errorThresholdPercentage} % of ${volumeThreshold} or more in ` +
    `${formatDuration(rollingWindowMs)}, for ${formatDuration(resetTimeoutMs)}, then lets ${halfOpenProbes} through`
  );
}

function outliersInWords(outliers: TrafficPolicyResource["outlierDetection"]): string {
  if (outliers === undefined) return "off";
  const { successRate, failurePercentage, baseEjectionTimeMs, keepAtLeast, panicThreshold } = outliers;
  const causes = [
    [outliers.consecutiveErrors, "errors"],
    [outliers.consecutiveGatewayErrors, "gateway errors"],
    [outliers.consecutiveConnectFailures, "connect failures"],
  ]
    .filter(([threshold]) => threshold !== 0)
    .map(([threshold, what]) => `${threshold} ${what}`);
  if (successRate !== undefined) causes.push(`a success rate ${successRate.stdevFactor} deviations below the mean`);
  if (failurePercentage !== undefined) causes.push(`${failurePercentage.threshold} % failures`);
  const panic = panicThreshold === 0 ? "" : `; uses all below ${panicThreshold} % healthy`;
  return `ejects after ${causes.join(" or ")} for ${formatDuration(baseEjectionTimeMs)}, keeps at least ${keepAtLeast}${panic}`;
}

function healthCheckInWords(check: TrafficPolicyResource["healthCheck"]): string {
  if (check === undefined) return "off";
  const { probe, intervalMs } = check;
  const what =
    probe.type === "http"
      ? `GET ${probe.path}`
      : probe.type === "tcp"
        ? "connect"
        : `gRPC health of "${probe.service}"`;
  return `${what} every ${formatDuration(intervalMs)}`;
}

function fallbackInWords(fallback: TrafficPolicyResource["fallback"]): string {
  if (fallback === undefined) return "off";
  const { staleForMs, service, answer } = fallback;
  const parts: string[] = [];
  if (staleForMs > 0) parts.push(`the last good response of up to ${formatDuration(staleForMs)}`);
  if (service !== "") parts.push(`service ${service}`);
  if (answer !== undefined) parts.push(`answer ${answer.status}`);
  return parts.join(", then ");
}

/** What a service's own sidecars enforce on the way in: kind of policy, in words, and the document. */
export function inboundInWords(inbound: InboundResource): { field: string; value: string; origin: string }[] {
  const policies: { field: string; value: string; origin: string }[] = [];
  for (const { origin, limits, concurrency, shedding } of inbound.rateLimits) {
    for (const limit of limits) policies.push({ field: "rateLimit", value: limitInWords(limit), origin });
    if (concurrency !== undefined)
      policies.push({ field: "concurrency", value: concurrencyInWords(concurrency), origin });
    if (shedding !== undefined) policies.push({ field: "shedding", value: sheddingInWords(shedding), origin });
  }
  for (const { origin, delay, abort } of inbound.faults) {
    const parts: string[] = [];
    if (delay !== undefined) parts.push(`delay ${delay.percent} % by ${formatDuration(delay.durationMs)}`);
    if (abort !== undefined)
      parts.push(
        `answer ${abort.percent} % ${abort.grpcStatus >= 0 ? `gRPC status ${abort.grpcStatus}` : abort.status}`,
      );
    policies.push({ field: "fault", value: parts.join(", "), origin });
  }
  return policies;
}

function limitInWords({ requests, perMs, burst, key, reportOnly }: RateRule): string {
  const per = key.type === "all" ? "" : ` per ${key.type === "header" ? `header ${key.name}` : key.type}`;
  return `${requests} requests per ${formatDuration(perMs)}, burst ${burst}${per}${reportOnlyInWords(reportOnly)}`;
}

function concurrencyInWords(concurrency: NonNullable<RateLimitResource["concurrency"]>): string {
  const { max, queue, queueTimeoutMs, adaptive, reportOnly } = concurrency;
  const waiting = queue === 0 ? "" : `, ${queue} waiting up to ${formatDuration(queueTimeoutMs)}`;
  return `at most ${max} at once${adaptive ? ", adaptive" : ""}${waiting}${reportOnlyInWords(reportOnly)}`;
}

function sheddingInWords({ eventLoopDelayMs, heapPercent }: NonNullable<RateLimitResource["shedding"]>): string {
  const bounds: string[] = [];
  if (eventLoopDelayMs > 0) bounds.push(`an event loop ${formatDuration(eventLoopDelayMs)} late`);
  if (heapPercent > 0) bounds.push(`a heap ${heapPercent} % full`);
  return `from ${bounds.join(" or ")}`;
}

function reportOnlyInWords(reportOnly: boolean): string {
  return reportOnly ? " (report only)" : "";
}
