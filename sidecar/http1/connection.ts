// Fields that speak of this connection only (RFC 9110 section 7.6.1 and 7.8, RFC 9112 section 9): whether it stays
// open, which other fields go no further, and whether another protocol is asked for.
import { FIELD, FIELD_NAMES, HOP_BY_HOP } from "./field.ts";
import type { MessageHead } from "./head.ts";
import { isAll, TOKEN, trimmed } from "./octet.ts";
import type { RefusalDetail } from "./refusal.ts";

const CONNECTION_FIELDS =
  (1 << FIELD.connection) | (1 << FIELD.keepAlive) | (1 << FIELD.upgrade) | (1 << FIELD.te) | (1 << FIELD.expect);

/**
 * Fields that a Connection token cannot take away: a client could otherwise unmake what a mesh peer said of it, or
 * the framing (RFC 9110 7.6.1: a sender must not nominate fields that are for every recipient).
 */
const PROTECTED = new Set<string>(
  [
    FIELD.host,
    FIELD.contentLength,
    FIELD.transferEncoding,
    FIELD.via,
    FIELD.xForwardedFor,
    FIELD.xForwardedProto,
    FIELD.xForwardedHost,
    FIELD.forwarded,
    FIELD.xRequestId,
    FIELD.traceparent,
    FIELD.tracestate,
    FIELD.xEnvoyExpectedRqTimeoutMs,
    FIELD.authorization,
    FIELD.cookie,
    FIELD.trailer,
  ].map((kind) => FIELD_NAMES[kind] ?? ""),
);

/** Options in one Connection line: each is looked for among all fields. Real ones have three at most. */
const CONNECTION_OPTIONS_MAX = 16;

const CLOSE = 1;
const KEEP_ALIVE = 2;
const UPGRADE = 4;

/** Reads Connection, Keep-Alive, Upgrade, TE and Expect into the head. */
export function readConnection(head: MessageHead): RefusalDetail | undefined {
  const fields = head.fields;
  if ((fields.present & CONNECTION_FIELDS) === 0) {
    head.keepAlive = head.minorVersion === 1;
    return undefined;
  }
  let tokens = 0;
  if (fields.has(FIELD.connection)) {
    tokens = readTokens(head);
    if (tokens < 0) return "bad-connection";
  }
  if ((tokens & CLOSE) !== 0) head.keepAlive = false;
  else head.keepAlive = head.minorVersion === 1 || (tokens & KEEP_ALIVE) !== 0;
  if (fields.has(FIELD.keepAlive)) readKeepAlive(head, fields.value("keep-alive") ?? "");
  if (fields.has(FIELD.te)) head.acceptsTrailers = /(?:^|,)[ \t]*trailers[ \t]*(?:,|$)/i.test(fields.value("te") ?? "");
  if (fields.has(FIELD.upgrade)) readUpgrade(head, tokens);
  if (fields.has(FIELD.expect)) readExpect(head);
  return undefined;
}

/** The tokens as bits, other ones mark the fields they name; -1 when a token is none. */
function readTokens(head: MessageHead): number {
  const fields = head.fields;
  let tokens = 0;
  for (let index = 0; index < fields.count; index++) {
    if (fields.kindAt(index) !== FIELD.connection) continue;
    const start = fields.valueStart(index);
    const length = fields.valueEnd(index) - start;
    let bits: number;
    if (length === 10 && fields.standsAt(start, "keep-alive")) bits = KEEP_ALIVE;
    else if (length === 5 && fields.standsAt(start, "close")) bits = CLOSE;
    else bits = readTokenList(head, fields.valueAt(index));
    if (bits < 0) return -1;
    tokens |= bits;
  }
  return tokens;
}

function readTokenList(head: MessageHead, value: string): number {
  let tokens = 0;
  const parts = value.toLowerCase().split(",", CONNECTION_OPTIONS_MAX + 1);
  if (parts.length > CONNECTION_OPTIONS_MAX) return -1;
  for (const part of parts) {
    const token = trimmed(part);
    if (token === "") continue;
    if (!isAll(token, 0, token.length, TOKEN)) return -1;
    if (token === "close") tokens |= CLOSE;
    else if (token === "keep-alive") tokens |= KEEP_ALIVE;
    else if (token === "upgrade") tokens |= UPGRADE;
    else if (!PROTECTED.has(token)) nominate(head, token);
  }
  return tokens;
}

/** Marks the fields of this name as going no further. */
function nominate(head: MessageHead, token: string): void {
  const fields = head.fields;
  for (let index = 0; index < fields.count; index++) {
    // Kinds that go no further anyway keep theirs: they are read by it.
    if (((HOP_BY_HOP >> fields.kindAt(index)) & 1) === 1 || !fields.isNamed(index, token)) continue;
    fields.nominate(index);
  }
}

// A server says the same in every response, so the last reading is kept: matching costs 300 ns, comparing 10.
let lastKeepAlive = "";
let lastTimeoutSeconds = -1;
let lastMax = -1;

function readKeepAlive(head: MessageHead, value: string): void {
  if (value !== lastKeepAlive) {
    lastKeepAlive = value;
    lastTimeoutSeconds = keepAliveParameter(value, "timeout");
    lastMax = keepAliveParameter(value, "max");
  }
  head.keepAliveTimeoutSeconds = lastTimeoutSeconds;
  head.keepAliveMax = lastMax;
}

function keepAliveParameter(value: string, name: string): number {
  const found = new RegExp(`(?:^|[,;])[ \\t]*${name}[ \\t]*=[ \\t]*"?(\\d{1,9})`, "i").exec(value);
  return found === null ? -1 : Number(found[1]);
}

/**
 * An upgrade needs HTTP/1.1, the token and the field. One that offers h2c is not seen as one: the other protocol
 * would carry requests past every rule of the mesh, so both fields are left out and the request is served as it is.
 */
function readUpgrade(head: MessageHead, tokens: number): void {
  if (head.minorVersion === 0 || (tokens & UPGRADE) === 0) return;
  const protocols = head.fields.value("upgrade") ?? "";
  head.upgrade = protocols !== "" && !/(?:^|,)[ \t]*h2c?[ \t]*(?:,|\/|$)/i.test(protocols);
}

/** HTTP/1.0 expectations are ignored and not passed on (RFC 9110 section 10.1.1). */
function readExpect(head: MessageHead): void {
  if (head.minorVersion === 0) nominate(head, "expect");
  else head.expectContinue = (head.fields.value("expect") ?? "").toLowerCase() === "100-continue";
}
