// What is on its way into one socket within one turn: pieces of text are joined, so that a head and the body that came
// with it cost one write. Not a queue across turns: whoever adds also flushes before the turn ends.
import type { Socket } from "node:net";
import { latin1 } from "../../runtime/latin1.ts";

/** A socket as the outlet needs it; false means "no more until it has drained". */
export interface ByteSink {
  write(text: string): boolean;
  /** The bytes are not changed by anybody afterwards. */
  writeBytes(bytes: Buffer): boolean;
  /** Nothing of what was written waits in the process. */
  readonly isEmpty: boolean;
}

/** Writes to a socket until as much as `bufferBytes` waits in it. */
export class SocketSink implements ByteSink {
  readonly #socket: Socket;
  readonly #bufferBytes: number;

  constructor(socket: Socket, bufferBytes: number) {
    this.#socket = socket;
    this.#bufferBytes = bufferBytes;
  }

  // A write that the kernel took whole leaves nothing queued, though Node says false to one above its high-water mark.

  write(text: string): boolean {
    return this.#socket.write(text, "latin1") || this.#socket.writableLength < this.#bufferBytes;
  }

  get isEmpty(): boolean {
    return this.#socket.writableLength === 0;
  }

  writeBytes(bytes: Buffer): boolean {
    return this.#socket.write(bytes) || this.#socket.writableLength < this.#bufferBytes;
  }
}

/** libuv tries latin1 text up to this size from its stack, without an allocation; above, a copied Buffer is cheaper. */
export const TEXT_WRITE_MAX = 16 * 1024;

/** As much as one read brings. */
const SCRATCH_BYTES = 256 * 1024;
let scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);

export class Outlet {
  #sink: ByteSink | undefined = undefined;
  #text = "";
  /** The last write filled the socket's buffer; cleared by `onDrain`. */
  isFull = false;

  attach(sink: ByteSink): void {
    this.#sink = sink;
    this.#text = "";
    this.isFull = false;
  }

  /** Later additions go nowhere. */
  detach(): void {
    this.#sink = undefined;
    this.#text = "";
    this.isFull = false;
  }

  addText(text: string): void {
    if (this.#text.length + text.length > TEXT_WRITE_MAX) this.flush();
    this.#text += text;
  }

  /** bytes[start, end), which may change after this call returns. */
  addBytes(bytes: Buffer, start: number, end: number): void {
    const length = end - start;
    if (this.#text.length + length > TEXT_WRITE_MAX) this.flush();
    if (length <= TEXT_WRITE_MAX) this.#text += latin1(bytes, start, end);
    else this.#addLarge(bytes, start, end);
  }

  /**
   * Copies through one scratch buffer that is used again whenever the kernel took all of it at once, which it mostly
   * does. A fresh Buffer per read costs page faults: 1.4 times the CPU of a 1 MiB body.
   */
  #addLarge(bytes: Buffer, start: number, end: number): void {
    const length = end - start;
    if (length > scratch.length) return this.addOwned(copyOf(bytes, start, end));
    bytes.copy(scratch, 0, start, end);
    this.addOwned(scratch.subarray(0, length));
    if (this.#sink !== undefined && !this.#sink.isEmpty) scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  }

  /** Bytes that nobody changes any more. */
  addOwned(bytes: Buffer): void {
    this.flush();
    if (this.#sink !== undefined && !this.#sink.writeBytes(bytes)) this.isFull = true;
  }

  flush(): void {
    if (this.#text === "") return;
    const text = this.#text;
    this.#text = "";
    if (this.#sink !== undefined && !this.#sink.write(text)) this.isFull = true;
  }

  onDrain(): void {
    this.isFull = false;
  }
}

export function copyOf(bytes: Buffer, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafeSlow(end - start);
  bytes.copy(copy, 0, start, end);
  return copy;
}
