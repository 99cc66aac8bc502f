// Bytes to frames (RFC 9113 sections 3.4, 4 and 6), resumable at any byte: sizes, padding, and the order of CONTINUATION.
// Content is passed on as it comes; everything else when it is whole, in place where it came in one piece. Not what
// frames mean: that is for the sink.
import { FLAG, FRAME, FRAME_HEADER_BYTES, PREFACE, readUint31, readUint32 } from "./frame.ts";
import type { Http2Limits } from "./limits.ts";
import { REFUSALS, type Refusal, type RefusalDetail } from "./refusal.ts";

/** Takes frames in their order. A method that ends the connection calls `stop`. */
export interface FrameSink {
  /** A DATA frame begins. @param length of its payload, padding included: what flow control counts */
  onDataFrame(streamId: number, length: number, isEnd: boolean): void;
  /** Content of the frame that began last. @param isEnd the frame ends here, and with it the message */
  onDataBytes(bytes: Buffer, start: number, end: number, isEnd: boolean): void;
  /** The frame that began last is complete. */
  onDataFrameEnd(): void;
  /** A whole header block. @param dependsOn stream that its priority names, -1 without one */
  onHeaderBlock(streamId: number, isEnd: boolean, dependsOn: number, bytes: Buffer, start: number, end: number): void;
  onPriority(streamId: number, dependsOn: number): void;
  onRstStream(streamId: number, code: number): void;
  onSettings(bytes: Buffer, start: number, end: number): void;
  onSettingsAck(): void;
  onPing(isAck: boolean, bytes: Buffer, start: number): void;
  onGoaway(lastStreamId: number, code: number): void;
  onWindowUpdate(streamId: number, increment: number): void;
  /** A type that nobody here knows. */
  onUnknownFrame(): void;
  /** HEADERS or CONTINUATION that brings nothing. */
  onEmptyHeaderFrame(): void;
  onRefusal(refusal: Refusal): void;
  onStreamRefusal(streamId: number, refusal: Refusal): void;
}

/** What the next bytes are. "padding" and "unknown" are dropped. */
type ReaderState = "preface" | "header" | "pad-length" | "content" | "padding" | "payload" | "unknown" | "stopped";

/** A server needs the client's preface; both need SETTINGS first. */
export class FrameReader {
  /** How many of those that were unfinished at the end of a read have been finished. */
  finishedCount = 0;
  readonly #sink: FrameSink;
  readonly #limits: Http2Limits;
  #state: ReaderState;
  #prefaceAt = 0;
  #hasSettings = false;

  /** A frame header that came in pieces. */
  readonly #header: Buffer = Buffer.alloc(FRAME_HEADER_BYTES);
  #headerBytes = 0;
  #type = 0;
  #flags = 0;
  #streamId = 0;
  /** Bytes of the frame that are not read yet: of its content where padding follows. */
  #left = 0;
  #paddingLeft = 0;

  /** A payload that came in pieces. */
  #partial: Buffer | undefined = undefined;
  #partialBytes = 0;

  /** Header block that needs CONTINUATION; 0: none is open. */
  #blockStreamId = 0;
  #block: Buffer | undefined = undefined;
  #blockBytes = 0;
  #blockEndsStream = false;
  #blockDependsOn = -1;
  #continuations = 0;

  constructor(sink: FrameSink, limits: Http2Limits, expectsPreface: boolean) {
    this.#sink = sink;
    this.#limits = limits;
    this.#state = expectsPreface ? "preface" : "header";
  }

  /** Nothing more is read: what comes is dropped. */
  stop(): void {
    this.#state = "stopped";
    this.#partial = undefined;
    this.#block = undefined;
    this.#blockStreamId = 0;
  }

  /** A frame that is taken whole, or a header block, was begun and is not finished. */
  get isUnfinished(): boolean {
    return this.#partial !== undefined || this.#blockStreamId !== 0;
  }

