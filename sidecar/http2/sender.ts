// Frames out: heads, content within the peer's windows, control frames, all gathered in the connection's slab. Streams
// that wait take turns, a frame each. Not what is to be sent, and not when streams end: it reports that.
import type { Http2Transport } from "./contract.ts";
import {
  FLAG,
  FRAME,
  FRAME_HEADER_BYTES,
  PREFACE,
  WINDOW_DEFAULT,
  WINDOW_MAX,
  writeFrameHeader,
  writeUint32,
} from "./frame.ts";
import { Http2Head } from "./head.ts";
import { blockBytesMax, HpackEncoder } from "./hpack-encoder.ts";
import type { Http2Limits } from "./limits.ts";
import { OWN_SETTINGS_BYTES, type PeerSettings, writeOwnSettings } from "./settings.ts";
import { Slab } from "./slab.ts";
import { Backlog, type Http2Stream } from "./stream.ts";

/** What the sender tells its connection. */
export interface SenderOwner {
  /** The last frame of our message is written. */
  onMessageSent(stream: Http2Stream): void;
  /** A DATA frame went out. */
  onDataSent(): void;
  /** Something stands in the slab and is to be flushed. */
  onGathered(): void;
  /** Control frames, or bytes, pile up because the peer does not read. */
  onPeerNotReading(rule: "control-queue-full" | "unread-output"): void;
}

export class Sender {
  readonly slab: Slab;
  readonly #transport: Http2Transport;
  readonly #owner: SenderOwner;
  readonly #limits: Http2Limits;
  readonly #peer: PeerSettings;
  readonly #isServer: boolean;
  readonly #encoder: HpackEncoder;
  /** What the peer takes on the whole connection. */
  #window = WINDOW_DEFAULT;
  #firstReady: Http2Stream | undefined = undefined;
  #lastReady: Http2Stream | undefined = undefined;
  /** Control frames since the transport was full. */
  #controlFrames = 0;
  #isPumping = false;

  constructor(
    owner: SenderOwner,
    transport: Http2Transport,
    limits: Http2Limits,
    peer: PeerSettings,
    isServer: boolean,
  ) {
    this.#owner = owner;
    this.#transport = transport;
    this.slab = new Slab(transport);
    this.#limits = limits;
    this.#peer = peer;
    this.#isServer = isServer;
    this.#encoder = new HpackEncoder(limits.encoderTableBytes, false);
  }

  /** Octets that the connection's window has left, for tests and figures. */
  get window(): number {
    return this.#window;
  }

  // ---- heads ----

  sendHead(stream: Http2Stream, head: Http2Head, isEnd: boolean): void {
    if (isEnd) stream.isSent = true;
    this.#writeBlock(stream.id, head, isEnd, this.#isServer ? RESPONSE : REQUEST);
    if (isEnd) this.#owner.onMessageSent(stream);
  }

  sendTrailers(stream: Http2Stream, trailers: Http2Head): void {
    stream.isSent = true;
    const { backlog } = stream;
    if (backlog !== undefined && backlog.queue.length > 0) {
      backlog.trailers ??= new Http2Head();
      backlog.trailers.copyFrom(trailers);
      backlog.end = "trailers";
      return;
    }
    this.#writeTrailers(stream, trailers);
  }

