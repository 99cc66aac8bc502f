// Bounds and times of the data path that no rule sets: what one connection, one exchange and the whole process may
// take. Those of clients are flags (bootstrap.ts). The bounds of one HTTP/1.1 message are http1/limits.ts; what rules set is in TrafficPolicyResource.

export interface DataPathLimits {
  /** Client connections per listener; one more is closed at once and counted. */
  readonly clientConnectionsMax: number;
  /** Files and sockets that the process may have open; what sockets get of it is in runtime/socket-budget.ts. */
  readonly descriptorsMax: number;
  /** From the first byte of a request head to its end; then 408. Envoy leaves it open, nginx 60 s, Node 60 s. */
  readonly headTimeoutMs: number;
  /** Silence between two reads of a request body that is not complete; then 408. */
  readonly bodyIdleTimeoutMs: number;
  /** A client connection between requests. Long, because the client's own pool should be the first to close. */
  readonly clientIdleTimeoutMs: number;
  /** A client that ended its side while it waits for an answer: probably gone, so the exchange ends after this. */
  readonly halfClosedGraceMs: number;
  /** After an answer that came before the request's end, this much of the rest is read away to keep the connection. */
  readonly discardBytesMax: number;
  /** How long reading away, or waiting for the client to close after an error, may take. */
  readonly lingerMs: number;
  /** Bytes of pipelined requests held while one is answered; the socket is not read meanwhile. */
  readonly pipelinedBytesMax: number;
  /** Bytes queued in one socket before the other side is not read any more. */
  readonly writeBufferBytes: number;
  /** How long the first request to a service waits for the control plane. */
  readonly resolveTimeoutMs: number;
  /** Requests waiting for the control plane together; more are answered 503. */
  readonly resolvingRequestsMax: number;
  /** No byte either way while an answer is awaited, where the policy says nothing else. */
  readonly streamIdleTimeoutMs: number;
  /** A tunnel (WebSocket, CONNECT) without a byte either way. */
  readonly tunnelIdleTimeoutMs: number;
  /** Interim responses (1xx) of one upstream answer; more is a bad response. */
  readonly interimResponsesMax: number;
}

export const DEFAULT_LIMITS: DataPathLimits = {
  clientConnectionsMax: 16_384,
  descriptorsMax: Number.POSITIVE_INFINITY,
  headTimeoutMs: 15_000,
  bodyIdleTimeoutMs: 60_000,
  clientIdleTimeoutMs: 3_600_000,
  halfClosedGraceMs: 1_000,
  discardBytesMax: 256 * 1024,
  lingerMs: 2_000,
  pipelinedBytesMax: 256 * 1024,
  writeBufferBytes: 64 * 1024,
  resolveTimeoutMs: 1_000,
  resolvingRequestsMax: 1_024,
  streamIdleTimeoutMs: 300_000,
  tunnelIdleTimeoutMs: 3_600_000,
  interimResponsesMax: 32,
};
