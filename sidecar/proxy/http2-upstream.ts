// A connection to an endpoint that speaks HTTP/2: the socket, the codec on it, and what the pool of the endpoint wants to
// know of both. Attempts open streams on it.
import type { Socket } from "node:net";
import type { HostPort } from "../../runtime/address.ts";
import { isLocalFailure } from "../../runtime/local-failure.ts";
import type { ByteReader } from "../../runtime/shared-socket.ts";
import { type TimerOwner, WheelTimer } from "../../runtime/timer-wheel.ts";
import { Http2Connection } from "../http2/connection.ts";
import type { CloseCause, Http2ConnectionHandler, Http2StreamView, StreamHandler } from "../http2/contract.ts";
import { ERROR } from "../http2/error-code.ts";
import type { Http2Head } from "../http2/head.ts";
import { type Http2Limits, type KeepAliveTimes, MESH_KEEP_ALIVE } from "../http2/limits.ts";
import type { Refusal } from "../http2/refusal.ts";
import { connectToEndpoint } from "../upstream/endpoint-socket.ts";
import type { PoolSettings } from "../upstream/pool.ts";
import type { StreamConnection, StreamConnectionOwner } from "../upstream/stream-pool.ts";
import { type Http2Tools, SocketTransport } from "./http2-transport.ts";
import { ReadEnd } from "./read-end.ts";

/**
 * "greeting": the socket stands, the endpoint's SETTINGS are awaited. Requests are not sent before: who is frozen, does
 * not speak HTTP/2 or takes no requests has then been given none, and any of them may go elsewhere.
 */
type State = "connecting" | "greeting" | "open" | "draining" | "closed";

export class Http2Upstream implements StreamConnection, Http2ConnectionHandler, ByteReader, TimerOwner {
  requests = 0;
  failedLocally = false;
  readonly readEnd = new ReadEnd();
  readonly #owner: StreamConnectionOwner;
  readonly #socket: Socket;
  readonly #connection: Http2Connection;
  readonly #tools: Http2Tools;
  readonly #settings: PoolSettings;
  readonly #keepAlive: KeepAliveTimes;
  /** The connect timeout, later the idle timeout: never both. */
  readonly #timer = new WheelTimer(this);
  #state: State = "connecting";
  #error = "";
  /** Nothing is open, and the endpoint allows nothing. */
  #isShut = false;
  /** The refusal by its GOAWAY was counted. */
  #hasRefused = false;

  constructor(
    target: HostPort,
    settings: PoolSettings,
    owner: StreamConnectionOwner,
    tools: Http2Tools,
    isMesh: boolean,
  ) {
    this.#owner = owner;
    this.#tools = tools;
    this.#settings = settings;
    this.#keepAlive = settings.keepAlive ?? (isMesh ? MESH_KEEP_ALIVE : keepAliveOf(tools.limits));
    this.#socket = connectToEndpoint(target, this, tools);
    this.#connection = new Http2Connection({
      role: "client",
      transport: new SocketTransport(this.#socket, tools.socketMode, tools.writeBufferBytes),
      handler: this,
      limits: {
        ...tools.limits,
        keepAliveIntervalMs: this.#keepAlive.intervalMs,
        keepAliveTimeoutMs: this.#keepAlive.timeoutMs,
      },
      clock: tools.clock,
      wheel: tools.wheel,
      flushes: tools.flushes,
    });
    this.#listen(this.#socket);
    tools.wheel.arm(this.#timer, settings.connectTimeoutMs);
  }

