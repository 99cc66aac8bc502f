// Heads in: bytes of one side of a connection become a MessageHead, or the rule they break. A head that lies inside
// one read is scanned where it is; one that is cut is gathered in a buffer of its own, bounded by the head limit, and
// the scan goes on where it stopped. Not bodies: body.ts.
import { type HeadDecoder, NEEDS_MORE, REFUSED, type Refusal } from "./contract.ts";
import { FieldScanner } from "./field-scanner.ts";
import { MessageHead } from "./head.ts";
import type { HeadSource } from "./head-source.ts";
import { DEFAULT_HTTP1_LIMITS, type Http1Limits } from "./limits.ts";
import { CR, LF } from "./octet.ts";
import { type RefusalDetail, refusalOf } from "./refusal.ts";
import { readRequest } from "./request-rules.ts";
import { readResponse } from "./response-rules.ts";
import { type Shared, SharedBy } from "./shared.ts";
import { takeRequest, takeResponse } from "./source-rules.ts";
import { StartLineScanner } from "./start-line.ts";

const EMPTY = Buffer.alloc(0);
/** First size of the buffer for a cut head; it doubles as the head grows. */
const GATHER_BYTES_AT_FIRST = 1024;

/** What the scan is in. */
const START_LINE = 0;
const FIELDS = 1;
const COMPLETE = 2;

/** The part that requests and responses share: reads one head after the other, each into the object that it is given. */
class HeadReader {
  fault: RefusalDetail = "bad-request-line";
  /** Bytes of the unfinished head in `#gathered`. */
  heldBytes = 0;
  #gathered: Buffer = EMPTY;
  #part = START_LINE;
  readonly #limits: Http1Limits;
  readonly #isRequest: boolean;
  readonly #startLine: StartLineScanner;
  readonly #fields: FieldScanner;

  constructor(limits: Http1Limits, isRequest: boolean) {
    this.#limits = limits;
    this.#isRequest = isRequest;
    this.#startLine = new StartLineScanner(isRequest);
    this.#fields = new FieldScanner(limits.fieldsMax, "too-many-fields");
  }

  /** For the next head, whatever became of the one before. */
  begin(): void {
    this.#startLine.reset();
    this.#part = START_LINE;
    this.heldBytes = 0;
    this.#gathered = EMPTY;
  }

  /** @returns the position after the head, NEEDS_MORE or REFUSED (`fault`). */
  read(head: MessageHead, bytes: Buffer, start: number, end: number): number {
    if (this.heldBytes > 0) return this.#resume(head, bytes, start, end);
    const stop = this.#scan(head, bytes, start, end, start);
    if (stop === NEEDS_MORE) this.#gather(bytes, start, end);
    else if (stop >= 0) this.#complete(head, bytes, start, stop);
    return stop;
  }

