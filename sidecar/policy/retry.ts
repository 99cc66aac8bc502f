// Which failures of an attempt are worth another one. Decides by kind and by method; whether the budget, the
// deadline and the buffered body allow it is asked by the conductor, who knows them.
import type { RouteRetry, TrafficPolicyResource } from "../../rules/resource.ts";
import { type HedgeDelay, hedgeDelay } from "./hedge.ts";

/** A retry policy compiled for lookups. */
export interface RetryPlan {
  /** Tries after the first. */
  readonly attempts: number;
  /** 1 at status - 100 for statuses that are worth another try. */
  readonly statuses: Uint8Array;
  /** Bit per code of gRPC that is worth another try. */
  readonly grpcCodes: number;
  readonly onConnectFailure: boolean;
  readonly onReset: boolean;
  /** The endpoint did no work for it (RFC 9113 section 8.7). */
  readonly onRefusedStream: boolean;
  readonly methods: ReadonlySet<string>;
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
  readonly budget: { readonly percent: number; readonly minPerSecond: number };
  readonly maxBodyBytes: number;
  /** A failure that a hop further on has dealt with already is tried again here, too. */
  readonly everyHop: boolean;
  /** Undefined: requests are not hedged. */
  readonly hedge: { readonly delay: HedgeDelay /** Extra requests per request. */; readonly max: number } | undefined;
}

const STATUSES = 900;
const GATEWAY_ERRORS = [502, 503, 504];
const CONFLICT = 409;
const SERVER_ERRORS = [500, 599] as const;
/** A route's own backoff is a base; its ceiling is ten times that, as Envoy has it. */
const BACKOFF_CEILING = 10;

/** Words of `retry.on` by code (gRFC A6). */
const GRPC_WORDS: Readonly<Record<string, number>> = {
  cancelled: 1,
  "deadline-exceeded": 4,
  "resource-exhausted": 8,
  internal: 13,
  unavailable: 14,
};

/** The plan of a TrafficPolicy's `retry`. */
export function planRetry(policy: TrafficPolicyResource["retry"]): RetryPlan {
  const words = new Set(policy.on);
  const statuses = new Uint8Array(STATUSES);
  const mark = (status: number): void => {
    if (status >= 100 && status < 100 + STATUSES) statuses[status - 100] = 1;
  };
  for (const word of policy.on) if (typeof word === "number") mark(word);
  if (words.has("gateway-error")) for (const status of GATEWAY_ERRORS) mark(status);
  if (words.has("retriable-4xx")) mark(CONFLICT);
  if (words.has("5xx")) for (let status = SERVER_ERRORS[0]; status <= SERVER_ERRORS[1]; status++) mark(status);
  const fivexx = words.has("5xx");
  return {
    attempts: policy.attempts,
    statuses,
    grpcCodes: Object.entries(GRPC_WORDS).reduce(
      (codes, [word, code]) => (words.has(word) ? codes | (1 << code) : codes),
      0,
    ),
    // As in Envoy: "5xx" covers connections that fail, "gateway-error" the statuses only.
    onConnectFailure: words.has("connect-failure") || fivexx,
    onReset: words.has("reset") || fivexx,
    onRefusedStream: words.has("refused-stream") || fivexx,
    methods: new Set(policy.methods),
    backoffBaseMs: policy.backoff.baseMs,
    backoffMaxMs: policy.backoff.maxMs,
    budget: policy.budget,
    maxBodyBytes: policy.maxBodyBytes,
    everyHop: policy.hops === "every",
    hedge: policy.hedge && { delay: hedgeDelay(policy.hedge.after), max: policy.hedge.max },
  };
}

/**
 * The plan where a route says how to retry: its attempts, codes and backoff, the rest from the policy. Connection
 * errors and timeouts count (GEP-1731: "implementations SHOULD retry on connection errors").
 */
export function planRouteRetry(route: RouteRetry, policy: RetryPlan): RetryPlan {
  const statuses = new Uint8Array(STATUSES);
  for (const code of route.codes) if (code >= 100 && code < 100 + STATUSES) statuses[code - 100] = 1;
  return {
    ...policy,
    attempts: route.attempts,
    statuses,
    onConnectFailure: true,
    onReset: true,
    onRefusedStream: true,
    backoffBaseMs: route.backoffMs,
    backoffMaxMs: Math.max(policy.backoffMaxMs, route.backoffMs * BACKOFF_CEILING),
  };
}

/** @param code of gRPC; -1: the answer has none */
export function isRetriableCode(plan: RetryPlan, code: number): boolean {
  return code >= 0 && code < 32 && ((plan.grpcCodes >> code) & 1) === 1;
}

export function isRetriableStatus(plan: RetryPlan, status: number): boolean {
  return plan.statuses[status - 100] === 1;
}

/** Milliseconds that an answer asks to wait (RFC 9110 section 10.2.3): seconds or a date; 0 when it says nothing. */
export function retryAfterMs(text: string | undefined, wallMs: number): number {
  if (text === undefined) return 0;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1_000;
  const dateMs = Date.parse(text);
  return Number.isNaN(dateMs) ? 0 : Math.max(0, dateMs - wallMs);
}

/** What is asked of a request. */
interface RequestTraits {
  readonly method: string;
  readonly isConnect?: boolean;
  value(lowerName: string): string | undefined;
}

/**
 * A request with this method, or with an Idempotency-Key, may be sent again after it may have been acted on. So may a
 * CONNECT: before its tunnel stands nothing has gone through.
 */
export function isRepeatable(plan: RetryPlan, request: RequestTraits): boolean {
  if (request.isConnect === true) return true;
  return plan.methods.has(request.method) || request.value("idempotency-key") !== undefined;
}
