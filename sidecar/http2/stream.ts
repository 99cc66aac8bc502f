// One stream: what is known of its two messages, its windows, and what waits. Made once and given out again and again,
// to one connection after another: a small object, because each is looked at for one request and out of cache at the next.
// It decides nothing: sending is sender.ts, receiving is receiver.ts.
import type { Http2StreamView, ResetCause, StreamHandler, StreamState } from "./contract.ts";
import { Http2Head } from "./head.ts";
import type { Refusal } from "./refusal.ts";
import { SendQueue } from "./send-queue.ts";

/** What a stream asks of its connection. */
export interface StreamHost {
  sendHead(stream: Http2Stream, head: Http2Head, isEnd: boolean): void;
  sendData(stream: Http2Stream, bytes: Buffer, start: number, end: number, isEnd: boolean): boolean;
  sendTrailers(stream: Http2Stream, trailers: Http2Head): void;
  resetStream(stream: Http2Stream, code: number): void;
  giveUp(stream: Http2Stream): void;
  onResumed(stream: Http2Stream): void;
  onReleased(stream: Http2Stream): void;
  /** Released while something of it waits. */
  onLeftWaiting(stream: Http2Stream): void;
}

/** What ends our message once all that waits is out. */
type QueuedEnd = "none" | "data" | "trailers";

/** What of a stream waits for a window or for the transport. Most streams never have any. */
export class Backlog {
  readonly queue = new SendQueue();
  end: QueuedEnd = "none";
  trailers: Http2Head | undefined = undefined;
  /** Some has gone out since that was last asked. */
  hasProgress = false;
  /** Neighbours among the streams that could send if the connection could. */
  isLinked = false;
  next: Http2Stream | undefined = undefined;
  previous: Http2Stream | undefined = undefined;
}

/** For a stream that nobody handles (yet). */
export const NO_HANDLER: StreamHandler = {
  onHead: () => {},
  onInterimHead: () => {},
  onData: () => {},
  onTrailers: () => {},
  onReset: () => {},
  onDrain: () => {},
};

/** Of a stream that waits to be used. */
const NO_HOST: StreamHost = {
  sendHead: () => {},
  sendData: () => true,
  sendTrailers: () => {},
  resetStream: () => {},
  giveUp: () => {},
  onResumed: () => {},
  onReleased: () => {},
  onLeftWaiting: () => {},
};

export class Http2Stream implements Http2StreamView {
  #host: StreamHost = NO_HOST;
  id = 0;
  /** By the clock. */
  openedMs = 0;
  state: StreamState = "idle";
  handler: StreamHandler = NO_HANDLER;
  isReceived = false;
  isSent = false;
  resetCode = 0;
  resetCause: ResetCause | undefined = undefined;
  isUnprocessed = false;
  refusal: Refusal | undefined = undefined;
  #request: Http2Head | undefined = undefined;

  // ---- receiver ----

  /** The peer's final head has come. */
  hasHead = false;
  interimHeads = 0;
  /** Content that Content-Length still promises; -1: it says nothing. */
  contentLeft = -1;
  /** Client: the answer is to HEAD, CONNECT: its Content-Length is not about content that comes. */
  requestMethod = "";
  /** CONNECT was accepted, or is: nothing but content follows (RFC 9113 section 8.5). */
  isTunnel = false;
  /** What the peer may still send. */
  receiveWindow = 0;
  /** Received, and not yet given back to the peer's window. */
  unreturnedBytes = 0;
  /** Of these, what came while the owner did not read. */
  stalledBytes = 0;
  isPaused = false;

  // ---- sender ----

  sendWindow = 0;
  /** From when something has waited. */
  backlog: Backlog | undefined = undefined;

  /** The owner said `release`, but the stream was open. */
  isReleased = false;

  /** Readies it for an exchange on a connection; everything that the one before left is gone. */
  open(host: StreamHost, id: number, receiveWindow: number, sendWindow: number): void {
    this.#host = host;
    this.id = id;
    this.state = "open";
    this.handler = NO_HANDLER;
    this.isReceived = false;
    this.isSent = false;
    this.resetCode = 0;
    this.resetCause = undefined;
    this.isUnprocessed = false;
    this.refusal = undefined;
    this.hasHead = false;
    this.interimHeads = 0;
    this.contentLeft = -1;
    this.requestMethod = "";
    this.isTunnel = false;
    this.receiveWindow = receiveWindow;
    this.unreturnedBytes = 0;
    this.stalledBytes = 0;
    this.isPaused = false;
    this.sendWindow = sendWindow;
    this.isReleased = false;
  }

  /** It waits to be used by another connection: what it might keep alive that long is dropped. */
  leaveHost(): void {
    this.#host = NO_HOST;
    this.backlog = undefined;
  }

  /** Server: what the peer asks for. Stays until `release`, also after the stream is closed. */
  get request(): Http2Head {
    this.#request ??= new Http2Head();
    return this.#request;
  }

  /** Text that its request keeps alive until the next one is there. */
  get keptBytes(): number {
    return this.#request?.listBytes ?? 0;
  }

  get queuedBytes(): number {
    return this.backlog === undefined ? 0 : this.backlog.queue.length;
  }

  takeProgress(): boolean {
    const { backlog } = this;
    if (backlog === undefined || !backlog.hasProgress) return false;
    backlog.hasProgress = false;
    return true;
  }

  get isClosed(): boolean {
    return this.state === "closed" || this.state === "idle";
  }

  /** May our message go on? */
  get canSend(): boolean {
    return !this.isSent && !this.isClosed;
  }

  sendHead(head: Http2Head, isEnd: boolean): void {
    if (this.canSend) this.#host.sendHead(this, head, isEnd);
  }

  sendData(bytes: Buffer, start: number, end: number, isEnd: boolean): boolean {
    return this.canSend ? this.#host.sendData(this, bytes, start, end, isEnd) : true;
  }

  sendTrailers(trailers: Http2Head): void {
    if (this.canSend) this.#host.sendTrailers(this, trailers);
  }

  reset(code: number): void {
    if (!this.isClosed) this.#host.resetStream(this, code);
  }

  giveUp(): void {
    if (!this.isClosed) this.#host.giveUp(this);
  }

  pauseReading(): void {
    this.isPaused = true;
  }

  resumeReading(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    if (!this.isClosed) this.#host.onResumed(this);
  }

  release(): void {
    if (this.isReleased || this.state === "idle") return;
    this.isReleased = true;
    this.handler = NO_HANDLER;
    // Nobody else would read on, and what is dropped is taken.
    this.resumeReading();
    if (this.state === "closed") this.#host.onReleased(this);
    else if (this.queuedBytes > 0) this.#host.onLeftWaiting(this);
  }
}
