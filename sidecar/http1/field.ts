// The fields that the data path itself reads, takes out or replaces, recognised once while a head is scanned.
// Not a registry of HTTP fields: whatever is not here is unknown and passes through untouched.

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
  contentType: 19,
  retryAfter: 20,
  setCookie: 21,
  cookie: 22,
  http2Settings: 23,
  xEnvoyExpectedRqTimeoutMs: 24,
  xWeftReason: 25,
  authorization: 26,
  xWeftSource: 27,
  forwarded: 28,
  xEnvoyAttemptCount: 29,
  xWeftRetry: 30,
  xWeftDebug: 31,
} as const;

/** Lower-case name of each kind, "" for the two that have none. */
export const FIELD_NAMES: readonly string[] = [
  "",
  "",
  "host",
  "content-length",
  "transfer-encoding",
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "upgrade",
  "expect",
  "trailer",
  "via",
  "x-forwarded-for",
  "x-forwarded-proto",
  "x-forwarded-host",
  "x-request-id",
  "traceparent",
  "tracestate",
  "content-type",
  "retry-after",
  "set-cookie",
  "cookie",
  "http2-settings",
  "x-envoy-expected-rq-timeout-ms",
  "x-weft-reason",
  "authorization",
  "x-weft-source",
  "forwarded",
  "x-envoy-attempt-count",
  "x-weft-retry",
  "x-weft-debug",
];

/** Fields for one connection only (RFC 9110 section 7.6.1), with HTTP2-Settings, whose upgrade is never offered. */
export const HOP_BY_HOP: number =
  (1 << FIELD.nominated) |
  (1 << FIELD.connection) |
  (1 << FIELD.keepAlive) |
  (1 << FIELD.proxyConnection) |
  (1 << FIELD.te) |
  (1 << FIELD.upgrade) |
  (1 << FIELD.http2Settings);

/** Fields that say how long the body is. */
export const FRAMING: number = (1 << FIELD.contentLength) | (1 << FIELD.transferEncoding);

/** Values that are secrets: nobody keeps them for longer than their message. */
export const SECRET: number = (1 << FIELD.authorization) | (1 << FIELD.cookie) | (1 << FIELD.setCookie);
/** The same; it has no kind. */
export const PROXY_AUTHORIZATION = "proxy-authorization";

interface Candidate {
  readonly kind: number;
  readonly codes: Uint8Array;
}

const NO_CANDIDATES: readonly Candidate[] = [];
const LENGTH_MAX = Math.max(...FIELD_NAMES.map((name) => name.length));
const byLength: (readonly Candidate[])[] = Array.from({ length: LENGTH_MAX + 1 }, (_, length) =>
  FIELD_NAMES.flatMap((name, kind) =>
    length > 0 && name.length === length ? [{ kind, codes: Uint8Array.from(name, (c) => c.charCodeAt(0)) }] : [],
  ),
);

/** Kind of the field name in bytes[start, end), whatever its case. */
export function fieldKind(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length > LENGTH_MAX) return FIELD.unknown;
  const candidates = byLength[length] ?? NO_CANDIDATES;
  for (let index = 0; index < candidates.length; index++) {
    const candidate = candidates[index] as Candidate;
    const codes = candidate.codes;
    let at = 0;
    // Setting bit 0x20 maps "A".."Z" to "a".."z"; no other token character maps onto a letter, and "-" and digits
    // have the bit already. A control character such as 0x0d would map onto "-", but a name holds none.
    while (at < length && ((bytes[start + at] as number) | 0x20) === codes[at]) at++;
    if (at === length) return candidate.kind;
  }
  return FIELD.unknown;
}

/**
 * Content_Length and Transfer_Encoding are other names, but gateways that turn fields into variables read them as the
 * ones with a dash, so they are a way to smuggle (nginx drops every such name, `underscores_in_headers off`).
 */
export function isFramingLookalike(bytes: Uint8Array, start: number, end: number): boolean {
  const length = end - start;
  if (length !== 14 && length !== 17) return false;
  const name = FIELD_NAMES[length === 14 ? FIELD.contentLength : FIELD.transferEncoding] as string;
  for (let at = 0; at < length; at++) {
    const octet = bytes[start + at] as number;
    const read = octet === 0x5f ? 0x2d : octet | 0x20;
    if (read !== name.charCodeAt(at)) return false;
  }
  return true;
}
