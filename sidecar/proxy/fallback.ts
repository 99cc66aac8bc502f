// What answers when a service cannot: the fallback of its policy. Says which failures it is for; where the exchange goes
// then is the conductor's work.
import { REASON_NAMES, type ReasonName } from "../../rules/reason-names.ts";
import type { FallbackResource, RouteRule } from "../../rules/resource.ts";
import type { Clock } from "../../runtime/clock.ts";
import { membersFor } from "../cluster.ts";
import { ownResponseHead } from "../http1/encoder.ts";
import { FIELD } from "../http1/field.ts";
import type { MessageHead } from "../http1/head.ts";
import type { Metrics } from "../observe/metrics.ts";
import { keyOf } from "../policy/last-good.ts";
import { NO_FILTERS } from "../route/rule-plan.ts";
import type { MessageOutlet, RoutedExchange } from "./contract.ts";
import { corsLines } from "./cors.ts";
import type { Destination } from "./destination.ts";
import { isOwnLack, judgementBefore } from "./outcome.ts";
import { isHttp2Hop, namedPort } from "./protocol.ts";
import { type Failure, failure } from "./reasons.ts";
import type { RequestRelay } from "./request-relay.ts";
import { type AnswerOptions, commonLines, type OwnAnswer, ownAnswer, sendAnswer, statusOf } from "./respond.ts";
import type { RetryState } from "./retry-state.ts";

/** An earlier response of the service. */
interface KeptAnswer {
  readonly lines: string;
  readonly body: Buffer;
}

/** What is answered in place of a failure: the first of these that is there, else the failure itself. */
export interface Instead {
  readonly kept: KeptAnswer | undefined;
  /** Another service; "": none, or no time is left for it. */
  readonly service: string;
  readonly answer: FallbackResource["answer"];
}

type FailedExchange = Pick<RoutedExchange, "destination" | "head" | "record">;

const NOTHING: Instead = { kept: undefined, service: "", answer: undefined };

/** By the fallback of the destination's policy, where this failure means that the service itself cannot answer. */
export function answerInstead(cause: Failure, exchange: FailedExchange, clock: Clock): Instead {
  const fallback = fallbackOf(cause, exchange.destination);
  if (fallback === undefined) return NOTHING;
  const { answer } = fallback;
  const kept = keptAnswer(fallback, exchange, clock);
  if (kept !== undefined || answer !== undefined)
    exchange.record.note("fallback", kept === undefined ? "answer" : "stale");
  const service = kept === undefined && cause.reason !== "request-timeout" ? fallback.service : "";
  return { kept, service, answer };
}

const NAMES: ReadonlySet<string> = new Set(REASON_NAMES);

/**
 * Why an app could not answer, as the sidecar beside it says in its place. The caller's deadline goes with the request, so
 * which of the two sidecars notices first that it is over is chance.
 * @returns undefined when this is an answer of the service, or nothing stands in for it
 */
export function failureTold(head: MessageHead, destination: Destination): Failure | undefined {
  if (!head.has(FIELD.xWeftReason)) return undefined;
  const told = head.known(FIELD.xWeftReason) ?? "";
  if (!NAMES.has(told)) return undefined;
  const reason = told === "deadline-exceeded" ? "request-timeout" : (told as ReasonName);
  const cause = failure(reason, "as the sidecar of the endpoint says");
  return fallbackOf(cause, destination) === undefined ? undefined : cause;
}

function fallbackOf(cause: Failure, destination: Destination): FallbackResource | undefined {
  if (destination.isFallback) return undefined;
  switch (cause.reason) {
    case "circuit-open":
    case "no-healthy-endpoint":
    case "connect-failure":
    case "upstream-reset":
    case "refused-stream":
    case "bad-response":
    case "per-try-timeout":
    case "request-timeout":
    case "pool-overflow":
    case "overloaded":
    case "retry-budget-exhausted":
      return destination.cluster?.policy.fallback;
    default:
      return undefined;
  }
}

/** What the service that answers instead can be sent. */
interface RepeatedExchange extends RoutedExchange {
  readonly request: RequestRelay;
  readonly retry: RetryState;
  readonly attempt: { readonly hasAnswered: boolean };
}

/**
 * Turns the exchange to another service, if all of its request is still there and may be sent again.
 * @param service "": there is none @returns whether it is to be forwarded once more
 */