  /** Takes all of bytes[start, end). */
  read(bytes: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end) {
      switch (this.#state) {
        case "header":
          at = this.#readHeader(bytes, at, end);
          break;
        case "payload":
          at = this.#readPayload(bytes, at, end);
          break;
        case "content":
          at = this.#readContent(bytes, at, end);
          break;
        case "pad-length":
          at = this.#readPadLength(bytes, at);
          break;
        case "padding":
        case "unknown":
          at = this.#skip(at, end);
          break;
        case "preface":
          at = this.#readPreface(bytes, at, end);
          break;
        case "stopped":
          return;
      }
    }
  }

  #refuse(detail: RefusalDetail): number {
    const wasStopped = this.#state === "stopped";
    this.stop();
    if (!wasStopped) this.#sink.onRefusal(REFUSALS[detail]);
    return Number.MAX_SAFE_INTEGER;
  }

  #readPreface(bytes: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end && this.#prefaceAt < PREFACE.length) {
      if (bytes[at++] !== PREFACE[this.#prefaceAt++]) return this.#refuse("bad-preface");
    }
    if (this.#prefaceAt === PREFACE.length) this.#state = "header";
    return at;
  }

  // ---- frame headers ----

  #readHeader(bytes: Buffer, start: number, end: number): number {
    if (this.#headerBytes === 0 && end - start >= FRAME_HEADER_BYTES) {
      this.#begin(bytes, start);
      return start + FRAME_HEADER_BYTES;
    }
    const taken = Math.min(FRAME_HEADER_BYTES - this.#headerBytes, end - start);
    bytes.copy(this.#header, this.#headerBytes, start, start + taken);
    this.#headerBytes += taken;
    if (this.#headerBytes === FRAME_HEADER_BYTES) {
      this.#headerBytes = 0;
      this.#begin(this.#header, 0);
    }
    return start + taken;
  }

  #begin(bytes: Buffer, at: number): void {
    const length = ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
    this.#type = bytes[at + 3] as number;
    this.#flags = bytes[at + 4] as number;
    this.#streamId = readUint31(bytes, at + 5);
    this.#left = length;
    const fault = this.#checkHeader(length);
    if (fault !== undefined) {
      this.#refuse(fault);
      return;
    }
    if (this.#type === FRAME.data) this.#beginData(length);
    else if (this.#type > FRAME.continuation) {
      this.#sink.onUnknownFrame();
      this.#enter(length === 0 ? "header" : "unknown");
    } else if (length === 0) this.#dispatch(bytes, at, at);
    else this.#enter("payload");
  }

  /** Unless the sink stopped the reader. */
  #enter(state: ReaderState): void {
    if (this.#state !== "stopped") this.#state = state;
  }

  #checkHeader(length: number): RefusalDetail | undefined {
    const type = this.#type;
    if (!this.#hasSettings) {
      // Section 3.4: the first frame is SETTINGS, and no acknowledgement.
      if (type !== FRAME.settings || (this.#flags & FLAG.ack) !== 0) return "settings-missing";
      this.#hasSettings = true;
    }
    if (this.#blockStreamId !== 0 && (type !== FRAME.continuation || this.#streamId !== this.#blockStreamId)) {
      return "continuation-expected";
    }
    if (length > this.#limits.frameBytesMax) return "frame-too-large";
    switch (type) {
      case FRAME.data:
      case FRAME.headers:
      case FRAME.priority:
        return this.#streamId === 0 ? "stream-id-zero" : undefined;
      case FRAME.rstStream:
        if (this.#streamId === 0) return "stream-id-zero";
        return length === 4 ? undefined : "bad-frame-size";
      case FRAME.settings:
        if (this.#streamId !== 0) return "stream-id-not-zero";
        if ((this.#flags & FLAG.ack) !== 0) return length === 0 ? undefined : "bad-frame-size";
        if (length > this.#limits.settingsMax * 6) return "too-many-settings";
        return length % 6 === 0 ? undefined : "bad-frame-size";
      case FRAME.ping:
        if (this.#streamId !== 0) return "stream-id-not-zero";
        return length === 8 ? undefined : "bad-frame-size";
      case FRAME.goaway:
        if (this.#streamId !== 0) return "stream-id-not-zero";
        return length >= 8 ? undefined : "bad-frame-size";
      case FRAME.windowUpdate:
        return length === 4 ? undefined : "bad-frame-size";
      case FRAME.pushPromise:
        // Clients may not push, and servers were told not to (section 8.4).
        return "push-not-allowed";
      case FRAME.continuation:
        return this.#blockStreamId === 0 ? "unexpected-continuation" : undefined;
    }
    return undefined;
  }

  // ---- content ----

  #beginData(length: number): void {
    const isPadded = (this.#flags & FLAG.padded) !== 0;
    if (isPadded && length === 0) {
      this.#refuse("bad-frame-size");
      return;
    }
    this.#paddingLeft = 0;
    const isEnd = (this.#flags & FLAG.endStream) !== 0;
    this.#state = isPadded ? "pad-length" : "content";
    this.#sink.onDataFrame(this.#streamId, length, isEnd);
    if (length === 0 && this.#state === "content") this.#endContent(this.#header, 0, 0);
  }

  #readPadLength(bytes: Buffer, at: number): number {
    const padding = bytes[at] as number;
    this.#left -= 1 + padding;
    if (this.#left < 0) return this.#refuse("bad-padding");
    this.#paddingLeft = padding;
    this.#state = "content";
    if (this.#left === 0) this.#endContent(bytes, at, at);
    return at + 1;
  }

  #readContent(bytes: Buffer, start: number, end: number): number {
    const available = end - start;
    if (available >= this.#left) {
      const contentEnd = start + this.#left;
      this.#endContent(bytes, start, contentEnd);
      return contentEnd;
    }
    this.#left -= available;
    this.#sink.onDataBytes(bytes, start, end, false);
    return end;
  }

  #endContent(bytes: Buffer, start: number, end: number): void {
    const isEnd = (this.#flags & FLAG.endStream) !== 0;
    if (end > start || isEnd) this.#sink.onDataBytes(bytes, start, end, isEnd);
    if (this.#state === "stopped") return;
    this.#left = this.#paddingLeft;
    if (this.#left > 0) this.#state = "padding";
    else this.#endData();
  }

  #endData(): void {
    this.#state = "header";
    this.#sink.onDataFrameEnd();
  }

  #skip(start: number, end: number): number {
    const taken = Math.min(this.#left, end - start);
    this.#left -= taken;
    if (this.#left > 0) return start + taken;
    if (this.#state === "padding") this.#endData();
    else this.#state = "header";
    return start + taken;
  }

  // ---- frames that are taken whole ----

  #readPayload(bytes: Buffer, start: number, end: number): number {
    const length = this.#left;
    if (this.#partial === undefined && end - start >= length) {
      this.#dispatch(bytes, start, start + length);
      return start + length;
    }
    this.#partial ??= Buffer.allocUnsafe(length);
    const taken = Math.min(length - this.#partialBytes, end - start);
    bytes.copy(this.#partial, this.#partialBytes, start, start + taken);
    this.#partialBytes += taken;
    if (this.#partialBytes === length) {
      const whole = this.#partial;
      this.#partial = undefined;
      this.#partialBytes = 0;
      const wasInBlock = this.#blockStreamId !== 0;
      this.#dispatch(whole, 0, length);
      // A header block that goes on is the same unfinished head.
      if (!wasInBlock && this.#blockStreamId === 0) this.finishedCount++;
    }
    return start + taken;
  }

  #dispatch(bytes: Buffer, start: number, end: number): void {
    this.#enter("header");
    const sink = this.#sink;
    const streamId = this.#streamId;
    switch (this.#type) {
      case FRAME.headers:
        return this.#onHeaders(bytes, start, end);
      case FRAME.continuation:
        return this.#onContinuation(bytes, start, end);
      case FRAME.priority:
        if (end - start !== 5) return sink.onStreamRefusal(streamId, REFUSALS["bad-priority-size"]);
        return sink.onPriority(streamId, readUint31(bytes, start));
      case FRAME.rstStream:
        return sink.onRstStream(streamId, readUint32(bytes, start));
      case FRAME.settings:
        if ((this.#flags & FLAG.ack) !== 0) return sink.onSettingsAck();
        return sink.onSettings(bytes, start, end);
      case FRAME.ping:
        return sink.onPing((this.#flags & FLAG.ack) !== 0, bytes, start);
      case FRAME.goaway:
        return sink.onGoaway(readUint31(bytes, start), readUint32(bytes, start + 4));
      case FRAME.windowUpdate:
        return sink.onWindowUpdate(streamId, readUint31(bytes, start));
    }
  }

  // ---- header blocks ----

  #onHeaders(bytes: Buffer, start: number, end: number): void {
    const flags = this.#flags;
    let at = start;
    let blockEnd = end;
    if ((flags & FLAG.padded) !== 0) {
      if (at === end) return void this.#refuse("bad-frame-size");
      blockEnd -= bytes[at++] as number;
    }
    let dependsOn = -1;
    if ((flags & FLAG.priority) !== 0) {
      if (end - at < 5) return void this.#refuse("bad-frame-size");
      dependsOn = readUint31(bytes, at);
      at += 5;
    }
    if (at > blockEnd) return void this.#refuse("bad-padding");
    const isEnd = (flags & FLAG.endStream) !== 0;
    if ((flags & FLAG.endHeaders) !== 0) {
      return this.#sink.onHeaderBlock(this.#streamId, isEnd, dependsOn, bytes, at, blockEnd);
    }
    this.#blockStreamId = this.#streamId;
    this.#blockEndsStream = isEnd;
    this.#blockDependsOn = dependsOn;
    this.#blockBytes = 0;
    this.#continuations = 0;
    this.#gather(bytes, at, blockEnd);
  }

  #onContinuation(bytes: Buffer, start: number, end: number): void {
    if (++this.#continuations > this.#limits.continuationsMax) return void this.#refuse("too-many-continuations");
    if (!this.#gather(bytes, start, end) || (this.#flags & FLAG.endHeaders) === 0) return;
    const streamId = this.#blockStreamId;
    const block = this.#block ?? this.#header;
    this.#block = undefined;
    this.#blockStreamId = 0;
    this.finishedCount++;
    this.#sink.onHeaderBlock(streamId, this.#blockEndsStream, this.#blockDependsOn, block, 0, this.#blockBytes);
  }

  /** @returns false where that ended the connection */
  #gather(bytes: Buffer, start: number, end: number): boolean {
    if (start === end && (this.#flags & FLAG.endHeaders) === 0) this.#sink.onEmptyHeaderFrame();
    const length = this.#blockBytes + end - start;
    if (length > this.#limits.headerBlockBytesMax) {
      this.#refuse("header-block-too-large");
      return false;
    }
    if (this.#block === undefined || this.#block.length < length) {
      const larger = Buffer.allocUnsafe(Math.max(length, Math.min(length * 2, this.#limits.headerBlockBytesMax)));
      this.#block?.copy(larger, 0, 0, this.#blockBytes);
      this.#block = larger;
    }
    bytes.copy(this.#block, this.#blockBytes, start, end);
    this.#blockBytes = length;
    return this.#state !== "stopped";
  }
}
