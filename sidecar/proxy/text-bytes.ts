// Heads that are text already, as bytes for the decoder. One buffer for all: the decoder keeps nothing of it.
let scratch = Buffer.allocUnsafeSlow(16 * 1024);

/** `text` as latin1; valid until the next call. */
export function asBytes(text: string): Buffer {
  if (text.length > scratch.length) scratch = Buffer.allocUnsafeSlow(text.length * 2);
  return scratch.subarray(0, scratch.write(text, 0, "latin1"));
}
