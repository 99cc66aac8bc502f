// A head that came in HTTP/1.1 and goes on in HTTP/2: edited and read field by field, without the text between. Makes of
// it what the encoder of HTTP/1.1 and readRequestText or readResponseText make of it together. Not heads that change
// protocols or open tunnels, nor interim ones: those are few and go through the text.

import { ownCopy } from "../../runtime/latin1.ts";
import { HOP_BY_HOP, FIELD as HTTP1_FIELD, FIELD_NAMES as HTTP1_NAMES } from "../http1/field.ts";
import { isCanonicalLength } from "../http1/framing.ts";
import type { MessageHead } from "../http1/head.ts";
import type { HeadEdits } from "../http1/head-edits.ts";
import { LINE_PLACES, NO_LINE } from "../http1/line-memo.ts";
import { FIELD, fieldKind } from "../http2/field.ts";
import type { Http2Head } from "../http2/head.ts";
import { addEdits } from "./http2-edits.ts";
import { WEBSOCKET_HANDSHAKE } from "./http2-text.ts";

/** Never among the fields of HTTP/2: what is for one hop, and what HTTP/2 says by frames. */
const LEFT_OUT = HOP_BY_HOP | (1 << HTTP1_FIELD.transferEncoding);
const KINDS: readonly number[] = HTTP1_NAMES.map((name) => (name === "" ? FIELD.unknown : fieldKind(name)));
/** Makes `into` what the request `head` says after `edits`. */
export function readRequest(head: MessageHead, edits: HeadEdits, into: Http2Head): void {
  into.clear();
  into.method = head.method;
  into.scheme = "http";
  into.authority = edits.host === "" ? head.authority : edits.host;
  into.path = edits.target === "" ? head.originForm : edits.target;
  readFields(head, edits, LEFT_OUT | (1 << HTTP1_FIELD.host), into);
  if (head.acceptsTrailers) into.push("te", "trailers", FIELD.te, 0);
  addEdits(edits, into);
}

/** Makes `into` what the final answer `head` says after `edits`. */
export function readResponse(head: MessageHead, edits: HeadEdits, into: Http2Head): void {
  into.clear();
  into.status = edits.status > 0 ? edits.status : head.status;
  // A length that the content will not have, and that of an answer without content by nature (RFC 9110 section 8.6).
  const hasNoLength = edits.framing !== "same" || head.status === 204;
  readFields(head, edits, hasNoLength ? LEFT_OUT | (1 << HTTP1_FIELD.contentLength) : LEFT_OUT, into);
  addEdits(edits, into);
}

function readFields(head: MessageHead, edits: HeadEdits, leftOut: number, into: Http2Head): void {
  const { fields } = head;
  const { text, count } = fields;
  const dropped = leftOut | (edits.dropKinds & ~KEPT);
  // They are cut out of the text: whoever keeps one copies it.
  into.ownsText = false;
  for (let index = 0; index < count; index++) {
    const kind = fields.kindAt(index);
    if (((dropped & ~1) >> kind) & 1) continue;
    if (kind === HTTP1_FIELD.unknown) {
      const place = names.placeOfLine(fields.lineAt(index), text, fields.nameStart(index), fields.nameEnd(index));
      const name = names.lower[place] as string;
      if (names.isOfHandshake[place] === 1 || (edits.editCount > 0 && edits.indexOf(name) >= 0)) continue;
      into.push(name, fields.valueAt(index), names.kinds[place] as number, 0);
      continue;
    }
    const name = HTTP1_NAMES[kind] as string;
    if (edits.editCount > 0 && edits.indexOf(name) >= 0) continue;
    into.push(name, writtenValue(head, index, kind, into), KINDS[kind] as number, 0);
  }
}

/** Not a rule's to leave out: the encoder of HTTP/1.1 holds to the same. */
const KEPT = (1 << HTTP1_FIELD.contentLength) | (1 << HTTP1_FIELD.host);

function writtenValue({ fields, contentLength }: MessageHead, index: number, kind: number, into: Http2Head): string {
  if (kind !== HTTP1_FIELD.contentLength) return fields.valueAt(index);
  into.contentLength = contentLength;
  return isCanonicalLength(fields, index) ? fields.valueAt(index) : String(contentLength);
}

/** Power of two. Each name has one place, so a peer that sends others costs others time, and no memory. */
const PLACES = 256;
const LENGTH_MAX = 64;

/** Names that HTTP/1.1 has no kind for, by how they came: what they are in lower case was found out once. */
class NameMemo {
  readonly lower: string[] = new Array<string>(PLACES + 1).fill("");
  readonly kinds: Uint8Array = new Uint8Array(PLACES + 1);
  readonly isOfHandshake: Uint8Array = new Uint8Array(PLACES + 1);
  readonly #sent: string[] = new Array<string>(PLACES + 1).fill("");
  /** How many names each place has had. */
  readonly #kept = new Int32Array(PLACES + 1);
  /** Of lines that are known: the line, the place of its name, and how many names that place had had by then. */
  readonly #lines = new Int32Array(LINE_PLACES).fill(NO_LINE);
  readonly #placeOfLine = new Int32Array(LINE_PLACES);
  readonly #keptAt = new Int32Array(LINE_PLACES);

  /** The same for a name whose line may be known: then it is not looked at again. */
  placeOfLine(line: number, text: string, start: number, end: number): number {
    if (line === NO_LINE) return this.placeOf(text, start, end);
    const at = line & (LINE_PLACES - 1);
    const known = this.#placeOfLine[at] as number;
    if (this.#lines[at] === line && this.#keptAt[at] === this.#kept[known]) return known;
    const place = this.placeOf(text, start, end);
    this.#lines[at] = line;
    this.#placeOfLine[at] = place;
    this.#keptAt[at] = this.#kept[place] as number;
    return place;
  }

  /** Where text[start, end), which is not empty, stands now. */
  placeOf(text: string, start: number, end: number): number {
    const length = end - start;
    const middle = text.charCodeAt(start + (length >> 1));
    const mixed = Math.imul(length, 31) + text.charCodeAt(start) * 7 + middle * 5 + text.charCodeAt(end - 1);
    // The last place is for those that are too long to be kept.
    const place = length > LENGTH_MAX ? PLACES : mixed & (PLACES - 1);
    const sent = this.#sent[place] as string;
    if (sent.length !== length || !text.startsWith(sent, start)) this.#keep(place, ownCopy(text.slice(start, end)));
    return place;
  }

  #keep(place: number, name: string): void {
    const lower = name.toLowerCase();
    this.#kept[place] = ((this.#kept[place] as number) + 1) | 0;
    this.#sent[place] = place === PLACES ? "" : name;
    this.lower[place] = lower;
    this.kinds[place] = fieldKind(lower);
    this.isOfHandshake[place] = WEBSOCKET_HANDSHAKE.has(lower) ? 1 : 0;
  }
}

const names = new NameMemo();
