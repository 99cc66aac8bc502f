// The way out of one side that speaks HTTP/2: what the exchange adds becomes frames of one stream. The last piece is
// held back until it is known whether anything follows, so that the end of a message costs no frame of its own; whoever
// adds also flushes before its bytes are gone.

import type { Http2StreamView } from "../http2/contract.ts";
import { Http2Head } from "../http2/head.ts";
import type { MessageOutlet, Trailers } from "./contract.ts";
import { addLines, readTrailersText } from "./http2-text.ts";

/** Whose stream it is. */
export interface StreamSender {
  /** Makes `into` the head that `text` says. */
  readText(text: string, into: Http2Head): void;
  /** Sends a head, which is copied out. @returns the stream; undefined where it cannot be sent any more */
  sendHead(head: Http2Head, isEnd: boolean): Http2StreamView | undefined;
}

const EMPTY = Buffer.alloc(0);
/** Heads are copied out before a send returns, so one is enough for all. */
const scratch = new Http2Head();
/** Answers before the final one: `HTTP/1.1 1`. */
const INTERIM_AT = "HTTP/1.1 ".length;
const ONE = 0x31;

export class StreamOutlet implements MessageOutlet {
  readonly form = "data";
  /** The stream's window or the connection is full; cleared by `onDrain`. */
  isFull = false;
  readonly #sender: StreamSender;
  readonly #isClient: boolean;
  #stream: Http2StreamView | undefined = undefined;
  /** A head that is not sent yet: as text, or as fields with lines behind them. */
  #head = "";
  #fields: Http2Head | undefined = undefined;
  #piece: Buffer = EMPTY;
  #start = 0;
  #end = 0;

  /** @param isClient requests go out here, not answers */
  constructor(sender: StreamSender, isClient: boolean) {
    this.#sender = sender;
    this.#isClient = isClient;
  }

  /** Drops what was not flushed, and knows no stream any more. */
  detach(): void {
    this.#stream = undefined;
    this.#head = "";
    this.#fields = undefined;
    this.#dropPiece();
    this.isFull = false;
  }

  addHead(text: string): void {
    // 101 ends nothing: what follows is the tunnel's, so it goes out like a final head.
    const isInterim = !this.#isClient && text.charCodeAt(INTERIM_AT) === ONE && !text.startsWith("101", INTERIM_AT);
    this.#head = text;
    if (isInterim) this.#sendHead(false);
  }

  /** A head in fields, which are left as they are; `lines` go behind them. It must stay until the next flush. */
  addFields(head: Http2Head, lines: string): void {
    this.#fields = head;
    this.#head = lines;
  }

  addBody(bytes: Buffer, start: number, end: number): void {
    if (start === end) return;
    this.#sendHead(false);
    this.#sendPiece(false);
    this.#piece = bytes;
    this.#start = start;
    this.#end = end;
  }

  addBodyText(text: string): void {
    this.addBody(Buffer.from(text, "latin1"), 0, text.length);
  }

  end(trailers: Trailers): void {
    if (trailers !== "") {
      this.flush();
      const fields = typeof trailers === "string" ? scratch : trailers;
      if (typeof trailers === "string") readTrailersText(trailers, scratch);
      if (fields.count > 0) return this.#stream?.sendTrailers(fields);
    }
    if (this.#head !== "" || this.#fields !== undefined) this.#sendHead(true);
    else if (this.#piece !== EMPTY) this.#sendPiece(true);
    else this.#stream?.sendData(EMPTY, 0, 0, true);
  }

  flush(): void {
    this.#sendHead(false);
    this.#sendPiece(false);
  }

  takeProgress(): boolean {
    return this.#stream?.takeProgress() === true;
  }

  onDrain(): void {
    this.isFull = false;
  }

  #sendHead(isEnd: boolean): void {
    const text = this.#head;
    const fields = this.#fields;
    if (text === "" && fields === undefined) return;
    this.#head = "";
    this.#fields = undefined;
    if (fields === undefined) {
      this.#sender.readText(text, scratch);
      this.#stream = this.#sender.sendHead(scratch, isEnd);
      return;
    }
    const { count, ownsText } = fields;
    if (text !== "") addLines(text, fields);
    this.#stream = this.#sender.sendHead(fields, isEnd);
    fields.count = count;
    fields.ownsText = ownsText;
  }

  #sendPiece(isEnd: boolean): void {
    const piece = this.#piece;
    if (piece === EMPTY) return;
    this.#piece = EMPTY;
    if (this.#stream?.sendData(piece, this.#start, this.#end, isEnd) === false) this.isFull = true;
  }

  #dropPiece(): void {
    this.#piece = EMPTY;
  }
}
