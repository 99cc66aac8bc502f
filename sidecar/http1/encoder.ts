// Heads out: the text of the head that came, edited. Not a serializer of header maps: kept fields are copied as they
// stood, in runs, and only what the sidecar must change is written anew.
import { FIELD, FRAMING, HOP_BY_HOP } from "./field.ts";
import { fieldLine, LINE_END } from "./field-line.ts";
import { isCanonicalCoding, isCanonicalLength } from "./framing.ts";
import type { MessageHead } from "./head.ts";
import type { HeadEdits } from "./head-edits.ts";
import { reasonPhrase } from "./reason-phrase.ts";
import { encodeSourceRequest, encodeSourceResponse } from "./source-encoder.ts";

const HOST = 1 << FIELD.host;
const UPGRADE = 1 << FIELD.upgrade;

/**
 * The request head for the next hop, as latin1 text: HTTP/1.1 in origin-form (CONNECT: authority-form), without
 * hop-by-hop fields, edited. What `framing` says is what BodyDecoder's "wire" form, or chunk.ts, has to deliver.
 */
export function encodeRequestHead(head: MessageHead, edits: HeadEdits): string {
  if (head.fields.source !== undefined) return encodeSourceRequest(head, head.fields.source, edits);
  const keepsLine = edits.target === "" && head.minorVersion === 1 && !head.isAbsoluteForm;
  const line = keepsLine ? "" : `${head.method} ${edits.target || head.originForm} HTTP/1.1\r\n`;
  const upgrades = edits.upgrade && head.upgrade;
  let added = connectionLine(edits.connection, upgrades, head.acceptsTrailers);
  if (head.acceptsTrailers) added += "TE: trailers\r\n";
  // HTTP/1.0 and CONNECT may come without Host; the next hop speaks HTTP/1.1 and must have one.
  if (!head.has(FIELD.host)) added += `Host: ${edits.host || head.authority}\r\n`;
  return encode(head, edits, line, added, upgrades, false);
}

/** Did line and fields of a request come before, and do they go on as they came, but for fields that stay out? Then KnownHeads serve. */
export function goesOnAsKnown(head: MessageHead): boolean {
  const { fields } = head;
  const { section } = fields;
  if (head.knownLine === undefined || section === undefined || head.upgrade || head.acceptsTrailers) return false;
  if (!fields.has(FIELD.host) || fields.has(FIELD.nominated)) return false;
  return (fields.present & FRAMING) === 0 || section.meaning?.isCanonical === true;
}

/** No head is this. */
export const AS_IT_CAME = "";

/**
 * The response head for the client, as latin1 text: HTTP/1.1, without hop-by-hop fields, edited.
 * @param hasBytes the caller has use for the bytes that it came in: then a head that leaves as it came is AS_IT_CAME
 */
export function encodeResponseHead(head: MessageHead, edits: HeadEdits, hasBytes = false): string {
  if (head.fields.source !== undefined) return encodeSourceResponse(head, head.fields.source, edits);
  const upgrades = edits.upgrade && head.upgrade;
  const added = connectionLine(edits.connection, upgrades, false);
  return encode(head, edits, statusLine(head, edits.status), added, upgrades, hasBytes);
}

/** A head that the sidecar makes itself; `lines` are complete field lines. */
export function ownResponseHead(status: number, lines: string): string {
  return `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\n${lines}\r\n`;
}

/** "" when the line can be copied as it came. */
function statusLine(head: MessageHead, status: number): string {
  if (status > 0 && status !== head.status) return `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\n`;
  // A phrase that is missing together with its space is put right: the space is not optional (RFC 9112 section 4).
  const hasSpace = head.secondEnd - head.secondStart > 3;
  return head.minorVersion === 1 && hasSpace ? "" : `HTTP/1.1 ${head.status} ${head.reason}\r\n`;
}

function connectionLine(connection: string, upgrades: boolean, te: boolean): string {
  if (!upgrades && !te) {
    return connection === "" ? "" : connection === "close" ? "Connection: close\r\n" : "Connection: keep-alive\r\n";
  }
  const tokens = [connection, upgrades ? "Upgrade" : "", te ? "TE" : ""].filter((token) => token !== "");
  return `Connection: ${tokens.join(", ")}\r\n`;
}

