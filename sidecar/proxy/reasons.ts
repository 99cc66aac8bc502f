// The closed list of x-weft-reason: why the mesh itself made an answer, or cut a connection. The same words are in
// the access log and the metrics. docs/reasons.md explains each; a test keeps the two equal.
import { REASON_NAMES, type ReasonName } from "../../rules/reason-names.ts";

/** What went wrong on whose side, and whether another try could be made. */
interface Reason {
  /** Status of the answer, where the answer is not told by a rule. */
  readonly status: number;
  readonly side: "downstream" | "upstream" | "mesh";
  /** "never"; "if-unsent": no byte of the request had left; "safe": also for safe methods when it had. */
  readonly retry: "never" | "if-unsent" | "safe";
  /** One line for the body of the answer. */
  readonly text: string;
}

export const REASONS = {
  "bad-request": { status: 400, side: "downstream", retry: "never", text: "the request is not valid HTTP" },
  "uri-too-long": { status: 414, side: "downstream", retry: "never", text: "the request line is too long" },
  "header-too-large": { status: 431, side: "downstream", retry: "never", text: "the request head is too large" },
  "not-implemented": { status: 501, side: "downstream", retry: "never", text: "a transfer coding is not implemented" },
  "version-not-supported": {
    status: 505,
    side: "downstream",
    retry: "never",
    text: "the HTTP version is not supported",
  },
  "client-timeout": { status: 408, side: "downstream", retry: "never", text: "the request did not arrive in time" },
  "client-closed": {
    status: 499,
    side: "downstream",
    retry: "never",
    text: "the client went away before the answer was complete",
  },
  "no-such-service": { status: 404, side: "mesh", retry: "never", text: "the mesh knows no service of this name" },
  "no-route": { status: 404, side: "mesh", retry: "never", text: "no rule of the service's routes matches" },
  "invalid-backend": {
    status: 500,
    side: "mesh",
    retry: "never",
    text: "the rule names a backend that does not exist",
  },
  "control-plane-unavailable": {
    status: 503,
    side: "mesh",
    retry: "never",
    text: "the control plane could not be asked for this service",
  },
  "no-healthy-endpoint": { status: 503, side: "mesh", retry: "never", text: "the service has no healthy endpoint" },
  "connect-failure": {
    status: 503,
    side: "upstream",
    retry: "if-unsent",
    text: "no connection to the endpoint could be made",
  },
  "upstream-reset": {
    status: 502,
    side: "upstream",
    retry: "safe",
    text: "the endpoint closed the connection before its answer was complete",
  },
  "refused-stream": {
    status: 503,
    side: "upstream",
    retry: "if-unsent",
    text: "the endpoint refused the request without working on it",
  },
  "bad-response": { status: 502, side: "upstream", retry: "never", text: "the endpoint's answer is not valid HTTP" },
  "request-timeout": { status: 504, side: "mesh", retry: "never", text: "the request's time is over" },
  "deadline-exceeded": {
    status: 504,
    side: "mesh",
    retry: "never",
    text: "the time that the caller left was over before the work began",
  },
  "per-try-timeout": { status: 504, side: "mesh", retry: "safe", text: "the endpoint did not answer in time" },
  "stream-idle-timeout": { status: 504, side: "mesh", retry: "never", text: "no byte was moved for too long" },
  "pool-overflow": { status: 503, side: "mesh", retry: "if-unsent", text: "the connection pool is full" },
  "circuit-open": { status: 503, side: "mesh", retry: "never", text: "the circuit breaker of the service is open" },
  "rate-limited": { status: 429, side: "mesh", retry: "never", text: "a rate limit of the service is reached" },
  "concurrency-limited": {
    status: 503,
    side: "mesh",
    retry: "never",
    text: "the service has as many requests in progress as it may have",
  },
  "fault-injected": { status: 503, side: "mesh", retry: "never", text: "a Fault document asks for this failure" },
  "retry-budget-exhausted": {
    status: 503,
    side: "mesh",
    retry: "never",
    text: "the request failed and the retry budget is spent",
  },
  draining: { status: 503, side: "mesh", retry: "never", text: "the sidecar is shutting down" },
  overloaded: {
    status: 503,
    side: "mesh",
    retry: "if-unsent",
    text: "the sidecar has too many connections or requests",
  },
  redirect: { status: 302, side: "mesh", retry: "never", text: "the rule redirects this request" },
  "cors-preflight": { status: 200, side: "mesh", retry: "never", text: "the rule answers CORS preflight requests" },
  tunnel: { status: 200, side: "mesh", retry: "never", text: "a tunnel to the host stands" },
  "internal-error": { status: 500, side: "mesh", retry: "never", text: "an error in the sidecar ended this request" },
} as const satisfies Readonly<Record<ReasonName, Reason>>;

/** A failure of one exchange or attempt: a reason with what happened in this case. */
export interface Failure {
  readonly reason: ReasonName;
  /** Finishes the sentence: `connect ECONNREFUSED 10.0.0.1:80`; may be empty. Never a secret: clients read it. */
  readonly detail: string;
  /** Replaces the reason's own status; 0: the reason's. */
  readonly status: number;
  /** The answer is one of gRPC, with this status. */
  readonly grpcStatus?: number;
}

const PLAIN = new Map<ReasonName, Failure>(
  REASON_NAMES.map((reason) => [reason, Object.freeze({ reason, detail: "", status: 0 })]),
);

/** The failure of this reason; with a detail it is a new value. */
export function failure(reason: ReasonName, detail = "", status = 0): Failure {
  if (detail === "" && status === 0) return PLAIN.get(reason) ?? { reason, detail, status };
  return { reason, detail, status };
}
