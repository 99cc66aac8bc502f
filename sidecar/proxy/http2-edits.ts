// A head that came in HTTP/2 and goes on in HTTP/2: edited field by field, without the text between. The same edits as
// the encoder of HTTP/1.1 makes, on what of them HTTP/2 has. For one that came in HTTP/1.1 see http2-fields.ts.
import { FIELD_NAMES } from "../http1/field.ts";
import type { HeadEdits } from "../http1/head-edits.ts";
import { FIELD_KINDS, fieldKind } from "../http2/field.ts";
import type { Http2Head } from "../http2/head.ts";
import { addLines } from "./http2-text.ts";

const REQUEST_ID = fieldKind("x-request-id");

/** 1 for the kinds of HTTP/2 that stand for `lastKinds` of HTTP/1.1; kept, because most requests drop the same ones. */
const isDropped = new Uint8Array(FIELD_KINDS);
let lastKinds = 0;

/** Makes `into` what `source` says after `edits`. */
export function editHead(source: Http2Head, edits: HeadEdits, into: Http2Head): void {
  into.clear();
  into.method = source.method;
  into.scheme = source.scheme;
  into.authority = edits.host === "" ? source.authority : edits.host;
  into.path = edits.target === "" ? source.path : edits.target;
  into.status = edits.status > 0 ? edits.status : source.status;
  into.contentLength = source.contentLength;
  into.acceptsTrailers = source.acceptsTrailers;
  into.ownsText = source.ownsText && edits.target === "";
  const drops = edits.dropKinds !== 0;
  // Requests drop, answers mostly do not: what requests drop is not forgotten between two of them.
  if (drops && edits.dropKinds !== lastKinds) drop(edits.dropKinds);
  const { count } = source;
  for (let index = 0; index < count; index++) {
    const kind = source.kindAt(index);
    if (drops && isDropped[kind] === 1) continue;
    const name = source.nameAt(index);
    if (edits.editCount > 0 && edits.indexOf(name) >= 0) continue;
    into.push(name, source.valueAt(index), kind, source.sensitiveAt(index));
  }
  addEdits(edits, into);
}

/** Edited fields stand at the end: their order among fields of other names means nothing (RFC 9110 section 5.3). */
export function addEdits(edits: HeadEdits, into: Http2Head): void {
  for (let edit = 0; edit < edits.editCount; edit++)
    if (edits.lines[edit] !== "") addLines(edits.lines[edit] as string, into);
  if (edits.append !== "") addLines(edits.append, into);
  if (edits.requestId !== "") into.push("x-request-id", edits.requestId, REQUEST_ID, 0);
}

function drop(kinds: number): void {
  lastKinds = kinds;
  isDropped.fill(0);
  for (const [kind, name] of FIELD_NAMES.entries())
    if (name !== "" && ((kinds >> kind) & 1) === 1) isDropped[fieldKind(name)] = 1;
}
