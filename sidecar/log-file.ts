// The file that an access log goes to. Appended to by several processes at a time; opened again when somebody moved or
// removed it (as logrotate does), when it is told to, and after it failed. Never blocks: a FIFO is opened without waiting
// for its reader, and what waits to be written is bounded. What is written is access-log.ts.
import { close as closeFile, constants, createWriteStream, fstat, open, type Stats, stat } from "node:fs";
import { Socket } from "node:net";
import type { Writable } from "node:stream";
import { promisify } from "node:util";
import { type Clock, every, sleep, type Timer } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import { TextWriter } from "../runtime/text-writer.ts";
import type { ItemOutcome } from "./observe/otlp/batch-queue.ts";

/** Bytes that wait for a slow reader before lines are dropped. */
export const BACKLOG_BYTES_MAX = 4 * 1024 * 1024;
/** How soon a file that was moved, or can be opened by now, is opened anew. */
const CHECK_EVERY_MS = 1_000;
/** At the end, for what is still to be written. */
const CLOSE_MS = 1_000;
/** Not waiting concerns FIFOs: without a reader it fails instead of holding up a thread. */
const FLAGS = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK;
const MODE = 0o644;

/** Where lines go. */
export interface LineTarget {
  /** What is written now is dropped. */
  readonly isFull: boolean;
  /** Tells what became of the lines, now or later. */
  write(text: string, lines: number): void;
  /** Begins a new file where the old one was moved away. */
  reopen(): Promise<void>;
  /** Writes what is there, for a short while. */
  close(): Promise<void>;
}

export interface LogFileOptions {
  readonly file: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly count: (outcome: ItemOutcome, lines: number) => void;
}

type State =
  /** What comes meanwhile. */
  | { readonly type: "opening"; text: string; lines: number }
  | { readonly type: "open"; readonly stream: Writable; readonly writer: TextWriter; readonly id: string }
  /** Tried again with the next check. */
  | { readonly type: "failed" }
  | { readonly type: "closed" };

const openFile = promisify(open);
const statOf = promisify(stat);
const statOfOpen = promisify(fstat);

export class LogFile implements LineTarget {
  readonly #options: LogFileOptions;
  readonly #checks: Timer;
  #state: State = { type: "opening", text: "", lines: 0 };
  /** What was complained of last: once is enough. */
  #complaint = "";
  /** Opening and looking go one after the other. */
  #turn: Promise<void>;
  #isLooking = false;

  constructor(options: LogFileOptions) {
    this.#options = options;
    this.#turn = this.#open();
    this.#checks = every(options.clock, CHECK_EVERY_MS, () => void this.#look());
  }

  get isFull(): boolean {
    const state = this.#state;
    if (state.type === "opening") return state.text.length >= BACKLOG_BYTES_MAX;
    return state.type !== "open" || state.stream.writableLength >= BACKLOG_BYTES_MAX;
  }

  write(text: string, lines: number): void {
    const state = this.#state;
    const { count } = this.#options;
    if (state.type === "opening") {
      state.text += text;
      state.lines += lines;
    } else if (state.type === "open")
      state.writer.write(text, (error) => count(error === null || error === undefined ? "exported" : "failed", lines));
    else count("dropped", lines);
  }

  reopen(): Promise<void> {
    return this.#inTurn(() => this.#open());
  }

  async close(): Promise<void> {
    this.#checks.cancel();
    const ended = this.#inTurn(() => this.#end());
    await Promise.race([ended, sleep(this.#options.clock, CLOSE_MS)]);
    if (this.#state.type === "open") this.#state.stream.destroy();
    this.#state = { type: "closed" };
  }

  get #isClosed(): boolean {
    return this.#state.type === "closed";
  }

  #inTurn(step: () => Promise<void>): Promise<void> {
    this.#turn = this.#turn.then(step);
    return this.#turn;
  }

  /** Is the file that is open still the one of this name? */
  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    await this.#inTurn(async () => {
      if (this.#state.type === "failed") return this.#open();
      if (this.#state.type !== "open") return;
      const found = await statOf(this.#options.file).then(idOf, () => "");
      if (this.#state.type === "open" && found !== this.#state.id) await this.#open();
    });
    this.#isLooking = false;
  }

  /** Begins a stream, and ends the one before it. */
  async #open(): Promise<void> {
    if (this.#isClosed) return;
    const { file, log } = this.#options;
    try {
      const fd = await openFile(file, FLAGS, MODE);
      const stats = await statOfOpen(fd);
      if (this.#isClosed) return closeFile(fd, () => {});
      const stream = streamOf(fd, stats);
      stream.on("error", (error) => {
        if (this.#state.type === "open" && this.#state.stream === stream) this.#fail(error);
      });
      const before = this.#state;
      this.#state = { type: "open", stream, writer: new TextWriter(stream), id: idOf(stats) };
      if (before.type === "open") before.stream.end();
      else if (before.type === "opening" && before.lines > 0) this.write(before.text, before.lines);
      if (this.#complaint !== "") log.info({ file }, "the access log can be written again");
      this.#complaint = "";
    } catch (error) {
      this.#fail(error as NodeJS.ErrnoException);
    }
  }

  #fail(error: NodeJS.ErrnoException): void {
    const { file, log, count } = this.#options;
    const before = this.#state;
    this.#state = { type: "failed" };
    // What waits in it may still be written: it is perhaps the new file that failed.
    if (before.type === "open") before.stream.end();
    else if (before.type === "opening" && before.lines > 0) count("dropped", before.lines);
    const reason = error.code === "ENXIO" ? "nobody reads from it" : error.message;
    if (reason !== this.#complaint) log.error({ file, reason }, "cannot write the access log; trying again");
    this.#complaint = reason;
  }

  async #end(): Promise<void> {
    const state = this.#state;
    if (state.type !== "open") return;
    await new Promise<void>((done) => {
      state.stream.once("close", () => done());
      state.stream.end();
    });
  }
}

/** Files are written by threads; a FIFO would hold those up, so the event loop waits for it. */
function streamOf(fd: number, stats: Stats): Writable {
  return stats.isFIFO() ? new Socket({ fd, readable: false, writable: true }) : createWriteStream("", { fd });
}

function idOf({ dev, ino }: Stats): string {
  return `${dev}:${ino}`;
}