  /** The scan goes on behind what is held. */
  #resume(head: MessageHead, bytes: Buffer, start: number, end: number): number {
    const before = this.heldBytes;
    this.#gather(bytes, start, Math.min(end, start + this.#limits.headBytesMax - before));
    const stop = this.#scan(head, this.#gathered, before, this.heldBytes, 0);
    if (stop < 0) return stop;
    this.#complete(head, this.#gathered, 0, stop);
    this.#gathered = EMPTY;
    this.heldBytes = 0;
    return start + stop - before;
  }

  /** Answers are dealt with while their bytes are there, requests are sent again when those are gone. */
  #complete({ fields, knownLine }: MessageHead, bytes: Buffer, start: number, end: number): void {
    if (!this.#isRequest) fields.lieIn(bytes, start, end);
    else if (knownLine !== undefined && fields.section !== undefined) fields.standBehind(knownLine.text);
    else fields.text = bytes.latin1Slice(start, end);
  }

  #scan(head: MessageHead, bytes: Buffer, start: number, end: number, base: number): number {
    const { startLineBytesMax, headBytesMax } = this.#limits;
    let at = start;
    if (this.#part === START_LINE) {
      const lineEnd = Math.min(end, base + startLineBytesMax + 2);
      at = this.#startLine.scan(head, bytes, at, lineEnd, base);
      if (at === REFUSED) return this.#refuse(this.#startLine.fault);
      if (at === NEEDS_MORE)
        return lineEnd - base === startLineBytesMax + 2 ? this.#refuse("start-line-too-long") : NEEDS_MORE;
      this.#part = FIELDS;
      this.#fields.begin(head.fieldsStart);
    }
    const headEnd = Math.min(end, base + headBytesMax);
    at = this.#fields.scan(head.fields, bytes, at, headEnd, base);
    if (at === REFUSED) return this.#refuse(this.#fields.fault);
    if (at === NEEDS_MORE && headEnd - base === headBytesMax) return this.#refuse("head-too-large");
    if (at >= 0) this.#part = COMPLETE;
    return at;
  }

  #gather(bytes: Buffer, start: number, end: number): void {
    const needed = this.heldBytes + end - start;
    if (needed > this.#gathered.length) {
      const size = Math.max(needed, Math.min(this.#limits.headBytesMax, this.#gathered.length * 2, needed * 2));
      const larger = Buffer.allocUnsafeSlow(Math.max(size, GATHER_BYTES_AT_FIRST));
      this.#gathered.copy(larger, 0, 0, this.heldBytes);
      this.#gathered = larger;
    }
    bytes.copy(this.#gathered, this.heldBytes, start, end);
    this.heldBytes = needed;
  }

  #refuse(fault: RefusalDetail): number {
    this.fault = fault;
    return REFUSED;
  }
}

/** A robust server skips an empty line before a request line (RFC 9112 section 2.2); more of them than this is noise. */
const EMPTY_LINES_MAX = 8;

const requestReaders = new SharedBy((limits: Http1Limits) => new HeadReader(limits, true));

/** Requests, from clients. Connections whose heads come whole share what reads them. */
export class RequestDecoder implements HeadDecoder {
  readonly head: MessageHead = new MessageHead();
  refusal: Refusal | undefined = undefined;
  hasBegun = false;
  readonly #limits: Http1Limits;
  readonly #readers: Shared<HeadReader>;
  /** Its own while a head is cut. */
  #reader: HeadReader | undefined = undefined;
  #emptyLines = 0;
  #isAfterCr = false;

  constructor(limits: Http1Limits = DEFAULT_HTTP1_LIMITS) {
    this.#limits = limits;
    this.#readers = requestReaders.of(limits);
  }

  get heldBytes(): number {
    return this.#reader?.heldBytes ?? 0;
  }

  /** A CR came that may be half of an empty line. */
  get isInEmptyLine(): boolean {
    return this.#isAfterCr;
  }

  /** @see HeadDecoder.decodeHead */
  decodeHead(bytes: Buffer, start: number, end: number): number {
    let at = start;
    let reader = this.#reader;
    if (!this.hasBegun) {
      at = this.#skipEmptyLines(bytes, start, end);
      if (at < 0) return at;
      this.hasBegun = true;
      this.head.clear();
    }
    if (reader === undefined) {
      reader = this.#readers.current;
      reader.begin();
    }
    at = reader.read(this.head, bytes, at, end);
    if (at === NEEDS_MORE) {
      this.#reader ??= this.#readers.keep();
      return at;
    }
    const fault = at === REFUSED ? reader.fault : readRequest(this.head);
    this.#letGo();
    return fault === undefined ? at : this.#refuse(fault);
  }

