// One HTTP/2 connection, either side of it: what it is made of, how it begins and ends, SETTINGS, PING and GOAWAY. Frames
// are read by frame-reader.ts, understood by receiver.ts and written by sender.ts; streams live in streams.ts.

import type { Flushable } from "../../runtime/flush-queue.ts";
import { type TimerOwner, WheelTimer } from "../../runtime/timer-wheel.ts";
import type {
  CloseCause,
  Http2ConnectionHandler,
  Http2ConnectionOptions,
  Http2ConnectionView,
  Http2StreamView,
  StreamHandler,
} from "./contract.ts";
import { ERROR } from "./error-code.ts";
import { FloodGuard } from "./flood.ts";
import { STREAM_ID_MAX } from "./frame.ts";
import { FrameReader } from "./frame-reader.ts";
import type { Http2Head } from "./head.ts";
import { HeadWatch } from "./head-watch.ts";
import { Leftovers } from "./leftovers.ts";
import type { Http2Limits } from "./limits.ts";
import { ReceiveWindows } from "./receive-windows.ts";
import { type Floods, Receiver, type ReceiverOwner } from "./receiver.ts";
import { REFUSALS, type Refusal } from "./refusal.ts";
import { Sender, type SenderOwner } from "./sender.ts";
import { PeerSettings } from "./settings.ts";
import type { Http2Stream } from "./stream.ts";
import { Streams, type StreamsOwner } from "./streams.ts";

/**
 * "draining": no new streams of ours; a server has said so, and the first GOAWAY names no last stream. "last-goaway":
 * it does now. Closed when the last stream ends.
 */
type ConnectionState = "open" | "draining" | "last-goaway" | "closed";

const SETTINGS_TIMER = 0;
const KEEP_ALIVE_TIMER = 1;
const GOAWAY_TIMER = 2;
const LINGER_TIMER = 3;

/** Which of our PINGs is answered. */
const KEEP_ALIVE_PING = Buffer.from("weft-ask", "latin1");
const DRAIN_PING = Buffer.from("weft-end", "latin1");

