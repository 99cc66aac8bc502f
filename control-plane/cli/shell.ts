// What the CLI may use of its surroundings, as one value: main.ts fills it from the process, tests from memory.
// Not a terminal library: it only says where text goes and what is known about the place it goes to.
import type { Clock } from "../../runtime/clock.ts";

export interface Output {
  /** Writes text as it is; silently drops it once the reader has gone (EPIPE). */
  write(text: string): void;
  readonly isTTY: boolean;
  /** What waits for a slow reader. */
  readonly backlogBytes: number;
  /** Calls back once when the reader has gone, until the returned function is called. */
  onGone(callback: () => void): () => void;
  /** Width of the terminal; 0 where there is none. */
  readonly columns: number;
  /** Its height; 0 where there is none. */
  readonly rows: number;
}

export interface Shell {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: AsyncIterable<Uint8Array>;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly clock: Clock;
  /** `user@host`, the author of revisions unless WEFT_AUTHOR names another. */
  readonly user: () => string;
  /** Calls back on Ctrl-C instead of ending the process, until the returned function is called. */
  onInterrupt(callback: () => void): () => void;
}
