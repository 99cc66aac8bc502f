// What the end of an attempt says about its endpoint: for breakers, ejections and latency.
import type { ReasonName } from "../../rules/reason-names.ts";
import type { AttemptOutcome } from "../cluster-state.ts";
import type { Failure } from "./reasons.ts";

/** As Envoy's outlier detection: 502, 503 and 504 are failures of the way there, other 5xx of the service. */
export function outcomeOfStatus(status: number): AttemptOutcome {
  if (status < 500) return "success";
  return status >= 502 && status <= 504 ? "gateway-error" : "error";
}

export function outcomeOfFailure(reason: ReasonName): AttemptOutcome {
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

/**
 * Was this for want of something that the sidecar itself needs to connect (a file descriptor, a local port, memory)? A
 * release must not go back for it. Where there was an answer, the sidecar of the endpoint says `overloaded` of its own.
 */
export function isOwnLack(cause: Failure | undefined, { hasAnswered }: { readonly hasAnswered: boolean }): boolean {
  return cause?.reason === "overloaded" && !hasAnswered;
}
