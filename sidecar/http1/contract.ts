// What the HTTP/1.1 room offers to the conductor: types only, no code.
//
// Where things are: `RequestDecoder`, `ResponseDecoder` in decoder.ts; `MessageHead` in head.ts; `BodyDecoder` in
// body.ts; `HeadEdits`, `encodeRequestHead`, `encodeResponseHead` in encoder.ts; `encodeChunk`, `LAST_CHUNK` in
// chunk.ts; `FIELD` (kinds of known fields) in field.ts; limits in limits.ts; refusals in refusal.ts.
//
// How one side of a connection is read:
//
//   at = decoder.decodeHead(bytes, start, end)      // >= 0: head complete, `at` is the first byte after it
//                                                   // NEEDS_MORE: all was taken (and copied); come back with more
//                                                   // REFUSED: decoder.refusal says why; answer and close
//   body.begin(head.framing, head.contentLength, BODY_AS_WIRE | BODY_AS_DATA)
//   while (at < end && !body.isDone) {
//     at = body.decode(bytes, at, end)              // new position, or REFUSED (body.refusal)
//     if (body.outEnd > body.outStart) write(bytes, body.outStart, body.outEnd)
//   }
//   if (body.isDone && body.tail !== "") write(body.tail)       // trailers (or their end), latin1 text
//   decoder.reset()                                 // before the next message; leftover bytes are [at, end)
//
// Nothing here keeps a reference to `bytes` after a call returns: callers read into one shared buffer. A complete
// head owns its text (one latin1 string), so it may be kept across ticks, retries and mirrors until `reset()`.

import type { MessageHead } from "./head.ts";

/** Returned by decoders instead of a position. */
export const NEEDS_MORE = -1;
export const REFUSED = -2;

/** Why a message is not acted on. Values, made once; `status` is what a client is answered (502 for a response). */
export interface Refusal {
  readonly status: 400 | 414 | 417 | 431 | 501 | 505 | 502;
  /** The closed list of docs/reasons.md. */
  readonly reason:
    | "bad-request"
    | "uri-too-long"
    | "header-too-large"
    | "not-implemented"
    | "version-not-supported"
    | "bad-response";
  /** The rule that was broken, for logs and tests: `bare-lf`, `content-length-repeated`, ... (refusal.ts). */
  readonly detail: string;
  readonly side: "downstream" | "upstream";
  readonly retry: "never" | "if-unsent" | "safe";
}

/** How the end of the message is found (RFC 9112 section 6.3). "tunnel": 101, or 2xx to CONNECT: bytes until close. */
export type Framing = "none" | "length" | "chunked" | "until-close" | "tunnel";

/** What BodyDecoder hands out: the validated wire form (chunk framing included), or content alone. */
export type BodyForm = "wire" | "data";

/** One per direction and connection. The same object reads message after message. */
export interface HeadDecoder {
  /** Filled by a complete head; overwritten by the next message. Stable object. */
  readonly head: MessageHead;
  /** Set when REFUSED was returned. */
  readonly refusal: Refusal | undefined;
  /** Bytes of an unfinished head held (0: between messages: a close here is clean). At most headBytesMax. */
  readonly heldBytes: number;
  /** True from the first byte of a head until `reset()` (an empty line before a request does not count). */
  readonly hasBegun: boolean;
  /**
   * Reads a head from bytes[start, end). Resumable at any byte; every byte is scanned once.
   * @returns the position after the head, NEEDS_MORE, or REFUSED. Must not be called again after a complete head
   * or a refusal without `reset()`.
   */
  decodeHead(bytes: Uint8Array, start: number, end: number): number;
  /** Forgets the head and readies for the next message. */
  reset(): void;
}

/** Reads one message body. Reusable: `begin` for each message. */
export interface BodyReader {
  readonly isDone: boolean;
  /** The bytes of the last `decode` to pass on: bytes[outStart, outEnd). In "wire" form a valid prefix at any time. */
  readonly outStart: number;
  readonly outEnd: number;
  /** Content bytes seen so far (without framing). */
  readonly contentBytes: number;
  /** "wire" form, chunked, when done: what is still to be written after the last range ("" mostly). */
  readonly tail: string;
  readonly refusal: Refusal | undefined;
  begin(framing: Framing, contentLength: number, form: BodyForm, side: "downstream" | "upstream"): void;
  /** Takes bytes from `start`; stops at the end of the message, or where bytes must be left out of the copy. */
  decode(bytes: Uint8Array, start: number, end: number): number;
  /** The peer closed. True when that completes the message (until-close, tunnel, or done before); otherwise it is cut short. */
  finish(): boolean;
}
