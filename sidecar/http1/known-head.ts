// Request heads that were sent before and are sent again, but for their request id: their octets stand ready, and no text is put
// together. One for each request line that is known (request-line-memo.ts), for the fields that came with it last.
import { latin1, putLatin1 } from "../../runtime/latin1.ts";
import type { Prepared } from "../../runtime/turn-writer.ts";
import { fieldLine, LINE_END } from "./field-line.ts";
import type { KnownSection } from "./known-section.ts";

const ID_NAME = "x-request-id";
/** Longer heads are not worth their memory. */
const HEAD_MAX = 2_048;

/** A request id in two pieces, because ids of one process mostly begin alike; "" and "": there is none. */
export interface SplitId {
  /** The same text for all ids that begin so. */
  readonly stem: string;
  readonly rest: string;
}

/** What stands in a head behind its line; texts that are the same are mostly one text. */
interface HeadParts {
  readonly section: KnownSection;
  /** Kinds of its fields that stay out of the head. */
  readonly dropped: number;
  /** Complete field lines behind them. */
  readonly lines: string;
  /** Of the request id behind those; 0: none. */
  readonly idLength: number;
  /** Complete field lines behind that. */
  readonly attemptLines: string;
}

/** The head of one request. */
class KnownHead implements Prepared {
  readonly #octets: HeadOctets;
  readonly #stem: string;
  readonly #rest: string;

  constructor(octets: HeadOctets, { stem, rest }: SplitId) {
    this.#octets = octets;
    this.#stem = stem;
    this.#rest = rest;
  }

  get text(): string {
    const bytes = this.take();
    return latin1(bytes, 0, bytes.length);
  }

  take(): Buffer {
    if (this.#stem !== "") this.#octets.putId(this.#stem, this.#rest);
    return this.#octets.bytes;
  }

  lose(): void {
    this.#octets.lose();
  }
}

class HeadOctets implements HeadParts {
  readonly section: KnownSection;
  readonly dropped: number;
  readonly lines: string;
  readonly idLength: number;
  readonly attemptLines: string;
  bytes: Buffer;
  readonly #idAt: number;
  /** Of the id that stands there. */
  #stem = "";

  constructor(line: string, { section, dropped, lines, idLength, attemptLines }: HeadParts) {
    this.section = section;
    this.dropped = dropped;
    this.lines = lines;
    this.idLength = idLength;
    this.attemptLines = attemptLines;
    const before = line + section.linesWithout(dropped) + lines;
    const idLine = idLength === 0 ? "" : fieldLine(ID_NAME, "0".repeat(idLength));
    this.#idAt = before.length + ID_NAME.length + 2;
    this.bytes = Buffer.from(before + idLine + attemptLines + LINE_END, "latin1");
  }

  putId(stem: string, rest: string): void {
    const { bytes } = this;
    if (stem !== this.#stem) putLatin1(bytes, stem, this.#idAt);
    this.#stem = stem;
    const at = this.#idAt + stem.length;
    for (let index = 0; index < rest.length; index++) bytes[at + index] = rest.charCodeAt(index);
  }

  /** Somebody keeps the octets. */
  lose(): void {
    this.bytes = Buffer.from(this.bytes);
  }
}

/** What requests of one line were sent as last. */
export class KnownHeads {
  #octets: HeadOctets | undefined = undefined;
  /** What came last, and was something else. */
  #other: HeadParts | undefined = undefined;

  /**
   * @param line with its CRLF
   * @param dropped kinds of fields that stay out: `1 << FIELD.via`
   * @param lines complete field lines behind those of `section`
   * @param id behind them
   * @param attemptLines complete field lines behind that
   * @returns undefined where it has to be made as text: it is kept when it comes for the second time
   */
  find(
    line: string,
    section: KnownSection,
    dropped: number,
    lines: string,
    id: SplitId,
    attemptLines: string,
  ): Prepared | undefined {
    const octets = this.#octets;
    const idLength = id.stem.length + id.rest.length;
    if (octets !== undefined && areParts(octets, section, dropped, lines, idLength, attemptLines))
      return new KnownHead(octets, id);
    this.#note(line, { section, dropped, lines, idLength, attemptLines });
    return undefined;
  }

  #note(line: string, parts: HeadParts): void {
    const other = this.#other;
    const { section, dropped, lines, idLength, attemptLines } = parts;
    const isSecond = other !== undefined && areParts(other, section, dropped, lines, idLength, attemptLines);
    this.#other = isSecond ? undefined : parts;
    const length = line.length + section.length + lines.length + attemptLines.length;
    if (isSecond && length <= HEAD_MAX) this.#octets = new HeadOctets(line, parts);
  }
}

function areParts(
  parts: HeadParts,
  section: KnownSection,
  dropped: number,
  lines: string,
  idLength: number,
  attemptLines: string,
): boolean {
  return (
    parts.section === section &&
    parts.lines === lines &&
    parts.attemptLines === attemptLines &&
    parts.dropped === dropped &&
    parts.idLength === idLength
  );
}
