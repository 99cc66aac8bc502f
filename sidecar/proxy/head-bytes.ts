// A head of HTTP/2 written down as the bytes of HTTP/1.1. One buffer for all: its text is copied out. Written octet by octet, because joining the pieces as text first is most of the cost.

const BYTES_AT_FIRST = 16 * 1024;
/** Longer pieces are written by the runtime: from here on its call costs less than the loop. */
const LOOP_MAX = 48;

export class HeadBytes {
  bytes: Buffer = Buffer.allocUnsafeSlow(BYTES_AT_FIRST);
  length = 0;

  begin(): void {
    this.length = 0;
  }

  /** Adds latin1 text. */
  put(text: string): void {
    const { length } = text;
    let at = this.length;
    if (at + length > this.bytes.length) this.#grow(at + length);
    const { bytes } = this;
    if (length > LOOP_MAX) bytes.write(text, at, "latin1");
    else for (let index = 0; index < length; index++) bytes[at++] = text.charCodeAt(index);
    this.length += length;
  }

  #grow(needed: number): void {
    const larger = Buffer.allocUnsafeSlow(needed * 2);
    this.bytes.copy(larger, 0, 0, this.length);
    this.bytes = larger;
  }
}

/** Nothing else runs between `begin` and the copy. */
export const headBytes = new HeadBytes();
