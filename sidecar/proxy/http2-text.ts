// Text of HTTP/1.1 that the sidecar made, or that changes protocols, as heads of HTTP/2; and trailers as text. Not heads on
// their way in, which http2-heads.ts reads.
import { ownCopy } from "../../runtime/latin1.ts";
import { mayTravel } from "../http1/trailers.ts";
import { FIELD as HTTP2_FIELD } from "../http2/field.ts";
import { Http2Head } from "../http2/head.ts";

/** Fields that HTTP/1.1 says of a connection: they have no place in HTTP/2 (RFC 9113 section 8.2.2). */
const CONNECTION_FIELDS = new Set(["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"]);
/** What only the handshake of HTTP/1.1 says (RFC 8441 section 5). */
export const WEBSOCKET_HANDSHAKE: ReadonlySet<string> = new Set(["sec-websocket-key", "sec-websocket-accept"]);

/** Trailers that may travel on, as field lines and the empty line behind them; "" for none. */
export function trailersText(head: Http2Head): string {
  let lines = "";
  for (let index = 0; index < head.count; index++) {
    const name = head.nameAt(index);
    if (mayTravel(name)) lines += `${name}: ${head.valueAt(index)}\r\n`;
  }
  return lines === "" ? "" : `${lines}\r\n`;
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
/** Those that were added last: mostly the same text. */
let lastLines = "";
let lastFields: Http2Head | undefined;
/** Lines that were added once, by their length: those of a trace are never added again, and are not worth keeping. */
const SEEN_PLACES = 64;
const seen: string[] = new Array<string>(SEEN_PLACES).fill("");

/** Adds field lines that the sidecar made. */
export function addLines(lines: string, into: Http2Head): void {
  const fields = lines === lastLines ? lastFields : (known.get(lines) ?? keptWhenSeen(lines));
  if (fields === undefined) return readFields(lines, 0, into, false);
  lastLines = lines;
  lastFields = fields;
  const { count } = fields;
  for (let index = 0; index < count; index++)
    into.push(fields.nameAt(index), fields.valueAt(index), fields.kindAt(index), 0);
}

function keptWhenSeen(lines: string): Http2Head | undefined {
  const place = lines.length & (SEEN_PLACES - 1);
  if (seen[place] !== lines) {
    seen[place] = lines;
    return undefined;
  }
  const fields = new Http2Head();
  readFields(lines, 0, fields, false);
  // They may be kept as they are. Pieces of the lines may not, and V8 compares those by a call into its runtime.
  for (let index = 0; index < fields.count; index++) fields.setValueAt(index, ownCopy(fields.valueAt(index)));
  if (known.size >= KNOWN_MAX) known.clear();
  known.set(lines, fields);
  return fields;
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
