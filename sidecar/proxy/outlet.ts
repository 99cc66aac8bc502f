// What is on its way into one socket within one turn: pieces are joined, so that a head and the body that came with it
// cost one write. Not a queue across turns: whoever adds also flushes before the turn ends. When the socket itself writes
// is its writer's business (turn-writer.ts).
import { latin1, putLatin1 } from "../../runtime/latin1.ts";
import type { Prepared } from "../../runtime/turn-writer.ts";
import { CHUNK_END, chunkHeader, LAST_CHUNK } from "../http1/chunk.ts";
import type { ByteSink, MessageOutlet, Trailers } from "./contract.ts";
import { trailersText } from "./http2-text.ts";

/** Heads and small bodies leave as one latin1 text, which libuv writes from its stack; larger pieces are gathered. */
const TEXT_PIECE_MAX = 512;
/** As much as is gathered for one write. */
const GATHER_BYTES = 16 * 1024;
/** As much as one read brings. */
const LARGE_BYTES = 256 * 1024;

/**
 * Buffers that writes go through. Each is used again whenever the kernel took all of a write at once, which it mostly
 * does; one that it did not is left to the socket and replaced. Measured: 4 KiB as text cost 20 % of all CPU in garbage
 * collection, and a fresh Buffer for each 256 KiB cost 3.6 times the CPU of a 1 MiB body, in page faults.
 */
let gather = Buffer.allocUnsafeSlow(GATHER_BYTES);
let large = Buffer.allocUnsafeSlow(LARGE_BYTES);
/** Large buffers that slow sockets gave back. Without them each read for somebody slow leaves 256 KiB to the collector. */
const spares: Buffer<ArrayBuffer>[] = [];
const SPARES_MAX = 16;
/** Behind bytes that wait already, a piece smaller than this is copied to its size: it would pin a whole buffer. */
const LEND_MIN_BYTES = LARGE_BYTES / 4;
/** The view that was written last, and what of: pieces of a body are mostly as long as the one before. */
let viewed: Buffer = gather;
let view: Buffer = gather;
/** The outlet whose bytes stand in `gather` and are not written yet. */
let gathering: Outlet | undefined;

export class Outlet implements MessageOutlet {
  readonly form = "wire";
  /** The content of the message under way is put into chunks here. */
  #chunks = false;
  #sink: ByteSink | undefined = undefined;
  /** Goes out before what is gathered; mostly one of the two is empty. */
  #text = "";
  /** A head, as long as nothing else waits. */
  #prepared: Prepared | undefined = undefined;
  /** Bytes of this outlet in `gather`; above 0 exactly while it is `gathering`. */
  #gathered = 0;
  /** The last write filled the socket's buffer; cleared by `onDrain`. */
  isFull = false;
  /** Large buffers of which the sink has not written all out yet; given up with the sink. */
  #lent: Buffer<ArrayBuffer>[] | undefined = undefined;

  attach(sink: ByteSink): void {
    this.detach();
    this.#sink = sink;
  }

