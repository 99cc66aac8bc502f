// HPACK's Huffman code (RFC 7541 section 5.2 and appendix B), both ways. The code is canonical: the length of each
// symbol's code says all of it, and the tables are built from the lengths at start. Not strings: bytes to bytes.

/** Bits of the code of each octet, and at the end those of EOS. */
// biome-ignore format: a table of 32 columns
export const CODE_BITS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
]
const EOS = 256;
const SYMBOLS = 257;

/** The longest growth when decoding: the shortest code has 5 bits. */
export const HUFFMAN_GROWTH = 8 / 5;

const CODES = new Uint32Array(SYMBOLS);
const LENGTHS = Uint8Array.from(CODE_BITS);

// The decoder is a machine of 256 states (the inner nodes of the code's tree) that takes four bits a step, so that its
// table has 16 KiB and stays in the first-level cache. An entry is the next state, and a symbol where one is complete.
const EMIT = 1 << 16;
const FAIL = 1 << 17;
const STEPS = new Uint32Array(256 * 16);
/** 1: a string may end here: on a symbol's end, or in at most seven bits of padding, all ones. */
const MAY_END = new Uint8Array(256);

buildCodes();
buildSteps();

function buildCodes(): void {
  const order = Array.from({ length: SYMBOLS }, (_, symbol) => symbol);
  order.sort((left, right) => bitsOf(left) - bitsOf(right) || left - right);
  let code = 0;
  let bits = 0;
  for (const symbol of order) {
    code *= 2 ** (bitsOf(symbol) - bits);
    bits = bitsOf(symbol);
    CODES[symbol] = code++;
  }
}

function bitsOf(symbol: number): number {
  return CODE_BITS[symbol] ?? 0;
}

function buildSteps(): void {
  // Inner nodes are 0..255, leaves are the complement of their symbol.
  const children: number[][] = [[]];
  for (let symbol = 0; symbol < SYMBOLS; symbol++) {
    let node = 0;
    for (let bit = bitsOf(symbol) - 1; bit >= 0; bit--) {
      const branch = ((CODES[symbol] ?? 0) >>> bit) & 1;
      const pair = children[node] ?? [];
      if (bit === 0) pair[branch] = ~symbol;
      else if (pair[branch] === undefined) {
        pair[branch] = children.length;
        children.push([]);
      }
      node = pair[branch] ?? 0;
    }
  }
  for (let state = 0; state < children.length; state++) {
    for (let nibble = 0; nibble < 16; nibble++) STEPS[(state << 4) | nibble] = step(children, state, nibble);
  }
  for (let depth = 0, node = 0; depth <= 7 && node >= 0; depth++) {
    MAY_END[node] = 1;
    node = children[node]?.[1] ?? -1;
  }
}

function step(children: readonly (readonly number[])[], state: number, nibble: number): number {
  let node = state;
  let emitted = 0;
  for (let bit = 3; bit >= 0; bit--) {
    node = children[node]?.[(nibble >> bit) & 1] ?? ~EOS;
    if (node >= 0) continue;
    if (~node === EOS) return FAIL;
    emitted = EMIT | (~node << 8);
    node = 0;
  }
  return emitted | node;
}

/**
 * Decodes bytes[start, end) into `out` from its beginning; `out` holds HUFFMAN_GROWTH times as many.
 * @returns how many bytes were written; -1 for EOS in the string, or padding that is too long or not all ones
 */
export function decodeHuffman(bytes: Uint8Array, start: number, end: number, out: Uint8Array): number {
  let state = 0;
  let length = 0;
  for (let at = start; at < end; at++) {
    const octet = bytes[at] as number;
    let entry = STEPS[(state << 4) | (octet >> 4)] as number;
    if (entry >= EMIT) {
      if (entry >= FAIL) return -1;
      out[length++] = (entry >> 8) & 0xff;
    }
    entry = STEPS[((entry & 0xff) << 4) | (octet & 15)] as number;
    if (entry >= EMIT) {
      if (entry >= FAIL) return -1;
      out[length++] = (entry >> 8) & 0xff;
    }
    state = entry & 0xff;
  }
  return MAY_END[state] === 1 ? length : -1;
}

/** Bytes that the text takes encoded. Latin1. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let at = 0; at < text.length; at++) bits += LENGTHS[text.charCodeAt(at) & 0xff] as number;
  return (bits + 7) >> 3;
}

/** Encodes latin1 text into `out` at `at`. @returns the position behind it */
export function encodeHuffman(text: string, out: Uint8Array, at: number): number {
  // At most 7 bits wait before a code of at most 30: taken in two parts so that 32 bits are enough.
  let waiting = 0;
  let held = 0;
  for (let index = 0; index < text.length; index++) {
    const octet = text.charCodeAt(index) & 0xff;
    let bits = LENGTHS[octet] as number;
    const code = CODES[octet] as number;
    while (bits > 0) {
      const taken = bits > 16 ? bits - 16 : bits;
      bits -= taken;
      held = (held << taken) | ((code >>> bits) & ((1 << taken) - 1));
      waiting += taken;
      while (waiting >= 8) {
        waiting -= 8;
        out[at++] = (held >>> waiting) & 0xff;
      }
      held &= 0xff;
    }
  }
  if (waiting > 0) out[at++] = ((held << (8 - waiting)) | (0xff >>> waiting)) & 0xff;
  return at;
}
