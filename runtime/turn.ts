// One turn of the event loop, in stages: what was read in it is dealt with step by step, each step for all who are there
// before the next. A request that takes all of its steps at once runs through more machine code than the core's first
// cache holds, and so does the one behind it; a stage's code is fetched once for all of them. Not what the steps are: who
// adds a stage knows.
import { Batch } from "./batch.ts";
import { FlushQueue } from "./flush-queue.ts";

/** Time, as far as it stands still within a turn (turn-clock.ts). */
interface TurnTime {
  hold(): void;
  release(): void;
}

/** Part of a turn. */
interface Part {
  readonly isEmpty: boolean;
  run(): void;
}

export class Turn {
  /** The last part: everything is written. */
  readonly flushes: FlushQueue;
  readonly #defer: (run: () => void) => void;
  readonly #time: TurnTime | undefined;
  readonly #run = (): void => this.#end();
  readonly #parts: Part[] = [];
  #flush: (() => void) | undefined = undefined;
  #isDeferred = false;

  /**
   * @param defer calls back once at the end of the turn, such as setImmediate: behind all reads of one poll
   * @param time held from the first that is planned to the end
   */
  constructor(defer: (run: () => void) => void, time?: TurnTime) {
    this.#defer = defer;
    this.#time = time;
    this.flushes = new FlushQueue((flush) => {
      this.#flush = flush;
      this.begin();
    });
  }

  /**
   * A further stage, behind those that there are.
   * @param act never throws
   * @param reads whose readers' requests wait for it
   */
  stage<Item>(act: (item: Item) => void, reads?: HeldReads): Stage<Item> {
    const stage = new Stage(act, () => this.begin());
    reads?.leadsTo(stage);
    this.#parts.push(stage);
    return stage;
  }

  /** A further stage in which small reads are dealt with. */
  reads(): HeldReads {
    const reads = new HeldReads(() => this.begin());
    this.#parts.push(reads);
    return reads;
  }

