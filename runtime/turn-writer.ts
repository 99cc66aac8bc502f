// Writes to a socket that nobody else writes to. Small texts leave at the end of the turn of the event loop, behind all
// that was read in it: system calls that follow on each other cost the kernel a seventh less than those between which a
// request is read or routed (12.4 us instead of 14.4 for the four of a proxied request). Not its reading.
import type { Socket } from "node:net";
import type { Flushable, FlushQueue } from "./flush-queue.ts";
import { latin1 } from "./latin1.ts";
import { type SocketMode, SocketOutput } from "./socket-output.ts";
import { COPIED_BY_WORDS_MAX, WORD_BYTES } from "./turn.ts";

/** More is written at once: a turn that reads much must not gather all of it. */
const GATHER_LENGTH_MAX = 16 * 1024;

/** What is sent again and again, as octets that stand ready. Several may share them: they are valid until another is taken. */
export interface Prepared {
  readonly text: string;
  take(): Buffer;
  /** What was taken belongs to the socket, which has not sent all of it. */
  lose(): void;
}

/** Reads of this turn that stay where they are while somebody keeps them (HeldReads). */
interface KeptReads {
  readonly bytes: Buffer;
  /** The same memory. */
  readonly words: BigInt64Array;
  keep(): void;
  letGo(): void;
}

/** Views of the wire are kept by their length, up to this. */
const VIEWS_MAX = 1_024;

/** What was read is written through here, again and again as long as the kernel takes all of it at once. */
let wire: Buffer;
let wireWords: BigInt64Array;
let views: (Buffer | undefined)[];
newWire();

function newWire(): void {
  wire = Buffer.allocUnsafeSlow(GATHER_LENGTH_MAX);
  wireWords = new BigInt64Array(wire.buffer);
  views = new Array<Buffer | undefined>(VIEWS_MAX).fill(undefined);
}

/** The first `length` octets of the wire. */
function viewOf(length: number): Buffer {
  if (length >= VIEWS_MAX) return wire.subarray(0, length);
  let view = views[length];
  if (view === undefined) {
    view = wire.subarray(0, length);
    views[length] = view;
  }
  return view;
}

export class TurnWriter extends SocketOutput implements Flushable {
  readonly #flushes: FlushQueue;
  readonly #reads: KeptReads | undefined;
  /** What waits is text, or prepared, or reads[from, to). */
  #text = "";
  #prepared: Prepared | undefined = undefined;
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
    return this.#text === "" && this.#prepared === undefined && this.#to === 0 && this.isSent;
  }

  /** Latin1 text. @returns false when no more should come until the socket's 'drain' */
  write(text: string): boolean {
    if (this.#to > 0) this.#readToText();
    if (this.#prepared !== undefined) this.#preparedToText(this.#prepared);
    this.#text = this.#text === "" ? text : this.#text + text;
    if (this.#text.length > GATHER_LENGTH_MAX) this.sendNow();
    else this.#queue();
    return this.hasRoom();
  }

  /** The same, where its octets are known. */
  writePrepared(prepared: Prepared): boolean {
    const isFirst = this.#text === "" && this.#prepared === undefined && this.#to === 0;
    if (!isFirst) return this.write(prepared.text);
    this.#prepared = prepared;
    this.#queue();
    return this.hasRoom();
  }

  /**
   * bytes[start, end), which were read in this turn and go out at its end from where they are.
   * @returns false where they cannot: then nothing was done
   */
  writeRead(bytes: Buffer, start: number, end: number): boolean {
    const reads = this.#reads;
    if (reads === undefined || bytes !== reads.bytes || !this.isSent) return false;
    if (this.#text !== "" || this.#prepared !== undefined) return false;
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

  #preparedToText(prepared: Prepared): void {
    this.#text = prepared.text;
    this.#prepared = undefined;
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
    if (this.#prepared !== undefined) return this.#sendPrepared(this.#prepared);
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
    const from = this.#from;
    const length = this.#to - from;
    const reads = this.#reads as KeptReads;
    if (!this.isSent) {
      const copy = Buffer.allocUnsafeSlow(length);
      reads.bytes.copy(copy, 0, from, this.#to);
      this.#forgetRead();
      return this.sendBytes(copy);
    }
    copyToWire(reads, from, length);
    this.#forgetRead();
    this.sendBytes(viewOf(length));
    if (!this.isSent) newWire();
  }

  #sendPrepared(prepared: Prepared): void {
    this.#prepared = undefined;
    if (!this.isSent) return this.sendText(prepared.text);
    this.sendBytes(prepared.take());
    if (!this.isSent) prepared.lose();
  }
}

/** What was read mostly begins with a word. */
function copyToWire(reads: KeptReads, from: number, length: number): void {
  if (length > COPIED_BY_WORDS_MAX || from % WORD_BYTES !== 0) {
    reads.bytes.copy(wire, 0, from, from + length);
    return;
  }
  const words = reads.words;
  const to = wireWords;
  const first = from / WORD_BYTES;
  const count = Math.ceil(length / WORD_BYTES);
  for (let index = 0; index < count; index++) to[index] = words[first + index] as bigint;
}
