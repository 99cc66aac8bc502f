// Flow control of what comes (RFC 9113 sections 5.2 and 6.9): what the peer may still send, and when it is told that it
// may send more: once half a window was taken, so that a small call costs no WINDOW_UPDATE. A stream that its owner does
// not read holds back its own window, and only past a bound the connection's.
import { WINDOW_DEFAULT } from "./frame.ts";
import type { Http2Limits } from "./limits.ts";
import type { Http2Stream } from "./stream.ts";

/** Tells the peer. */
interface WindowSink {
  sendWindowUpdate(streamId: number, increment: number): void;
}

export class ReceiveWindows {
  readonly #sink: WindowSink;
  readonly #limits: Http2Limits;
  readonly #connectionBytes: number;
  /** What the peer may still send on the connection. */
  #window: number;
  /** Received, and not yet given back. */
  #unreturned = 0;
  /** Of these, what nobody takes. */
  #stalled = 0;
  /** A stream's first window. Until our SETTINGS are acknowledged the peer may go by the protocol's default. */
  initialWindow: number;

  constructor(limits: Http2Limits, sink: WindowSink) {
    this.#sink = sink;
    this.#limits = limits;
    this.#connectionBytes = Math.max(limits.connectionWindowBytes, WINDOW_DEFAULT);
    this.#window = this.#connectionBytes;
    this.initialWindow = Math.max(limits.streamWindowBytes, WINDOW_DEFAULT);
  }

  /** What has to be added to the protocol's default at the start. */
  get firstIncrement(): number {
    return this.#connectionBytes - WINDOW_DEFAULT;
  }

  /** Content of all streams that nobody takes. */
  get stalledBytes(): number {
    return this.#stalled;
  }

  onSettingsAck(streams: readonly Http2Stream[]): void {
    const excess = this.initialWindow - this.#limits.streamWindowBytes;
    this.initialWindow = this.#limits.streamWindowBytes;
    if (excess > 0) for (const stream of streams) stream.receiveWindow -= excess;
  }

  /** A DATA frame of this length begins. @returns false: more than the window */
  take(length: number): boolean {
    this.#window -= length;
    this.#unreturned += length;
    return this.#window >= 0;
  }

  takeOfStream(stream: Http2Stream, length: number): boolean {
    stream.receiveWindow -= length;
    stream.unreturnedBytes += length;
    return stream.receiveWindow >= 0;
  }

  /** Content that was delivered while the stream was paused. */
  stall(stream: Http2Stream, length: number): void {
    stream.stalledBytes += length;
    this.#stalled += length;
  }

  /** The stream is read again, or over: what it held back is taken. */
  release(stream: Http2Stream): void {
    this.#stalled -= stream.stalledBytes;
    stream.stalledBytes = 0;
  }

  /** Gives back what is worth a frame. */
  returnStream(stream: Http2Stream): void {
    const taken = stream.unreturnedBytes - stream.stalledBytes;
    if (taken * 2 < this.#limits.streamWindowBytes || taken === 0 || stream.isReceived) return;
    stream.unreturnedBytes -= taken;
    stream.receiveWindow += taken;
    this.#sink.sendWindowUpdate(stream.id, taken);
  }

  returnConnection(): void {
    const held = Math.max(0, this.#stalled - this.#limits.stalledBytesMax);
    const taken = this.#unreturned - held;
    if (taken * 2 < this.#connectionBytes) return;
    this.#unreturned -= taken;
    this.#window += taken;
    this.#sink.sendWindowUpdate(0, taken);
  }
}