  #writeTrailers(stream: Http2Stream, trailers: Http2Head): void {
    // Without fields they would be an empty block; the end alone is said by DATA, as every peer expects it.
    if (trailers.count === 0) this.#writeEmptyEnd(stream);
    else this.#writeBlock(stream.id, trailers, true, TRAILERS);
    this.#owner.onMessageSent(stream);
  }

  #writeBlock(streamId: number, head: Http2Head, isEnd: boolean, form: number): void {
    const slab = this.slab;
    this.#reserve(FRAME_HEADER_BYTES + blockBytesMax(head));
    const at = slab.used;
    const blockAt = at + FRAME_HEADER_BYTES;
    const end = this.#encode(head, form, blockAt);
    const flags = isEnd ? FLAG.endStream : 0;
    if (end - blockAt > this.#peer.frameBytesMax) return this.#writeLongBlock(streamId, flags, blockAt, end);
    writeFrameHeader(slab.bytes, at, end - blockAt, FRAME.headers, flags | FLAG.endHeaders, streamId);
    slab.used = end;
  }

  #encode(head: Http2Head, form: number, at: number): number {
    const out = this.slab.bytes;
    if (form === TRAILERS) return this.#encoder.encodeTrailers(head, out, at);
    if (form === RESPONSE) return this.#encoder.encodeResponse(head, out, at);
    return this.#encoder.encodeRequest(head, out, at);
  }

  /** HEADERS and CONTINUATION, with nothing between them (section 4.3). */
  #writeLongBlock(streamId: number, flags: number, start: number, end: number): void {
    const block = Buffer.from(this.slab.bytes.subarray(start, end));
    const size = this.#peer.frameBytesMax;
    for (let at = 0; at < block.length; at += size) {
      const length = Math.min(size, block.length - at);
      const last = at + length === block.length ? FLAG.endHeaders : 0;
      this.#reserve(FRAME_HEADER_BYTES + length);
      const slab = this.slab;
      const type = at === 0 ? FRAME.headers : FRAME.continuation;
      const bodyAt = writeFrameHeader(slab.bytes, slab.used, length, type, (at === 0 ? flags : 0) | last, streamId);
      block.copy(slab.bytes, bodyAt, at, at + length);
      slab.used = bodyAt + length;
    }
  }

  // ---- content ----

  /** @returns whether all of it is written; else the rest waits. */
  sendData(stream: Http2Stream, bytes: Buffer, start: number, end: number, isEnd: boolean): boolean {
    if (isEnd) stream.isSent = true;
    let at = start;
    if (stream.queuedBytes === 0) {
      if (start === end) {
        if (isEnd) {
          this.#writeEmptyEnd(stream);
          this.#owner.onMessageSent(stream);
        }
        return true;
      }
      while (at < end && !this.slab.isFull) {
        const length = Math.min(end - at, stream.sendWindow, this.#window, this.#peer.frameBytesMax);
        if (length <= 0) break;
        this.#beginData(stream, length, isEnd && at + length === end);
        bytes.copy(this.slab.bytes, this.slab.used, at, at + length);
        this.slab.used += length;
        at += length;
      }
      if (at === end) {
        if (isEnd) this.#owner.onMessageSent(stream);
        return true;
      }
    }
    stream.backlog ??= new Backlog();
    stream.backlog.queue.add(bytes, at, end);
    if (isEnd) stream.backlog.end = "data";
    this.#linkIfReady(stream);
    return false;
  }

  /** A DATA frame's header; its `length` bytes follow at `slab.used`. */
  #beginData(stream: Http2Stream, length: number, isEnd: boolean): void {
    this.#reserve(FRAME_HEADER_BYTES + length);
    const slab = this.slab;
    slab.used = writeFrameHeader(slab.bytes, slab.used, length, FRAME.data, isEnd ? FLAG.endStream : 0, stream.id);
    stream.sendWindow -= length;
    this.#window -= length;
    this.#owner.onDataSent();
  }

  #writeEmptyEnd(stream: Http2Stream): void {
    this.#reserve(FRAME_HEADER_BYTES);
    const slab = this.slab;
    slab.used = writeFrameHeader(slab.bytes, slab.used, 0, FRAME.data, FLAG.endStream, stream.id);
  }

  // ---- what waits ----

  #linkIfReady(stream: Http2Stream): void {
    const { backlog } = stream;
    if (backlog === undefined || backlog.isLinked || backlog.queue.length === 0 || stream.sendWindow <= 0) return;
    const last = this.#lastReady?.backlog;
    backlog.isLinked = true;
    backlog.previous = this.#lastReady;
    backlog.next = undefined;
    if (last === undefined) this.#firstReady = stream;
    else last.next = stream;
    this.#lastReady = stream;
  }

  #unlink(stream: Http2Stream): void {
    const { backlog } = stream;
    if (backlog === undefined || !backlog.isLinked) return;
    const { next, previous } = backlog;
    backlog.isLinked = false;
    if (previous?.backlog === undefined) this.#firstReady = next;
    else previous.backlog.next = next;
    if (next?.backlog === undefined) this.#lastReady = previous;
    else next.backlog.previous = previous;
    backlog.next = undefined;
    backlog.previous = undefined;
  }

  /** Writes what windows and transport allow of what waits, a frame for each stream in turn. */
  pump(): void {
    // A handler that is told to go on may open windows again; the loop that runs sees to it.
    if (this.#isPumping) return;
    this.#isPumping = true;
    try {
      while (this.#firstReady !== undefined && this.#window > 0 && !this.slab.isFull) {
        const stream = this.#firstReady;
        this.#unlink(stream);
        if (stream.backlog !== undefined) this.#sendQueued(stream, stream.backlog);
      }
    } finally {
      this.#isPumping = false;
    }
  }

  #sendQueued(stream: Http2Stream, backlog: Backlog): void {
    const { queue, end, trailers } = backlog;
    const length = Math.min(queue.length, stream.sendWindow, this.#window, this.#peer.frameBytesMax);
    const isAll = length === queue.length;
    const isEnd = isAll && end === "data";
    this.#beginData(stream, length, isEnd);
    queue.take(length, this.slab.bytes, this.slab.used);
    this.slab.used += length;
    backlog.hasProgress = true;
    if (!isAll) return this.#linkIfReady(stream);
    const { handler } = stream;
    backlog.end = "none";
    if (end === "data") this.#owner.onMessageSent(stream);
    else if (end === "trailers" && trailers !== undefined) this.#writeTrailers(stream, trailers);
    handler.onDrain(stream);
  }

  /** The stream is over: nothing of it is sent any more. */
  forget(stream: Http2Stream): void {
    if (stream.backlog === undefined) return;
    this.#unlink(stream);
    stream.backlog.queue.clear();
    stream.backlog.end = "none";
  }

  /** Writes what was gathered. */
  flush(): void {
    this.slab.flush();
    if (!this.slab.isFull || this.#transport.waitingBytes <= this.#limits.unreadBytesMax) return;
    this.#owner.onPeerNotReading("unread-output");
    // What waits would wait on.
    this.#transport.destroy();
  }

  onTransportDrain(): void {
    this.slab.onDrain();
    this.#controlFrames = 0;
    this.pump();
  }

  // ---- windows ----

  /** @returns false: past what a window may be */
  openWindow(increment: number): boolean {
    this.#window += increment;
    if (this.#window > WINDOW_MAX) return false;
    this.pump();
    return true;
  }

  openStreamWindow(stream: Http2Stream, increment: number): boolean {
    stream.sendWindow += increment;
    if (stream.sendWindow > WINDOW_MAX) return false;
    this.#linkIfReady(stream);
    this.pump();
    return true;
  }

  /** The peer's initial window changed by `delta`; windows may become negative (section 6.9.2). The caller pumps. */
  shiftStreamWindow(stream: Http2Stream, delta: number): boolean {
    stream.sendWindow += delta;
    if (stream.sendWindow <= 0) this.#unlink(stream);
    else this.#linkIfReady(stream);
    return stream.sendWindow <= WINDOW_MAX;
  }

  // ---- control frames ----

  onPeerSettings(): void {
    const { headerTableLeast, headerTableSize } = this.#peer;
    this.#encoder.setPeerTableSize(Math.min(headerTableLeast, headerTableSize));
    this.#encoder.setPeerTableSize(headerTableSize);
  }

  sendPreface(windowIncrement: number): void {
    this.#reserve(PREFACE.length + OWN_SETTINGS_BYTES);
    const slab = this.slab;
    if (!this.#isServer) slab.used += PREFACE.copy(slab.bytes, slab.used);
    slab.used = writeOwnSettings(this.#limits, this.#isServer, slab.bytes, slab.used);
    if (windowIncrement > 0) this.sendWindowUpdate(0, windowIncrement);
  }

  sendSettingsAck(): void {
    this.#beginControl(FRAME.settings, FLAG.ack, 0, 0);
  }

  sendWindowUpdate(streamId: number, increment: number): void {
    this.#beginControl(FRAME.windowUpdate, 0, streamId, 4);
    this.#put(increment);
  }

  sendRstStream(streamId: number, code: number): void {
    this.#beginControl(FRAME.rstStream, 0, streamId, 4);
    this.#put(code);
  }

  /** Eight opaque octets from bytes[start, start + 8). */
  sendPing(isAck: boolean, bytes: Buffer, start: number): void {
    this.#beginControl(FRAME.ping, isAck ? FLAG.ack : 0, 0, 8);
    const slab = this.slab;
    bytes.copy(slab.bytes, slab.used, start, start + 8);
    slab.used += 8;
  }

  sendGoaway(lastStreamId: number, code: number, words: string): void {
    this.#beginControl(FRAME.goaway, 0, 0, 8 + words.length);
    this.#put(lastStreamId);
    this.#put(code);
    const slab = this.slab;
    slab.used += slab.bytes.write(words, slab.used, "latin1");
  }

  #beginControl(type: number, flags: number, streamId: number, length: number): void {
    if (this.slab.isFull && ++this.#controlFrames === this.#limits.controlFramesMax)
      this.#owner.onPeerNotReading("control-queue-full");
    this.#reserve(FRAME_HEADER_BYTES + length);
    const slab = this.slab;
    slab.used = writeFrameHeader(slab.bytes, slab.used, length, type, flags, streamId);
  }

  #put(value: number): void {
    this.slab.used = writeUint32(this.slab.bytes, this.slab.used, value);
  }

  #reserve(length: number): void {
    if (this.slab.used === 0) this.#owner.onGathered();
    this.slab.reserve(length);
  }
}

const REQUEST = 0;
const RESPONSE = 1;
const TRAILERS = 2;
