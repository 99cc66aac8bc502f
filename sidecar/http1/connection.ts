// Fields that speak of this connection only (RFC 9110 section 7.6.1 and 7.8, RFC 9112 section 9): whether it stays
// open, which other fields go no further, and whether another protocol is asked for.
import { FIELD, FIELD_NAMES, HOP_BY_HOP } from "./field.ts";
import type { MessageHead } from "./head.ts";
import { isAll, TOKEN } from "./octet.ts";
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
    if (fields.kinds[index] !== FIELD.connection) continue;
    const value = fields.valueAt(index);
    const bits = value === "keep-alive" ? KEEP_ALIVE : value === "close" ? CLOSE : readTokenList(head, value);
    if (bits < 0) return -1;
    tokens |= bits;
  }
  return tokens;
}

function readTokenList(head: MessageHead, value: string): number {
  let tokens = 0;
  for (const part of value.toLowerCase().split(",")) {
    const token = part.replace(/^[ \t]+|[ \t]+$/g, "");
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
    if (((HOP_BY_HOP >> (fields.kinds[index] as number)) & 1) === 1 || !fields.isNamed(index, token)) continue;
    fields.kinds[index] = FIELD.nominated;
    fields.present |= 1 << FIELD.nominated;
  }
}

function readKeepAlive(head: MessageHead, value: string): void {
  const timeout = /(?:^|[,;])[ \t]*timeout[ \t]*=[ \t]*"?(\d{1,9})/i.exec(value);
  const max = /(?:^|[,;])[ \t]*max[ \t]*=[ \t]*"?(\d{1,9})/i.exec(value);
  if (timeout !== null) head.keepAliveTimeoutSeconds = Number(timeout[1]);
  if (max !== null) head.keepAliveMax = Number(max[1]);
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
