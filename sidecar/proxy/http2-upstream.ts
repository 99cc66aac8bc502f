// A connection to an endpoint that speaks HTTP/2: the socket, the codec on it, and what the pool of the endpoint wants to
// know of both. Attempts open streams on it.
import type { Socket } from "node:net";
import type { HostPort } from "../../runtime/address.ts";
import { type ByteReader, connectSocket } from "../../runtime/shared-socket.ts";
import { type TimerOwner, WheelTimer } from "../../runtime/timer-wheel.ts";
import { Http2Connection } from "../http2/connection.ts";
import type { CloseCause, Http2ConnectionHandler, Http2StreamView, StreamHandler } from "../http2/contract.ts";
import { ERROR } from "../http2/error-code.ts";
import type { Http2Head } from "../http2/head.ts";
import type { Refusal } from "../http2/refusal.ts";
import { TCP_KEEP_ALIVE } from "../upstream/connection.ts";
import { type PoolSettings, TCP_KEEP_ALIVE_MS } from "../upstream/pool.ts";
import type { StreamConnection, StreamConnectionOwner } from "../upstream/stream-pool.ts";
import { type Http2Tools, SocketTransport } from "./http2-transport.ts";
import { ReadEnd } from "./read-end.ts";

type State = "connecting" | "open" | "draining" | "closed";

export class Http2Upstream implements StreamConnection, Http2ConnectionHandler, ByteReader, TimerOwner {
  requests = 0;
  readonly readEnd = new ReadEnd();
  readonly #owner: StreamConnectionOwner;
  readonly #socket: Socket;
  readonly #connection: Http2Connection;
  readonly #tools: Http2Tools;
  readonly #idleMs: number;
  /** The connect timeout, later the idle timeout: never both. */
  readonly #timer = new WheelTimer(this);
  #state: State = "connecting";
  #error = "";

  constructor(target: HostPort, settings: PoolSettings, owner: StreamConnectionOwner, tools: Http2Tools) {
    this.#owner = owner;
    this.#tools = tools;
    this.#idleMs = settings.idleTimeoutMs;
    this.#socket = connectSocket({ ...TCP_KEEP_ALIVE, host: target.host, port: target.port }, this, tools.readMode);
    this.#connection = new Http2Connection({
      role: "client",
      transport: new SocketTransport(this.#socket, tools.writeBufferBytes),
      handler: this,
      limits: tools.limits,
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
    });
    socket.on("close", () => this.#onClose());
  }

  get canOpen(): boolean {
    return this.#state === "open" && this.#connection.canOpenStream;
  }

  get openStreams(): number {
    return this.#connection.openStreams;
  }

  /** The endpoint takes extended CONNECT (RFC 8441). */
  get allowsConnectProtocol(): boolean {
    return this.#connection.peerAllowsConnectProtocol;
  }

  /** Why the connection was refused; "" where it was not. */
  get brokenRule(): string {
    return this.#connection.refusal?.detail ?? "";
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
    try {
      this.#connection.receive(bytes, 0, length);
    } catch (error) {
      this.#tools.onBug(error);
    }
    this.readEnd.run();
  }

  onTimer(): void {
    if (this.#state === "connecting") {
      this.#error = "connect timed out";
      this.#socket.destroy();
    } else if (this.#connection.openStreams === 0) {
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
    if (this.#state === "open") this.#owner.onRoom(this);
  }

  onGoaway(): void {
    this.#leave();
  }

  onStreamClosed(): void {
    if (this.#state !== "open") return;
    this.#owner.onRoom(this);
    if (this.#connection.openStreams === 0) this.#tools.wheel.arm(this.#timer, this.#idleMs);
  }

  onClosed(cause: CloseCause): void {
    if (cause === "refused") this.#tools.onRefused(this.#connection.refusal?.detail ?? "");
    this.#leave();
  }

  #onConnect(): void {
    this.#tools.wheel.cancel(this.#timer);
    this.#state = "open";
    this.#socket.setKeepAlive(true, TCP_KEEP_ALIVE_MS);
    this.#connection.start();
    this.#tools.wheel.arm(this.#timer, this.#idleMs);
    this.#owner.onReady(this);
  }

  #onEnd(): void {
    if (this.#state === "connecting") this.#socket.destroy();
    else this.#connection.onTransportEnd();
  }

  #onClose(): void {
    const wasConnecting = this.#state === "connecting";
    this.#state = "closed";
    this.#tools.wheel.release(this.#timer);
    if (!wasConnecting) this.#connection.onTransportClosed(this.#error);
    this.#owner.onGone(this, wasConnecting, this.#error);
  }

  /** No new streams here. */
  #leave(): void {
    if (this.#state !== "open") return;
    this.#state = "draining";
    this.#owner.onDraining(this);
  }
}
