// What pools and their connections are built with.
import type { Clock } from "../../runtime/clock.ts";
import type { FlushQueue } from "../../runtime/flush-queue.ts";
import type { TimerWheel } from "../../runtime/timer-wheel.ts";
import type { HeldReads } from "../../runtime/turn.ts";
import type { SocketTools } from "./endpoint-socket.ts";

export interface PoolTools extends SocketTools {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  /** Bytes queued in one socket before its user is told to wait. */
  readonly writeBufferBytes: number;
  /** One for all connections of the process. */
  readonly flushes: FlushQueue;
  /** Where small answers wait for the end of the turn. */
  readonly answers: HeldReads;
}
