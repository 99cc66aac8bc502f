// Known field names as small numbers, so that a name is recognised once, when it is decoded, and compared as a number
// from there on. Not a registry of HTTP fields: an unknown one has kind 0 and passes through.

/** Kinds that rules, encoder or conductor ask for. All names of HPACK's static table are kinds, and some more. */
const NAMES = [
  "",
  ":authority",
  ":method",
  ":path",
  ":scheme",
  ":status",
  ":protocol",
  "host",
  "content-length",
  "te",
  "cookie",
  "connection",
  "proxy-connection",
  "keep-alive",
  "transfer-encoding",
  "upgrade",
  "authorization",
  "proxy-authorization",
  "set-cookie",
  "content-type",
  "grpc-status",
  "grpc-message",
  "grpc-timeout",
  "grpc-encoding",
  "grpc-accept-encoding",
  "grpc-retry-pushback-ms",
  "user-agent",
  "via",
  "x-forwarded-for",
  "x-forwarded-proto",
  "x-forwarded-host",
  "x-request-id",
  "traceparent",
  "tracestate",
  "x-envoy-expected-rq-timeout-ms",
  "x-weft-reason",
  "expect",
  "trailer",
  "forwarded",
  "date",
  "retry-after",
  "accept-charset",
  "accept-encoding",
  "accept-language",
  "accept-ranges",
  "accept",
  "access-control-allow-origin",
  "age",
  "allow",
  "cache-control",
  "content-disposition",
  "content-encoding",
  "content-language",
  "content-location",
  "content-range",
  "etag",
  "expires",
  "from",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "if-unmodified-since",
  "last-modified",
  "link",
  "location",
  "max-forwards",
  "proxy-authenticate",
  "range",
  "referer",
  "refresh",
  "server",
  "strict-transport-security",
  "vary",
  "www-authenticate",
  "http2-settings",
  "accept-datetime",
  "baggage",
  "b3",
  "origin",
  "content-security-policy",
  "x-content-type-options",
  "grpc-status-details-bin",
  "x-envoy-attempt-count",
  "x-weft-source",
  "x-weft-retry",
  "x-weft-debug",
] as const;

/** Name of each kind; "" of the unknown one. */
export const FIELD_NAMES: readonly string[] = NAMES;
/** Kinds are 0 .. FIELD_KINDS - 1. */
export const FIELD_KINDS: number = NAMES.length;
/** Kinds from 1 up to this one are pseudo-fields. */
export const PSEUDO_KINDS = 6;

const KINDS = new Map<string, number>(NAMES.map((name, kind) => [name, kind]));

/** Kind by lower-case name; 0: unknown. */
export function fieldKind(name: string): number {
  return KINDS.get(name) ?? 0;
}

/** 1 for kinds whose values name one request: whatever remembers values leaves these out, since none comes twice. */
export const IS_UNIQUE: Uint8Array = Uint8Array.from(NAMES, (name) =>
  name === "x-request-id" || name === "traceparent" || name === "b3" ? 1 : 0,
);

/** Kinds that code asks for by name; all others are known by their name alone. */
export const FIELD = {
  unknown: 0,
  authority: 1,
  method: 2,
  path: 3,
  scheme: 4,
  status: 5,
  protocol: 6,
  host: 7,
  contentLength: 8,
  te: 9,
  cookie: 10,
  connection: 11,
  upgrade: 15,
  authorization: 16,
  proxyAuthorization: 17,
  contentType: 19,
} as const;
