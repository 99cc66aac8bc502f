// The words of x-weft-reason: a closed list, so that whoever asks for one (a tap's filter) can be told what there is. What
// each stands for is docs/reasons.md; its status and side are the data path's business.

export const REASON_NAMES = [
  "bad-request",
  "uri-too-long",
  "header-too-large",
  "not-implemented",
  "version-not-supported",
  "client-timeout",
  "client-closed",
  "no-such-service",
  "no-route",
  "invalid-backend",
  "control-plane-unavailable",
  "no-healthy-endpoint",
  "connect-failure",
  "upstream-reset",
  "refused-stream",
  "bad-response",
  "request-timeout",
  "deadline-exceeded",
  "per-try-timeout",
  "stream-idle-timeout",
  "pool-overflow",
  "circuit-open",
  "rate-limited",
  "concurrency-limited",
  "fault-injected",
  "retry-budget-exhausted",
  "draining",
  "overloaded",
  "redirect",
  "cors-preflight",
  "tunnel",
  "internal-error",
] as const;

export type ReasonName = (typeof REASON_NAMES)[number];
