// Field lines that came before, as words: a peer sends most lines again and again, byte for byte, and comparing one with
// what it was before costs a fifth of reading it. Only lines that mean the same whatever stands around them, and no
// secrets. Each has one place, so that a peer that sends others costs others time, and no memory. Values are kept as
// strings: the same one for all who send it, which is compared by its address and not cut out again.
import { latin1 } from "../../runtime/latin1.ts";
import { sharedText } from "../../runtime/shared-text.ts";
import { wordsOf } from "../../runtime/words.ts";
import { FIELD, PROXY_AUTHORIZATION, SECRET } from "./field.ts";
import { RUN_MAX, RUN_MIN, WordRows } from "./word-rows.ts";

/** A power of two. */
export const LINE_PLACES = 512;
const BYTE = 0xff;
/** Lines are told apart by their first 12 to 20 bytes: enough for a name and some of its value. */
const LEFT_MIN = 12;
const NOWHERE = -1;
/** The number of no line. That of a line has its place in the low bits, and above them how many the place had before. */
export const NO_LINE = -1;
const LINE_MASK = 0x7fffffff;

/** Kept by connections and figures, to compare the next one with: one string for all (shared-text.ts). */
const COMPARED = (1 << FIELD.host) | (1 << FIELD.xWeftSource);

/** Where the fields of a section stand: a FieldTable. */
interface LineTable {
  readonly count: number;
  addLine(kind: number, nameStart: number, nameEnd: number, valueStart: number, valueEnd: number, line: number): void;
  kindAt(index: number): number;
  nameStart(index: number): number;
  nameEnd(index: number): number;
  valueStart(index: number): number;
  valueEnd(index: number): number;
}

export class LineMemo {
  /** By place: the line, with its CRLF; its kind; where name and value end. */
  readonly #rows = new WordRows(LINE_PLACES);
  /** Of the line that came to a place last, and was another than the one that is kept there. */
  readonly #seen = new Int32Array(LINE_PLACES);
  /** The line that stands in each place, and its value. */
  readonly #lines = Int32Array.from({ length: LINE_PLACES }, (_, place) => place);
  readonly #values: string[] = new Array<string>(LINE_PLACES).fill("");
  /** Of the line that was looked for last. */
  #place = NOWHERE;

  /** @returns length of the line at `at` if it is known and lies whole before `end`; 0 if not */
  find(words: DataView, at: number, end: number): number {
    const left = end - at;
    this.#place = NOWHERE;
    if (left < LEFT_MIN) return 0;
    let hash = Math.imul(words.getInt32(at, true), 0x9e3779b1);
    hash = Math.imul(hash ^ words.getInt32(at + 4, true), 0x85ebca6b);
    hash = Math.imul(hash ^ words.getInt32(at + 8, true), 0xc2b2ae35);
    // What follows a short line is mostly the same as well. What stands behind the end is anything.
    if (left >= 16) hash = Math.imul(hash ^ words.getInt32(at + 12, true), 0x27d4eb2f);
    if (left >= 20) hash = Math.imul(hash ^ words.getInt32(at + 16, true), 0x165667b1);
    const place = (hash ^ (hash >>> 15)) & (LINE_PLACES - 1);
    this.#place = place;
    return this.#rows.lengthAt(place, words, at, left);
  }

  /** The line at `at`, within a section that ends at `end`; NO_LINE where it is not known. */
  lineAt(words: DataView, at: number, end: number): number {
    return this.find(words, at, end) > 0 ? (this.#lines[this.#place] as number) : NO_LINE;
  }

  /** Adds the line that was found to `table`. @param mark where it begins there */
  addTo(table: LineTable, mark: number): void {
    const place = this.#place;
    const kind = this.#rows.firstOf(place);
    const bounds = this.#rows.secondOf(place);
    const nameEnd = mark + (bounds & BYTE);
    const valueStart = mark + ((bounds >> 8) & BYTE);
    table.addLine(kind, mark, nameEnd, valueStart, mark + (bounds >> 16), this.#lines[place] as number);
  }

  /** Value of a line; undefined where another has taken its place. */
  valueOf(line: number): string | undefined {
    const place = line & (LINE_PLACES - 1);
    return this.#lines[place] === line ? this.#values[place] : undefined;
  }

  /**
   * The line at `at`, which was looked for last and not found, is the newest of `table`. It is kept when it comes for the
   * second time.
   */
  note(bytes: Uint8Array, at: number, length: number, table: LineTable): void {
    const words = wordsOf(bytes);
    const place = this.#place;
    if (place === NOWHERE || length > RUN_MAX || length < RUN_MIN) return;
    const last = words.getInt32(at + length - 4, true);
    const middle = words.getInt32(at + ((length - 4) >> 1), true);
    const behind = words.getInt32(at + (((length - 4) * 3) >> 2), true);
    const mark = Math.imul(Math.imul(last ^ length, 31) ^ middle, 31) ^ behind;
    if (this.#seen[place] !== mark) this.#seen[place] = mark;
    else this.#keep(bytes, at, length, table);
  }

  #keep(bytes: Uint8Array, at: number, length: number, table: LineTable): void {
    const field = table.count - 1;
    const kind = table.kindAt(field);
    const start = table.nameStart(field);
    const nameLength = table.nameEnd(field) - start;
    if (((SECRET >> kind) & 1) === 1 || (kind === FIELD.unknown && nameLength === PROXY_AUTHORIZATION.length)) return;
    const place = this.#place;
    this.#lines[place] = ((this.#lines[place] as number) + LINE_PLACES) & LINE_MASK;
    const valueAt = at + table.valueStart(field) - start;
    const text = latin1(bytes as Buffer, valueAt, at + table.valueEnd(field) - start);
    this.#values[place] = ((COMPARED >> kind) & 1) === 1 ? sharedText(text) : text;
    const value = ((table.valueEnd(field) - start) << 16) | ((table.valueStart(field) - start) << 8);
    this.#rows.keep(place, bytes, at, length, kind, nameLength | value);
  }
}

/** Of all connections. */
export const knownLines: LineMemo = new LineMemo();
