// Bytes as text, one character per byte: the form in which small messages are written (libuv copies a latin1 string
// of up to 16 KB onto its stack and writes it at once; measured faster than slicing and copying Buffers).

/** Copies go through here, one at a time. */
const scratch = Buffer.allocUnsafeSlow(4_096);

/** bytes[start, end) as latin1 text; always a copy. */
export function latin1(bytes: Buffer, start: number, end: number): string {
  return bytes.latin1Slice(start, end);
}

/** Longer text is written sooner by a call (23 ns of any length, 50 where it is a piece of another text) than by a loop. */
const LOOP_MAX = 14;

/** Writes latin1 text to bytes from `at` on, where there is room for it. @returns the position behind it */
export function putLatin1(bytes: Buffer, text: string, at: number): number {
  const { length } = text;
  if (length > LOOP_MAX) return at + bytes.latin1Write(text, at, length);
  for (let index = 0; index < length; index++) bytes[at + index] = text.charCodeAt(index);
  return at + length;
}

/**
 * The same text in memory of its own. A piece cut out of a larger text keeps all of that text alive; what is kept longer
 * than a request must not.
 */
export function ownCopy(text: string): string {
  if (text.length > scratch.length) return Buffer.from(text, "latin1").toString("latin1");
  return scratch.latin1Slice(0, scratch.latin1Write(text, 0, text.length));
}
