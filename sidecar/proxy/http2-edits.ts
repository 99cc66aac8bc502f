// A head that came in HTTP/2 and goes on in HTTP/2: edited field by field, without the text between. The same edits as
// the encoder of HTTP/1.1 makes, on what of them HTTP/2 has. For one that came in HTTP/1.1 see http2-fields.ts.
import { FIELD_NAMES } from "../http1/field.ts";
import type { HeadEdits } from "../http1/head-edits.ts";
import { fieldKind } from "../http2/field.ts";
import type { Http2Head } from "../http2/head.ts";
import { addLines } from "./http2-text.ts";

const REQUEST_ID = fieldKind("x-request-id");

/** Names of the kinds that were dropped last: the same ones request after request. */
let lastKinds = 0;
let lastNames: readonly string[] = [];

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
  const dropped = namesOf(edits.dropKinds);
  const { names, values, kinds, sensitive, count } = source;
  for (let index = 0; index < count; index++) {
    const name = names[index] as string;
    if (dropped.length > 0 && dropped.includes(name)) continue;
    if (edits.editCount > 0 && edits.indexOf(name) >= 0) continue;
    into.push(name, values[index] as string, kinds[index] as number, sensitive[index] as number);
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

function namesOf(kinds: number): readonly string[] {
  if (kinds === lastKinds) return lastNames;
  lastKinds = kinds;
  lastNames = FIELD_NAMES.filter((name, kind) => name !== "" && ((kinds >> kind) & 1) === 1);
  return lastNames;
}
