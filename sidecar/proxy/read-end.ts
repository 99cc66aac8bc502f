// What waits for the end of one read of a connection that carries many streams: a head and the content behind it come as
// frames of their own, mostly in the same read, and leave as one write. Not a queue across turns.
import { Batch } from "../../runtime/batch.ts";

/** A stream of the connection. */
export interface ReadEnder {
  /** It is among those that wait; changed by `ReadEnd` alone. */
  awaitsReadEnd: boolean;
  /** All bytes of the read have been taken. Never throws. */
  onReadEnd(): void;
}

/** Content of more bytes than this goes on at once: who takes it has to be asked whether it takes more. */
export const READ_END_MAX_BYTES = 4096;

export class ReadEnd {
  readonly #waiting = new Batch<ReadEnder>();

  add(stream: ReadEnder): void {
    if (stream.awaitsReadEnd) return;
    stream.awaitsReadEnd = true;
    this.#waiting.add(stream);
  }

  /** Before the bytes of the read are overwritten. */
  run(): void {
    const waiting = this.#waiting;
    for (let index = 0; index < waiting.count; index++) {
      const stream = waiting.take(index);
      stream.awaitsReadEnd = false;
      stream.onReadEnd();
    }
    waiting.clear();
  }
}
