// Finds where messages end, as cheaply as the load can: it knows what it is sent. A bench tool, by no means a parser
// that could stand in front of strangers.
import type { BodyFraming } from "./contract.ts";

const HEAD_END = Buffer.from("\r\n\r\n");
const LAST_CHUNK = Buffer.from("0\r\n\r\n");
/** Behind "HTTP/1.1 ". */
const STATUS_AT = 9;
const ZERO = 0x30;
const CHUNKED = /\r\ntransfer-encoding: *chunked/i;
const EMPTY = Buffer.alloc(0);

export class MessageEnd {
  #framing: BodyFraming = "none";
  /** Of the message that is being read: a proxy may have turned chunks into a length. */
  #isChunked = false;
  #bodyBytes = 0;
  /** A head that is not complete yet. */
  #head: Buffer = EMPTY;
  #isInBody = false;
  #remaining = 0;
  /** The end of the last read, where a chunked body's end may be cut. */
  #tail: Buffer = EMPTY;
  /** First digit of an answer's status, of the newest head; of a request, some byte. */
  statusClass = 0;

  /** Messages from now on have a body of this size. A head is only looked into where chunks are expected. */
  expect(framing: BodyFraming, bodyBytes: number): void {
    this.#framing = framing;
    this.#bodyBytes = bodyBytes;
    this.#head = EMPTY;
    this.#isInBody = false;
    this.#tail = EMPTY;
  }

  /**
   * Takes bytes[start, end).
   * @returns the position behind the message's end, or -1 when it has not ended
   */
  take(bytes: Buffer, start: number, end: number): number {
    let at = start;
    if (!this.#isInBody) {
      at = this.#takeHead(bytes, start, end);
      if (at < 0) return -1;
    }
    return this.#isChunked ? this.#takeChunks(bytes, at, end) : this.#takeLength(at, end);
  }

  #takeHead(bytes: Buffer, start: number, end: number): number {
    if (this.#head.length > 0) return this.#resumeHead(bytes, start, end);
    const at = bytes.indexOf(HEAD_END, start);
    if (at < 0 || at + 4 > end) {
      this.#head = Buffer.from(bytes.subarray(start, end));
      return -1;
    }
    this.statusClass = (bytes[start + STATUS_AT] ?? 0) - ZERO;
    this.#isInBody = true;
    this.#isChunked = this.#framing === "chunked" && CHUNKED.test(bytes.latin1Slice(start, at));
    this.#remaining = this.#framing === "none" ? 0 : this.#bodyBytes;
    return at + 4;
  }

  #resumeHead(bytes: Buffer, start: number, end: number): number {
    const held = this.#head.length;
    const whole = Buffer.concat([this.#head, bytes.subarray(start, end)]);
    this.#head = EMPTY;
    const at = this.#takeHead(whole, 0, whole.length);
    return at < 0 ? -1 : start + at - held;
  }

  #takeLength(at: number, end: number): number {
    const taken = Math.min(this.#remaining, end - at);
    this.#remaining -= taken;
    if (this.#remaining > 0) return -1;
    this.#isInBody = false;
    return at + taken;
  }

  /** Nothing follows a message here, so a chunked body ends where the bytes end with its last chunk. */
  #takeChunks(bytes: Buffer, at: number, end: number): number {
    const tail =
      end - at >= LAST_CHUNK.length
        ? bytes.subarray(end - LAST_CHUNK.length, end)
        : Buffer.concat([this.#tail, bytes.subarray(at, end)]).subarray(-LAST_CHUNK.length);
    if (tail.equals(LAST_CHUNK)) {
      this.#tail = EMPTY;
      this.#isInBody = false;
      return end;
    }
    this.#tail = Buffer.from(tail);
    return -1;
  }
}
