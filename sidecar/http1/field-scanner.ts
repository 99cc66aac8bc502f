// The byte scan over field lines (RFC 9112 section 5), of heads and of trailers alike: strict, resumable at any byte,
// every byte looked at once, unless all of it or the line came before (section-memo.ts, line-memo.ts). It fills a FieldTable
// with offsets; what the fields mean is decided elsewhere.
import { wordsOf } from "../../runtime/words.ts";
import { NEEDS_MORE, REFUSED } from "./contract.ts";
import { FIELD, fieldKind, isFramingLookalike } from "./field.ts";
import type { FieldTable } from "./field-table.ts";
import { knownLines } from "./line-memo.ts";
import { COLON, CR, HTAB, LF, OCTET, SP, TOKEN } from "./octet.ts";
import type { RefusalDetail } from "./refusal.ts";
import { knownSections } from "./section-memo.ts";
import { skipValue } from "./skip-octets.ts";

/** What the scan waits for. */
const NAME = 0;
const VALUE_START = 1;
const VALUE_BYTES = 2;
const VALUE_LF = 3;
const END_LF = 4;

const ELSEWHERE = -1;

export class FieldScanner {
  /** Set when REFUSED was returned. */
  fault: RefusalDetail = "bad-field-name";
  readonly #fieldsMax: number;
  readonly #tooMany: RefusalDetail;
  #state = NAME;
  /** Where the name or value being read began, counted from the base. */
  #mark = 0;

  constructor(fieldsMax: number, tooMany: RefusalDetail) {
    this.#fieldsMax = fieldsMax;
    this.#tooMany = tooMany;
  }

  /** Starts a section whose first line begins at offset `mark`. */
  begin(mark: number): void {
    this.#state = NAME;
    this.#mark = mark;
  }

  /**
   * Reads field lines into `table`, which must be the same for all of a section, up to and with the empty line. Offsets are stored as `position - base`.
   * @returns the position after the empty line, NEEDS_MORE (all of the bytes were read), or REFUSED.
   */
  scan(table: FieldTable, bytes: Uint8Array, start: number, end: number, base: number): number {
    let at = start;
    let state = this.#state;
    const words = wordsOf(bytes);
    /** Where the section begins, if that is within these bytes. */
    let sectionAt = ELSEWHERE;
    if (state === NAME && table.count === 0 && at - base === this.#mark) {
      const known = knownSections.find(words, at, end);
      if (known !== undefined && known.count <= this.#fieldsMax) {
        table.adopt(known, this.#mark);
        return at + known.length;
      }
      sectionAt = at;
    }
    /** Where the line being read begins, if that is within these bytes. */
    let lineAt = ELSEWHERE;
    // One loop with the states in the order in which they follow each other: a call per state cost a third more.
    while (at < end) {
      if (state === NAME) {
        lineAt = at - base === this.#mark ? at : ELSEWHERE;
        const length = lineAt === at && bytes[at] !== CR ? knownLines.find(words, at, end) : 0;
        if (length > 0) {
          if (table.count === this.#fieldsMax) return this.#refuse(this.#tooMany);
          knownLines.addTo(table, this.#mark);
          at += length;
          this.#mark += length;
          continue;
        }
        while (at < end && ((OCTET[bytes[at] as number] as number) & TOKEN) !== 0) at++;
        if (at === end) break;
        if (bytes[at] === COLON && at - base > this.#mark) {
          if (table.count === this.#fieldsMax) return this.#refuse(this.#tooMany);
          const kind = fieldKind(bytes, this.#mark + base, at);
          if (kind === FIELD.unknown && isFramingLookalike(bytes, this.#mark + base, at)) {
            return this.#refuse("bad-field-name");
          }
          table.open(this.#mark, at - base, kind);
          state = VALUE_START;
        } else if (bytes[at] === CR && at - base === this.#mark) state = END_LF;
        else return this.#refuseName(table, bytes[at] as number, at - base === this.#mark);
        at++;
      } else if (state === VALUE_START) {
        while (at < end && (bytes[at] === SP || bytes[at] === HTAB)) at++;
        if (at === end) break;
        this.#mark = at - base;
        state = VALUE_BYTES;
      } else if (state === VALUE_BYTES) {
        at = skipValue(bytes, at, end);
        if (at === end) break;
        if (bytes[at] !== CR) return this.#refuse(bytes[at] === LF ? "bare-lf" : "bad-field-value");
        this.#closeValue(table, bytes, at, base);
        state = VALUE_LF;
        at++;
      } else {
        if (bytes[at] !== LF) return this.#refuse("bare-cr");
        at++;
        if (state === END_LF) {
          if (sectionAt >= 0) knownSections.note(bytes, sectionAt, at - sectionAt, table, sectionAt - base);
          return at;
        }
        if (lineAt >= 0) knownLines.note(bytes, lineAt, at - lineAt, table);
        this.#mark = at - base;
        state = NAME;
      }
    }
    this.#state = state;
    return NEEDS_MORE;
  }

  #closeValue(table: FieldTable, bytes: Uint8Array, end: number, base: number): void {
    const start = this.#mark + base;
    while (end > start && (bytes[end - 1] === SP || bytes[end - 1] === HTAB)) end--;
    table.close(this.#mark, end - base);
  }

  /** A line that is neither a field nor the empty line. */
  #refuseName(table: FieldTable, octet: number, isLineStart: boolean): number {
    const isSpace = octet === SP || octet === HTAB;
    if (isLineStart && isSpace) return this.#refuse(table.count === 0 ? "space-before-field" : "obs-fold");
    if (isSpace) return this.#refuse("space-before-colon");
    if (octet === LF) return this.#refuse(isLineStart ? "bare-lf" : "missing-colon");
    return this.#refuse(octet === CR ? "missing-colon" : "bad-field-name");
  }

  #refuse(fault: RefusalDetail): number {
    this.fault = fault;
    return REFUSED;
  }
}
