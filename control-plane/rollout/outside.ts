// What a release asks and tells others over HTTP: checks by Prometheus queries and webhooks, and notices of what
// happened. Bounded in time and size; whatever goes wrong is an answer of "unknown", never a verdict.
import { defaultOf } from "../../rules/defaults.ts";
import type { RolloutSpec } from "../../rules/schema/rollout.ts";
import type { Clock } from "../../runtime/clock.ts";
import { sleep } from "../../runtime/clock.ts";
import type { Log } from "../../runtime/log.ts";
import type { RolloutEventRecord } from "../store/contract.ts";
import { milliseconds } from "./checks.ts";
import type { ExternalResult } from "./step.ts";

const QUERY_TIMEOUT_MS = 10_000;
const NOTICE_TIMEOUT_MS = 10_000;
const NOTICE_ATTEMPTS = 4;
const NOTICE_RETRY_MS = 1_000;
const DETAIL_CHARACTERS_MAX = 200;

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export interface Outside {
  readonly fetch: Fetch;
  readonly clock: Clock;
  readonly log: Log;
}

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

/** Asks all of them at once. Never rejects. */
export function runChecks(outside: Outside, analysis: Analysis, context: CheckContext): Promise<ExternalResult[]> {
  return Promise.all([
    ...(analysis.prometheus ?? []).map((check) => guarded(check.name, askPrometheus(outside, check))),
    ...(analysis.webhooks ?? []).map((check) => guarded(check.name, askWebhook(outside, check, context))),
  ]);
}

export function hasExternalChecks(analysis: Analysis | undefined): analysis is Analysis {
  return (analysis?.prometheus?.length ?? 0) + (analysis?.webhooks?.length ?? 0) > 0;
}

async function guarded(name: string, asked: Promise<Omit<ExternalResult, "name">>): Promise<ExternalResult> {
  try {
    return { name, ...(await asked) };
  } catch (error) {
    return { name, outcome: "unknown", detail: reasonOf(error) };
  }
}

/** An instant query (https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries). */
async function askPrometheus(outside: Outside, check: PrometheusCheck): Promise<Omit<ExternalResult, "name">> {
  const url = `${check.address.replace(/\/$/, "")}/api/v1/query?query=${encodeURIComponent(check.query)}`;
  const response = await timed(outside, url, { method: "GET" }, QUERY_TIMEOUT_MS);
  if (!response.ok) return { outcome: "unknown", detail: `Prometheus answered ${response.status}` };
  const value = sampleOf(await response.json());
  if (value === undefined || Number.isNaN(value)) return { outcome: "unknown", detail: "the query gives no number" };
  const isGood = value >= (check.min ?? Number.NEGATIVE_INFINITY) && value <= (check.max ?? Number.POSITIVE_INFINITY);
  const bounds = [
    check.min === undefined ? "" : `at least ${check.min}`,
    check.max === undefined ? "" : `at most ${check.max}`,
  ].filter((text) => text !== "");
  return { outcome: isGood ? "good" : "bad", detail: `${value}, wanted ${bounds.join(" and ")}` };
}

/** The number of a scalar, or of a vector with one element. */
function sampleOf(body: unknown): number | undefined {
  const { data } = body as { data?: { resultType?: string; result?: unknown } };
  const result = data?.result;
  if (!Array.isArray(result)) return undefined;
  const sample: unknown =
    data?.resultType === "scalar" ? result : (result[0] as { value?: unknown } | undefined)?.value;
  if (data?.resultType !== "scalar" && result.length !== 1) return undefined;
  return Array.isArray(sample) && typeof sample[1] === "string" ? Number(sample[1]) : undefined;
}

async function askWebhook(
  outside: Outside,
  check: WebhookCheck,
  context: CheckContext,
): Promise<Omit<ExternalResult, "name">> {
  const timeoutMs = milliseconds(check.timeout) ?? defaultOf("Rollout.spec.analysis.webhooks[].timeout");
  const headers = { "content-type": "application/json", ...check.headers };
  const body = JSON.stringify({ check: check.name, ...context });
  const response = await timed(outside, check.url, { method: "POST", headers, body }, timeoutMs);
  const text = (await response.text()).slice(0, DETAIL_CHARACTERS_MAX);
  const detail = text === "" ? `answered ${response.status}` : `answered ${response.status}: ${text}`;
  return { outcome: response.ok ? "good" : "bad", detail };
}

/** Tells a webhook of an event, again after a pause if it does not answer 2xx. `sequence` tells repeats apart. */
export async function notify(outside: Outside, url: string, event: RolloutEventRecord): Promise<void> {
  const { key, ...rest } = event;
  const init = {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ rollout: key, ...rest }),
  };
  for (let attempt = 1; attempt <= NOTICE_ATTEMPTS; attempt++) {
    try {
      const response = await timed(outside, url, init, NOTICE_TIMEOUT_MS);
      await response.body?.cancel();
      if (response.ok) return;
      outside.log.warn({ url, status: response.status, attempt }, "a webhook did not take the notice of a release");
    } catch (error) {
      outside.log.warn({ url, reason: reasonOf(error), attempt }, "a webhook cannot be reached");
    }
    await sleep(outside.clock, NOTICE_RETRY_MS * 2 ** (attempt - 1));
  }
}

async function timed({ fetch, clock }: Outside, url: string, init: RequestInit, timeoutMs: number): Promise<Response> {
  const abort = new AbortController();
  const timer = clock.after(timeoutMs, () => abort.abort(new Error(`no answer within ${timeoutMs} ms`)));
  try {
    return await fetch(url, { ...init, signal: abort.signal, redirect: "error" });
  } finally {
    timer.cancel();
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  return cause instanceof Error ? `${error.message}: ${cause.message}` : error.message;
}
