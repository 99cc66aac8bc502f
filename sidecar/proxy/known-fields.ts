// Requests of HTTP/1.1 that came before and go on in HTTP/2: their fields stand ready, and only the request line and the
// request id are put in. One for each section of fields that is known (known-section.ts), for what was added to it last:
// all paths share it. What known-head.ts is for octets.
import { sharedText } from "../../runtime/shared-text.ts";
import type { KnownSection } from "../http1/known-section.ts";
import type { KnownRequestLine } from "../http1/request-line-memo.ts";
import { fieldKind } from "../http2/field.ts";
import { Http2Head, newNumber } from "../http2/head.ts";
import { pathMarkOf } from "../http2/hpack-encoder.ts";

const ID_KIND = fieldKind("x-request-id");

/** What makes the fields besides the section; texts that are the same are mostly one text. */
interface FieldParts {
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
  comeAgain(dropped: number, lines: string, hasId: boolean): boolean {
    const parts = this.#parts;
    if (parts?.lines === lines && parts.dropped === dropped && parts.hasId === hasId) return true;
    this.#parts = { dropped, lines, hasId };
    this.#head = undefined;
    return false;
  }

  /** The head that was kept for the parts, with this line, until somebody asks for another; undefined: none yet. */
  with(line: KnownRequestLine, authority: string, requestId: string): Http2Head | undefined {
    const head = this.#head;
    if (head === undefined) return undefined;
    if (line.pathMark === 0) line.pathMark = pathMarkOf(line.path);
    head.method = line.method;
    head.setPath(line.path);
    head.pathMark = line.pathMark;
    head.authority = authority;
    if (this.#idAt >= 0) head.setValueAt(this.#idAt, requestId);
    return head;
  }

  /** Keeps what was made of the parts. */
  keep(made: Http2Head): void {
    const head = new Http2Head();
    head.copyFrom(made);
    this.#idAt = this.#parts?.hasId === true ? head.indexOfKind(ID_KIND) : -1;
    // Pieces of a larger text would keep that alive, and are slow to compare.
    for (let index = 0; index < head.count; index++)
      if (index !== this.#idAt) head.setValueAt(index, sharedText(head.valueAt(index)));
    head.setLasting(this.#idAt < 0 ? head.count : this.#idAt, newNumber());
    this.#head = head;
  }
}

/** What requests with this section were sent on as last. */
export function knownFieldsOf(section: KnownSection): KnownFields {
  if (!(section.memo instanceof KnownFields)) section.memo = new KnownFields();
  return section.memo as KnownFields;
}