  /** Drops what was not flushed. Later additions go nowhere. */
  detach(): void {
    this.#sink = undefined;
    this.#lent = undefined;
    this.#text = "";
    this.#prepared = undefined;
    this.isFull = false;
    this.#chunks = false;
    if (this.#gathered > 0) this.#release();
  }

  addHead(text: string, chunks: boolean): void {
    this.#chunks = chunks;
    this.#addText(text);
  }

  addHeadBytes(bytes: Buffer, start: number, end: number, chunks: boolean): void {
    this.#chunks = chunks;
    this.#addBytes(bytes, start, end);
  }

  addPreparedHead(head: Prepared, chunks: boolean): void {
    const isFirst = this.#gathered === 0 && this.#text === "" && this.#prepared === undefined;
    if (!isFirst || this.#sink?.writePrepared === undefined) return this.addHead(head.text, chunks);
    this.#chunks = chunks;
    this.#prepared = head;
  }

  addBody(bytes: Buffer, start: number, end: number): void {
    if (!this.#chunks) return this.#addBytes(bytes, start, end);
    if (start === end) return;
    this.#addText(chunkHeader(end - start));
    this.#addBytes(bytes, start, end);
    this.#addText(CHUNK_END);
  }

  addBodyText(text: string): void {
    if (!this.#chunks) this.#addText(text);
    else if (text !== "") this.#addText(chunkHeader(text.length) + text + CHUNK_END);
  }

  end(given: Trailers): void {
    // Behind content of known length HTTP/1.1 has no place for fields: they would be read as the next message.
    if (typeof given !== "string" && !this.#chunks) return;
    const trailers = typeof given === "string" ? given : trailersText(given);
    if (this.#chunks) this.#addText(trailers === "" ? LAST_CHUNK : `0\r\n${trailers}`);
    else if (trailers !== "") this.#addText(trailers);
  }

  #addText(text: string): void {
    if (this.#prepared !== undefined) this.#beginGathering();
    if (this.#gathered === 0) {
      if (this.#text.length + text.length > GATHER_BYTES) this.flush();
      this.#text = this.#text === "" ? text : this.#text + text;
    } else if (this.#gathered + text.length <= GATHER_BYTES) {
      this.#gathered = putLatin1(gather, text, this.#gathered);
    } else {
      this.flush();
      this.#text = text;
    }
  }

  /** bytes[start, end), which may change after this call returns. */
  #addBytes(bytes: Buffer, start: number, end: number): void {
    if (this.#prepared !== undefined) this.#beginGathering();
    const isFirst = this.#gathered === 0 && this.#text === "";
    if (isFirst && this.#sink?.writeRead?.(bytes, start, end) === true) return;
    const length = end - start;
    if (length <= TEXT_PIECE_MAX && this.#gathered === 0) return this.#addText(latin1(bytes, start, end));
    if (this.#text.length + this.#gathered + length > GATHER_BYTES) this.flush();
    if (length > GATHER_BYTES) return this.#addLarge(bytes, start, end);
    if (this.#gathered === 0) this.#beginGathering();
    bytes.copy(gather, this.#gathered, start, end);
    this.#gathered += length;
  }

  /** Bytes that nobody changes any more. */
  #addOwned(bytes: Buffer): void {
    this.flush();
    this.#write(bytes);
  }

  flush(): void {
    if (this.#gathered > 0) this.#flushGathered();
    else if (this.#prepared !== undefined) this.#flushPrepared(this.#prepared);
    else if (this.#text !== "") {
      const text = this.#text;
      this.#text = "";
      if (this.#sink !== undefined && !this.#sink.write(text)) this.isFull = true;
    }
  }

  #flushPrepared(prepared: Prepared): void {
    this.#prepared = undefined;
    if (this.#sink?.writePrepared?.(prepared) === false) this.isFull = true;
  }

  takeProgress(): boolean {
    return this.#sink?.takeProgress() === true;
  }

  onDrain(): void {
    this.isFull = false;
    if (this.#sink?.isEmpty === true) this.#takeBack();
  }

  /** Takes over the buffer, with what waits at its beginning. */
  #beginGathering(): void {
    gathering?.flush();
    gathering = this;
    const prepared = this.#prepared;
    if (prepared === undefined) {
      this.#gathered = putLatin1(gather, this.#text, 0);
      this.#text = "";
    } else {
      this.#gathered = prepared.take().copy(gather);
      this.#prepared = undefined;
    }
  }

  #release(): void {
    this.#gathered = 0;
    gathering = undefined;
  }

  #flushGathered(): void {
    const length = this.#gathered;
    this.#release();
    if (this.#sink?.isEmpty === false) this.#write(copyOf(gather, 0, length));
    else if (!this.#writeThrough(gather, length)) gather = Buffer.allocUnsafeSlow(GATHER_BYTES);
  }

  #addLarge(bytes: Buffer, start: number, end: number): void {
    const length = end - start;
    const pins = length < LEND_MIN_BYTES && this.#sink?.isEmpty === false;
    if (length > LARGE_BYTES || pins) return this.#addOwned(copyOf(bytes, start, end));
    bytes.copy(large, 0, start, end);
    if (this.#writeThrough(large, length)) return this.#takeBack();
    this.#lent ??= [];
    this.#lent.push(large);
    large = spares.pop() ?? Buffer.allocUnsafeSlow(LARGE_BYTES);
  }

  /** Nothing waits in the sink any more. */
  #takeBack(): void {
    if (this.#lent === undefined) return;
    spares.push(...this.#lent.slice(0, SPARES_MAX - spares.length));
    this.#lent = undefined;
  }

  /** @returns whether `buffer` may be used again */
  #writeThrough(buffer: Buffer, length: number): boolean {
    this.#write(viewOf(buffer, length));
    return this.#sink === undefined || this.#sink.isEmpty;
  }

  #write(bytes: Buffer): void {
    if (this.#sink !== undefined && !this.#sink.writeBytes(bytes)) this.isFull = true;
  }
}

function viewOf(buffer: Buffer, length: number): Buffer {
  if (viewed !== buffer || view.length !== length) {
    viewed = buffer;
    view = buffer.subarray(0, length);
  }
  return view;
}

export function copyOf(bytes: Buffer, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafeSlow(end - start);
  bytes.copy(copy, 0, start, end);
  return copy;
}