  #listen(socket: Socket): void {
    socket.once("connect", () => this.#onConnect());
    socket.on("drain", () => this.#connection.onTransportDrain());
    socket.on("end", () => this.#onEnd());
    socket.on("error", (error) => {
      this.#error = error.message;
      this.failedLocally = isLocalFailure(error);
    });
    socket.on("close", () => this.#onClose());
  }

  get canOpen(): boolean {
    return this.#state === "open" && this.#connection.canOpenStream;
  }

  get openStreams(): number {
    return this.#connection.openStreams;
  }

  /** Why the connection was refused; "" where it was not. */
  get brokenRule(): string {
    return this.#connection.refusal?.detail ?? "";
  }

  /** It was closed because nothing came from the endpoint. */
  get wasSilent(): boolean {
    const { closeCause } = this.#connection;
    return closeCause === "keep-alive-timeout" || closeCause === "settings-timeout";
  }

  /**
   * Does the refusal of `stream` speak against the endpoint? Not while it works on earlier ones: then it has as many as it
   * can take, or leaves in order. What one GOAWAY refuses counts once.
   */
  refusesAll(stream: Http2StreamView): boolean {
    if (this.#connection.streams.hasOpenBelow(stream.id)) return false;
    if (stream.resetCause !== "goaway") return true;
    const isFirst = !this.#hasRefused;
    this.#hasRefused = true;
    return isFirst;
  }

  /** Sends a request. @returns undefined when it takes none any more */
  request(head: Http2Head, isEnd: boolean, handler: StreamHandler): Http2StreamView | undefined {
    if (!this.canOpen) return undefined;
    const stream = this.#connection.request(head, isEnd, handler);
    if (stream === undefined) return undefined;
    this.requests++;
    if (this.#connection.openStreams === 1) this.#tools.wheel.cancel(this.#timer);
    return stream;
  }

  drain(): void {
    if (this.#state !== "open") return;
    this.#state = "draining";
    this.#connection.drain();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  onBytes(bytes: Buffer, length: number): void {
    this.#tools.turn.begin();
    try {
      this.#connection.receive(bytes, 0, length);
    } catch (error) {
      this.#tools.onBug(error);
    }
    this.readEnd.run();
  }

  onTimer(): void {
    if (this.#state === "connecting") this.#giveUp("connect timed out");
    else if (this.#state === "greeting") this.#giveUp(`no SETTINGS after ${this.#keepAlive.timeoutMs} ms`);
    else if (this.#connection.openStreams > 0) return;
    else if (this.#isShut) {
      this.#state = "draining";
      this.#owner.onShut(this, "the endpoint allows no streams");
      this.#connection.drain();
    } else {
      this.#leave();
      this.#connection.drain();
    }
  }

  // ---- what the codec tells ----

  onStream(stream: Http2StreamView): StreamHandler {
    // An endpoint opens no streams: push is refused in SETTINGS.
    stream.reset(ERROR.protocolError);
    throw new Error("a stream from an endpoint");
  }

  onStreamRefused(_stream: Http2StreamView, refusal: Refusal): void {
    this.#tools.onRefused(refusal.detail);
  }

  onSettings(): void {
    if (this.#state === "greeting") {
      this.#state = "open";
      this.#rest();
      this.#owner.onReady(this);
    } else if (this.#state === "open") {
      if (this.#connection.openStreams === 0) this.#rest();
      this.#owner.onRoom(this);
    }
  }

  onGoaway(): void {
    this.#leave();
  }

  onStreamClosed(): void {
    if (this.#state !== "open") return;
    this.#owner.onRoom(this);
    if (this.#connection.openStreams === 0) this.#rest();
  }

  onClosed(cause: CloseCause): void {
    if (cause === "refused") this.#tools.onRefused(this.#connection.refusal?.detail ?? "");
    if (this.#state === "greeting") this.#fail(this.#whyNotGreeted(cause));
    else this.#leave();
  }

  #onConnect(): void {
    this.#state = "greeting";
    this.#tools.wheel.arm(this.#timer, this.#keepAlive.timeoutMs);
    this.#connection.start();
  }

  #whyNotGreeted(cause: CloseCause): string {
    if (this.brokenRule === "settings-missing") return "the endpoint does not speak HTTP/2";
    if (cause === "settings-timeout") return "no SETTINGS in time";
    if (cause === "refused") return `the endpoint broke a rule of HTTP/2: ${this.brokenRule}`;
    return this.#error === "" ? "closed before SETTINGS" : this.#error;
  }

  /** Nothing is under way: it is closed when that goes on; sooner where the endpoint lets nothing begin. */
  #rest(): void {
    const { connectTimeoutMs, idleTimeoutMs } = this.#settings;
    const isShut = this.#connection.peerStreamsMax === 0;
    // What the endpoint repeats does not begin the time anew.
    if (isShut && this.#isShut) return;
    this.#isShut = isShut;
    this.#tools.wheel.arm(this.#timer, isShut ? connectTimeoutMs : idleTimeoutMs);
  }

  #giveUp(error: string): void {
    this.#fail(error);
    this.#socket.destroy();
  }

  /** It will never stand; nobody waits for the end of its socket. */
  #fail(error: string): void {
    this.#state = "closed";
    this.#tools.wheel.release(this.#timer);
    this.#owner.onGone(this, true, error);
  }

  #onEnd(): void {
    if (this.#state === "connecting") this.#socket.destroy();
    else this.#connection.onTransportEnd();
  }

  #onClose(): void {
    const isStarted = this.#state !== "connecting";
    if (this.#state === "connecting") this.#fail(this.#error);
    if (isStarted) this.#connection.onTransportClosed(this.#error);
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#tools.wheel.release(this.#timer);
    this.#owner.onGone(this, false, this.#error);
  }

  /** No new streams here. */
  #leave(): void {
    if (this.#state !== "open") return;
    this.#state = "draining";
    this.#owner.onDraining(this);
  }
}

function keepAliveOf({ keepAliveIntervalMs, keepAliveTimeoutMs }: Http2Limits): KeepAliveTimes {
  return { intervalMs: keepAliveIntervalMs, timeoutMs: keepAliveTimeoutMs };
}
