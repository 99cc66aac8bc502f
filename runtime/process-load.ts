// How short of time and memory this process is: the lateness of a timer of its own, and the share of the heap's limit
// that is used. Taken ten times a second, read for nothing.
import { getHeapStatistics } from "node:v8";
import { type Clock, every, type Timer } from "./clock.ts";

const INTERVAL_MS = 100;
/** A stall is remembered and halves with each figure, so that the one request after it still sees it. */
const MEMORY = 0.5;

interface HeapFigures {
  readonly usedBytes: number;
  readonly limitBytes: number;
}

export class ProcessLoad {
  eventLoopDelayMs = 0;
  heapPercent = 0;
  readonly #clock: Clock;
  readonly #readHeap: () => HeapFigures;
  #timer: Timer | undefined = undefined;
  #dueMs = 0;

  constructor(clock: Clock, readHeap: () => HeapFigures = v8Heap) {
    this.#clock = clock;
    this.#readHeap = readHeap;
  }

  /** Begins to take figures; idempotent. An idle process that nobody asks is not woken for them. */
  start(): void {
    if (this.#timer !== undefined) return;
    this.#dueMs = this.#clock.now() + INTERVAL_MS;
    this.#timer = every(this.#clock, INTERVAL_MS, () => this.#take());
  }

  /** Takes no more figures; those there are become 0. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.eventLoopDelayMs = 0;
    this.heapPercent = 0;
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
