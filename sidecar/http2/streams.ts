// The streams of one connection: their ids, their states (RFC 9113 section 5.1), how they end, and their objects, which
// are given out again. Not frames: it is told what came, and says what goes to the sender.
import type { Clock } from "../../runtime/clock.ts";
import type { Http2ConnectionHandler, ResetCause } from "./contract.ts";
import { ERROR } from "./error-code.ts";
import type { FloodGuard } from "./flood.ts";
import type { Http2Head } from "./head.ts";
import type { Http2Limits } from "./limits.ts";
import type { ReceiveWindows } from "./receive-windows.ts";
import { REFUSALS, type Refusal } from "./refusal.ts";
import { ResetMemory } from "./reset-memory.ts";
import type { Sender } from "./sender.ts";
import type { PeerSettings } from "./settings.ts";
import { Http2Stream, NO_HANDLER, type StreamHost } from "./stream.ts";
import { StreamTable } from "./stream-table.ts";

/** Stream objects that wait for the next requests of any connection: what is held grows with the streams at a time. */
const SPARES_MAX = 512;
/** Head, trailers, an interim head and RST_STREAM, sent by a peer that does not know yet that the stream is over. */
const LATE_FRAMES_MAX = 4;
/** Of text that one of them may keep alive: large heads are not held for a connection that may never use them again. */
const SPARE_TEXT_MAX = 4096;

/** Of servers, which have a head each, and of clients, which need none. */
const serverSpares: Http2Stream[] = [];
const clientSpares: Http2Stream[] = [];

/** What the streams ask of their connection. */
export interface StreamsOwner {
  readonly handler: Http2ConnectionHandler;
  readonly isServer: boolean;
  readonly limits: Http2Limits;
  readonly sender: Sender;
  readonly windows: ReceiveWindows;
  readonly peer: PeerSettings;
  /** Of resets by the peer, or that it brought about; of frames that mean nothing. */
  readonly floods: { readonly resets: FloodGuard; readonly lateFrames: FloodGuard };
  onResetFlood(): void;
  onLeftWaiting(stream: Http2Stream): void;
}

export class Streams implements StreamHost {
  readonly table = new StreamTable<Http2Stream>();
  readonly closed = new ResetMemory();
  /** The highest id that the peer has used. */
  lastPeerId = 0;
  nextOwnId = 1;
  readonly #owner: StreamsOwner;
  readonly #clock: Clock;
  readonly #spares: Http2Stream[];
  /** Closed and released within this turn: somebody up the stack may still look at them. */
  readonly #retired: Http2Stream[] = [];

  constructor(owner: StreamsOwner, clock: Clock) {
    this.#owner = owner;
    this.#clock = clock;
    this.#spares = owner.isServer ? serverSpares : clientSpares;
  }

  get count(): number {
    return this.table.count;
  }

  /** Is a stream of a lower id still open? */
  hasOpenBelow(id: number): boolean {
    for (const stream of this.table.all()) if (stream.id < id) return true;
    return false;
  }

  /** Was a stream of this id never open? */
  isIdle(id: number): boolean {
    const isOwn = ((id & 1) === 1) !== this.#owner.isServer;
    return isOwn ? id >= this.nextOwnId : id > this.lastPeerId || !this.#owner.isServer;
  }

