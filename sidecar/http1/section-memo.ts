// Field sections that came before, as words (word-rows.ts): whoever asks the same again, or answers the same, sends all of
// its fields byte for byte as before, and comparing them at once costs a third of comparing line by line (line-memo.ts).
// What the fields mean by themselves is kept with them (section-meaning.ts). Only whole sections in one read, and none with
// secrets in them.
import { latin1 } from "../../runtime/latin1.ts";
import { wordsOf } from "../../runtime/words.ts";
import { FIELD, PROXY_AUTHORIZATION, SECRET } from "./field.ts";
import { LINE_END } from "./field-line.ts";
import { KnownSection } from "./known-section.ts";
import { WordRows } from "./word-rows.ts";

/** A power of two. */
const SECTION_PLACES = 256;
/** A row of 512 bytes for each. */
const ROW_SHIFT = 7;
/** The beginning by which sections are told apart, besides how much came with them. Shorter ones are a line or none. */
const LEFT_MIN = 20;
const NOWHERE = -1;
/**
 * Where those that are kept are never found again (an id of its own in each of them), so many pass at most before the next one is
 * kept: keeping costs as much as reading.
 */
const PASSED_MAX = 1_023;

/** Where the fields of a section stand: a FieldTable. */
interface SectionTable {
  readonly count: number;
  readonly present: number;
  readonly repeated: number;
  kindAt(index: number): number;
  nameStart(index: number): number;
  nameEnd(index: number): number;
  marksFrom(base: number, words: DataView, at: number, end: number): Int32Array;
}

export class SectionMemo {
  readonly #rows = new WordRows(SECTION_PLACES, ROW_SHIFT);
  readonly #sections: (KnownSection | undefined)[] = new Array(SECTION_PLACES).fill(undefined);
  /** Of the section that came to a place last, and was another than the one that is kept there. */
  readonly #seen = new Int32Array(SECTION_PLACES);
  /** By place: how many are let pass, and how many of them still. */
  readonly #passed = new Int16Array(SECTION_PLACES);
  readonly #left = new Int16Array(SECTION_PLACES);
  /** Of the section that was looked for last. */
  #place = NOWHERE;

  /** @returns the section that stands at `at` if it is known and lies whole before `end` */
  find(words: DataView, at: number, end: number): KnownSection | undefined {
    const left = end - at;
    this.#place = NOWHERE;
    if (left < LEFT_MIN) return undefined;
    // Those that begin alike mostly differ in what comes with them, or in its length.
    let hash = Math.imul(words.getInt32(at, true) ^ left, 0x9e3779b1);
    hash = Math.imul(hash ^ words.getInt32(at + 4, true), 0x85ebca6b);
    hash = Math.imul(hash ^ words.getInt32(at + 8, true), 0xc2b2ae35);
    hash = Math.imul(hash ^ words.getInt32(at + 16, true), 0x27d4eb2f);
    const place = (hash ^ (hash >>> 15)) & (SECTION_PLACES - 1);
    this.#place = place;
    if (this.#rows.lengthAt(place, words, at, left) === 0) return undefined;
    const section = this.#sections[place];
    if (section !== undefined && !section.isFound) section.isFound = true;
    return section;
  }

  /**
   * The section at `at`, which was looked for last and not found, is all of `table`. It is kept when it comes for the second
   * time.
   * @param mark where it begins in the table's offsets
   */
  note(bytes: Uint8Array, at: number, length: number, table: SectionTable, mark: number): void {
    const place = this.#place;
    if (place === NOWHERE || length > this.#rows.runMax || length < LEFT_MIN) return;
    const waits = this.#left[place] as number;
    if (waits > 0) {
      this.#left[place] = waits - 1;
      return;
    }
    const words = wordsOf(bytes);
    // Before the two line ends that all of them have.
    const last = words.getInt32(at + length - 8, true);
    const middle = words.getInt32(at + (length >> 1) - 4, true);
    const behind = words.getInt32(at + ((length * 3) >> 2) - 4, true);
    const seen = Math.imul(Math.imul(last ^ length, 31) ^ middle, 31) ^ behind;
    if (this.#seen[place] !== seen) {
      this.#seen[place] = seen;
      return;
    }
    if (hasSecret(table)) return;
    const isUseless = this.#sections[place]?.isFound === false;
    this.#passed[place] = isUseless ? Math.min((this.#passed[place] as number) * 2 + 1, PASSED_MAX) : 0;
    this.#left[place] = this.#passed[place] as number;
    const lines = latin1(bytes as Buffer, at, at + length - LINE_END.length);
    this.#sections[place] = new KnownSection(lines, table.marksFrom(mark, words, at, at + length), table);
    this.#rows.keep(place, bytes, at, length, 0, 0);
  }
}

function hasSecret(table: SectionTable): boolean {
  if ((table.present & SECRET) !== 0) return true;
  for (let index = 0; index < table.count; index++) {
    const length = table.nameEnd(index) - table.nameStart(index);
    if (length === PROXY_AUTHORIZATION.length && table.kindAt(index) === FIELD.unknown) return true;
  }
  return false;
}

/** Of all connections. */
export const knownSections: SectionMemo = new SectionMemo();
