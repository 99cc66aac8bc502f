// What the HTTP/2 room offers to the conductor: types only, no code.
//
// Where things are: `Http2Connection` in connection.ts; `Http2Stream` in stream.ts; `Http2Head` in head.ts; `FIELD`
// (kinds of known fields) in field.ts; `ERROR` (RST_STREAM and GOAWAY codes) in error-code.ts; limits and what is told
// to the peer in limits.ts; refusals in refusal.ts; `FlushQueue` in runtime/flush-queue.ts.
//
//   const connection = new Http2Connection({ role: "server", transport, handler, ...shared });
//   connection.start();                          // SETTINGS (a client: preface too) are gathered
//   connection.receive(bytes, 0, length);        // handlers are called from within; bytes may be overwritten after it
//   connection.onTransportDrain();               // after `writeBytes` said false
//   connection.onTransportEnd();                 // the peer ended its side
//   connection.onTransportClosed(error);         // the socket is gone
//
// One stream, in the order in which its handler is called:
//
//   server:  connection handler's onStream -> onHead -> onData* -> onTrailers?
//   client:  (request()) -> onInterimHead* -> onHead -> onData* -> onTrailers?
//
// The peer's message ends with exactly one of: onHead with isEnd, onData with isEnd, onTrailers. onReset may come at
// any time instead, once, and nothing after it. A stream that both sides have ended is closed without another word
// (but for onDrain, where something of it waited).
// Handlers may call anything on any stream or connection from within.
import type { Clock } from "../../runtime/clock.ts";
import type { FlushQueue } from "../../runtime/flush-queue.ts";
import type { TimerWheel } from "../../runtime/timer-wheel.ts";
import type { Http2Head } from "./head.ts";
import type { Http2Limits } from "./limits.ts";
import type { Refusal } from "./refusal.ts";

export type Http2Role = "server" | "client";

/** Where frames go. The same as the conductor's ByteSink, and how it ends. */
export interface Http2Transport {
  /**
   * The bytes belong to the transport until it `isEmpty` again; where it is when this returns, they are used again.
   * @returns false: no more until `onTransportDrain` (data waits; control frames may still come)
   */
  writeBytes(bytes: Buffer): boolean;
  /** Nothing of what was written waits in the process. */
  readonly isEmpty: boolean;
  /** Of what was written: waits in the process. */
  readonly waitingBytes: number;
  /** No byte follows. The peer may still send: what it does is read on, and dropped, until it ends its side. */
  end(): void;
  /** Cuts the connection now: called where the peer does not end its side in `lingerMs`. */
  destroy(): void;
}

export interface Http2ConnectionOptions {
  readonly role: Http2Role;
  readonly transport: Http2Transport;
  readonly handler: Http2ConnectionHandler;
  readonly limits: Http2Limits;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  /** One for all connections of the process. */
  readonly flushes: FlushQueue;
}

/** Why a connection is over. */
export type CloseCause =
  /** close() or drain() was called here, and all is done. */
  | "local"
  /** The peer said GOAWAY and all streams are done, or it ended its side between streams. */
  | "peer"
  /** It broke a rule or went past a limit: `connection.refusal` says which. */
  | "refused"
  /** It said GOAWAY with an error code: `connection.goawayCode`. */
  | "peer-error"
  /** No answer to PING. */
  | "keep-alive-timeout"
  /** No acknowledgement of SETTINGS. */
  | "settings-timeout"
  /** The socket was closed under open streams, or with an error. */
  | "transport";

/** What a connection tells its owner. */
export interface Http2ConnectionHandler {
  /** Server: a request begins. @returns who handles it; onHead follows at once. */
  onStream(stream: Http2StreamView): StreamHandler;
  /**
   * The peer's message broke a rule of this stream alone. Where a server's head was refused no handler knows of the
   * stream yet, and it may be answered here (431, 400) with `sendHead(head, true)`; then, or if not, it is reset with
   * the code of the refusal, and must not be held on to. For counting: called for each refused stream, before its
   * handler's onReset.
   */
  onStreamRefused(stream: Http2StreamView, refusal: Refusal): void;
  /** First SETTINGS of the peer, and each later one: `canOpenStream`, `peer` may have changed. */
  onSettings(): void;
  /** No new streams here any more. Streams above the last id were told (onReset, `isUnprocessed`) before this. */
  onGoaway(lastStreamId: number, code: number): void;
  /** A stream that counted against the peer's limit has ended: `canOpenStream` may be true again. */
  onStreamClosed(): void;
  /** Over, once; all streams were told before. The transport has been ended or is gone. */
  onClosed(cause: CloseCause): void;
}

