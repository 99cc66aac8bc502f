// Which policies act on a request, each with the document that it comes from: the rule's own timeouts and retries before
// the policy of the service that the request goes to, and that before defaults.
import { compileInbound, policyDocument, type RuleIndex } from "../compile.ts";
import { documentKey, documentTitle } from "../document.ts";
import { formatDuration } from "../durations.ts";
import type { RouteRetry, RouteRule, ServiceResource } from "../resource.ts";
import type { Enforcer } from "./enforcers.ts";
import { inboundInWords, policyInWords, timeInWords } from "./words.ts";

/** An ExplainPolicy of the wire contract. */
export interface ExplainedPolicy {
  readonly field: string;
  readonly value: string;
  readonly origin: string;
}

/**
 * The effective policies of the services that a request may go to. Where they differ there is one entry per value,
 * which says for which services it holds.
 * @param rule that the request goes by, if any
 * @param enforcers whose limits and faults act on the way in
 */
export function explainPolicies(
  index: RuleIndex,
  rule: RouteRule | undefined,
  services: readonly ServiceResource[],
  enforcers: readonly Enforcer[],
): ExplainedPolicy[] {
  const own = rule === undefined ? new Map<string, ExplainedPolicy>() : rulePolicies(rule);
  const byField = new Map<string, Map<string, { policy: ExplainedPolicy; services: string[] }>>();
  for (const service of services) {
    for (const policy of servicePolicies(index, service)) {
      if (own.has(policy.field)) continue;
      const values = byField.get(policy.field) ?? new Map();
      byField.set(policy.field, values);
      const key = `${policy.value} ${policy.origin}`;
      const known = values.get(key);
      if (known === undefined) values.set(key, { policy, services: [service.service] });
      else known.services.push(service.service);
    }
  }
  const ofCallers = [...byField.values()].flatMap((values) => mergeValues([...values.values()]));
  return [...own.values(), ...ofCallers, ...enforcers.flatMap((enforcer) => inboundPolicies(index, enforcer))];
}

/** What the service itself enforces on the way in, with its name where the request may come to another one. */
function inboundPolicies(index: RuleIndex, { service, isCertain }: Enforcer): ExplainedPolicy[] {
  const policies = inboundInWords(compileInbound(index, service));
  return isCertain ? policies : policies.map((policy) => ({ ...policy, value: `${policy.value} (${service})` }));
}

function mergeValues(values: readonly { policy: ExplainedPolicy; services: readonly string[] }[]): ExplainedPolicy[] {
  if (values.length === 1) return values.map(({ policy }) => policy);
  return values.map(({ policy, services }) => ({ ...policy, value: `${policy.value} (${services.join(", ")})` }));
}

function rulePolicies({ route, ruleIndex, timeouts, retry }: RouteRule): Map<string, ExplainedPolicy> {
  const origin = `${route} rule ${ruleIndex}`;
  const policies: ExplainedPolicy[] = [];
  const { requestMs, backendRequestMs } = timeouts;
  if (requestMs !== undefined) policies.push({ field: "timeout.request", value: timeInWords(requestMs), origin });
  if (backendRequestMs !== undefined) {
    policies.push({ field: "timeout.perTry", value: timeInWords(backendRequestMs), origin });
  }
  if (retry !== undefined) policies.push({ field: "retry", value: routeRetryInWords(retry), origin });
  return new Map(policies.map((policy) => [policy.field, policy]));
}

function routeRetryInWords({ attempts, codes, backoffMs }: RouteRetry): string {
  if (attempts === 0) return "off";
  return `up to ${attempts} on connection errors, ${codes.join(", ")}; backoff from ${formatDuration(backoffMs)}`;
}

function servicePolicies(index: RuleIndex, { service, policy }: ServiceResource): ExplainedPolicy[] {
  const document = policyDocument(index, service);
  const title = document === undefined ? "" : documentTitle(documentKey(document));
  return Array.from(policyInWords(policy), ([field, value]) => ({
    field,
    value,
    origin: document !== undefined && isWritten(document.spec, field) ? title : "default",
  }));
}

/** True when the document says something about the field, such as `timeout.request`. */
function isWritten(spec: object, field: string): boolean {
  let section: unknown = spec;
  for (const key of field.split(".")) {
    if (section === null || typeof section !== "object" || !(key in section)) return false;
    section = (section as Readonly<Record<string, unknown>>)[key];
  }
  return section !== undefined;
}
