// What answers when a service cannot: the fallback of its policy. Says which failures it is for; where the exchange goes
// then is the conductor's work.
import type { FallbackResource } from "../../rules/resource.ts";
import { membersFor } from "../cluster.ts";
import { ownResponseHead } from "../http1/encoder.ts";
import type { Metrics } from "../observe/metrics.ts";
import { NO_FILTERS } from "../route/rule-plan.ts";
import type { MessageOutlet, RoutedExchange } from "./contract.ts";
import { corsLines } from "./cors.ts";
import type { Destination } from "./destination.ts";
import { speaksHttp2 } from "./protocol.ts";
import type { Failure } from "./reasons.ts";
import { type AnswerOptions, commonLines, type OwnAnswer, ownAnswer, sendAnswer, statusOf } from "./respond.ts";

/** The fallback for this failure of the destination, if its policy has one: the service itself cannot answer. */
export function fallbackOf(cause: Failure, destination: Destination): FallbackResource | undefined {
  if (destination.isFallback) return undefined;
  switch (cause.reason) {
    case "circuit-open":
    case "no-healthy-endpoint":
    case "connect-failure":
    case "upstream-reset":
    case "bad-response":
    case "per-try-timeout":
    case "request-timeout":
    case "pool-overflow":
    case "retry-budget-exhausted":
      return destination.cluster?.policy.fallback;
    default:
      return undefined;
  }
}

/** The service that the request goes to instead; "" when there is none, or no time left for it. */
export function serviceInstead(fallback: FallbackResource, cause: Failure): string {
  return cause.reason === "request-timeout" ? "" : fallback.service;
}

/** Points the destination of an exchange at the service that answers instead. @returns false when the sidecar does not know it. */
export function redirectToFallback(
  { destination, snapshot, head }: RoutedExchange,
  service: string,
  metrics: Metrics,
): boolean {
  const entry = snapshot.services.get(service);
  if (entry === undefined) return false;
  const { cluster } = entry;
  countFallback(metrics, destination, "service");
  if (destination.rule?.rule.split !== undefined) countAbandoned(metrics, destination);
  destination.isFallback = true;
  destination.cluster = cluster;
  destination.members = membersFor(cluster, 0);
  destination.isHttp2 = speaksHttp2(entry.resource, 0, head);
  destination.retry = cluster.retry;
  destination.perTryTimeoutMs = cluster.policy.timeout.perTryMs;
  destination.backendFilters = NO_FILTERS;
  destination.responseLines = "";
  return true;
}

/** A release judges the version that failed, whoever answers in its place. */
function countAbandoned(metrics: Metrics, { source, cluster }: Destination): void {
  if (source === undefined || cluster === undefined) return;
  const key = { service: source.service, backend: cluster.service, version: "", route: "", kind: "request" } as const;
  metrics.trafficCell(key).recordAbandoned();
}

function countFallback(metrics: Metrics, { cluster }: Destination, kind: "service" | "answer"): void {
  metrics.fallbacks.cell(cluster?.service ?? "", kind).value++;
}

/** Writes the answer of the sidecar itself: that of the fallback where there is one. @returns its status */
export function writeOwnAnswer(
  outlet: MessageOutlet,
  cause: Failure,
  destination: Destination,
  options: AnswerOptions,
  metrics: Metrics,
): number {
  const { cors } = destination.ruleFilters;
  const withCors = cors !== undefined && options.request !== undefined;
  const all = withCors ? { ...options, lines: options.lines + corsLines(undefined, cors, options.request) } : options;
  const answer = fallbackOf(cause, destination)?.answer;
  sendAnswer(outlet, answer === undefined ? ownAnswer(cause, all) : fallbackAnswer(answer, cause, all));
  if (answer === undefined) return statusOf(cause);
  countFallback(metrics, destination, "answer");
  return answer.status;
}

/** The static answer; the reason says why the service did not give its own. */
function fallbackAnswer(
  answer: NonNullable<FallbackResource["answer"]>,
  cause: Failure,
  options: AnswerOptions,
): OwnAnswer {
  let lines = options.lines;
  for (const [name, value] of Object.entries(answer.headers)) {
    if (!isFramingField(name)) lines += `${name}: ${value}\r\n`;
  }
  const body = Buffer.from(answer.body, "utf8").toString("latin1");
  const hasBody = answer.status !== 204 && answer.status !== 304;
  if (hasBody) lines += `content-length: ${body.length}\r\n`;
  const head = ownResponseHead(answer.status, lines + commonLines(cause, options));
  return { head, body: hasBody && options.request?.method !== "HEAD" ? body : "" };
}

/** Fields that only the sidecar can know, whatever a rule says. */
function isFramingField(name: string): boolean {
  return /^(?:content-length|transfer-encoding|connection|keep-alive|date|x-weft-reason)$/i.test(name);
}