/** What a stream tells its owner. */
export interface StreamHandler {
  /**
   * Final head.
   * @param head of a request stays until `release`; of an answer it is all others' as well: for this call only
   * @param isEnd no content and no trailers follow
   */
  onHead(stream: Http2StreamView, head: Http2Head, isEnd: boolean): void;
  /** Client: a 1xx head, for this call only. */
  onInterimHead(stream: Http2StreamView, head: Http2Head): void;
  /**
   * Content: bytes[start, end), to be consumed or copied before returning; empty only where isEnd. Counts as taken,
   * and is given back to the peer's window, unless the stream is paused when this returns.
   */
  onData(stream: Http2StreamView, bytes: Buffer, start: number, end: number, isEnd: boolean): void;
  /** For this call only. */
  onTrailers(stream: Http2StreamView, trailers: Http2Head): void;
  /** Not whole and never will be: `resetCode`, `resetCause`, `isUnprocessed` say why. Not after own `reset`. */
  onReset(stream: Http2StreamView): void;
  /**
   * All that waited of this stream is with the transport: send on. Comes once after `sendData` said false, also where
   * our message has ended with it; not behind a reset.
   */
  onDrain(stream: Http2StreamView): void;
}

export type ResetCause =
  /** RST_STREAM. */
  | "peer"
  /** Above the last stream id of its GOAWAY. */
  | "goaway"
  /** It broke a rule: `stream.refusal`. */
  | "refused"
  /** The connection is over. */
  | "connection";

/**
 * Where the two messages of a stream stand (RFC 9113 section 5.1): "half-closed-local": ours has ended, its has not.
 * "idle": not in use; the stream may be given out again.
 */
export type StreamState = "idle" | "open" | "half-closed-local" | "half-closed-remote" | "closed";

/** One request and its answer. */
export interface Http2StreamView {
  readonly id: number;
  readonly state: StreamState;
  /** Changeable by the owner at any time. */
  handler: StreamHandler;
  /** All of the peer's message has come. */
  readonly isReceived: boolean;
  /** All of ours was given to this room (it may still wait for a window). */
  readonly isSent: boolean;
  readonly resetCode: number;
  readonly resetCause: ResetCause | undefined;
  /** The peer says that it did no work for it: any request may be repeated (RFC 9113 section 8.7). */
  readonly isUnprocessed: boolean;
  readonly refusal: Refusal | undefined;
  /** Server: what the peer asks for; of a head that was refused, what came before the rule was broken, and the type of its content. */
  readonly request: Http2Head;
  /** Bytes given to `sendData` that wait for a window or the transport. */
  readonly queuedBytes: number;
  /** Some of what waited has gone out since this was last asked. */
  takeProgress(): boolean;

  // Without effect on a closed stream, so that owners need not look first.

  /** Final or interim (status 1xx) head of an answer. The head is copied out before this returns. */
  sendHead(head: Http2Head, isEnd: boolean): void;
  /**
   * bytes[start, end) may change after this call returns; what does not fit into the windows is copied and waits.
   * @returns false: something waits; send no more before onDrain, and pause whoever it comes from
   */
  sendData(bytes: Buffer, start: number, end: number, isEnd: boolean): boolean;
  /** Ends our message; goes out behind what waits. */
  sendTrailers(trailers: Http2Head): void;
  /** Ends the stream at once; what waits is dropped and no handler is called any more. */
  reset(code: number): void;
  /** The peer takes nothing of what waits: ends the stream as one that broke a rule, told like those. */
  giveUp(): void;
  /** What comes from now on is still delivered, at most one stream window of it, but not given back to the peer. */
  pauseReading(): void;
  resumeReading(): void;
  /**
   * The owner is done with the object: once closed, it may be given out as another stream. Never use it after this. What
   * still waits goes out, as long as the peer takes of it.
   */
  release(): void;
}

/** One connection. */
export interface Http2ConnectionView {
  /** Writes the preface. Once, first. */
  start(): void;
  /** Takes all of bytes[start, end). */
  receive(bytes: Buffer, start: number, end: number): void;
  onTransportDrain(): void;
  onTransportEnd(): void;
  onTransportClosed(error: string): void;
  /** Writes what was gathered now instead of at the flush queue's turn. */
  flush(): void;

  /** Client: is there room for one more request? False before the peer's SETTINGS only past 100 streams. */
  readonly canOpenStream: boolean;
  /** Client: sends a request. @returns undefined where `canOpenStream` is false */
  request(head: Http2Head, isEnd: boolean, handler: StreamHandler): Http2StreamView | undefined;
  /** Streams that are not closed. */
  readonly openStreams: number;
  /** Client: how many the peer allows at a time. */
  readonly peerStreamsMax: number;
  /** The peer takes extended CONNECT (RFC 8441). */
  readonly peerAllowsConnectProtocol: boolean;
  /** Finishes what is open and then closes: GOAWAY twice (RFC 9113 section 6.8). Idempotent. */
  drain(): void;
  /** GOAWAY with this code; open streams are told; the transport is ended. Idempotent. */
  close(code: number): void;
  readonly isClosed: boolean;
  /** Set when the cause is "refused". */
  readonly refusal: Refusal | undefined;
  /** Code of the peer's GOAWAY; -1 before one. */
  readonly goawayCode: number;
  /** Why it is over; known before its streams are told. */
  readonly closeCause: CloseCause | undefined;
  /** Asks the peer whether it is there; the connection is closed if no answer comes in `keepAliveTimeoutMs`. */
  ping(): void;
}
