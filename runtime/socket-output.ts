// What goes into a socket that nobody else writes to: by its handle as long as the kernel takes all of it at once, through
// its stream from when it does not. Not when it goes: that is for those who extend it.
import type { Socket } from "node:net";
import { getSystemErrorName } from "node:util";
import { type HandleUser, handleOf, queuedBytes, type StreamHandle, writeBytes, writeText } from "./stream-handle.ts";

/**
 * How sockets are read and written: "handle": both by their handles; "shared": read into one buffer for all, written by
 * their streams; "data-events": as any stream.
 */
export type SocketMode = "handle" | "shared" | "data-events";

/** Longer writes go through the stream: its cost is nothing beside theirs, and it bounds what may wait. */
const BY_HANDLE_MAX = 16 * 1024;

export class SocketOutput implements HandleUser {
  readonly #socket: Socket;
  readonly #bufferBytes: number;
  #usesHandle: boolean;
  /** From the first write on. */
  #handle: StreamHandle | undefined = undefined;
  /** Bytes that were given to the handle, of which the kernel has not taken all. */
  #underWay = 0;
  /** What `takeProgress` saw. */
  #leftBefore = 0;
  /** A write has said that no more should come before they are out: a 'drain' is owed. */
  #isAwaited = false;
  /** Something was given to the stream, and may wait there. */
  #mayWait = false;
  /** The end is due as soon as nothing is under way. */
  #endIsDue = false;
  /** A reset follows the end that is on its way: whoever destroyed the socket before would end it in order. */
  isResetting = false;

  /** @param bufferBytes as much as may wait in the process before a write says false */
  constructor(socket: Socket, mode: SocketMode, bufferBytes: number) {
    this.#socket = socket;
    this.#bufferBytes = bufferBytes;
    this.#usesHandle = mode === "handle";
  }

  /** Bytes of what was sent that wait in the process. */
  get waitingBytes(): number {
    return this.#underWay + this.#socket.writableLength;
  }

  /** What waits in the process is not what it was when this was last asked: the peer takes of it, or more has come. */
  takeProgress(): boolean {
    const left = queuedBytes(this.#socket) + this.#socket.writableLength;
    const hasMoved = left !== this.#leftBefore;
    this.#leftBefore = left;
    return hasMoved;
  }

  /** Nothing of what was sent waits in the process. */
  protected get isSent(): boolean {
    if (this.#underWay > 0) return false;
    if (this.#mayWait) this.#mayWait = this.#socket.writableLength > 0;
    return !this.#mayWait;
  }

  /** Latin1 text. A socket that was ended or is gone takes nothing. */
  protected sendText(text: string): void {
    if (this.#takes(text.length)) {
      const written = writeText(this.#handle as StreamHandle, text, this);
      if (written === "under way") this.#underWay = text.length;
      if (written !== "refused") return;
    }
    if (!this.#socket.writable) return;
    this.#mayWait = true;
    this.#socket.write(text, "latin1");
  }

  /** Bytes that nobody changes until `isSent`. */
  protected sendBytes(bytes: Buffer): void {
    if (this.#takes(bytes.length)) {
      const written = writeBytes(this.#handle as StreamHandle, bytes, this);
      if (written === "under way") this.#underWay = bytes.length;
      if (written !== "refused") return;
    }
    if (!this.#socket.writable) return;
    this.#mayWait = true;
    this.#socket.write(bytes);
  }

  /** Is there a handle, and nothing that `length` bytes must not overtake? */
  #takes(length: number): boolean {
    if (!this.#usesHandle || length > BY_HANDLE_MAX || length === 0 || !this.isSent) return false;
    return this.#handle !== undefined || this.#findHandle();
  }

  #findHandle(): boolean {
    if (this.#socket.connecting) return false;
    this.#handle = handleOf(this.#socket);
    this.#usesHandle = this.#handle !== undefined;
    return this.#usesHandle;
  }

  /** Below what may wait; false only where a 'drain' follows. */
  protected hasRoom(): boolean {
    const socket = this.#socket;
    if (this.#underWay === 0)
      return !this.#mayWait || socket.writableLength < this.#bufferBytes || !socket.writableNeedDrain;
    if (this.#underWay + socket.writableLength < this.#bufferBytes) return true;
    this.#isAwaited = true;
    return false;
  }

  /** No more is sent; the peer may still send. The end goes behind what was sent. */
  end(): void {
    // An end that waits within libuv could not be made a reset any more.
    if (this.#underWay > 0) this.#endIsDue = true;
    else this.#socket.end();
  }

  /**
   * Resets the connection; bytes that wait in the process are lost. Where its end was asked for within this turn it first has
   * to get to the kernel: until then libuv refuses a reset, and Node gives the socket up with its descriptor open.
   */
  reset(): void {
    const socket = this.#socket;
    const isEnding = socket.writableEnded && !socket.writableFinished && socket.writableLength === 0;
    if (!isEnding) return void socket.resetAndDestroy();
    if (this.isResetting) return;
    this.isResetting = true;
    socket.once("finish", () => socket.resetAndDestroy());
  }

  /** @see HandleUser */
  onWritten(status: number): void {
    const isAwaited = this.#isAwaited && status >= 0;
    this.#underWay = 0;
    this.#isAwaited = false;
    if (status < 0) this.#socket.destroy(new Error(`write ${getSystemErrorName(status)}`));
    else if (this.#endIsDue) this.#socket.end();
    if (!isAwaited) return;
    // Where the stream has too much as well it tells so itself.
    if (!this.#socket.writableNeedDrain) this.#socket.emit("drain");
  }
}