  /** Something is to be done at the end of the turn, or is about to be read. */
  begin(): void {
    if (this.#isDeferred) return;
    this.#isDeferred = true;
    this.#time?.hold();
    this.#defer(this.#run);
  }

  #end(): void {
    try {
      for (const part of this.#parts) if (!part.isEmpty) part.run();
      const flush = this.#flush;
      this.#flush = undefined;
      flush?.();
    } finally {
      this.#isDeferred = false;
      this.#time?.release();
      // What came for a stage that was over waits for the next turn.
      if (this.#flush !== undefined || this.#parts.some((part) => !part.isEmpty)) this.begin();
    }
  }
}

/** Who waits for a step that is done for all of them together. */
export class Stage<Item> implements Part {
  readonly #act: (item: Item) => void;
  readonly #plan: () => void;
  #waiting = new Batch<Item>();
  #spare = new Batch<Item>();

  constructor(act: (item: Item) => void, plan: () => void) {
    this.#act = act;
    this.#plan = plan;
  }

  get isEmpty(): boolean {
    return this.#waiting.count === 0;
  }

  /** It is up to the item to know, when its time comes, whether there is still something to do. */
  add(item: Item): void {
    if (this.#waiting.count === 0) this.#plan();
    this.#waiting.add(item);
  }

  run(): void {
    const waiting = this.#waiting;
    this.#waiting = this.#spare;
    let index = 0;
    try {
      while (index < waiting.count) this.#act(waiting.take(index++));
    } finally {
      while (index < waiting.count) this.add(waiting.take(index++));
      waiting.clear();
      this.#spare = waiting;
    }
  }
}

/** Whose small reads wait for their stage. */
export interface HeldReader {
  /** Reads of it that wait; changed by `HeldReads` alone. */
  heldReads: number;
  /** bytes[start, end) had been read. They must be consumed or copied before returning. Never throws. */
  onHeldBytes(bytes: Buffer, start: number, end: number): void;
}

/** More than this is not worth a copy: a head with a body of 4 KiB is. */
const HELD_READ_MAX = 8 * 1024;
/** As much is copied sooner by words of 8 bytes (30 ns for 140, 56 for 256) than by a call (54 for either). */
export const COPIED_BY_WORDS_MAX = 256;
const HELD_BYTES = 256 * 1024;
/** Where a read is held begins at a multiple of this. */
export const WORD_BYTES = 8;
/** The buffer that all sockets read into is longer than this. Of shorter ones, each of another read, no words are made. */
const SHARED_BUFFER_MIN = 16 * 1024;

/** Small reads of one turn, copied out of the buffer that the next read overwrites. In the order in which they came. */
export class HeldReads implements Part {
  readonly #plan: () => void;
  /** The parts of the turn behind this one, in which what was read is dealt with. */
  readonly #rest: Part[] = [];
  readonly #readers = new Batch<HeldReader>();
  /** Where the read of each reader ends. */
  readonly #ends: number[] = [];
  /** What was read. A reader may have some of it stay there behind its call: `keep`. */
  readonly bytes: Buffer = Buffer.allocUnsafeSlow(HELD_BYTES + WORD_BYTES);
  /** The same memory. */
  readonly words = new BigInt64Array(this.bytes.buffer);
  #kept = 0;
  /** What is being read now without being held: whoever waits for a step finds it there until `takeBack`. */
  lent: Buffer | undefined = undefined;
  /** The buffer that was copied from last, and its words. */
  #source: Buffer | undefined = undefined;
  #sourceWords: BigInt64Array = this.words;
  #used = 0;
  /** The reader whose turn it is while they run, and where its bytes begin. */
  #at = 0;
  #start = 0;
  #isRunning = false;

  constructor(plan: () => void) {
    this.#plan = plan;
  }

  get isEmpty(): boolean {
    return this.#readers.count === 0;
  }

  /**
   * Takes bytes[0, length), to hand them back at the end of the turn.
   * @returns false where the reader has to deal with them now; what is held of it has come to it before that
   */
  take(reader: HeldReader, bytes: Buffer, length: number): boolean {
    this.#plan();
    if (length > HELD_READ_MAX || this.#used + length > HELD_BYTES) {
      this.settle(reader);
      return false;
    }
    this.#copy(bytes, length);
    this.#ends[this.#readers.count] = this.#used + length;
    this.#used = nextWord(this.#used + length);
    reader.heldReads++;
    this.#readers.add(reader);
    return true;
  }

  /** By whole words where it is short: up to 7 bytes behind `length` are copied too, and nobody reads them. */
  #copy(bytes: Buffer, length: number): void {
    const isLong = length > COPIED_BY_WORDS_MAX;
    if (isLong || bytes.length < SHARED_BUFFER_MIN || bytes.byteOffset % WORD_BYTES !== 0) {
      bytes.copy(this.bytes, this.#used, 0, length);
      return;
    }
    if (bytes !== this.#source) {
      this.#source = bytes;
      this.#sourceWords = new BigInt64Array(bytes.buffer, bytes.byteOffset, Math.floor(bytes.length / WORD_BYTES));
    }
    const from = this.#sourceWords;
    const to = this.words;
    const shift = this.#used / WORD_BYTES;
    const count = nextWord(length) / WORD_BYTES;
    for (let index = 0; index < count; index++) to[shift + index] = from[index] as bigint;
  }

  /** What is read comes to `part` next. */
  leadsTo(part: Part): void {
    this.#rest.push(part);
  }

  /** Too much to be held, and read where it lies. */
  lend(bytes: Buffer): void {
    this.lent = bytes;
  }

  /** The bytes that were lent are about to be overwritten. */
  takeBack(): void {
    for (const part of this.#rest) if (!part.isEmpty) part.run();
    this.lent = undefined;
  }

  /** Nothing of what this reader has read waits any more: before it is told that there is no more to come. */
  settle(reader: HeldReader): void {
    if (reader.heldReads > 0) this.run();
  }

  /** Nothing that was read is overwritten until as many have called `letGo`, in this turn or the next. */
  keep(): void {
    this.#kept++;
  }

  letGo(): void {
    this.#kept--;
    if (this.#kept === 0 && this.isEmpty) this.#beginAnew();
  }

  #beginAnew(): void {
    this.#used = 0;
    this.#start = 0;
  }

  run(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      while (this.#at < this.#readers.count) this.#next();
      this.#readers.clear();
      this.#at = 0;
      if (this.#kept === 0) this.#beginAnew();
    } finally {
      this.#isRunning = false;
    }
  }

  #next(): void {
    const start = this.#start;
    const end = this.#ends[this.#at] as number;
    const reader = this.#readers.take(this.#at++);
    this.#start = nextWord(end);
    reader.heldReads--;
    reader.onHeldBytes(this.bytes, start, end);
  }
}

function nextWord(position: number): number {
  return (position + WORD_BYTES - 1) & -WORD_BYTES;
}
