// Heads out that came in another protocol: written line by line, with the same edits as in encoder.ts. Lines that repeat
// are written once.
import { ownCopy } from "../../runtime/latin1.ts";
import { FIELD, FRAMING, HOP_BY_HOP, PROXY_AUTHORIZATION, SECRET } from "./field.ts";
import { fieldLine, LINE_END } from "./field-line.ts";
import type { MessageHead } from "./head.ts";
import type { HeadEdits } from "./head-edits.ts";
import type { HeadSource } from "./head-source.ts";
import { reasonPhrase } from "./reason-phrase.ts";

/** Not the edits' to leave out, and not copied as they came. */
const HOST = 1 << FIELD.host;

export function encodeSourceRequest(head: MessageHead, source: HeadSource, edits: HeadEdits): string {
  const target = edits.target === "" ? source.path : edits.target;
  const host = edits.host === "" ? source.authority : edits.host;
  if (host !== lastHost) {
    lastHost = host;
    behindTarget = ` HTTP/1.1\r\nhost: ${host}\r\n`;
  }
  const connection = head.acceptsTrailers ? "Connection: TE\r\nTE: trailers\r\n" : "";
  return encode(head, source, edits, source.method + SPACE + target + behindTarget, connection);
}

export function encodeSourceResponse(head: MessageHead, source: HeadSource, edits: HeadEdits): string {
  const status = edits.status > 0 ? edits.status : head.status;
  const connection = edits.connection === "" ? "" : `Connection: ${edits.connection}\r\n`;
  return encode(head, source, edits, statusLine(status, status !== head.status), connection);
}

const SPACE = " ";
let lastHost = "";
/** The version, and the line of that host. */
let behindTarget = " HTTP/1.1\r\nhost: \r\n";
const statusLines: string[] = [];

/** Without a phrase, as it came, unless the sidecar chose the status. */
function statusLine(status: number, isOwn: boolean): string {
  if (isOwn) return `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\n`;
  let line = statusLines[status];
  if (line === undefined) {
    line = `HTTP/1.1 ${status} \r\n`;
    statusLines[status] = line;
  }
  return line;
}

function encode(head: MessageHead, source: HeadSource, edits: HeadEdits, start: string, connection: string): string {
  const { fields } = head;
  const { count } = source;
  const first = fields.count - count;
  const dropped = HOP_BY_HOP | FRAMING | (edits.dropKinds & ~HOST);
  let out = start;
  for (let index = 0; index < count; index++) {
    const kind = fields.kindAt(first + index);
    if (kind !== FIELD.unknown && ((dropped >> kind) & 1) === 1) continue;
    const name = source.nameAt(index);
    if (edits.editCount > 0 && edits.indexOf(name) >= 0) out += replacement(source, edits, index);
    else {
      const value = source.valueAt(index);
      const isKept = value.length <= VALUE_MAX && ((SECRET >> kind) & 1) === 0;
      out += isKept ? lines.of(source.kindAt(index), name, value) : fieldLine(name, value);
    }
  }
  if (connection !== "") out += connection;
  const framing = framingLine(head, edits);
  if (framing !== "") out += framing;
  if (edits.append !== "") out += edits.append;
  if (edits.requestId !== "") out += fieldLine("x-request-id", edits.requestId);
  for (let edit = 0; edit < edits.editCount; edit++) {
    if (edits.lines[edit] !== "" && fields.value(edits.names[edit] as string) === undefined) out += edits.lines[edit];
  }
  return edits.isOpen ? out : out + LINE_END;
}

/** The line that was set, where the first field of the name stood; "" for the others. */
function replacement(source: HeadSource, edits: HeadEdits, index: number): string {
  const name = source.nameAt(index);
  for (let before = 0; before < index; before++) if (source.nameAt(before) === name) return "";
  return edits.lines[edits.indexOf(name)] as string;
}

function framingLine({ framing, contentLength, status }: MessageHead, edits: HeadEdits): string {
  if (edits.framing === "chunked") return "Transfer-Encoding: chunked\r\n";
  if (edits.framing === "length") return `Content-Length: ${edits.length}\r\n`;
  // The length of a response to HEAD, and of 304, speaks of another message and stays.
  const isOfAnother = framing === "none" && edits.framing === "none" && status > 0;
  if ((edits.framing !== "same" && !isOfAnother) || framing === "tunnel") return "";
  // 1xx and 204 carry no framing fields.
  if ((status >= 100 && status < 200) || status === 204) return "";
  if (contentLength >= 0) return `content-length: ${contentLength}\r\n`;
  return framing === "chunked" ? "transfer-encoding: chunked\r\n" : "";
}

/** A source knows fewer names than this; others have no line kept. */
const KINDS_MAX = 128;
/** Longer values are likely to be unique. */
const VALUE_MAX = 64;

/** The last line of each name that the source knows, kept when its value comes for the second time in a row. No secrets. */
class LineMemo {
  readonly #seen: string[] = new Array<string>(KINDS_MAX).fill("");
  readonly #values: string[] = new Array<string>(KINDS_MAX).fill("");
  readonly #lines: string[] = new Array<string>(KINDS_MAX).fill("");

  of(kind: number, name: string, value: string): string {
    if (kind === 0 || kind >= KINDS_MAX) return fieldLine(name, value);
    if (this.#values[kind] === value && this.#lines[kind] !== "") return this.#lines[kind] as string;
    const line = fieldLine(name, value);
    if (name === PROXY_AUTHORIZATION) return line;
    if (this.#seen[kind] === value) {
      this.#values[kind] = value;
      this.#lines[kind] = ownCopy(line);
    } else this.#seen[kind] = value;
    return line;
  }
}

const lines = new LineMemo();
