// Bodies in: of the bytes after a head, which ones belong to the message and may be passed on, and where it ends.
// Bytes are never copied or kept (but trailers). Not flow control: the relay decides when to read.

import type { Framing } from "./body-framing.ts";
import { ChunkScanner } from "./chunk-scanner.ts";
import { type BodyForm, type BodyReader, NEEDS_MORE, REFUSED, type Refusal, type Side } from "./contract.ts";
import type { FieldTable } from "./field-table.ts";
import { DEFAULT_HTTP1_LIMITS, type Http1Limits } from "./limits.ts";
import { CR, LF } from "./octet.ts";
import { type RefusalDetail, refusalOf } from "./refusal.ts";
import { SharedBy } from "./shared.ts";
import { TrailerReader } from "./trailers.ts";

/** What the reader waits for. */
const DONE = 0;
const LENGTH = 1;
const CHUNKS = 2;
/** Behind the last chunk: the empty line, or the first trailer. */
const AFTER_CHUNKS = 3;
const FINAL_LF = 4;
const TRAILERS = 5;
const UNTIL_CLOSE = 6;

export class BodyDecoder implements BodyReader {
  outStart = 0;
  outEnd = 0;
  contentBytes = 0;
  tail = "";
  refusal: Refusal | undefined;
  readonly #chunks: ChunkScanner;
  readonly #limits: Http1Limits;
  /** Most messages have no trailers: made when the first ones come. */
  #trailers: TrailerReader | undefined;
  #hasTrailers = false;
  #state = DONE;
  #remaining = 0;
  #isWire = true;
  /** A byte of the message has been handed out. */
  #hasBegun = false;
  #side: Side = "downstream";

  constructor(limits: Http1Limits = DEFAULT_HTTP1_LIMITS) {
    this.#limits = limits;
    this.#chunks = new ChunkScanner(limits);
  }

  get isDone(): boolean {
    return this.#state === DONE;
  }

  /** The trailer section, when the message is done and had one. */
  get trailers(): FieldTable | undefined {
    return this.#hasTrailers ? this.#trailers?.fields : undefined;
  }

  /** @see BodyReader.begin */
  begin(framing: Framing, contentLength: number, form: BodyForm, side: Side): void {
    this.contentBytes = 0;
    this.outStart = 0;
    this.outEnd = 0;
    this.tail = "";
    this.refusal = undefined;
    this.#hasTrailers = false;
    this.#isWire = form === "wire";
    this.#hasBegun = false;
    this.#side = side;
    this.#remaining = framing === "length" ? contentLength : 0;
    if (framing === "none") this.#state = DONE;
    else if (framing === "length") this.#state = contentLength > 0 ? LENGTH : DONE;
    else if (framing === "chunked") {
      this.#state = CHUNKS;
      this.#chunks.begin(this.#isWire);
    } else this.#state = UNTIL_CLOSE;
  }

  /** "wire" or "data". */
  get form(): BodyForm {
    return this.#isWire ? "wire" : "data";
  }

  /** Hands out the wire form instead of the content, unless some of that is out already. */
  useWireForm(): void {
    if (this.#isWire || this.#hasBegun || this.isDone) return;
    this.#isWire = true;
    if (this.#state === CHUNKS) this.#chunks.begin(true);
  }

  /** @see BodyReader.decode */
  decode(bytes: Buffer, start: number, end: number): number {
    this.outStart = start;
    this.outEnd = start;
    this.#hasBegun = true;
    switch (this.#state) {
      case DONE:
        return start;
      case LENGTH:
        return this.#length(start, end);
      case UNTIL_CLOSE:
        this.outEnd = end;
        this.contentBytes += end - start;
        return end;
      case CHUNKS:
        return this.#chunked(bytes, start, end);
      default:
        return this.#afterChunks(bytes, start, end);
    }
  }

  /** @see BodyReader.finish */
  finish(): boolean {
    if (this.#state === UNTIL_CLOSE) this.#state = DONE;
    return this.#state === DONE;
  }

  #length(start: number, end: number): number {
    const taken = Math.min(end - start, this.#remaining);
    this.#remaining -= taken;
    this.contentBytes += taken;
    this.outEnd = start + taken;
    if (this.#remaining === 0) this.#state = DONE;
    return this.outEnd;
  }

  #chunked(bytes: Buffer, start: number, end: number): number {
    const chunks = this.#chunks;
    const at = chunks.scan(bytes, start, end);
    if (at === REFUSED) return this.#refuse(chunks.fault);
    this.contentBytes = chunks.contentBytes;
    this.outStart = chunks.outStart;
    this.outEnd = chunks.outEnd;
    if (!chunks.isAtEnd) return at;
    this.#state = AFTER_CHUNKS;
    // The usual end, an empty line, goes out with the chunks before it.
    return at < end ? this.#afterChunks(bytes, at, end) : at;
  }

  #afterChunks(bytes: Buffer, start: number, end: number): number {
    let at = start;
    if (this.#state === AFTER_CHUNKS && at < end) {
      if (bytes[at] === CR) {
        this.#state = FINAL_LF;
        at++;
      } else {
        this.#trailers ??= new TrailerReader(this.#limits);
        this.#trailers.begin();
        this.#state = TRAILERS;
      }
    }
    if (this.#state === FINAL_LF && at < end) {
      if (bytes[at] !== LF) return this.#refuse("bare-cr");
      this.#state = DONE;
      at++;
    }
    if (this.#state !== TRAILERS) {
      if (this.#isWire) this.outEnd = at;
      return at;
    }
    return this.#readTrailers(bytes, at, end);
  }

  #readTrailers(bytes: Buffer, start: number, end: number): number {
    const trailers = this.#trailers;
    if (trailers === undefined || start === end) return start;
    const at = trailers.read(bytes, start, end);
    if (at === NEEDS_MORE) return end;
    if (at === REFUSED) return this.#refuse(trailers.fault);
    this.#state = DONE;
    this.#hasTrailers = true;
    this.tail = trailers.passedOn();
    return at;
  }

  #refuse(detail: RefusalDetail): number {
    this.refusal = refusalOf(detail, this.#side);
    this.outEnd = this.outStart;
    return REFUSED;
  }
}

/** Of all messages without a body: done from the start, and nothing of it changes. */
export const NO_BODY: BodyDecoder = new BodyDecoder();

/** For bodies that are whole within one read, and one for each that is not. */
export const bodyDecoders: SharedBy<Http1Limits, BodyDecoder> = new SharedBy((limits) => new BodyDecoder(limits));
