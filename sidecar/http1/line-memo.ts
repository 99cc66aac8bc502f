// Field lines that came before, as words: a peer sends most lines again and again, byte for byte, and comparing one with
// what it was before costs a fifth of reading it. Only lines that hold by themselves, whatever stands around them, and no
// secrets. Each has one place, so that a peer that sends others costs others time, and no memory.
import { FIELD } from "./field.ts";
import type { FieldTable } from "./field-table.ts";

/** Powers of two. */
const PLACES = 512;
const ROW_SHIFT = 5;
const ROW_WORDS = 1 << ROW_SHIFT;
const WORD_BYTES = 4;

/** A row: length of the line, 0 where it is free, and kind; where name and value end; its last word; its words. */
const BOUNDS = 1;
const LAST = 2;
const WORDS = 3;
const BYTE = 0xff;

/** The longest line, with its CRLF. */
const LENGTH_MAX = (ROW_WORDS - WORDS) * WORD_BYTES;
/** The beginning by which lines are told apart: enough for a name and some of its value. */
const LEFT_MIN = 12;
const NOWHERE = -1;

const SECRET = (1 << FIELD.authorization) | (1 << FIELD.cookie) | (1 << FIELD.setCookie);
/** Has no kind here. */
const OTHER_SECRET_LENGTH = "proxy-authorization".length;

export class LineMemo {
  readonly #rows = new Int32Array(PLACES * ROW_WORDS);
  /** Of the line that came to a place last, and was another than the one that is kept there. */
  readonly #seen = new Int32Array(PLACES);
  /** Row of the line that was looked for last. */
  #row = NOWHERE;

  /** @returns length of the line at `at` if it is known and lies whole before `end`; 0 if not */
  find(words: DataView, at: number, end: number): number {
    const left = end - at;
    this.#row = NOWHERE;
    if (left < LEFT_MIN) return 0;
    let hash = Math.imul(words.getInt32(at, true), 0x9e3779b1);
    hash = Math.imul(hash ^ words.getInt32(at + 4, true), 0x85ebca6b);
    hash = Math.imul(hash ^ words.getInt32(at + 8, true), 0xc2b2ae35);
    // What follows a short line is mostly the same as well. What stands behind the end is anything.
    if (left >= 16) hash = Math.imul(hash ^ words.getInt32(at + 12, true), 0x27d4eb2f);
    if (left >= 20) hash = Math.imul(hash ^ words.getInt32(at + 16, true), 0x165667b1);
    const row = ((hash ^ (hash >>> 15)) & (PLACES - 1)) << ROW_SHIFT;
    this.#row = row;
    const rows = this.#rows;
    const length = (rows[row] as number) & BYTE;
    if (length === 0 || length > left) return 0;
    if (words.getInt32(at + length - WORD_BYTES, true) !== rows[row + LAST]) return 0;
    const count = length >> 2;
    const shift = row + WORDS;
    for (let index = 0; index < count; index++)
      if (words.getInt32(at + (index << 2), true) !== rows[shift + index]) return 0;
    return length;
  }

  /** Adds the line that was found to `table`. @param mark where it begins there */
  addTo(table: FieldTable, mark: number): void {
    const bounds = this.#rows[this.#row + BOUNDS] as number;
    table.open(mark, mark + (bounds & BYTE), (this.#rows[this.#row] as number) >> 8);
    table.close(mark + ((bounds >> 8) & BYTE), mark + (bounds >> 16));
  }

  /**
   * The line at `at`, which was looked for last and not found, is the newest of `table`. It is kept when it comes for the
   * second time.
   */
  note(words: DataView, at: number, length: number, table: FieldTable): void {
    const row = this.#row;
    if (row === NOWHERE || length > LENGTH_MAX || length < WORD_BYTES) return;
    const last = words.getInt32(at + length - WORD_BYTES, true);
    const middle = words.getInt32(at + ((length - WORD_BYTES) >> 1), true);
    const behind = words.getInt32(at + (((length - WORD_BYTES) * 3) >> 2), true);
    const mark = Math.imul(Math.imul(last ^ length, 31) ^ middle, 31) ^ behind;
    const place = row >> ROW_SHIFT;
    if (this.#seen[place] !== mark) this.#seen[place] = mark;
    else this.#keep(words, at, length, table);
  }

  #keep(words: DataView, at: number, length: number, table: FieldTable): void {
    const field = table.count - 1;
    const kind = table.kindAt(field);
    const start = table.nameStart(field);
    const nameLength = table.nameEnd(field) - start;
    if (((SECRET >> kind) & 1) === 1 || (kind === FIELD.unknown && nameLength === OTHER_SECRET_LENGTH)) return;
    const rows = this.#rows;
    const row = this.#row;
    const value = ((table.valueEnd(field) - start) << 16) | ((table.valueStart(field) - start) << 8);
    rows[row] = length | (kind << 8);
    rows[row + BOUNDS] = nameLength | value;
    rows[row + LAST] = words.getInt32(at + length - WORD_BYTES, true);
    for (let index = 0; index < length >> 2; index++)
      rows[row + WORDS + index] = words.getInt32(at + (index << 2), true);
  }
}
