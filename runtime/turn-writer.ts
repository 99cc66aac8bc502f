// Writes to a socket that nobody else writes to. Small texts leave at the end of the turn of the event loop, behind all
// that was read in it: system calls that follow on each other cost the kernel a seventh less than those between which a
// request is read or routed (12.4 us instead of 14.4 for the four of a proxied request). Not its reading.
import type { Socket } from "node:net";
import type { Flushable, FlushQueue } from "./flush-queue.ts";
import { latin1 } from "./latin1.ts";
import { type SocketMode, SocketOutput } from "./socket-output.ts";

/** More is written at once: a turn that reads much must not gather all of it. */
const GATHER_LENGTH_MAX = 16 * 1024;

/** Reads of this turn that stay where they are while somebody keeps them (HeldReads). */
interface KeptReads {
  readonly bytes: Buffer;
  keep(): void;
  letGo(): void;
}

/** What is written goes through here, again and again as long as the kernel takes all of it at once. */
let wire = Buffer.allocUnsafeSlow(GATHER_LENGTH_MAX);
/** Of the length that was written last. */
let view = wire;

export class TurnWriter extends SocketOutput implements Flushable {
  readonly #flushes: FlushQueue;
  readonly #reads: KeptReads | undefined;
  /** What waits is text, or reads[from, to). */
  #text = "";
  #from = 0;
  #to = 0;
  #isQueued = false;

  /**
   * @param bufferBytes as much as may wait in the process before a write says false
   * @param reads of which `writeRead` takes pieces
   */
  constructor(socket: Socket, mode: SocketMode, bufferBytes: number, flushes: FlushQueue, reads?: KeptReads) {
    super(socket, mode, bufferBytes);
    this.#flushes = flushes;
    this.#reads = reads;
  }

  /** Nothing of what was written waits in the process. */
  get isEmpty(): boolean {
    return this.#text === "" && this.#to === 0 && this.isSent;
  }

  /** Latin1 text. @returns false when no more should come until the socket's 'drain' */
  write(text: string): boolean {
    if (this.#to > 0) this.#readToText();
    this.#text = this.#text === "" ? text : this.#text + text;
    if (this.#text.length > GATHER_LENGTH_MAX) this.sendNow();
    else this.#queue();
    return this.hasRoom();
  }

  /**
   * bytes[start, end), which were read in this turn and go out at its end from where they are.
   * @returns false where they cannot: then nothing was done
   */
  writeRead(bytes: Buffer, start: number, end: number): boolean {
    const reads = this.#reads;
    if (reads === undefined || bytes !== reads.bytes || this.#text !== "" || !this.isSent) return false;
    const isMore = this.#to > 0;
    if (isMore && this.#to !== start) return false;
    const from = isMore ? this.#from : start;
    if (end - from > GATHER_LENGTH_MAX) return false;
    if (!isMore) reads.keep();
    this.#from = from;
    this.#to = end;
    this.#queue();
    return true;
  }

  #queue(): void {
    if (this.#isQueued) return;
    this.#isQueued = true;
    this.#flushes.add(this);
  }

  #readToText(): void {
    this.#text = latin1((this.#reads as KeptReads).bytes, this.#from, this.#to);
    this.#forgetRead();
  }

  #forgetRead(): void {
    this.#to = 0;
    this.#reads?.letGo();
  }

  /** Bytes that nobody changes any more, at once. @returns as `write` */
  writeBytes(bytes: Buffer): boolean {
    this.sendNow();
    this.sendBytes(bytes);
    return this.hasRoom();
  }

  /** The turn is over. */
  flush(): void {
    this.#isQueued = false;
    this.sendNow();
  }

  /** What was written goes out now: before the socket is ended, or its state is asked for. */
  sendNow(): void {
    if (this.#to > 0) return this.#sendRead();
    const text = this.#text;
    if (text === "") return;
    this.#text = "";
    this.sendText(text);
  }

  /** The same, behind all that was written. */
  override end(): void {
    this.sendNow();
    super.end();
  }

  #sendRead(): void {
    const length = this.#to - this.#from;
    const isSent = this.isSent;
    const bytes = isSent ? wire : Buffer.allocUnsafeSlow(length);
    (this.#reads as KeptReads).bytes.copy(bytes, 0, this.#from, this.#to);
    this.#forgetRead();
    if (!isSent) return this.sendBytes(bytes);
    if (view.length !== length) view = wire.subarray(0, length);
    this.sendBytes(view);
    if (this.isSent) return;
    wire = Buffer.allocUnsafeSlow(GATHER_LENGTH_MAX);
    view = wire;
  }
}