  /**
   * A head that came in another protocol, instead of bytes; see source-rules.ts. It stays the source's while it is used.
   * @returns false where it is refused
   */
  takeHead(source: HeadSource, kinds: Uint8Array, isEnd: boolean): boolean {
    this.hasBegun = true;
    this.head.clear();
    const fault = takeRequest(this.head, source, kinds, isEnd, this.#limits);
    if (fault !== undefined) this.#refuse(fault);
    return fault === undefined;
  }

  reset(): void {
    this.#letGo();
    this.hasBegun = false;
    this.refusal = undefined;
    this.#emptyLines = 0;
    this.#isAfterCr = false;
  }

  release(): void {
    this.reset();
    this.head.clear();
  }

  #letGo(): void {
    if (this.#reader === undefined) return;
    this.#reader.begin();
    this.#readers.giveBack(this.#reader);
    this.#reader = undefined;
  }

  /** Nothing of them is kept; a CR at the end of a read is remembered. */
  #skipEmptyLines(bytes: Buffer, start: number, end: number): number {
    for (let at = start; at < end; at++) {
      const octet = bytes[at];
      if (this.#isAfterCr) {
        if (octet !== LF) return this.#refuse("bare-cr");
        this.#isAfterCr = false;
        if (++this.#emptyLines > EMPTY_LINES_MAX) return this.#refuse("empty-lines");
      } else if (octet === CR) this.#isAfterCr = true;
      else if (octet === LF) return this.#refuse("bare-lf");
      else return at;
    }
    return NEEDS_MORE;
  }

  #refuse(detail: RefusalDetail): number {
    this.refusal = refusalOf(detail, "downstream");
    return REFUSED;
  }
}

/** Responses, from upstream. `expect` tells what the next one answers. */
export class ResponseDecoder implements HeadDecoder {
  readonly head: MessageHead = new MessageHead();
  refusal: Refusal | undefined = undefined;
  hasBegun = false;
  readonly #limits: Http1Limits;
  readonly #reader: HeadReader;
  #isReading = false;
  #method = "GET";
  #askedProtocols = "";

  constructor(limits: Http1Limits = DEFAULT_HTTP1_LIMITS) {
    this.#limits = limits;
    this.#reader = new HeadReader(limits, false);
  }

  get heldBytes(): number {
    return this.#reader.heldBytes;
  }

  /**
   * Names the request that the next responses belong to: HEAD and CONNECT change what a response means, and 101 is
   * only accepted to a protocol that the request asked for. Holds until the next `expect`.
   * @param askedProtocols the `Upgrade` of the request that was sent; "": it asked for none
   */
  expect(method: string, askedProtocols: string): void {
    this.#method = method;
    this.#askedProtocols = askedProtocols;
  }

  /** A status from 100 to 199 but 101 is followed by another head: forward it, `reset()`, and go on. @see HeadDecoder.decodeHead */
  decodeHead(bytes: Buffer, start: number, end: number): number {
    this.hasBegun ||= end > start;
    if (!this.#isReading) {
      this.#isReading = true;
      this.head.clear();
      this.#reader.begin();
    }
    const at = this.#reader.read(this.head, bytes, start, end);
    if (at === REFUSED) return this.#refuse(this.#reader.fault);
    if (at === NEEDS_MORE) return at;
    const fault = readResponse(this.head, this.#method, this.#askedProtocols);
    return fault === undefined ? at : this.#refuse(fault);
  }

  /** As RequestDecoder.takeHead. */
  takeHead(source: HeadSource, kinds: Uint8Array, isEnd: boolean): boolean {
    this.hasBegun = true;
    this.head.clear();
    const fault = takeResponse(this.head, source, kinds, isEnd, this.#limits, this.#method);
    if (fault !== undefined) this.#refuse(fault);
    return fault === undefined;
  }

  reset(): void {
    this.#isReading = false;
    this.hasBegun = false;
    this.refusal = undefined;
  }

  release(): void {
    this.reset();
    this.head.clear();
    this.#reader.begin();
  }

  #refuse(detail: RefusalDetail): number {
    this.refusal = refusalOf(detail, "upstream");
    return REFUSED;
  }
}

/** For answers that come whole and are dealt with at once, and one for each whose head is cut. */
export const responseDecoders: SharedBy<Http1Limits, ResponseDecoder> = new SharedBy(
  (limits) => new ResponseDecoder(limits),
);
