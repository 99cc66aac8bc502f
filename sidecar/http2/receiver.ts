// What frames of streams mean (RFC 9113 sections 5.1, 6 and 8): heads, content, trailers, resets, windows, each told to
// the stream's handler, or refused. Frames of the connection go on to it.
import type { Http2ConnectionHandler } from "./contract.ts";
import { ERROR } from "./error-code.ts";
import type { FloodGuard } from "./flood.ts";
import { HEADER_TABLE_DEFAULT } from "./frame.ts";
import type { FrameSink } from "./frame-reader.ts";
import { Http2Head } from "./head.ts";
import { type HeadPart, HeadReader } from "./head-rules.ts";
import { HpackDecoder } from "./hpack-decoder.ts";
import { KnownBlocks } from "./known-block.ts";
import type { Http2Limits } from "./limits.ts";
import type { ReceiveWindows } from "./receive-windows.ts";
import { REFUSALS, type Refusal, type RefusalDetail } from "./refusal.ts";
import type { Sender } from "./sender.ts";
import type { Http2Stream } from "./stream.ts";
import type { Streams } from "./streams.ts";

/** The connection, as its receiver sees it. */
export interface ReceiverOwner {
  readonly handler: Http2ConnectionHandler;
  readonly isServer: boolean;
  readonly limits: Http2Limits;
  readonly sender: Sender;
  readonly windows: ReceiveWindows;
  readonly streams: Streams;
  readonly floods: Floods;
  /** Streams above this id came too late: the last GOAWAY has named it. */
  readonly lastAcceptedId: number;
  /** The peer has had our limits. */
  readonly isAcknowledged: boolean;
  readonly isClosed: boolean;
  refuse(refusal: Refusal): void;
  onSettings(bytes: Buffer, start: number, end: number): void;
  onSettingsAck(): void;
  onPing(isAck: boolean, bytes: Buffer, start: number): void;
  onGoaway(lastStreamId: number, code: number): void;
}

export interface Floods {
  readonly resets: FloodGuard;
  readonly pings: FloodGuard;
  readonly settings: FloodGuard;
  readonly idleFrames: FloodGuard;
  readonly lateFrames: FloodGuard;
  readonly emptyFrames: FloodGuard;
  readonly windowUpdates: FloodGuard;
  readonly tableUpdates: FloodGuard;
}

/**
 * Heads of answers, trailers, and heads of streams that are not there any more (HPACK's state needs them read), of all
 * connections: whoever is told is done with it when the call returns.
 */
const passing = new Http2Head();

export class Receiver implements FrameSink {
  readonly #owner: ReceiverOwner;
  readonly #decoder: HpackDecoder;
  readonly #heads: HeadReader;
  readonly #known: KnownBlocks;
  /**
   * Whose DATA frame is being read; 0 where it is dropped. An id, because frames come in several reads, and between them
   * a stream may end and its object be another's.
   */
  #dataStreamId = 0;
  #hasContent = false;

  constructor(owner: ReceiverOwner) {
    this.#owner = owner;
    this.#heads = new HeadReader(owner.limits);
    // Until our SETTINGS are acknowledged the peer may go by the protocol's default.
    this.#decoder = new HpackDecoder(Math.max(owner.limits.headerTableBytes, HEADER_TABLE_DEFAULT));
    this.#known = new KnownBlocks(this.#decoder, owner.limits.headerListBytesMax);
  }

  onRefusal(refusal: Refusal): void {
    this.#owner.refuse(refusal);
  }

