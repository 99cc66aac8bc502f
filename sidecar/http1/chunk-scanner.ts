// The byte scan over chunk framing (RFC 9112 section 7.1), strict and resumable at any byte. It says which bytes may
// be passed on: the framing as it came but without extensions ("wire"), or the content alone ("data"). It stops
// after the last chunk's line: trailers are body.ts.
import { EXTENSION_FAULT, EXTENSION_START, isExtensionEnd, nextInExtension } from "./chunk-extension.ts";
import { REFUSED } from "./contract.ts";
import type { Http1Limits } from "./limits.ts";
import { CR, HEX, HEX_VALUE, LF, OCTET } from "./octet.ts";
import type { RefusalDetail } from "./refusal.ts";

const SIZE = 0;
const EXTENSION = 1;
const SIZE_CR = 2;
const SIZE_LF = 3;
const DATA = 4;
const DATA_CR = 5;
const DATA_LF = 6;
const END = 7;

const SEMICOLON = 0x3b;

/** More digits could only be zeros in front, which no sender needs and in which parsers have overflowed. */
const SIZE_DIGITS_MAX = 16;
/** Sizes up to this many digits are small whole numbers. */
const PLAIN_DIGITS_MAX = 7;

export class ChunkScanner {
  fault: RefusalDetail = "bad-chunk-size";
  /** What may be passed on of the bytes of the last scan. */
  outStart = 0;
  outEnd = 0;
  /** Content seen, without framing. */
  contentBytes = 0;
  readonly #limits: Http1Limits;
  #state = SIZE;
  #keepsFraming = true;
  /** Of the chunk: its size while the digits come, then the content still to come. */
  #size = 0;
  #digits = 0;
  #isLast = false;
  #extensionState = EXTENSION_START;
  #extensionBytes = 0;

  #lineBytes = 0;

  constructor(limits: Http1Limits) {
    this.#limits = limits;
  }

  /** After the line of the last chunk: what follows is trailers or the empty line. */
  get isAtEnd(): boolean {
    return this.#state === END;
  }

  begin(keepsFraming: boolean): void {
    this.#keepsFraming = keepsFraming;
    this.#extensionBytes = 0;
    this.contentBytes = 0;
    this.#beginChunk();
  }

  /**
   * @returns where it stopped: `end`; the end of the framing (`isAtEnd`); earlier, where bytes are to be left out
   * (call again from there); or REFUSED.
   */
  scan(bytes: Uint8Array, start: number, end: number): number {
    this.outStart = start;
    this.outEnd = start;
    let at = start;
    while (at < end && this.#state !== END) {
      if (this.#state === DATA) {
        if (!this.#keepsFraming) this.outStart = at;
        at = this.#data(at, end);
        this.outEnd = at;
        if (!this.#keepsFraming) return at;
      } else if (this.#state === EXTENSION) {
        // The copy cannot have a hole: what came before the extension goes out first.
        if (this.#keepsFraming && at > this.outStart) return at;
        at = this.#extension(bytes, at, end);
        this.outStart = at;
      } else {
        const plain = this.#plain(bytes, at, end);
        at = plain > at ? plain : this.#framing(bytes, at, end);
      }
      if (at < 0) return at;
      if (this.#keepsFraming) this.outEnd = at;
    }
    if (!this.#keepsFraming) this.outStart = this.outEnd;
    return at;
  }

  #data(at: number, end: number): number {
    const taken = Math.min(end - at, this.#size);
    this.contentBytes += taken;
    this.#size -= taken;
    if (this.#size === 0) this.#state = DATA_CR;
    return at + taken;
  }

  /**
   * What stands between content mostly: a size without extension, or the end of a chunk, each in one piece.
   * @returns the position behind it; `at` where it is anything else
   */
  #plain(bytes: Uint8Array, at: number, end: number): number {
    if (this.#state === DATA_CR) {
      if (end - at < 2 || bytes[at] !== CR || bytes[at + 1] !== LF) return at;
      this.#beginChunk();
      return at + 2;
    }
    if (this.#state !== SIZE || this.#digits > 0) return at;
    const stop = Math.min(end - 2, at + PLAIN_DIGITS_MAX);
    let size = 0;
    let next = at;
    while (next < stop && ((OCTET[bytes[next] as number] as number) & HEX) !== 0)
      size = (size << 4) | (HEX_VALUE[bytes[next++] as number] as number);
    if (next === at || next > end - 2 || bytes[next] !== CR || bytes[next + 1] !== LF) return at;
    this.#size = size;
    this.#isLast = size === 0;
    this.#state = this.#isLast ? END : DATA;
    return next + 2;
  }

  /** One byte of framing, or all digits of a size. */
  #framing(bytes: Uint8Array, at: number, end: number): number {
    const octet = bytes[at];
    switch (this.#state) {
      case SIZE:
        return this.#sizeDigits(bytes, at, end);
      case SIZE_CR:
        this.#state = SIZE_LF;
        return octet === CR ? at + 1 : this.#refuse("bad-chunk-size");
      case SIZE_LF:
        this.#state = this.#isLast ? END : DATA;
        return octet === LF ? at + 1 : this.#refuse("bare-cr");
      case DATA_CR:
        this.#state = DATA_LF;
        return octet === CR ? at + 1 : this.#refuse("bad-chunk-end");
      default:
        this.#beginChunk();
        return octet === LF ? at + 1 : this.#refuse("bad-chunk-end");
    }
  }

  #sizeDigits(bytes: Uint8Array, at: number, end: number): number {
    for (; at < end; at++) {
      const octet = bytes[at] as number;
      if (((OCTET[octet] as number) & HEX) === 0) return this.#endOfDigits(octet, at);
      this.#size = this.#size * 16 + (HEX_VALUE[octet] as number);
      if (++this.#digits > SIZE_DIGITS_MAX || this.#size > Number.MAX_SAFE_INTEGER) {
        return this.#refuse("chunk-size-overflow");
      }
    }
    return at;
  }

  #endOfDigits(octet: number, at: number): number {
    if (this.#digits === 0) return this.#refuse("bad-chunk-size");
    this.#isLast = this.#size === 0;
    this.#lineBytes = this.#digits;
    if (octet === CR) {
      this.#state = SIZE_LF;
      return at + 1;
    }
    if (octet !== SEMICOLON) return this.#refuse(octet === LF ? "bare-lf" : "bad-chunk-size");
    this.#state = EXTENSION;
    this.#extensionState = EXTENSION_START;
    return at;
  }

  #extension(bytes: Uint8Array, at: number, end: number): number {
    for (; at < end; at++) {
      const octet = bytes[at] as number;
      if (octet === CR && isExtensionEnd(this.#extensionState)) {
        this.#state = SIZE_CR;
        return at;
      }
      if (++this.#lineBytes > this.#limits.chunkLineBytesMax) return this.#refuse("chunk-line-too-long");
      if (++this.#extensionBytes > this.#limits.chunkExtensionBytesMax) {
        return this.#refuse("chunk-extensions-too-large");
      }
      this.#extensionState = nextInExtension(this.#extensionState, octet);
      if (this.#extensionState === EXTENSION_FAULT) {
        return this.#refuse(octet === LF ? "bare-lf" : "bad-chunk-extension");
      }
    }
    return at;
  }

  #beginChunk(): void {
    this.#state = SIZE;
    this.#size = 0;
    this.#digits = 0;
  }

  #refuse(fault: RefusalDetail): number {
    this.fault = fault;
    return REFUSED;
  }
}
