// The fields that the data path itself reads, takes out or replaces, recognised once while a head is scanned.
// Not a registry of HTTP fields: whatever is not here is UNKNOWN and passes through untouched.

/** Kind of a field line. Below 32, so that a set of kinds is one number: `1 << FIELD.host`. */
export const FIELD = {
  unknown: 0,
  /** Named by a Connection token of the same message, so it goes no further (RFC 9110 section 7.6.1). */
  nominated: 1,
  host: 2,
  contentLength: 3,
  transferEncoding: 4,
  connection: 5,
  keepAlive: 6,
  proxyConnection: 7,
  te: 8,
  upgrade: 9,
  expect: 10,
  trailer: 11,
  via: 12,
  xForwardedFor: 13,
  xForwardedProto: 14,
  xForwardedHost: 15,
  xRequestId: 16,
  traceparent: 17,
  tracestate: 18,
  date: 19,
  retryAfter: 20,
  setCookie: 21,
  cookie: 22,
  http2Settings: 23,
  xEnvoyExpectedRqTimeoutMs: 24,
  xWeftReason: 25,
  authorization: 26,
  userAgent: 27,
  forwarded: 28,
} as const;

export type FieldKind = (typeof FIELD)[keyof typeof FIELD];
export const FIELD_KINDS = 29;
