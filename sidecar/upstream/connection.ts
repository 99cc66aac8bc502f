// One connection to an endpoint: a socket that a pool owns and that one attempt at a time uses. Moves bytes; knows
// nothing of messages.
import type { Socket } from "node:net";
import type { HostPort } from "../../runtime/address.ts";
import { isLocalFailure } from "../../runtime/local-failure.ts";
import { isSelfConnected, SELF_CONNECTED } from "../../runtime/self-connection.ts";
import type { ByteReader } from "../../runtime/shared-socket.ts";
import { type TimerOwner, WheelTimer } from "../../runtime/timer-wheel.ts";
import type { HeldReader, HeldReads } from "../../runtime/turn.ts";
import { type Prepared, TurnWriter } from "../../runtime/turn-writer.ts";
import { connectToEndpoint } from "./endpoint-socket.ts";
import type { PoolTools } from "./tools.ts";

/** The attempt that a connection works for. */
export interface ConnectionUser {
  /** bytes[start, end) of the answer, which are overwritten after this returns: consume or copy them. */
  onUpstreamBytes(bytes: Buffer, start: number, end: number): void;
  /** What was written has gone out; more may be written. */
  onUpstreamDrain(): void;
  /** The endpoint ended its side. */
  onUpstreamEnd(): void;
  /** The connection is gone; `error` is empty after an orderly close. It has left its pool already. */
  onUpstreamClose(error: string): void;
}

/** What the pool is told. */
export interface ConnectionOwner {
  onConnected(connection: UpstreamConnection): void;
  /** Closed while nobody used it: never connected (`wasConnecting`), or idle. */
  onUnusedClose(connection: UpstreamConnection, wasConnecting: boolean, error: string): void;
  /** Closed while it was leased. */
  onUsedClose(connection: UpstreamConnection): void;
}

export type ConnectionState = "connecting" | "idle" | "leased" | "closed";

export class UpstreamConnection implements ByteReader, HeldReader, TimerOwner {
  readonly socket: Socket;
  readonly target: HostPort;
  /** Changed by the pool alone. */
  state: ConnectionState = "connecting";
  user: ConnectionUser | undefined = undefined;
  /** Requests that were sent on it. */
  requests = 0;
  /** The idle time the endpoint announced (`Keep-Alive: timeout`), less a margin; Infinity when it did not. */
  learntIdleMs = Number.POSITIVE_INFINITY;
  /** What ended it is no fault of the endpoint. */
  failedLocally = false;
  /** The connect timeout, later the idle timeout: never both. */
  readonly timer: WheelTimer;
  readonly #owner: ConnectionOwner;
  readonly #writer: TurnWriter;
  readonly #answers: HeldReads;
  heldReads = 0;
  #error = "";
  /** Ended or failed, by whichever side: no request may be written any more. */
  #isGone = false;
  #isPaused = false;

  constructor(owner: ConnectionOwner, target: HostPort, tools: PoolTools) {
    this.#owner = owner;
    this.target = target;
    this.timer = new WheelTimer(this);
    this.#answers = tools.answers;
    this.socket = connectToEndpoint(target, this, tools);
    this.#writer = new TurnWriter(this.socket, tools.socketMode, tools.writeBufferBytes, tools.flushes);
    this.#listen(this.socket);
  }

  #listen(socket: Socket): void {
    socket.once("connect", () => this.#onConnect());
    socket.on("drain", () => this.user?.onUpstreamDrain());
    socket.on("end", () => this.#onEnd());
    socket.on("error", (error) => {
      this.#isGone = true;
      this.#error = error.message;
      this.failedLocally = isLocalFailure(error);
    });
    socket.on("close", () => this.#onClose());
  }

  /** Whether a request may be written: 'close' comes a turn after its cause. */
  get isUsable(): boolean {
    return this.state !== "closed" && !this.#isGone;
  }

  /** Reads no more of an answer until `resumeReading`. */
  pauseReading(): void {
    this.#isPaused = true;
    this.socket.pause();
  }

  /** Idempotent. */
  resumeReading(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.socket.resume();
  }

  /** Bytes of a message as latin1 text. False when more should wait for onUpstreamDrain. */
  write(text: string): boolean {
    return this.#writer.write(text);
  }

  /** The same as `write` of its text. */
  writePrepared(prepared: Prepared): boolean {
    return this.#writer.writePrepared(prepared);
  }

  /** Nothing of what was written waits in the process. */
  get isEmpty(): boolean {
    return this.#writer.isEmpty;
  }

  /** The endpoint has taken of what waits in the process since this was last asked. */
  takeProgress(): boolean {
    return this.#writer.takeProgress();
  }

  /** Bytes that nobody will change any more. */
  writeBytes(bytes: Buffer): boolean {
    return this.#writer.writeBytes(bytes);
  }

  /** What was written goes out now. @returns whether nothing of it waits in the process */
  sendNow(): boolean {
    this.#writer.sendNow();
    return this.#writer.isEmpty;
  }

  /** No more is written; the endpoint may still send. */
  end(): void {
    this.#isGone = true;
    this.#writer.end();
  }

  /** Cuts the connection so that the endpoint takes nothing that came for all that there is. */
  reset(): void {
    this.#isGone = true;
    this.#writer.reset();
  }

  onBytes(bytes: Buffer, length: number): void {
    if (this.user === undefined || !this.#answers.take(this, bytes, length)) this.onHeldBytes(bytes, 0, length);
  }

  onHeldBytes(bytes: Buffer, start: number, end: number): void {
    // Bytes that answer no request: an idle connection on which the endpoint speaks is of no use any more.
    if (this.user === undefined) this.destroy("bytes that answer no request");
    else this.user.onUpstreamBytes(bytes, start, end);
  }

  onTimer(): void {
    this.destroy(this.state === "connecting" ? "connect timed out" : "");
  }

  /** Cuts the connection at once; whoever uses or owns it is told by its close. */
  destroy(error = ""): void {
    if (error !== "" && this.#error === "") this.#error = error;
    this.#isGone = true;
    if (!this.#writer.isResetting) this.socket.destroy();
  }

  #onConnect(): void {
    if (!isSelfConnected(this.socket)) return this.#owner.onConnected(this);
    this.#error = SELF_CONNECTED;
    this.reset();
  }

  #onEnd(): void {
    this.#isGone = true;
    this.#answers.settle(this);
    if (this.user === undefined) this.destroy();
    else this.user.onUpstreamEnd();
  }

  #onClose(): void {
    this.#answers.settle(this);
    if (this.state === "closed") return;
    const before = this.state;
    const user = this.user;
    this.user = undefined;
    this.state = "closed";
    if (before === "leased") this.#owner.onUsedClose(this);
    else this.#owner.onUnusedClose(this, before === "connecting", this.#error);
    user?.onUpstreamClose(this.#error);
  }
}
