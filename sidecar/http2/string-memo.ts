// Short strings that were decoded before, by the bytes that they came as: a path or a value that a peer sends again and
// again without putting it into its table costs a comparison instead of a decoding, and is the very same string each
// time, which makes the next comparison of it quicker too. Not a cache of heads.

/** Encoded bytes. A longer string is likely to be unique. */
const KEY_BYTES_MAX = 64;
/** Power of two. Each has one place, so a peer that sends other strings costs others a decoding, and no memory. */
const PLACES = 512;
const HUFFMAN = 0x80;

export class StringMemo {
  readonly #keys = new Uint8Array(PLACES * KEY_BYTES_MAX);
  /** Length of the key, with a bit for Huffman; 0: free. */
  readonly #lengths = new Uint8Array(PLACES);
  readonly #texts: string[] = new Array<string>(PLACES).fill("");
  readonly #classes = new Uint8Array(PLACES);

  /** Where such bytes would stand; -1: not to be kept. A few of them tell most strings apart. */
  placeOf(bytes: Uint8Array, start: number, end: number): number {
    const length = end - start;
    if (length > KEY_BYTES_MAX || length < 4) return -1;
    let hash = Math.imul(length, 0x9e3779b1);
    hash = Math.imul(hash ^ word(bytes, start), 0x85ebca6b);
    hash = Math.imul(hash ^ word(bytes, start + (length >> 1) - 2), 0xc2b2ae35);
    hash = Math.imul(hash ^ word(bytes, end - 4), 0x27d4eb2f);
    return (hash ^ (hash >>> 15)) & (PLACES - 1);
  }

  /** Does `place` hold these bytes? */
  isAt(place: number, bytes: Uint8Array, start: number, end: number, isHuffman: boolean): boolean {
    if (this.#lengths[place] !== end - start + (isHuffman ? HUFFMAN : 0)) return false;
    const keys = this.#keys;
    const shift = place * KEY_BYTES_MAX - start;
    for (let at = start; at < end; at++) if (keys[shift + at] !== bytes[at]) return false;
    return true;
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
    const shift = place * KEY_BYTES_MAX - start;
    for (let at = start; at < end; at++) this.#keys[shift + at] = bytes[at] as number;
    this.#lengths[place] = end - start + (isHuffman ? HUFFMAN : 0);
  }

  setText(place: number, text: string, classes: number): void {
    this.#texts[place] = text;
    this.#classes[place] = classes;
  }
}

function word(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}
