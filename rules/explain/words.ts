// Filters and policies in words, one line each.
import { formatDuration } from "../durations.ts";
import type { HeaderModifier, PathModifier, RouteFilter, RouteMatch, TrafficPolicyResource } from "../resource.ts";

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

function loadBalancerInWords({ algorithm, hashOn, slowStartMs }: TrafficPolicyResource["loadBalancer"]): string {
  const hash =
    hashOn === undefined ? "" : ` on ${hashOn.type === "sourceIP" ? "sourceIP" : `${hashOn.type} ${hashOn.name}`}`;
  return `${algorithm}${hash}${slowStartMs === 0 ? "" : `, slow start ${formatDuration(slowStartMs)}`}`;
}

function poolInWords(pool: TrafficPolicyResource["connectionPool"]): string {
  const { maxConnections, maxPendingRequests, maxRequests, connectTimeoutMs } = pool;
  return (
    `at most ${maxConnections} connections, ${maxRequests} requests, ${maxPendingRequests} waiting; ` +
    `connect within ${timeInWords(connectTimeoutMs)}`
  );
}

function retryInWords({ attempts, on, backoff, budget }: TrafficPolicyResource["retry"]): string {
  if (attempts === 0) return "off";
  const wait = `${formatDuration(backoff.baseMs)} to ${formatDuration(backoff.maxMs)}`;
  const limit = `${budget.percent} % of requests, at least ${budget.minPerSecond} per second`;
  return `up to ${attempts} on ${on.join(", ")}; backoff ${wait}; budget ${limit}`;
}

function breakerInWords(breaker: TrafficPolicyResource["circuitBreaker"]): string {
  if (breaker === undefined) return "off";
  const { errorThresholdPercentage, volumeThreshold, rollingWindowMs, resetTimeoutMs } = breaker;
  return (
    `opens at ${errorThresholdPercentage} % of ${volumeThreshold} or more in ${formatDuration(rollingWindowMs)}, ` +
    `for ${formatDuration(resetTimeoutMs)}`
  );
}

function outliersInWords(outliers: TrafficPolicyResource["outlierDetection"]): string {
  if (outliers === undefined) return "off";
  const { consecutiveErrors, baseEjectionTimeMs, keepAtLeast } = outliers;
  return `ejects after ${consecutiveErrors} errors for ${formatDuration(baseEjectionTimeMs)}, keeps at least ${keepAtLeast}`;
}

function healthCheckInWords(check: TrafficPolicyResource["healthCheck"]): string {
  return check === undefined ? "off" : `GET ${check.path} every ${formatDuration(check.intervalMs)}`;
}

function fallbackInWords(fallback: TrafficPolicyResource["fallback"]): string {
  if (fallback === undefined) return "off";
  return "service" in fallback ? `service ${fallback.service}` : `answer ${fallback.status}`;
}
