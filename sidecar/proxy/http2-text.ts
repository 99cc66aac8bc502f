// Heads of HTTP/2 and the text that the exchange reads and edits, both ways. Reading goes through the HTTP/1.1 decoder
// afterwards, so one set of rules decides what a head may say, whoever said it. Not the rules of HTTP/2 itself: the
// http2 room has refused what breaks those.
import { FIELD as HTTP2_FIELD } from "../http2/field.ts";
import { Http2Head } from "../http2/head.ts";
import type { HeadBytes } from "./head-bytes.ts";

/** Fields that HTTP/1.1 says of a connection: they have no place in HTTP/2 (RFC 9113 section 8.2.2). */
const CONNECTION_FIELDS = new Set(["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"]);
/** What only the handshake of HTTP/1.1 says (RFC 8441 section 5). */
const WEBSOCKET_HANDSHAKE = new Set(["sec-websocket-key", "sec-websocket-accept"]);
/** Whose requests have a body by nature: an end without one is said in so many words. */
const BODY_METHODS = new Set(["POST", "PUT", "PATCH"]);
const NO_BODY = "content-length: 0\r\n";
const CHUNKED = "transfer-encoding: chunked\r\n";

/**
 * A request as HTTP/1.1 bytes; see HeadBytes. Content of unknown length is said to be chunked; an extended CONNECT (RFC
 * 8441) becomes the upgrade that it stands for.
 * @param isEnd no content follows
 * @param websocketKey for an upgrade to `websocket`, whose handshake needs one
 */
export function requestBytes(head: Http2Head, isEnd: boolean, websocketKey: string, out: HeadBytes): void {
  const isPlainConnect = head.method === "CONNECT" && head.protocol === "";
  const method = head.protocol === "" ? head.method : "GET";
  out.begin();
  out.put(method);
  out.put(" ");
  out.put(isPlainConnect ? head.authority : head.path);
  out.put(" HTTP/1.1\r\nhost: ");
  out.put(head.authority);
  out.put("\r\n");
  putFields(head, out);
  if (head.protocol !== "") {
    out.put(`connection: upgrade\r\nupgrade: ${head.protocol}\r\n`);
    if (head.protocol === "websocket" && head.value("sec-websocket-key") === undefined)
      out.put(`sec-websocket-key: ${websocketKey}\r\n`);
  } else if (!isPlainConnect && head.contentLength < 0) {
    if (!isEnd) out.put(CHUNKED);
    else if (BODY_METHODS.has(method)) out.put(NO_BODY);
  }
  out.put("\r\n");
}

/** An answer, final or interim, as HTTP/1.1 bytes. @param isEnd no content follows */
export function responseBytes(head: Http2Head, isEnd: boolean, out: HeadBytes): void {
  const { status } = head;
  const hasBody = !isEnd && status >= 200 && status !== 204 && status !== 304;
  out.begin();
  out.put(statusLine(status));
  putFields(head, out);
  if (hasBody && head.contentLength < 0) out.put(CHUNKED);
  out.put("\r\n");
}

const statusLines: string[] = [];

function statusLine(status: number): string {
  let line = statusLines[status];
  if (line === undefined) {
    line = `HTTP/1.1 ${status} \r\n`;
    statusLines[status] = line;
  }
  return line;
}

function putFields({ names, values, count }: Http2Head, out: HeadBytes): void {
  for (let index = 0; index < count; index++) {
    out.put(names[index] as string);
    out.put(": ");
    out.put(values[index] as string);
    out.put("\r\n");
  }
}

/** Trailers as field lines and the empty line behind them; "" for none. */
export function trailersText(head: Http2Head): string {
  return head.count === 0 ? "" : `${fieldLines(head)}\r\n`;
}

function fieldLines(head: Http2Head): string {
  const { names, values, count } = head;
  let lines = "";
  for (let index = 0; index < count; index++) lines += `${names[index]}: ${values[index]}\r\n`;
  return lines;
}

/** Makes `into` the request that `text` says: a head as the encoder of HTTP/1.1 writes it. */
export function readRequestText(text: string, into: Http2Head): void {
  into.clear();
  const methodEnd = text.indexOf(" ");
  const targetEnd = text.indexOf(" ", methodEnd + 1);
  into.method = text.slice(0, methodEnd);
  const target = text.slice(methodEnd + 1, targetEnd);
  if (into.method === "CONNECT") into.authority = target;
  else {
    into.scheme = "http";
    into.path = target;
  }
  readFields(text, text.indexOf("\r\n", targetEnd) + 2, into, true);
}

/** Makes `into` the answer that `text` says. 101 has no place in HTTP/2: it becomes the 200 of RFC 8441. */
export function readResponseText(text: string, into: Http2Head): void {
  into.clear();
  const statusStart = text.indexOf(" ") + 1;
  const status = Number(text.slice(statusStart, statusStart + 3));
  into.status = status === 101 ? 200 : status;
  readFields(text, text.indexOf("\r\n", statusStart) + 2, into, false);
}

/** Makes `into` the trailers that `text` says. */
export function readTrailersText(text: string, into: Http2Head): void {
  into.clear();
  readFields(text, 0, into, false);
}

/** Lines that were added before: most are the same request after request. */
const known = new Map<string, Http2Head>();
const KNOWN_MAX = 512;

/** Adds field lines that the sidecar made. */
export function addLines(lines: string, into: Http2Head): void {
  let fields = known.get(lines);
  if (fields === undefined) {
    fields = new Http2Head();
    readFields(lines, 0, fields, false);
    if (known.size >= KNOWN_MAX) known.clear();
    known.set(lines, fields);
  }
  for (let index = 0; index < fields.count; index++)
    into.push(fields.nameAt(index), fields.valueAt(index), fields.kindAt(index), 0);
  // They are cut out of the lines: whoever keeps one copies it.
  into.ownsText = false;
}

/** Lines from `start` to the empty one, or to the end. */
function readFields(text: string, start: number, into: Http2Head, isRequest: boolean): void {
  // They are cut out of the text: whoever keeps one copies it.
  into.ownsText = false;
  for (let at = start; ; ) {
    const end = text.indexOf("\r\n", at);
    if (end <= at) return;
    const colon = text.indexOf(":", at);
    let from = colon + 1;
    while (from < end && isSpace(text.charCodeAt(from))) from++;
    let to = end;
    while (to > from && isSpace(text.charCodeAt(to - 1))) to--;
    addField(into, text.slice(at, colon).toLowerCase(), text.slice(from, to), isRequest);
    at = end + 2;
  }
}

function addField(into: Http2Head, name: string, value: string, isRequest: boolean): void {
  if (CONNECTION_FIELDS.has(name) || WEBSOCKET_HANDSHAKE.has(name)) return;
  if (isRequest && name === "host") {
    if (into.authority === "") into.authority = value;
  } else if (name === "te") {
    // `trailers` is all that may be said (RFC 9113 section 8.2.2).
    if (/(?:^|,)[ \t]*trailers[ \t]*(?:,|$)/i.test(value)) into.push("te", "trailers", HTTP2_FIELD.te, 0);
  } else {
    if (name === "content-length") into.contentLength = Number(value);
    into.add(name, value);
  }
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