export function goElsewhere(exchange: RepeatedExchange, cause: Failure, service: string, metrics: Metrics): boolean {
  const { request, retry, record, attempt } = exchange;
  const isThere = service !== "" && request.isWhole && (!retry.hasSent || retry.canRepeat);
  const isJudged = !isOwnLack(cause, attempt) || hasFailedBefore(exchange);
  if (!isThere || !redirectToFallback(exchange, service, metrics, isJudged)) return false;
  retry.clear();
  request.forgetHead();
  record.note("fallback", service);
  return true;
}

/** Did an endpoint fail the request before the sidecar lacked what it needs to ask another one? */
function hasFailedBefore({ record, destination }: RoutedExchange): boolean {
  return judgementBefore(record, destination.cluster?.service ?? "")?.isFailure === true;
}

/**
 * Points the destination of an exchange at the service that answers instead.
 * @param isJudged the failure says something about the service @returns false when the sidecar does not know the other one
 */
function redirectToFallback(
  { destination, snapshot, head }: RoutedExchange,
  service: string,
  metrics: Metrics,
  isJudged: boolean,
): boolean {
  const entry = snapshot.services.get(service);
  if (entry === undefined) return false;
  const { cluster } = entry;
  countFallback(metrics, destination, "service");
  if (isJudged && destination.rule?.split !== undefined) countAbandoned(metrics, destination, destination.rule.rule);
  destination.isFallback = true;
  destination.cluster = cluster;
  destination.members = membersFor(cluster, 0);
  destination.isHttp2 = !destination.isRawTunnel && isHttp2Hop(namedPort(entry.resource, 0), cluster.isMesh, head);
  destination.retry = cluster.retry;
  destination.perTryTimeoutMs = cluster.policy.timeout.perTryMs;
  destination.backendFilters = NO_FILTERS;
  destination.responseLines = "";
  return true;
}

/** A release judges the version that failed, whoever answers in its place. */
function countAbandoned(metrics: Metrics, { source, cluster }: Destination, { route, ruleIndex }: RouteRule): void {
  if (source === undefined || cluster === undefined) return;
  const versions = { service: source.service, backend: cluster.service, version: "" };
  metrics.trafficCell({ ...versions, route: `${route} ${ruleIndex}`, kind: "request" }).recordAbandoned();
}

/** The service's own last good response to such a request, if its policy gives that and it is young enough. */
function keptAnswer(
  { staleForMs }: FallbackResource,
  { destination, head }: FailedExchange,
  clock: Clock,
): KeptAnswer | undefined {
  const lastGood = destination.cluster?.state.lastGood;
  if (staleForMs === 0 || lastGood === undefined) return undefined;
  const key = keyOf(head);
  const nowMs = clock.now();
  const kept = key === undefined ? undefined : lastGood.find(key, nowMs, staleForMs);
  if (kept === undefined) return undefined;
  const ageSeconds = Math.floor((nowMs - kept.keptMs) / 1_000);
  // Age: RFC 9111 section 5.1.
  return { lines: `${kept.lines}age: ${ageSeconds}\r\n`, body: kept.body };
}

function countFallback(metrics: Metrics, { cluster }: Destination, kind: "service" | "answer" | "stale"): void {
  metrics.fallbacks.cell(cluster?.service ?? "", kind).value++;
}

/** Writes the answer of the sidecar itself: that of the fallback where there is one. @returns its status */
export function writeOwnAnswer(
  outlet: MessageOutlet,
  cause: Failure,
  destination: Destination,
  options: AnswerOptions & { readonly instead: Instead },
  metrics: Metrics,
): number {
  const { cors } = destination.ruleFilters;
  const withCors = cors !== undefined && options.request !== undefined;
  const all = withCors ? { ...options, lines: options.lines + corsLines(undefined, cors, options.request) } : options;
  const { kept, answer } = options.instead;
  if (kept !== undefined) {
    sendAnswer(outlet, keptResponse(kept, cause, options));
    countFallback(metrics, destination, "stale");
    return 200;
  }
  sendAnswer(outlet, answer === undefined ? ownAnswer(cause, all) : fallbackAnswer(answer, cause, all));
  if (answer === undefined) return statusOf(cause);
  countFallback(metrics, destination, "answer");
  return answer.status;
}

/** As clients got it when it came: what its rule's filters do to responses is in it. */
function keptResponse(kept: KeptAnswer, cause: Failure, options: AnswerOptions): OwnAnswer {
  const lines = `${kept.lines}content-length: ${kept.body.length}\r\n${commonLines(cause, options)}`;
  return { head: ownResponseHead(200, lines), body: kept.body.toString("latin1") };
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
