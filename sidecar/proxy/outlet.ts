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
/** Bytes up to this many become text; more are copied once instead of three times (as text, joined, written). */
const TEXT_BYTES_MAX = 512;

/** As much as one read brings, and a head before it. */
const SCRATCH_BYTES = 256 * 1024 + TEXT_WRITE_MAX;
let scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
/** Scratch buffers that slow sockets gave back. Without them each read for somebody slow leaves 256 KiB to the collector. */
const spares: Buffer<ArrayBuffer>[] = [];
const SPARES_MAX = 16;

export class Outlet {
  #sink: ByteSink | undefined = undefined;
  #text = "";
  /** The last write filled the socket's buffer; cleared by `onDrain`. */
  isFull = false;
  /** Scratch buffers of which the sink has not written all out yet; given up with the sink. */
  #lent: Buffer<ArrayBuffer>[] | undefined = undefined;

  attach(sink: ByteSink): void {
    this.#sink = sink;
    this.#lent = undefined;
    this.#text = "";
    this.isFull = false;
  }

  /** Later additions go nowhere. */
  detach(): void {
    this.#sink = undefined;
    this.#lent = undefined;
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
    // To a slow socket a middling piece goes as text, which is as large as itself: it must not take a scratch buffer.
    const isLarge = length > TEXT_BYTES_MAX && (length > TEXT_WRITE_MAX || this.#sink?.isEmpty === true);
    if (isLarge) this.#addLarge(bytes, start, end);
    else this.addText(latin1(bytes, start, end));
  }

  /**
   * Writes text and bytes at once, from one scratch buffer that is used again whenever the kernel took all of it, which
   * it mostly does. A fresh Buffer per read costs page faults: 1.4 times the CPU of a 1 MiB body.
   */
  #addLarge(bytes: Buffer, start: number, end: number): void {
    const length = end - start;
    if (this.#text.length + length > scratch.length) return this.addOwned(copyOf(bytes, start, end));
    const textBytes = this.#text === "" ? 0 : scratch.write(this.#text, 0, "latin1");
    this.#text = "";
    bytes.copy(scratch, textBytes, start, end);
    this.addOwned(scratch.subarray(0, textBytes + length));
    if (this.#sink === undefined) return;
    if (this.#sink.isEmpty) return this.#takeBack();
    this.#lent ??= [];
    this.#lent.push(scratch);
    scratch = spares.pop() ?? Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  }

  /** Nothing waits in the sink any more. */
  #takeBack(): void {
    if (this.#lent === undefined) return;
    spares.push(...this.#lent.slice(0, SPARES_MAX - spares.length));
    this.#lent = undefined;
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
    if (this.#sink?.isEmpty === true) this.#takeBack();
  }
}

export function copyOf(bytes: Buffer, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafeSlow(end - start);
  bytes.copy(copy, 0, start, end);
  return copy;
}
