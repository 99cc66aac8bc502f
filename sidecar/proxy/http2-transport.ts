// What HTTP/2 connections of both sides stand on: the socket as the codec wants it, and what they share in a process.
import type { Socket } from "node:net";
import type { Clock } from "../../runtime/clock.ts";
import type { FlushQueue } from "../../runtime/flush-queue.ts";
import type { SocketMode } from "../../runtime/socket-output.ts";
import { SocketWriter } from "../../runtime/socket-writer.ts";
import type { TimerWheel } from "../../runtime/timer-wheel.ts";
import type { Http2Transport } from "../http2/contract.ts";
import type { Http2Limits } from "../http2/limits.ts";
import type { SocketTools } from "../upstream/endpoint-socket.ts";

/** One per process. */
export interface Http2Tools extends SocketTools {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  /** Bytes queued in one socket before data waits in the codec. */
  readonly writeBufferBytes: number;
  readonly limits: Http2Limits;
  readonly flushes: FlushQueue;
  /** The turn in which something is read. */
  readonly turn: { begin(): void };
  /** An error of the sidecar itself that ended a connection. */
  readonly onBug: (error: unknown) => void;
  /** An endpoint broke a rule. */
  readonly onRefused: (rule: string) => void;
}

export class SocketTransport implements Http2Transport {
  readonly #socket: Socket;
  readonly #writer: SocketWriter;

  /** @param bufferBytes as much as may wait in the process before a write says false */
  constructor(socket: Socket, mode: SocketMode, bufferBytes: number) {
    this.#socket = socket;
    this.#writer = new SocketWriter(socket, mode, bufferBytes);
  }

  writeBytes(bytes: Buffer): boolean {
    return this.#writer.writeBytes(bytes);
  }

  get isEmpty(): boolean {
    return this.#writer.isEmpty;
  }

  get waitingBytes(): number {
    return this.#writer.waitingBytes;
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
