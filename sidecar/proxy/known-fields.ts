// Requests of HTTP/1.1 that came before and go on in HTTP/2: their fields stand ready, and only the request id changes. One
// for each request line that is known (request-line-memo.ts), for the fields that came with it last. What known-head.ts is
// for octets.
import { sharedText } from "../../runtime/shared-text.ts";
import type { KnownSection } from "../http1/known-section.ts";
import type { KnownRequestLine } from "../http1/request-line-memo.ts";
import { fieldKind } from "../http2/field.ts";
import { Http2Head, newNumber } from "../http2/head.ts";
import { pathMarkOf } from "../http2/hpack-encoder.ts";

const ID_KIND = fieldKind("x-request-id");

/** What makes a head besides its line; texts that are the same are mostly one text. */
interface FieldParts {
  readonly section: KnownSection;
  /** Kinds of its fields that stay out of the head. */
  readonly dropped: number;
  /** Complete field lines behind them. */
  readonly lines: string;
  /** There is a request id behind those, of this sidecar. */
  readonly hasId: boolean;
}

export class KnownFields {
  #parts: FieldParts | undefined = undefined;
  /** Made when the same parts come for the second time. */
  #head: Http2Head | undefined = undefined;
  #idAt = -1;

  /** Do these parts come again? If not they are what the next ones are compared with. */
  comeAgain(section: KnownSection, dropped: number, lines: string, hasId: boolean): boolean {
    const parts = this.#parts;
    if (parts !== undefined && areParts(parts, section, dropped, lines, hasId)) return true;
    this.#parts = { section, dropped, lines, hasId };
    this.#head = undefined;
    return false;
  }

  /** The head that was kept for the parts; undefined: none yet. It stays as it is but for what stands behind its fields. */
  with(requestId: string): Http2Head | undefined {
    if (this.#head !== undefined && this.#idAt >= 0) this.#head.setValueAt(this.#idAt, requestId);
    return this.#head;
  }

  /** Keeps what was made of the parts. */
  keep(made: Http2Head): void {
    const head = new Http2Head();
    head.copyFrom(made);
    this.#idAt = this.#parts?.hasId === true ? head.indexOfKind(ID_KIND) : -1;
    // Pieces of a larger text would keep that alive, and are slow to compare.
    for (let index = 0; index < head.count; index++)
      if (index !== this.#idAt) head.setValueAt(index, sharedText(head.valueAt(index)));
    head.pathMark = pathMarkOf(head.path);
    if (this.#parts !== undefined) head.setLasting(this.#idAt < 0 ? head.count : this.#idAt, numberOf(this.#parts));
    this.#head = head;
  }
}

function areParts(parts: FieldParts, section: KnownSection, dropped: number, lines: string, hasId: boolean): boolean {
  return parts.section === section && parts.lines === lines && parts.dropped === dropped && parts.hasId === hasId;
}

/** Parts that heads were kept for lately: those of all request lines are mostly the same few. */
const numbered: { readonly parts: FieldParts; readonly number: number }[] = [];
const NUMBERED_MAX = 16;
let nextNumbered = 0;

/** The number of all heads with these parts (Http2Head.number). */
function numberOf(parts: FieldParts): number {
  const { section, dropped, lines, hasId } = parts;
  const known = numbered.find((other) => areParts(other.parts, section, dropped, lines, hasId));
  if (known !== undefined) return known.number;
  const number = newNumber();
  numbered[nextNumbered] = { parts, number };
  nextNumbered = (nextNumbered + 1) % NUMBERED_MAX;
  return number;
}

const all = new WeakMap<KnownRequestLine, KnownFields>();

/** What requests of this line were sent on as last. */
export function knownFieldsOf(line: KnownRequestLine): KnownFields {
  let known = all.get(line);
  if (known === undefined) {
    known = new KnownFields();
    all.set(line, known);
  }
  return known;
}
