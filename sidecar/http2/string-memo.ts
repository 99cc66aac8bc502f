// Short strings that were decoded before, by the bytes that they came as: a path or a value that a peer sends again and
// again without putting it into its table costs a comparison instead of a decoding, and is the very same string each
// time, which makes the next comparison of it quicker too. Not a cache of heads.
import { wordsOf } from "../../runtime/words.ts";

/** Encoded bytes. A longer string is likely to be unique. */
const KEY_BYTES_MAX = 64;
const WORD_BYTES = 4;
const KEY_WORDS_SHIFT = 4;
/** Power of two. Each has one place, so a peer that sends other strings costs others a decoding, and no memory. */
const PLACES = 512;
const HUFFMAN = 0x80;

export class StringMemo {
  /** Each in words, the last of which ends where the key does: it may overlap with the one before. */
  readonly #keys = new Int32Array(PLACES << KEY_WORDS_SHIFT);
  /** Length of the key, with a bit for Huffman; 0: free. */
  readonly #lengths = new Uint8Array(PLACES);
  readonly #texts: string[] = new Array<string>(PLACES).fill("");
  readonly #classes = new Uint8Array(PLACES);

  /** Where such bytes would stand; -1: not to be kept. A few of them tell most strings apart. */
  placeOf(bytes: Uint8Array, start: number, end: number): number {
    const length = end - start;
    if (length > KEY_BYTES_MAX || length < WORD_BYTES) return -1;
    const words = wordsOf(bytes);
    let hash = Math.imul(length, 0x9e3779b1);
    hash = Math.imul(hash ^ words.getInt32(start, true), 0x85ebca6b);
    hash = Math.imul(hash ^ words.getInt32(start + (length >> 1) - 2, true), 0xc2b2ae35);
    hash = Math.imul(hash ^ words.getInt32(end - WORD_BYTES, true), 0x27d4eb2f);
    return (hash ^ (hash >>> 15)) & (PLACES - 1);
  }

  /** Does `place` hold these bytes? */
  isAt(place: number, bytes: Uint8Array, start: number, end: number, isHuffman: boolean): boolean {
    if (this.#lengths[place] !== end - start + (isHuffman ? HUFFMAN : 0)) return false;
    const words = wordsOf(bytes);
    const keys = this.#keys;
    const last = end - WORD_BYTES;
    let word = place << KEY_WORDS_SHIFT;
    for (let at = start; at < last; at += WORD_BYTES) if (keys[word++] !== words.getInt32(at, true)) return false;
    return keys[word] === words.getInt32(last, true);
  }

  textAt(place: number): string {
    return this.#texts[place] as string;
  }

  /** As in octet.ts. */
  classesAt(place: number): number {
    return this.#classes[place] as number;
  }

  /** The key first, what it stands for with `setText`. */
  keep(place: number, bytes: Uint8Array, start: number, end: number, isHuffman: boolean): void {
    const words = wordsOf(bytes);
    const last = end - WORD_BYTES;
    let word = place << KEY_WORDS_SHIFT;
    for (let at = start; at < last; at += WORD_BYTES) this.#keys[word++] = words.getInt32(at, true);
    this.#keys[word] = words.getInt32(last, true);
    this.#lengths[place] = end - start + (isHuffman ? HUFFMAN : 0);
  }

  setText(place: number, text: string, classes: number): void {
    this.#texts[place] = text;
    this.#classes[place] = classes;
  }
}