export class Http2Connection
  implements Http2ConnectionView, Flushable, TimerOwner, StreamsOwner, SenderOwner, ReceiverOwner
{
  readonly isServer: boolean;
  readonly handler: Http2ConnectionHandler;
  readonly limits: Http2Limits;
  readonly peer = new PeerSettings();
  readonly sender: Sender;
  readonly windows: ReceiveWindows;
  readonly streams: Streams;
  readonly floods: Floods;
  isAcknowledged = false;
  lastAcceptedId: number = STREAM_ID_MAX;
  refusal: Refusal | undefined = undefined;
  goawayCode = -1;
  closeCause: CloseCause | undefined = undefined;
  readonly #options: Http2ConnectionOptions;
  readonly #receiver: Receiver;
  readonly #reader: FrameReader;
  /** Both are built when they are first needed: most connections never do. */
  #leftovers: Leftovers | undefined = undefined;
  #headWatch: HeadWatch | undefined = undefined;
  readonly #settingsTimer = new WheelTimer(this, SETTINGS_TIMER);
  readonly #keepAliveTimer = new WheelTimer(this, KEEP_ALIVE_TIMER);
  readonly #goawayTimer = new WheelTimer(this, GOAWAY_TIMER);
  readonly #lingerTimer = new WheelTimer(this, LINGER_TIMER);
  #state: ConnectionState = "open";
  #goawayLastId = STREAM_ID_MAX;
  /** Bytes have come since the keep-alive timer was armed. */
  #hasRead = false;
  #isAsking = false;
  /** Times that the linger timer found bytes waiting. */
  #lingers = 0;
  #isQueued = false;
  #isReading = false;

  constructor(options: Http2ConnectionOptions) {
    const { limits, clock } = options;
    this.#options = options;
    this.isServer = options.role === "server";
    this.handler = options.handler;
    this.limits = limits;
    this.floods = {
      resets: new FloodGuard(limits.resets, clock),
      pings: new FloodGuard(limits.pings, clock),
      settings: new FloodGuard(limits.settings, clock),
      idleFrames: new FloodGuard(limits.idleFrames, clock),
      lateFrames: new FloodGuard(limits.lateFrames, clock),
      emptyFrames: new FloodGuard(limits.emptyFrames, clock),
      windowUpdates: new FloodGuard(limits.windowUpdates, clock),
      tableUpdates: new FloodGuard(limits.tableUpdates, clock),
    };
    this.sender = new Sender(this, options.transport, limits, this.peer, this.isServer);
    this.windows = new ReceiveWindows(limits, this.sender);
    this.streams = new Streams(this, clock);
    this.#receiver = new Receiver(this);
    this.#reader = new FrameReader(this.#receiver, limits, this.isServer);
  }

  // ---- bytes ----

  start(): void {
    this.sender.sendPreface(this.windows.firstIncrement);
    this.#options.wheel.arm(this.#settingsTimer, this.limits.settingsTimeoutMs);
    if (this.limits.keepAliveIntervalMs > 0) {
      this.#options.wheel.arm(this.#keepAliveTimer, this.limits.keepAliveIntervalMs);
    }
  }

  receive(bytes: Buffer, start: number, end: number): void {
    if (this.#state === "closed") return;
    this.#hasRead = true;
    this.streams.recycle();
    this.#isReading = true;
    try {
      this.#reader.read(bytes, start, end);
      if (this.#reader.isUnfinished) this.#watchHead();
    } catch (error) {
      // A handler's bug: how far the bytes were read is not certain, so there is no going on.
      this.close(ERROR.internalError);
      throw error;
    } finally {
      this.#isReading = false;
    }
    this.#closeIfDone();
  }

  #watchHead(): void {
    const onLate = (): void => this.refuse(REFUSALS["unfinished-head"]);
    this.#headWatch ??= new HeadWatch(this.#reader, this.#options.wheel, this.limits.headTimeoutMs, onLate);
    this.#headWatch.note();
  }

  onTransportDrain(): void {
    if (this.#state === "closed") this.sender.slab.onDrain();
    else this.sender.onTransportDrain();
  }

  onTransportEnd(): void {
    if (this.#state === "closed") return;
    this.#end(this.streams.count === 0 ? "peer" : "transport", ERROR.cancel);
    this.#endTransport();
  }

  onTransportClosed(error: string): void {
    this.#options.wheel.release(this.#lingerTimer);
    if (this.#state === "closed") return this.sender.slab.discard();
    this.#end(error === "" && this.streams.count === 0 ? "peer" : "transport", ERROR.cancel);
    this.sender.slab.discard();
  }

  flush(): void {
    this.#isQueued = false;
    if (!this.#isReading) this.streams.recycle();
    this.sender.flush();
    if (!this.#isReading) this.#closeIfDone();
  }

  onGathered(): void {
    if (this.#isQueued) return;
    this.#isQueued = true;
    this.#options.flushes.add(this);
  }

  // ---- streams ----

  get canOpenStream(): boolean {
    return (
      !this.isServer &&
      this.#state === "open" &&
      this.goawayCode < 0 &&
      this.streams.count < this.peer.streamsMax &&
      this.streams.nextOwnId <= STREAM_ID_MAX
    );
  }

  request(head: Http2Head, isEnd: boolean, handler: StreamHandler): Http2StreamView | undefined {
    if (!this.canOpenStream) return undefined;
    const id = this.streams.nextOwnId;
    this.streams.nextOwnId += 2;
    const stream = this.streams.open(id);
    stream.handler = handler;
    stream.sendHead(head, isEnd);
    return stream;
  }

  get openStreams(): number {
    return this.streams.count;
  }

  get peerStreamsMax(): number {
    return this.peer.streamsMax;
  }

  get peerAllowsConnectProtocol(): boolean {
    return this.peer.allowsConnectProtocol;
  }

  onMessageSent(stream: Http2Stream): void {
    this.streams.onMessageSent(stream);
  }

  onDataSent(): void {
    this.floods.windowUpdates.allow(WINDOW_UPDATES_PER_DATA);
    this.floods.pings.allow(1);
  }

  onLeftWaiting(stream: Http2Stream): void {
    this.#leftovers ??= new Leftovers(this.streams.table, this.#options.wheel, this.limits.stallTimeoutMs);
    this.#leftovers.add(stream);
  }

  onResetFlood(): void {
    this.refuse(REFUSALS["reset-flood"]);
  }

  onPeerNotReading(rule: "control-queue-full" | "unread-output"): void {
    this.refuse(REFUSALS[rule]);
  }

  // ---- SETTINGS ----

  onSettings(bytes: Buffer, start: number, end: number): void {
    if (!this.floods.settings.take()) return this.refuse(REFUSALS["settings-flood"]);
    const before = this.peer.initialWindow;
    const fault = this.peer.apply(bytes, start, end, !this.isServer);
    if (fault !== undefined) return this.refuse(REFUSALS[fault]);
    const delta = this.peer.initialWindow - before;
    if (delta !== 0) {
      for (const stream of this.streams.table.all()) {
        if (!this.sender.shiftStreamWindow(stream, delta)) return this.refuse(REFUSALS["bad-initial-window"]);
      }
    }
    this.sender.onPeerSettings();
    this.sender.sendSettingsAck();
    this.sender.pump();
    if (this.#state !== "closed") this.handler.onSettings();
  }

  onSettingsAck(): void {
    if (this.isAcknowledged) return this.refuse(REFUSALS["unexpected-settings-ack"]);
    this.isAcknowledged = true;
    this.#options.wheel.cancel(this.#settingsTimer);
    this.windows.onSettingsAck(this.streams.table.all());
    this.#receiver.onLimitsKnown();
  }

  // ---- PING ----

  ping(): void {
    if (this.#state === "closed" || this.#isAsking) return;
    this.#isAsking = true;
    this.#hasRead = false;
    this.sender.sendPing(false, KEEP_ALIVE_PING, 0);
    this.#options.wheel.arm(this.#keepAliveTimer, this.limits.keepAliveTimeoutMs);
  }

  onPing(isAck: boolean, bytes: Buffer, start: number): void {
    if (!this.floods.pings.take()) return this.refuse(REFUSALS["ping-flood"]);
    if (!isAck) return this.sender.sendPing(true, bytes, start);
    if (this.#state === "draining" && DRAIN_PING.compare(bytes, start, start + 8) === 0) this.#sayLastStream();
  }

  onTimer(kind: number): void {
    if (kind === LINGER_TIMER) return this.#onLingered();
    if (this.#state === "closed") return;
    if (kind === SETTINGS_TIMER) this.#fail("settings-timeout", ERROR.settingsTimeout);
    else if (kind === GOAWAY_TIMER) {
      if (this.#state === "draining") this.#sayLastStream();
    } else if (this.#isAsking && !this.#hasRead) {
      this.#fail("keep-alive-timeout", ERROR.noError);
      // Who is frozen takes nothing of what still waits for it.
      this.#options.transport.destroy();
    } else this.#keepAlive();
  }

  /** Whatever came says that the peer is there; where nothing did it is asked. */
  #keepAlive(): void {
    const { keepAliveIntervalMs } = this.limits;
    const isQuiet = !this.#hasRead && !this.#isAsking;
    this.#isAsking = false;
    if (isQuiet && this.streams.count > 0) return this.ping();
    this.#hasRead = false;
    if (keepAliveIntervalMs > 0) this.#options.wheel.arm(this.#keepAliveTimer, keepAliveIntervalMs);
  }

  // ---- GOAWAY and the end ----

  onGoaway(lastStreamId: number, code: number): void {
    if (!this.floods.settings.take()) return this.refuse(REFUSALS["goaway-flood"]);
    // Section 6.8: it may name fewer streams than before, never more.
    if (lastStreamId > this.#goawayLastId) return this.refuse(REFUSALS["bad-goaway"]);
    this.#goawayLastId = lastStreamId;
    this.goawayCode = code;
    if (!this.isServer) this.streams.onGoaway(lastStreamId);
    if (this.#state !== "closed") this.handler.onGoaway(lastStreamId, code);
  }

  drain(): void {
    if (this.#state !== "open") return;
    this.#state = "draining";
    if (!this.isServer) {
      this.#state = "last-goaway";
      if (!this.#isReading) this.#closeIfDone();
      return;
    }
    // The first one lets requests through that are under way; a PING says when they are here (section 6.8).
    this.sender.sendGoaway(STREAM_ID_MAX, ERROR.noError, "");
    this.sender.sendPing(false, DRAIN_PING, 0);
    this.#options.wheel.arm(this.#goawayTimer, this.limits.goawayGraceMs);
  }

  #sayLastStream(): void {
    this.#state = "last-goaway";
    this.#options.wheel.cancel(this.#goawayTimer);
    this.lastAcceptedId = this.streams.lastPeerId;
    this.sender.sendGoaway(this.lastAcceptedId, ERROR.noError, "");
  }

  /** Not from within a handler: the last stream's own may still be at work. */
  #closeIfDone(): void {
    if (this.#state === "closed" || this.streams.count > 0) return;
    if (this.#state === "last-goaway") this.#finish("local", ERROR.noError, "");
    else if (this.goawayCode >= 0) {
      this.#finish(this.goawayCode === ERROR.noError ? "peer" : "peer-error", ERROR.noError, "");
    }
  }

  close(code: number): void {
    if (this.#state !== "closed") this.#finish("local", code, "");
  }

  /** The peer broke a rule of the connection. */
  refuse(refusal: Refusal): void {
    if (this.#state === "closed") return;
    this.refusal = refusal;
    this.#finish("refused", refusal.code, refusal.detail);
  }

  #fail(cause: CloseCause, code: number): void {
    this.#finish(cause, code, cause);
  }

  #finish(cause: CloseCause, code: number, words: string): void {
    // A server that has named its last stream has nothing to add but an error, and must not name a later one (section 6.8).
    if (!(this.isServer && this.#state === "last-goaway" && code === ERROR.noError)) {
      this.sender.sendGoaway(Math.min(this.streams.lastPeerId, this.lastAcceptedId), code, words);
    }
    this.#end(cause, code);
    this.#endTransport();
  }

  /** In order; a peer that does not end its side is not waited for. */
  #endTransport(): void {
    this.sender.slab.end();
    this.#options.transport.end();
    this.#options.wheel.arm(this.#lingerTimer, this.limits.lingerMs);
  }

  /** What is still on its way to a slow peer is given more time, but not for ever. */
  #onLingered(): void {
    const { transport, wheel } = this.#options;
    if (transport.isEmpty || ++this.#lingers === LINGERS_MAX) transport.destroy();
    else wheel.arm(this.#lingerTimer, this.limits.lingerMs);
  }

  get isClosed(): boolean {
    return this.#state === "closed";
  }

  #end(cause: CloseCause, code: number): void {
    this.#state = "closed";
    this.closeCause = cause;
    this.#reader.stop();
    this.#leftovers?.dispose();
    this.#headWatch?.dispose();
    const { wheel } = this.#options;
    wheel.release(this.#settingsTimer);
    wheel.release(this.#keepAliveTimer);
    wheel.release(this.#goawayTimer);
    this.streams.endAll(code);
    this.handler.onClosed(cause);
  }
}

const LINGERS_MAX = 60;
/** Envoy's `max_inbound_window_update_frames_per_data_frame_sent`. */
const WINDOW_UPDATES_PER_DATA = 10;
