// Requests and answers of HTTP/2 that came before and go on in HTTP/1.1: the text of their head stands ready, and only the
// values that differ from one to the next are put in. What known-head.ts is for heads that came in HTTP/1.1.
import type { SourceKinds } from "../http1/field-table.ts";
import type { MessageHead } from "../http1/head.ts";
import { FIELD } from "../http2/field.ts";
import { Http2Head, type OpenValue, PATH } from "../http2/head.ts";

/** What makes the text besides the head itself; texts that are the same are mostly one text. Answers only have framing. */
interface TextParts {
  readonly framing: MessageHead["framing"];
  /** Kinds of its fields that stay out of it. */
  readonly dropped: number;
  /** Complete field lines behind them. */
  readonly lines: string;
  /** There is a request id behind those, of this sidecar. */
  readonly hasId: boolean;
}

/** In place of a value while the text is made: neither fields nor paths have such an octet. */
const MARK = "\u0001";
/** In place of a Content-Length while the text is made. */
const LENGTH_MARK: number = 2 ** 52;
/** Not a field's value, but this sidecar's request id. */
const REQUEST_ID = -2;
/** The length as a number, however it came. */
const LENGTH = -3;

/** The text, in pieces: a value stands behind each but the last. */
class OpenText {
  readonly #pieces: readonly string[];
  /** Of each value the index of its field in the head, PATH, REQUEST_ID or LENGTH. */
  readonly #values: readonly number[];

  constructor(pieces: readonly string[], values: readonly number[]) {
    this.#pieces = pieces;
    this.#values = values;
  }

  with(head: Http2Head, requestId: string): string {
    const pieces = this.#pieces;
    const values = this.#values;
    let text = pieces[0] as string;
    for (let at = 0; at < values.length; at++)
      text = text + partOf(head, values[at] as number, requestId) + (pieces[at + 1] as string);
    return text;
  }
}

function partOf(head: Http2Head, index: number, requestId: string): string {
  if (index >= 0) return head.valueAt(index);
  if (index === PATH) return head.path;
  return index === REQUEST_ID ? requestId : String(head.contentLength);
}

/** Of the heads that say the same but for some values. */
export class KnownText {
  #parts: TextParts | undefined = undefined;
  /** Made when the same parts come for the second time. */
  #text: OpenText | undefined = undefined;

  /** Do these parts come again? If not they are what the next ones are compared with. */
  comeAgain(framing: MessageHead["framing"], dropped: number, lines: string, hasId: boolean): boolean {
    const parts = this.#parts;
    if (parts?.lines === lines && parts.dropped === dropped && parts.hasId === hasId && parts.framing === framing)
      return true;
    this.#parts = { framing, dropped, lines, hasId };
    this.#text = undefined;
    return false;
  }

  /** What the encoder of HTTP/1.1 makes of such a head with these parts; "": it is not kept yet. */
  with(head: Http2Head, requestId: string): string {
    return this.#text === undefined ? "" : this.#text.with(head, requestId);
  }

  /**
   * Keeps what becomes of heads like `head`.
   * @param encode makes the text of one, which has marks instead of `values`; REQUEST_ID_MARK stands for the request id. "": it cannot
   */
  keep(head: Http2Head, values: readonly OpenValue[], encode: (marked: Http2Head) => string): void {
    const text = encode(marked(head, values));
    if (text !== "") this.#text = cut(text);
  }
}

/** The same head, with marks instead of values. */
function marked(head: Http2Head, values: readonly OpenValue[]): Http2Head {
  const copy = new Http2Head();
  copy.copyFrom(head);
  for (const { index, kind } of values) {
    if (index === PATH) copy.setPath(`/${markOf(PATH)}`);
    else copy.setValueAt(index, markOf(index));
    if (kind === FIELD.contentLength) copy.contentLength = LENGTH_MARK;
  }
  return copy;
}

function markOf(index: number): string {
  return MARK + index + MARK;
}

export const REQUEST_ID_MARK: string = markOf(REQUEST_ID);
const LENGTH_LINE = `\r\ncontent-length: ${LENGTH_MARK}\r\n`;

/** What the encoder made of marks. */
function cut(text: string): OpenText {
  const parts = text
    .replace(LENGTH_LINE, `\r\ncontent-length: ${markOf(LENGTH)}\r\n`)
    .replace(`/${markOf(PATH)}`, markOf(PATH))
    .split(MARK);
  return new OpenText(
    parts.filter((_, at) => at % 2 === 0),
    parts.filter((_, at) => at % 2 === 1).map(Number),
  );
}

/** Of heads with these names. */
export function knownTextOf(kinds: SourceKinds): KnownText {
  if (!(kinds.memo instanceof KnownText)) kinds.memo = new KnownText();
  return kinds.memo as KnownText;
}
