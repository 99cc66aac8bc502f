// What the HTTP/1.1 room offers to the conductor: types only, no code.
//
// Where things are: `RequestDecoder`, `ResponseDecoder` in decoder.ts, and what connections share of them in shared.ts;
// `MessageHead` in head.ts; `BodyDecoder` in body.ts; `HeadEdits` in head-edits.ts; `encodeRequestHead`,
// `encodeResponseHead` in encoder.ts; `chunkHeader`, `LAST_CHUNK` in chunk.ts; `FIELD` (kinds of known fields) in
// field.ts; limits in limits.ts; refusals in refusal.ts. Heads that come in another protocol are taken as they are:
// `takeHead` of the decoders, `HeadSource` in head-source.ts.
//
// How one side of a connection is read:
//
//   at = decoder.decodeHead(bytes, start, end)      // >= 0: head complete, `at` is the first byte after it
//                                                   // NEEDS_MORE: all was taken (and copied); come back with more
//                                                   // REFUSED: decoder.refusal says why; answer and close
//   body.begin(head.framing, head.contentLength, "wire" or "data", side)
//   while (at < end && !body.isDone) {
//     at = body.decode(bytes, at, end)              // new position, or REFUSED (body.refusal)
//     if (body.outEnd > body.outStart) write(bytes, body.outStart, body.outEnd)
//   }
//   if (body.isDone && body.tail !== "") write(body.tail)       // trailers and their end, latin1 text
//   decoder.reset()                                 // before the next message; leftover bytes are [at, end)
//
// Callers read into one shared buffer, whose bytes the next read overwrites. The head of a request owns its text (a
// string), so it may be kept across ticks, retries and mirrors until the next one begins. The head of an answer
// lies in `bytes`: whoever is told of it is done with it before the call that read it returns. Bodies are never kept.
import type { Framing } from "./body-framing.ts";
import type { MessageHead } from "./head.ts";

/** Returned by decoders instead of a position. */
export const NEEDS_MORE = -1;
export const REFUSED = -2;

/** Why a message is not acted on. Values, made once. */
export interface Refusal {
  /** What a client is answered; 502 when a response was refused. */
  readonly status: 400 | 414 | 431 | 501 | 502 | 505;
  /** As in docs/reasons.md. */
  readonly reason:
    | "bad-request"
    | "uri-too-long"
    | "header-too-large"
    | "not-implemented"
    | "version-not-supported"
    | "bad-response";
  /** The rule that was broken, for logs and tests: `bare-lf`, `content-length-repeated` (the list is refusal.ts). */
  readonly detail: string;
}

/** Who sent the message. */
export type Side = "downstream" | "upstream";

/** What BodyDecoder hands out: the validated wire form (chunk framing included), or content alone. */
export type BodyForm = "wire" | "data";

/**
 * How the body goes on. "same": as it came (Content-Length and Transfer-Encoding in their one canonical form).
 * "chunked": coding put in (content that came until-close). "close": no framing fields, the end of the connection
 * ends it (for an HTTP/1.0 client). "none": no body. "length": Content-Length put in.
 */
export type OutFraming = "same" | "chunked" | "close" | "none" | "length";

/**
 * The same object reads message after message: requests with one for each connection, answers with one that all share, or
 * with their own while they are cut (`responseDecoders`).
 */
export interface HeadDecoder {
  /** Filled by a complete head, which stays until the next one begins or `release()`. Always the same object. */
  readonly head: MessageHead;
  /** Set when REFUSED was returned. */
  readonly refusal: Refusal | undefined;
  /** Bytes of an unfinished head held; at most headBytesMax. */
  readonly heldBytes: number;
  /** From the first byte of a head until `reset()` (empty lines before a request do not count): a close is not clean. */
  readonly hasBegun: boolean;
  /**
   * Reads a head from bytes[start, end). Resumable at any byte; every byte is scanned once.
   * @returns the position after the head, NEEDS_MORE, or REFUSED. After a complete head or a refusal it must not be
   * called before `reset()`.
   */
  decodeHead(bytes: Buffer, start: number, end: number): number;
  /** Readies for the next message. */
  reset(): void;
  /** The same, and forgets the head: nothing of it is kept alive while no other comes. */
  release(): void;
}

/** Reads one message body. Reusable: `begin` for each message. */
export interface BodyReader {
  readonly isDone: boolean;
  /** Of the last `decode`, what to pass on: bytes[outStart, outEnd). In "wire" form all of them so far are a valid prefix. */
  readonly outStart: number;
  readonly outEnd: number;
  /** Content bytes seen so far (without framing). */
  readonly contentBytes: number;
  /** When done: the trailers that may travel on and the empty line behind them (in "wire" form what follows the last
   *  range); "" unless there were trailers. */
  readonly tail: string;
  /** Set when REFUSED was returned: what was passed on must not be ended as if it were whole. */
  readonly refusal: Refusal | undefined;
  begin(framing: Framing, contentLength: number, form: BodyForm, side: Side): void;
  /** Takes bytes from `start`; stops at the end of the message, or where bytes must be left out of the copy. */
  decode(bytes: Buffer, start: number, end: number): number;
  /** The peer has closed. @returns whether that leaves a whole message; false: it was cut short. */
  finish(): boolean;
}
