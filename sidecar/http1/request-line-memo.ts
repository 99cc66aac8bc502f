// Request lines that came before, as words (word-rows.ts): a path that many clients ask for comes in the same line again
// and again. Comparing it costs a fifth of reading it, and what is known of it (its texts, the route that it took) need
// not be found again. Not lines with a query: those hardly repeat, and may carry secrets.
import { PathPlace } from "../../rules/routing/path-place.ts";
import { latin1 } from "../../runtime/latin1.ts";
import { wordsOf } from "../../runtime/words.ts";
import { KnownHeads } from "./known-head.ts";
import { RUN_MAX, WordRows } from "./word-rows.ts";

/**
 * A power of two. A line stands in one of two places beside each other: with one place for each, two or four of 64 lines pushed each
 * other out all the time, and cost ten times what they cost when they are found.
 */
export const REQUEST_LINE_PLACES = 2_048;
const WORD_BYTES = 4;
const TOP_BITS = 0x80808080;
const CRS = 0x0d0d0d0d;
const ONES = 0x01010101;
const HASH_SEED = 0x811c9dc5;
const HASH_PRIME = 0x9e3779b1;
const NOWHERE = -1;
const SLASH = 0x2f;
const QUESTION_MARK = 0x3f;

/** `method SP path SP HTTP/1.1 CRLF`. */
export interface KnownRequestLine {
  /** With its CRLF. */
  readonly text: string;
  readonly method: string;
  readonly path: string;
  /** Where routing found the path. */
  readonly place: PathPlace;
  /** What it was sent on as. */
  readonly heads: KnownHeads;
  /** By what others tell its path; 0: nobody has asked. */
  pathMark: number;
}

/** Where things are in a request line that was read (MessageHead). */
interface RequestLine {
  readonly firstEnd: number;
  readonly secondStart: number;
  readonly secondEnd: number;
  readonly minorVersion: number;
}

class RequestLineMemo {
  readonly #rows = new WordRows(REQUEST_LINE_PLACES);
  readonly #lines: (KnownRequestLine | undefined)[] = new Array(REQUEST_LINE_PLACES).fill(undefined);
  /** Of the line that came to a place last, and was another than the one that is kept there. */
  readonly #seen = new Int32Array(REQUEST_LINE_PLACES);
  /** Of the line that was looked for last; the place that it would take. */
  #place = NOWHERE;
  #hash = 0;

  /** @returns the line that stands at `start` if it is known and lies whole before `end` */
  find(bytes: Uint8Array, start: number, end: number): KnownRequestLine | undefined {
    const words = wordsOf(bytes);
    const stop = Math.min(end, start + RUN_MAX) - WORD_BYTES;
    let hash = HASH_SEED | 0;
    this.#place = NOWHERE;
    for (let at = start; at <= stop; at += WORD_BYTES) {
      const word = words.getInt32(at, true);
      const marks = word ^ CRS;
      // One of its bytes is a CR, or looks like one behind one: there the line ends.
      if (((marks - ONES) & ~marks & TOP_BITS) !== 0) return this.#findIn(hash, words, start, end);
      hash = Math.imul(hash ^ word, HASH_PRIME);
      hash ^= hash >>> 15;
    }
    return undefined;
  }

  #findIn(hash: number, words: DataView, start: number, end: number): KnownRequestLine | undefined {
    const place = hash & (REQUEST_LINE_PLACES - 1);
    if (this.#rows.lengthAt(place, words, start, end - start) > 0) return this.#lines[place];
    return this.#findBeside(hash, place, words, start, end);
  }

  #findBeside(hash: number, first: number, words: DataView, start: number, end: number): KnownRequestLine | undefined {
    const second = first ^ 1;
    if (this.#rows.lengthAt(second, words, start, end - start) > 0) return this.#lines[second];
    const isFree = this.#lines[first] === undefined;
    const takesSecond = !isFree && (this.#lines[second] === undefined || hash < 0);
    this.#hash = hash;
    this.#place = takesSecond ? second : first;
    return undefined;
  }

  /** The line bytes[start, end) was looked for last, and not found. It is kept when it comes for the second time. */
  note(line: RequestLine, bytes: Uint8Array, start: number, end: number): void {
    const place = this.#place;
    if (place === NOWHERE || end - start > RUN_MAX) return;
    if (this.#seen[place] !== this.#hash) {
      this.#seen[place] = this.#hash;
      return;
    }
    const { firstEnd, secondStart, secondEnd, minorVersion } = line;
    if (minorVersion !== 1 || bytes[start + secondStart] !== SLASH) return;
    for (let at = start + secondStart; at < start + secondEnd; at++) if (bytes[at] === QUESTION_MARK) return;
    const octets = bytes as Buffer;
    this.#lines[place] = {
      text: latin1(octets, start, end),
      method: latin1(octets, start, start + firstEnd),
      path: latin1(octets, start + secondStart, start + secondEnd),
      place: new PathPlace(),
      heads: new KnownHeads(),
      pathMark: 0,
    };
    this.#rows.keep(place, bytes, start, end - start, 0, 0);
  }
}

/** Of all connections. */
export const knownRequestLines: RequestLineMemo = new RequestLineMemo();