/** `line` replaces the start line unless ""; `added` goes behind the kept fields. */
function encode(
  head: MessageHead,
  edits: HeadEdits,
  line: string,
  added: string,
  upgrades: boolean,
  hasBytes: boolean,
): string {
  const fields = head.fields;
  const dropped = (HOP_BY_HOP | (edits.dropKinds & ~FRAMING & ~HOST)) & ~(upgrades ? UPGRADE : 0);
  const touched = dropped | (framingStays(head, edits) ? 0 : FRAMING) | (newHost(head, edits) === "" ? 0 : HOST);
  let out = line;
  let runStart = line === "" ? 0 : head.fieldsStart;
  if ((fields.present & touched) !== 0 || edits.editCount > 0) {
    for (let index = 0; index < fields.count; index++) {
      const kind = 1 << fields.kindAt(index);
      let replacement = KEEP;
      if ((kind & touched & ~1) !== 0) replacement = replaceKnown(head, edits, index, dropped);
      if (edits.editCount > 0 && replacement === KEEP) replacement = replaceNamed(head, edits, index);
      if (replacement === KEEP) continue;
      out += fields.text.slice(runStart, fields.nameStart(index)) + replacement;
      runStart = index + 1 < fields.count ? fields.nameStart(index + 1) : fields.length - LINE_END.length;
    }
  }
  const more = added + framingLine(edits) + edits.append;
  // Most answers leave as they came.
  if (more === "" && runStart === 0 && edits.editCount === 0 && edits.requestId === "" && !edits.isOpen)
    return hasBytes ? AS_IT_CAME : fields.text;
  out += fields.linesFrom(runStart) + more;
  if (edits.requestId !== "") out += fieldLine("x-request-id", edits.requestId);
  for (let edit = 0; edit < edits.editCount; edit++) {
    if (edits.lines[edit] !== "" && !stands(head, edits.names[edit] as string, dropped)) out += edits.lines[edit];
  }
  return edits.isOpen ? out : out + LINE_END;
}

/** Was there a field of this name, and was it not left out? Then what is set took its place. */
function stands({ fields }: MessageHead, name: string, dropped: number): boolean {
  for (let index = 0; index < fields.count; index++) {
    if (fields.isNamed(index, name) && ((dropped >> fields.kindAt(index)) & 1) === 0) return true;
  }
  return false;
}

/** What Host has to say from here on; "" keeps it. With an absolute-form target it is the target's (RFC 9112 3.2.2). */
function newHost(head: MessageHead, edits: HeadEdits): string {
  return edits.host === "" && head.isAbsoluteForm ? head.authority : edits.host;
}

/** No line begins with this, so it can stand for "copy it". */
const KEEP = "\n";

/** Is it known that its framing field is kept as it came? See replaceKnown. */
function framingStays({ fields, framing }: MessageHead, edits: HeadEdits): boolean {
  if (edits.framing !== "same" || (framing !== "length" && framing !== "chunked")) return false;
  return fields.section?.meaning?.isCanonical === true;
}

/** "" leaves the line out. */
function replaceKnown(head: MessageHead, edits: HeadEdits, index: number, dropped: number): string {
  const kind = head.fields.kindAt(index);
  if (((dropped >> kind) & 1) === 1) return "";
  if (kind === FIELD.host) return `${head.fields.nameAt(index)}: ${newHost(head, edits)}\r\n`;
  if (kind !== FIELD.contentLength && kind !== FIELD.transferEncoding) return KEEP;
  const isSame = edits.framing === "same";
  // The length of a response to HEAD, and of 304, speaks of another message and stays.
  const isOfAnother = head.framing === "none" && edits.framing === "none" && head.status > 0;
  if (!isSame && !isOfAnother) return "";
  if (head.framing === "tunnel" || isBodiless(head.status)) return "";
  const { fields } = head;
  const isLength = kind === FIELD.contentLength;
  if (isLength ? isCanonicalLength(fields, index) : isCanonicalCoding(fields, index)) return KEEP;
  return `${fields.nameAt(index)}: ${isLength ? head.contentLength : "chunked"}\r\n`;
}

/** 1xx and 204 carry no framing fields. */
function isBodiless(status: number): boolean {
  return (status >= 100 && status < 200) || status === 204;
}

/** By the caller's own edits. */
function replaceNamed(head: MessageHead, edits: HeadEdits, index: number): string {
  for (let edit = 0; edit < edits.editCount; edit++) {
    const name = edits.names[edit] as string;
    if (!head.fields.isNamed(index, name)) continue;
    const line = edits.lines[edit] as string;
    if (line === "") return "";
    for (let before = 0; before < index; before++) if (head.fields.isNamed(before, name)) return "";
    return line;
  }
  return KEEP;
}

function framingLine(edits: HeadEdits): string {
  if (edits.framing === "chunked") return "Transfer-Encoding: chunked\r\n";
  return edits.framing === "length" ? `Content-Length: ${edits.length}\r\n` : "";
}
