// Checks of a release that others make: Prometheus queries and webhooks. Whatever goes wrong on the way is an answer of
// "unknown", never a verdict. Telling others what happened is notices.ts.
import { defaultOf } from "../../rules/defaults.ts";
import type { RolloutSpec } from "../../rules/schema/rollout.ts";
import { milliseconds } from "./checks.ts";
import type { HttpCall } from "./http-call.ts";
import type { ExternalResult } from "./step.ts";

const QUERY_TIMEOUT_MS = 10_000;
const DETAIL_CHARACTERS_MAX = 200;

/** What a webhook is told about. */
export interface CheckContext {
  readonly rollout: string;
  readonly service: string;
  readonly stable: string;
  readonly canary: string;
  readonly step: number;
  readonly weight: number;
}

type Analysis = NonNullable<RolloutSpec["analysis"]>;
type PrometheusCheck = NonNullable<Analysis["prometheus"]>[number];
type WebhookCheck = NonNullable<Analysis["webhooks"]>[number];
type Finding = Omit<ExternalResult, "name">;

/** Asks all of them at once. Never rejects. */
export function runChecks(call: HttpCall, analysis: Analysis, context: CheckContext): Promise<ExternalResult[]> {
  return Promise.all([
    ...(analysis.prometheus ?? []).map((check) => guarded(check.name, askPrometheus(call, check))),
    ...(analysis.webhooks ?? []).map((check) => guarded(check.name, askWebhook(call, check, context))),
  ]);
}

export function hasExternalChecks(analysis: Analysis | undefined): analysis is Analysis {
  return (analysis?.prometheus?.length ?? 0) + (analysis?.webhooks?.length ?? 0) > 0;
}

async function guarded(name: string, asked: Promise<Finding>): Promise<ExternalResult> {
  try {
    return { name, ...(await asked) };
  } catch (error) {
    return { name, outcome: "unknown", detail: reasonOf(error) };
  }
}

/** An instant query (https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries). */
async function askPrometheus(call: HttpCall, check: PrometheusCheck): Promise<Finding> {
  const url = `${check.address.replace(/\/$/, "")}/api/v1/query?query=${encodeURIComponent(check.query)}`;
  const { status, text } = await call({ url, method: "GET", timeoutMs: QUERY_TIMEOUT_MS });
  if (status !== 200) return { outcome: "unknown", detail: `Prometheus answered ${status}: ${excerpt(text)}` };
  const value = sampleOf(JSON.parse(text));
  if (value === undefined || Number.isNaN(value)) return { outcome: "unknown", detail: "the query gives no number" };
  const isGood = value >= (check.min ?? Number.NEGATIVE_INFINITY) && value <= (check.max ?? Number.POSITIVE_INFINITY);
  const bounds = [
    check.min === undefined ? "" : `at least ${check.min}`,
    check.max === undefined ? "" : `at most ${check.max}`,
  ].filter((bound) => bound !== "");
  return { outcome: isGood ? "good" : "bad", detail: `${value}, wanted ${bounds.join(" and ")}` };
}

/** The number of a scalar, or of a vector with one element. */
function sampleOf(body: unknown): number | undefined {
  const { data } = (body ?? {}) as { data?: { resultType?: string; result?: unknown } };
  const result = data?.result;
  if (!Array.isArray(result)) return undefined;
  const sample: unknown =
    data?.resultType === "scalar" ? result : (result[0] as { value?: unknown } | undefined)?.value;
  if (data?.resultType !== "scalar" && result.length !== 1) return undefined;
  return Array.isArray(sample) && typeof sample[1] === "string" ? Number(sample[1]) : undefined;
}

async function askWebhook(call: HttpCall, check: WebhookCheck, context: CheckContext): Promise<Finding> {
  const timeoutMs = milliseconds(check.timeout) ?? defaultOf("Rollout.spec.analysis.webhooks[].timeout");
  const headers = { "content-type": "application/json", ...check.headers };
  const body = JSON.stringify({ check: check.name, ...context });
  const { status, text } = await call({ url: check.url, method: "POST", headers, body, timeoutMs });
  const detail = text === "" ? `answered ${status}` : `answered ${status}: ${excerpt(text)}`;
  return { outcome: status >= 200 && status < 300 ? "good" : "bad", detail };
}

function excerpt(text: string): string {
  return text.slice(0, DETAIL_CHARACTERS_MAX);
}

export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  return cause instanceof Error ? `${error.message}: ${cause.message}` : error.message;
}