  open(id: number): Http2Stream {
    const stream = this.#spares.pop() ?? new Http2Stream();
    stream.open(this, id, this.#owner.windows.initialWindow, this.#owner.peer.initialWindow);
    stream.openedMs = this.#clock.now();
    this.table.add(stream);
    return stream;
  }

  /** Nobody up the stack holds a stream any more. */
  recycle(): void {
    while (this.#retired.length > 0) {
      const stream = this.#retired.pop() as Http2Stream;
      stream.state = "idle";
      stream.leaveHost();
      if (this.#spares.length < SPARES_MAX && stream.keptBytes <= SPARE_TEXT_MAX) this.#spares.push(stream);
    }
  }

  // ---- what owners of streams ask for ----

  sendHead(stream: Http2Stream, head: Http2Head, isEnd: boolean): void {
    stream.requestMethod = head.method;
    this.#owner.sender.sendHead(stream, head, isEnd);
  }

  sendData(stream: Http2Stream, bytes: Buffer, start: number, end: number, isEnd: boolean): boolean {
    return this.#owner.sender.sendData(stream, bytes, start, end, isEnd);
  }

  sendTrailers(stream: Http2Stream, trailers: Http2Head): void {
    this.#owner.sender.sendTrailers(stream, trailers);
  }

  resetStream(stream: Http2Stream, code: number): void {
    stream.resetCode = code;
    this.#reset(stream, code);
  }

  giveUp(stream: Http2Stream): void {
    this.refuse(stream, REFUSALS["stalled-stream"]);
  }

  onLeftWaiting(stream: Http2Stream): void {
    this.#owner.onLeftWaiting(stream);
  }

  onResumed(stream: Http2Stream): void {
    const windows = this.#owner.windows;
    windows.release(stream);
    windows.returnStream(stream);
    windows.returnConnection();
  }

  onReleased(stream: Http2Stream): void {
    this.#retired.push(stream);
  }

  // ---- how messages and streams end ----

  onMessageSent(stream: Http2Stream): void {
    if (stream.isReceived) this.#close(stream);
    else stream.state = "half-closed-local";
  }

  onMessageReceived(stream: Http2Stream): void {
    stream.isReceived = true;
    if (stream.state === "half-closed-local") this.#close(stream);
    else stream.state = "half-closed-remote";
  }

  /** The peer broke a rule of this stream. */
  refuse(stream: Http2Stream, refusal: Refusal): void {
    if (stream.isClosed) return;
    stream.refusal = refusal;
    const wasSent = stream.isSent;
    const hasOwner = stream.handler !== NO_HANDLER;
    this.#owner.handler.onStreamRefused(stream, refusal);
    if (this.#owner.isServer && !this.#owner.floods.resets.take()) this.#owner.onResetFlood();
    if (!stream.isClosed) {
      // With an answer that says why, an error code would make the client drop it (section 8.1).
      const hasAnswer = this.#owner.isServer && stream.isSent && !wasSent;
      this.#reset(stream, hasAnswer ? ERROR.noError : refusal.code);
      this.#tell(stream, "refused", refusal.code);
    }
    if (!hasOwner) stream.release();
  }

  onPeerReset(stream: Http2Stream, code: number): void {
    if (this.#isHasty(stream) && !this.#owner.floods.resets.take()) this.#owner.onResetFlood();
    if (stream.isClosed) return;
    this.closed.add(stream.id, true);
    stream.isUnprocessed = code === ERROR.refusedStream;
    this.#close(stream);
    this.#tell(stream, "peer", code);
  }

  /** Does a client give it up that can hardly have waited for it? Calls that last are mostly ended by a reset. */
  #isHasty(stream: Http2Stream): boolean {
    const { isServer, limits } = this.#owner;
    return isServer && this.#clock.now() - stream.openedMs < limits.lastingStreamMs;
  }

  /** Client: the peer says that it has not looked at streams above this id. */
  onGoaway(lastStreamId: number): void {
    for (const stream of this.table.all()) {
      if (stream.id <= lastStreamId) continue;
      stream.isUnprocessed = true;
      this.closed.add(stream.id, false);
      this.#close(stream);
      this.#tell(stream, "goaway", ERROR.refusedStream);
    }
  }

  /** The connection is over. */
  endAll(code: number): void {
    for (const stream of this.table.all()) {
      if (stream.isClosed) continue;
      this.#close(stream);
      this.#tell(stream, "connection", code);
    }
  }

  #reset(stream: Http2Stream, code: number): void {
    this.closed.add(stream.id, false);
    this.#owner.sender.forget(stream);
    this.#owner.sender.sendRstStream(stream.id, code);
    this.#close(stream);
  }

  /** The last word to its handler. */
  #tell(stream: Http2Stream, cause: ResetCause, code: number): void {
    const handler = stream.handler;
    if (handler === NO_HANDLER) return;
    stream.resetCause = cause;
    stream.resetCode = code;
    stream.handler = NO_HANDLER;
    handler.onReset(stream);
  }

  #close(stream: Http2Stream): void {
    const owner = this.#owner;
    const isWhole = stream.isReceived && stream.isSent && stream.queuedBytes === 0;
    stream.state = "closed";
    this.table.delete(stream.id);
    if (isWhole) owner.floods.resets.allow(1);
    owner.floods.lateFrames.allow(LATE_FRAMES_MAX);
    owner.sender.forget(stream);
    if (stream.stalledBytes > 0) {
      owner.windows.release(stream);
      owner.windows.returnConnection();
    }
    owner.handler.onStreamClosed();
    if (stream.isReleased) this.#retired.push(stream);
  }
}
