// Bytes, four at a time: looking at each byte of a text costs some twenty instructions, at a word hardly more. The data
// path reads into a few buffers again and again, so the views that were made last are nearly always the right ones.
let first: Uint8Array = new Uint8Array(0);
let firstWords: DataView = new DataView(first.buffer);
let second = first;
let secondWords = firstWords;

/** The same bytes at the same positions; words are asked for in one order of bytes, whatever the machine's. */
export function wordsOf(bytes: Uint8Array): DataView {
  return bytes === first ? firstWords : otherWordsOf(bytes);
}

function otherWordsOf(bytes: Uint8Array): DataView {
  const known = bytes === second ? secondWords : new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  second = first;
  secondWords = firstWords;
  first = bytes;
  firstWords = known;
  return known;
}
