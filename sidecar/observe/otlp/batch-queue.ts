// Items on their way to somebody who may be slow, or gone: a bounded queue that is emptied in batches, one at a time.
// Whoever adds never waits; what finds no room is dropped and counted. What the items are and where they go is not known here.
import type { Clock, Timer } from "../../../runtime/clock.ts";

/** Items that wait. Spans are some kilobytes each, so at most a few megabytes. */
export const WAITING_MAX = 1_024;
export const BATCH_MAX = 256;
const EXPORT_EVERY_MS = 1_000;
/** A batch of which nothing is heard by then counts as lost. Above the 10 s that OTLP exporters give up after. */
const EXPORT_TIMEOUT_MS = 15_000;
/** At the end, for what is still there. */
const CLOSE_MS = 2_000;

/** What became of an item. "failed": it was given to the exporter, which did not get rid of it. */
export type ItemOutcome = "exported" | "dropped" | "failed";

export interface BatchQueueOptions<Item> {
  readonly clock: Clock;
  /** Tells once what came of the batch; a throw is a failure. */
  readonly send: (batch: Item[], done: (error: string) => void) => void;
  readonly count: (outcome: ItemOutcome, items: number) => void;
  /** The exporter failed after it had worked, or works again (`error` is ""). */
  readonly onChange: (error: string) => void;
}

export class BatchQueue<Item> {
  readonly #options: BatchQueueOptions<Item>;
  #waiting: Item[] = [];
  #timer: Timer | undefined = undefined;
  /** The batch that is on its way, so that what is heard of an older one counts no more. */
  #underWay: Item[] | undefined = undefined;
  #guard: Timer | undefined = undefined;
  #isFailing = false;
  #isClosed = false;
  #onIdle: (() => void) | undefined = undefined;

  constructor(options: BatchQueueOptions<Item>) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** What is added now is dropped: there is no need to make it. */
  get isFull(): boolean {
    return this.#waiting.length >= WAITING_MAX || this.#isClosed;
  }

  add(item: Item): void {
    if (this.isFull) return this.#options.count("dropped", 1);
    this.#waiting.push(item);
    if (this.#waiting.length === BATCH_MAX) this.#schedule(0);
    else if (this.#timer === undefined) this.#schedule(EXPORT_EVERY_MS);
  }

  /** Takes nothing more; resolves when what was there is out, or after a short while. */
  close(): Promise<void> {
    this.#isClosed = true;
    this.#sendNext();
    return new Promise((resolve) => {
      const end = (): void => {
        this.#onIdle = undefined;
        this.#timer?.cancel();
        this.#guard?.cancel();
        this.#options.count("dropped", this.#waiting.length);
        this.#waiting = [];
        resolve();
      };
      if (this.#underWay === undefined) return end();
      const deadline = this.#options.clock.after(CLOSE_MS, end);
      this.#onIdle = () => {
        deadline.cancel();
        end();
      };
    });
  }

  #schedule(delayMs: number): void {
    this.#timer?.cancel();
    this.#timer = this.#options.clock.after(delayMs, () => {
      this.#timer = undefined;
      this.#sendNext();
    });
  }

  #sendNext(): void {
    if (this.#underWay !== undefined) return;
    if (this.#waiting.length === 0) return this.#onIdle?.();
    const batch = this.#waiting.splice(0, BATCH_MAX);
    this.#underWay = batch;
    const { clock, send } = this.#options;
    this.#guard = clock.after(EXPORT_TIMEOUT_MS, () => this.#done(batch, "no answer"));
    try {
      send(batch, (error) => this.#done(batch, error));
    } catch (error) {
      this.#done(batch, error instanceof Error ? error.message : String(error));
    }
  }

  #done(batch: Item[], error: string): void {
    if (this.#underWay !== batch) return;
    this.#underWay = undefined;
    this.#guard?.cancel();
    this.#options.count(error === "" ? "exported" : "failed", batch.length);
    if ((error !== "") !== this.#isFailing) {
      this.#isFailing = error !== "";
      this.#options.onChange(error);
    }
    if (this.#isClosed) this.#sendNext();
    else if (this.#waiting.length > 0) this.#schedule(this.#waiting.length >= BATCH_MAX ? 0 : EXPORT_EVERY_MS);
  }
}
