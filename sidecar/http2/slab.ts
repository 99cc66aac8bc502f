// Where the frames of one connection are gathered between two flushes. A connection has a buffer only while something
// stands in it; one that the kernel took whole at once, as it mostly does, is used by the next connection.
import type { Http2Transport } from "./contract.ts";

/** Four full DATA frames fit, with room for heads between them. */
const SLAB_BYTES: number = 68 * 1024;
/** Kept for use again; more connections than this seldom gather at the same time. */
const SPARES_MAX = 64;
/** Behind bytes that wait already, less than this is copied to its size: it would pin a whole buffer. */
const LEND_MIN_BYTES = SLAB_BYTES / 4;
const LENT_MAX = 16;

const spares: Buffer[] = [];

export class Slab {
  readonly #transport: Http2Transport;
  /** Where frames are written; only valid behind `reserve`. */
  bytes: Buffer = NOTHING;
  /** Position of the next frame. */
  used = 0;
  /** The transport takes no more content. */
  isFull = false;
  /** The last byte was written: whatever is still gathered goes nowhere. */
  #hasEnded = false;
  /** Buffers that the transport has not written out yet. */
  #lent: Buffer[] | undefined = undefined;

  constructor(transport: Http2Transport) {
    this.#transport = transport;
  }

  /** Makes room for `length` bytes at `used`; the caller writes them there and moves `used`. */
  reserve(length: number): void {
    if (this.used + length <= this.bytes.length) return;
    this.flush();
    this.bytes =
      length > SLAB_BYTES ? Buffer.allocUnsafeSlow(length) : (spares.pop() ?? Buffer.allocUnsafeSlow(SLAB_BYTES));
  }

  flush(): void {
    const { bytes, used } = this;
    if (used === 0) return;
    this.bytes = NOTHING;
    this.used = 0;
    if (this.#hasEnded) return give(bytes);
    if (!this.#transport.isEmpty && used < LEND_MIN_BYTES) {
      this.#write(Buffer.from(bytes.subarray(0, used)));
      return give(bytes);
    }
    this.#write(bytes.subarray(0, used));
    if (this.#transport.isEmpty) return give(bytes);
    this.#lent ??= [];
    if (this.#lent.length < LENT_MAX) this.#lent.push(bytes);
  }

  onDrain(): void {
    this.isFull = false;
    if (!this.#transport.isEmpty || this.#lent === undefined) return;
    for (const bytes of this.#lent) give(bytes);
    this.#lent = undefined;
  }

  /** Writes what there is, and nothing from now on. */
  end(): void {
    this.flush();
    this.#hasEnded = true;
  }

  /** The transport is gone: what was not flushed is dropped. */
  discard(): void {
    this.#hasEnded = true;
    this.flush();
    this.#lent = undefined;
  }

  #write(bytes: Buffer): void {
    if (!this.#transport.writeBytes(bytes)) this.isFull = true;
  }
}

const NOTHING = Buffer.alloc(0);

function give(bytes: Buffer): void {
  if (spares.length < SPARES_MAX && bytes.length === SLAB_BYTES) spares.push(bytes);
}
