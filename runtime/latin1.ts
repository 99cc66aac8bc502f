// Bytes as text, one character per byte: the form in which small messages are written (libuv copies a latin1 string
// of up to 16 KB onto its stack and writes it at once; measured faster than slicing and copying Buffers).

/** Node's own methods, which its types leave out. `toString("latin1")` ends there after 20 ns of argument checks. */
interface Latin1Source {
  latin1Slice(start: number, end: number): string;
  latin1Write(text: string, at: number, length: number): number;
}

/** Copies go through here, one at a time. */
const scratch = Buffer.allocUnsafeSlow(4_096) as Buffer & Latin1Source;

/** bytes[start, end) as latin1 text; always a copy. */
export function latin1(bytes: Buffer, start: number, end: number): string {
  return (bytes as unknown as Latin1Source).latin1Slice(start, end);
}

/**
 * The same text in memory of its own. A piece cut out of a larger text keeps all of that text alive; what is kept longer
 * than a request must not.
 */
export function ownCopy(text: string): string {
  if (text.length > scratch.length) return Buffer.from(text, "latin1").toString("latin1");
  return scratch.latin1Slice(0, scratch.latin1Write(text, 0, text.length));
}