  #refuse(detail: RefusalDetail): void {
    this.#owner.refuse(REFUSALS[detail]);
  }

  /** A rule of a stream, which may be gone, was broken. */
  onStreamRefusal(streamId: number, refusal: Refusal): void {
    const stream = this.#owner.streams.table.get(streamId);
    if (stream !== undefined) return this.#owner.streams.refuse(stream, refusal);
    // RST_STREAM is not for idle streams, and lost on closed ones; a connection error may stand for it (section 5.4.2).
    this.#owner.refuse(refusal);
  }

  // ---- content ----

  onDataFrame(streamId: number, length: number, isEnd: boolean): void {
    const { windows, streams } = this.#owner;
    this.#dataStreamId = 0;
    this.#hasContent = length === 0 && isEnd;
    if (!windows.take(length)) return this.#refuse("connection-window-exceeded");
    const stream = streams.table.get(streamId);
    if (stream === undefined) return this.#onFrameOfClosed(streamId);
    if (stream.isReceived) return streams.refuse(stream, REFUSALS["frame-after-half-close"]);
    if (!stream.hasHead) return streams.refuse(stream, REFUSALS["data-before-head"]);
    if (!windows.takeOfStream(stream, length)) return streams.refuse(stream, REFUSALS["window-exceeded"]);
    this.#dataStreamId = streamId;
  }

  onDataBytes(bytes: Buffer, start: number, end: number, isEnd: boolean): void {
    const length = end - start;
    if (isEnd || length > 0) this.#hasContent = true;
    if (this.#dataStreamId === 0) return;
    const stream = this.#owner.streams.table.get(this.#dataStreamId);
    if (stream === undefined) return;
    if (stream.contentLeft >= 0) {
      stream.contentLeft -= length;
      if (stream.contentLeft < 0 || (isEnd && stream.contentLeft > 0)) return this.#refuseLength(stream);
    }
    if (isEnd) this.#owner.streams.onMessageReceived(stream);
    stream.handler.onData(stream, bytes, start, end, isEnd);
    if (stream.isPaused && !stream.isClosed) this.#owner.windows.stall(stream, length);
  }

  #refuseLength(stream: Http2Stream): void {
    this.#dataStreamId = 0;
    this.#owner.streams.refuse(stream, REFUSALS["content-length-differs"]);
  }

  onDataFrameEnd(): void {
    const { windows, floods, streams } = this.#owner;
    const stream = this.#dataStreamId === 0 ? undefined : streams.table.get(this.#dataStreamId);
    this.#dataStreamId = 0;
    if (this.#owner.isClosed) return;
    if (!this.#hasContent && !floods.emptyFrames.take()) return this.#refuse("empty-frame-flood");
    if (this.#hasContent) floods.pings.allow(1);
    if (stream !== undefined) windows.returnStream(stream);
    windows.returnConnection();
  }

  /** Section 5.1, "closed" and "idle". */
  #onFrameOfClosed(streamId: number): void {
    const { streams, sender, floods } = this.#owner;
    if (streams.isIdle(streamId)) return this.#refuse("frame-on-idle-stream");
    switch (streams.closed.closedBy(streamId)) {
      case "us":
      case "unknown":
        return;
      case "ended":
        return this.#refuse("frame-after-end");
      case "peer":
        if (!floods.resets.take()) return this.#refuse("reset-flood");
        sender.sendRstStream(streamId, REFUSALS["frame-after-reset"].code);
    }
  }

  // ---- heads ----

  onHeaderBlock(streamId: number, isEnd: boolean, dependsOn: number, bytes: Buffer, start: number, end: number): void {
    const stream = this.#owner.streams.table.get(streamId);
    if (start === end) this.onEmptyHeaderFrame();
    if (stream === undefined) return this.#onHeadOfNoStream(streamId, isEnd, dependsOn, bytes, start, end);
    if (stream.isReceived) {
      if (this.#decode(passing, "trailers", bytes, start, end) !== CONNECTION_REFUSED) {
        this.#owner.streams.refuse(stream, REFUSALS["frame-after-half-close"]);
      }
      return;
    }
    if (stream.hasHead) return this.#onTrailers(stream, isEnd, bytes, start, end);
    const fault = this.#decode(passing, "response", bytes, start, end);
    if (fault === CONNECTION_REFUSED) return;
    if (fault !== undefined) return this.#owner.streams.refuse(stream, fault);
    if (dependsOn === streamId) return this.#owner.streams.refuse(stream, REFUSALS["self-dependency"]);
    if (passing.status < 200) this.#onInterimHead(stream, isEnd);
    else this.#onResponseHead(stream, isEnd);
  }

  /** @returns what is wrong with the message; CONNECTION_REFUSED where nothing more is to be done */
  #decode(head: Http2Head, part: HeadPart, bytes: Buffer, start: number, end: number): Refusal | undefined {
    if (this.#known.read(head, part, bytes, start, end)) return undefined;
    const { generation } = this.#decoder;
    this.#heads.begin(head, part);
    const refusal = this.#decoder.decode(bytes, start, end, this.#heads);
    const fault = this.#heads.finish();
    if (refusal !== undefined) {
      this.#owner.refuse(refusal);
      return CONNECTION_REFUSED;
    }
    if (this.#decoder.tableUpdates > 0 && !this.#owner.floods.tableUpdates.take()) {
      this.#refuse("table-update-flood");
      return CONNECTION_REFUSED;
    }
    if (this.#owner.isClosed) return CONNECTION_REFUSED;
    if (fault === undefined && generation === this.#decoder.generation)
      this.#known.learn(head, part, this.#heads.pseudoFields, bytes, start, end);
    return fault;
  }

  #onHeadOfNoStream(
    streamId: number,
    isEnd: boolean,
    dependsOn: number,
    bytes: Buffer,
    start: number,
    end: number,
  ): void {
    const { isServer, streams } = this.#owner;
    if (isServer && (streamId & 1) === 0) return this.#refuse("bad-stream-id");
    if (isServer && streamId > streams.lastPeerId)
      return this.#onRequest(streamId, isEnd, dependsOn, bytes, start, end);
    if (streams.isIdle(streamId)) return this.#refuse("frame-on-idle-stream");
    this.#countLate();
    if (this.#decode(passing, "trailers", bytes, start, end) === CONNECTION_REFUSED) return;
    this.#onFrameOfClosed(streamId);
  }

  #onRequest(streamId: number, isEnd: boolean, dependsOn: number, bytes: Buffer, start: number, end: number): void {
    const owner = this.#owner;
    owner.streams.lastPeerId = streamId;
    if (streamId > owner.lastAcceptedId) {
      if (this.#decode(passing, "request", bytes, start, end) !== CONNECTION_REFUSED) this.#turnAway(streamId);
      return;
    }
    const isTooMany = owner.streams.count >= owner.limits.streamsMax;
    const stream = owner.streams.open(streamId);
    const head = stream.request;
    const fault = this.#decode(head, "request", bytes, start, end);
    if (fault === CONNECTION_REFUSED) return;
    if (isTooMany) return this.#refuseTooMany(stream);
    if (isEnd) owner.streams.onMessageReceived(stream);
    if (fault !== undefined) return owner.streams.refuse(stream, fault);
    if (dependsOn === streamId) return owner.streams.refuse(stream, REFUSALS["self-dependency"]);
    stream.hasHead = true;
    stream.isTunnel = head.isConnect;
    stream.contentLeft = head.isConnect ? -1 : head.contentLength;
    if (isEnd && stream.contentLeft > 0) {
      return owner.streams.refuse(stream, REFUSALS["content-length-differs"]);
    }
    stream.handler = owner.handler.onStream(stream);
    stream.handler.onHead(stream, head, isEnd);
  }

  /** It crossed our last GOAWAY: nothing was done, so the client may try again elsewhere (section 8.7). */
  #turnAway(streamId: number): void {
    if (!this.#owner.floods.resets.take()) return this.#refuse("reset-flood");
    this.#owner.streams.closed.add(streamId, false);
    this.#owner.sender.sendRstStream(streamId, ERROR.refusedStream);
  }

  #refuseTooMany(stream: Http2Stream): void {
    this.#owner.streams.refuse(stream, REFUSALS["too-many-streams"]);
    // A client that does not know our limit yet is not at fault.
    if (!this.#owner.isAcknowledged) this.#owner.floods.resets.allow(1);
  }

  #onInterimHead(stream: Http2Stream, isEnd: boolean): void {
    const { limits, streams } = this.#owner;
    if (isEnd) return streams.refuse(stream, REFUSALS["interim-ends-stream"]);
    if (++stream.interimHeads > limits.interimHeadsMax) {
      return streams.refuse(stream, REFUSALS["too-many-interim-heads"]);
    }
    stream.handler.onInterimHead(stream, passing);
  }

  #onResponseHead(stream: Http2Stream, isEnd: boolean): void {
    stream.hasHead = true;
    const { status, contentLength } = passing;
    const method = stream.requestMethod;
    if (method === "HEAD" || status === 204 || status === 304) stream.contentLeft = 0;
    else if (method === "CONNECT" && status < 300) {
      stream.isTunnel = true;
      stream.contentLeft = -1;
    } else stream.contentLeft = contentLength;
    if (isEnd) {
      if (stream.contentLeft > 0) return this.#refuseLength(stream);
      this.#owner.streams.onMessageReceived(stream);
    }
    stream.handler.onHead(stream, passing, isEnd);
  }

  #onTrailers(stream: Http2Stream, isEnd: boolean, bytes: Buffer, start: number, end: number): void {
    const streams = this.#owner.streams;
    const fault = this.#decode(passing, "trailers", bytes, start, end);
    if (fault === CONNECTION_REFUSED) return;
    if (fault !== undefined) return streams.refuse(stream, fault);
    if (stream.isTunnel) return streams.refuse(stream, REFUSALS["fields-in-tunnel"]);
    if (!isEnd) return streams.refuse(stream, REFUSALS["trailers-without-end"]);
    if (stream.contentLeft > 0) return this.#refuseLength(stream);
    streams.onMessageReceived(stream);
    stream.handler.onTrailers(stream, passing);
  }

  /** Our SETTINGS were acknowledged: from here on the peer has to keep to them. */
  onLimitsKnown(): void {
    this.#decoder.setTableLimit(this.#owner.limits.headerTableBytes);
  }

  // ---- the rest of a stream's frames ----

  /** Priorities are read and ignored (section 5.3.2). */
  onPriority(streamId: number, dependsOn: number): void {
    if (dependsOn === streamId) {
      const stream = this.#owner.streams.table.get(streamId);
      if (stream === undefined) this.#refuse("self-dependency-of-idle");
      else this.#owner.streams.refuse(stream, REFUSALS["self-dependency"]);
      return;
    }
    this.#countIdle();
  }

  onUnknownFrame(): void {
    this.#countIdle();
  }

  #countLate(): void {
    if (!this.#owner.floods.lateFrames.take()) this.#refuse("idle-frame-flood");
  }

  #countIdle(): void {
    if (!this.#owner.floods.idleFrames.take()) this.#refuse("idle-frame-flood");
  }

  onEmptyHeaderFrame(): void {
    if (!this.#owner.floods.emptyFrames.take()) this.#refuse("empty-frame-flood");
  }

  onRstStream(streamId: number, code: number): void {
    const { streams } = this.#owner;
    const stream = streams.table.get(streamId);
    if (stream !== undefined) streams.onPeerReset(stream, code);
    else if (streams.isIdle(streamId)) this.#refuse("frame-on-idle-stream");
    else this.#countLate();
  }

  onWindowUpdate(streamId: number, increment: number): void {
    const { sender, streams, floods } = this.#owner;
    if (!floods.windowUpdates.take()) return this.#refuse("window-update-flood");
    if (streamId === 0) {
      if (increment === 0) this.#refuse("connection-zero-window-update");
      else if (!sender.openWindow(increment)) this.#refuse("connection-window-overflow");
      return;
    }
    const stream = streams.table.get(streamId);
    if (stream === undefined) {
      if (streams.isIdle(streamId)) this.#refuse("frame-on-idle-stream");
    } else if (increment === 0) streams.refuse(stream, REFUSALS["zero-window-update"]);
    else if (!sender.openStreamWindow(stream, increment)) streams.refuse(stream, REFUSALS["window-overflow"]);
  }

  // ---- frames of the connection ----

  onSettings(bytes: Buffer, start: number, end: number): void {
    this.#owner.onSettings(bytes, start, end);
  }

  onSettingsAck(): void {
    this.#owner.onSettingsAck();
  }

  onPing(isAck: boolean, bytes: Buffer, start: number): void {
    this.#owner.onPing(isAck, bytes, start);
  }

  onGoaway(lastStreamId: number, code: number): void {
    this.#owner.onGoaway(lastStreamId, code);
  }
}

/** Stands for "the connection is over": never told to anybody. */
const CONNECTION_REFUSED: Refusal = REFUSALS["bad-preface"];
