// How short of time and memory this process is: the lateness of a timer of its own, and the share of the heap's limit
// that is used. Taken ten times a second, read for nothing.
import { getHeapStatistics } from "node:v8";
import { type Clock, every, type Timer } from "./clock.ts";

const INTERVAL_MS = 100;
/** A stall is remembered and halves with each figure, so that the one request after it still sees it. */
const MEMORY = 0.5;

export interface HeapFigures {
  readonly usedBytes: number;
  readonly limitBytes: number;
}

export class ProcessLoad {
  eventLoopDelayMs = 0;
  heapPercent = 0;
  readonly #clock: Clock;
  readonly #readHeap: () => HeapFigures;
  readonly #timer: Timer;
  #dueMs: number;

  constructor(clock: Clock, readHeap: () => HeapFigures = v8Heap) {
    this.#clock = clock;
    this.#readHeap = readHeap;
    this.#dueMs = clock.now() + INTERVAL_MS;
    this.#timer = every(clock, INTERVAL_MS, () => this.#take());
  }

  stop(): void {
    this.#timer.cancel();
  }

  #take(): void {
    const nowMs = this.#clock.now();
    this.eventLoopDelayMs = Math.max(nowMs - this.#dueMs, this.eventLoopDelayMs * MEMORY);
    this.#dueMs = nowMs + INTERVAL_MS;
    const { usedBytes, limitBytes } = this.#readHeap();
    this.heapPercent = (usedBytes * 100) / limitBytes;
  }
}

function v8Heap(): HeapFigures {
  const { used_heap_size: usedBytes, heap_size_limit: limitBytes } = getHeapStatistics();
  return { usedBytes, limitBytes };
}
