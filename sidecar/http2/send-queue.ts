// Content of one stream that waits for a window or for the transport, first in, first out. Pieces are gathered into
// blocks, so that a thousand pieces of a few bytes cost what their bytes do. Bounded by its owner: who adds while
// something waits has been told not to.

interface Block {
  readonly bytes: Buffer;
  start: number;
  end: number;
  next: Block | undefined;
}

const BLOCK_BYTES = 4096;
/** From this on a piece goes into blocks that are used again: each read for a slow peer left 256 KiB to the collector. */
const LARGE_MIN_BYTES = 16 * 1024;
const LARGE_BYTES = 64 * 1024;
const SPARES_MAX = 32;

const spares: Buffer[] = [];

export class SendQueue {
  /** Bytes that wait. */
  length = 0;
  #first: Block | undefined = undefined;
  #last: Block | undefined = undefined;

  /** Copies bytes[start, end). */
  add(bytes: Buffer, start: number, end: number): void {
    this.length += end - start;
    let at = start;
    const last = this.#last;
    if (last !== undefined && last.end < last.bytes.length) {
      const taken = Math.min(last.bytes.length - last.end, end - at);
      bytes.copy(last.bytes, last.end, at, at + taken);
      last.end += taken;
      at += taken;
    }
    while (at < end) {
      const block = blockFor(end - at);
      block.end = Math.min(end - at, block.bytes.length);
      bytes.copy(block.bytes, 0, at, at + block.end);
      at += block.end;
      if (this.#last === undefined) this.#first = block;
      else this.#last.next = block;
      this.#last = block;
    }
  }

  /** Moves the first `length` bytes, which are there, to `out` at `at`. */
  take(length: number, out: Buffer, at: number): void {
    this.length -= length;
    let left = length;
    let to = at;
    while (left > 0 && this.#first !== undefined) {
      const block = this.#first;
      const taken = Math.min(left, block.end - block.start);
      block.bytes.copy(out, to, block.start, block.start + taken);
      block.start += taken;
      to += taken;
      left -= taken;
      if (block.start === block.end) this.#dropFirst(block);
    }
  }

  clear(): void {
    this.length = 0;
    for (let block = this.#first; block !== undefined; block = block.next) give(block);
    this.#first = undefined;
    this.#last = undefined;
  }

  #dropFirst(block: Block): void {
    this.#first = block.next;
    if (this.#first === undefined) this.#last = undefined;
    give(block);
  }
}

function blockFor(length: number): Block {
  const isLarge = length >= LARGE_MIN_BYTES;
  const bytes = isLarge
    ? (spares.pop() ?? Buffer.allocUnsafeSlow(LARGE_BYTES))
    : Buffer.allocUnsafeSlow(Math.max(length, BLOCK_BYTES));
  return { bytes, start: 0, end: 0, next: undefined };
}

function give({ bytes }: Block): void {
  if (bytes.length === LARGE_BYTES && spares.length < SPARES_MAX) spares.push(bytes);
}
