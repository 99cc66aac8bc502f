// What the end of an attempt says about its endpoint: for breakers, ejections and latency.
import type { AttemptOutcome } from "../cluster-state.ts";
import type { ExchangeRecord } from "../observe/exchange-record.ts";
import { isFailure } from "../observe/traffic-cell.ts";
import { GRPC_CODES, httpStatusOf } from "./grpc.ts";
import type { Failure } from "./reasons.ts";

/** As Envoy's outlier detection: 502, 503 and 504 are failures of the way there, other 5xx of the service. */
export function outcomeOfStatus(status: number): AttemptOutcome {
  if (status < 500) return "success";
  return status >= 502 && status <= 504 ? "gateway-error" : "error";
}

/** @param reason of docs/reasons.md; other words say nothing */
export function outcomeOfFailure(reason: string): AttemptOutcome {
  switch (reason) {
    case "connect-failure":
    case "refused-stream":
      return "connect-failure";
    case "upstream-reset":
    case "bad-response":
    case "per-try-timeout":
    case "request-timeout":
      return "gateway-error";
    default:
      // Bounds of the sidecar itself and clients that go away are not the endpoint's doing.
      return "none";
  }
}

/** What an attempt says about the version of its endpoint: the status of an answer, or the reason why there was none. */
interface Judgement {
  readonly version: string;
  readonly status: number;
  readonly reason: string;
  readonly isFailure: boolean;
}

/**
 * What the newest attempt at `backend` says about it that says anything, for a request that ended for
 * want of a way to another endpoint.
 * @param backend `namespace/name` of a service
 */
export function judgementBefore(record: ExchangeRecord, backend: string): Judgement | undefined {
  let isRace = false;
  for (let index = record.attemptsKept - 1; index >= 0; index--) {
    const attempt = record.attemptAt(index);
    // One that was made again on a fresh connection most likely found the endpoint's idle time over.
    const isSkipped = isRace || attempt?.backend !== backend;
    isRace = attempt?.kind === "fresh";
    if (attempt === undefined || isSkipped) continue;
    const { version, outcome, grpcStatus } = attempt;
    if (attempt.status === 0 && outcomeOfFailure(outcome) === "none") continue;
    const code = (GRPC_CODES as readonly string[]).indexOf(grpcStatus);
    const status = Math.max(attempt.status, httpStatusOf(code));
    const reason = outcome === "retried" ? "" : outcome;
    return { version, status, reason, isFailure: isFailure(status, reason) };
  }
  return undefined;
}

/**
 * Was this for want of something that the sidecar itself needs to connect (a file descriptor, a local port, memory)? A
 * release must not go back for it. Where there was an answer, the sidecar of the endpoint says `overloaded` of its own.
 */
export function isOwnLack(cause: Failure | undefined, { hasAnswered }: { readonly hasAnswered: boolean }): boolean {
  return cause?.reason === "overloaded" && !hasAnswered;
}
