// Heads of HTTP/2 for the exchange, which reads and edits heads of HTTP/1.1: written down as that, with a table of where
// everything stands, so that nothing has to be looked for. The rules of HTTP/1.1 for what a head means are asked
// afterwards (`takeHead` of its decoders), whoever said it. Not the rules for single octets: the http2 room has refused
// what breaks those, and they are the same.
import { latin1 } from "../../runtime/latin1.ts";
import { FIELD as HTTP1_FIELD, FIELD_NAMES as HTTP1_NAMES } from "../http1/field.ts";
import type { MessageHead } from "../http1/head.ts";
import { FIELD_NAMES } from "../http2/field.ts";
import type { Http2Head } from "../http2/head.ts";
import { headBytes as out } from "./head-bytes.ts";

/** Kind in HTTP/1.1 of each kind in HTTP/2. */
const KINDS: Uint8Array = Uint8Array.from(FIELD_NAMES, (name) =>
  Math.max(name === "" ? HTTP1_FIELD.unknown : HTTP1_NAMES.indexOf(name), HTTP1_FIELD.unknown),
);
/** Whose requests have a body by nature: an end without one is said in so many words. */
const BODY_METHODS = new Set(["POST", "PUT", "PATCH"]);

/**
 * Fills `into`, which is clear. Content of unknown length is said to be chunked; an extended CONNECT (RFC 8441) becomes
 * the upgrade that it stands for.
 * @param isEnd no content follows
 * @param websocketKey for an upgrade to `websocket`, whose handshake needs one
 */
export function writeRequest(head: Http2Head, isEnd: boolean, websocketKey: string, into: MessageHead): void {
  const isPlainConnect = head.method === "CONNECT" && head.protocol === "";
  const method = head.protocol === "" ? head.method : "GET";
  out.begin();
  out.put(method);
  into.firstEnd = out.length;
  out.put(" ");
  into.secondStart = out.length;
  out.put(isPlainConnect ? head.authority : head.path);
  into.secondEnd = out.length;
  out.put(" HTTP/1.1\r\n");
  into.fieldsStart = out.length;
  put("host", head.authority, HTTP1_FIELD.host, into);
  putFields(head, into);
  if (head.protocol !== "") {
    put("connection", "upgrade", HTTP1_FIELD.connection, into);
    put("upgrade", head.protocol, HTTP1_FIELD.upgrade, into);
    if (head.protocol === "websocket" && head.value("sec-websocket-key") === undefined)
      put("sec-websocket-key", websocketKey, HTTP1_FIELD.unknown, into);
  } else if (!isPlainConnect && head.contentLength < 0) {
    if (!isEnd) put("transfer-encoding", "chunked", HTTP1_FIELD.transferEncoding, into);
    else if (BODY_METHODS.has(method)) put("content-length", "0", HTTP1_FIELD.contentLength, into);
  }
  finish(into);
}

const VERSION_END = "HTTP/1.1".length;
const STATUS_START = VERSION_END + 1;
/** Three digits and the space behind them; the phrase is empty. */
const STATUS_END = STATUS_START + 4;

/** An answer, final or interim. Fills `into`, which is clear. @param isEnd no content follows */
export function writeResponse(head: Http2Head, isEnd: boolean, into: MessageHead): void {
  const { status } = head;
  const hasBody = !isEnd && status >= 200 && status !== 204 && status !== 304;
  out.begin();
  out.put(statusLine(status));
  into.firstEnd = VERSION_END;
  into.secondStart = STATUS_START;
  into.secondEnd = STATUS_END;
  into.status = status;
  into.fieldsStart = out.length;
  putFields(head, into);
  if (hasBody && head.contentLength < 0) put("transfer-encoding", "chunked", HTTP1_FIELD.transferEncoding, into);
  finish(into);
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

function putFields({ names, values, kinds, count }: Http2Head, into: MessageHead): void {
  for (let index = 0; index < count; index++) {
    const kind = kinds[index] as number;
    put(names[index] as string, values[index] as string, KINDS[kind] as number, into);
  }
}

function put(name: string, value: string, kind: number, { fields }: MessageHead): void {
  const nameStart = out.length;
  out.put(name);
  fields.open(nameStart, out.length, kind);
  out.put(": ");
  const valueStart = out.length;
  out.put(value);
  fields.close(valueStart, out.length);
  out.put("\r\n");
}

function finish(into: MessageHead): void {
  out.put("\r\n");
  into.minorVersion = 1;
  into.fields.text = latin1(out.bytes, 0, out.length);
}
