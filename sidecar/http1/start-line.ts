// The byte scan over a request line or a status line (RFC 9112 sections 3 and 4): strict, resumable at any byte.
// Not what the target means: that is authority.ts.
import { wordsOf } from "../../runtime/words.ts";
import { NEEDS_MORE, REFUSED } from "./contract.ts";
import type { MessageHead } from "./head.ts";
import { CR, DIGIT, LF, OCTET, SP, TOKEN, VALUE } from "./octet.ts";
import type { RefusalDetail } from "./refusal.ts";
import { knownRequestLines } from "./request-line-memo.ts";
import { skipTarget } from "./skip-octets.ts";

const METHOD = 0;
const TARGET_BYTES = 1;
const VERSION = 2;
const STATUS = 3;
const REASON = 4;
const LINE_LF = 5;

/** "HTTP/d.d": the digits are at 5 and 7. */
const VERSION_CODES = Uint8Array.from("HTTP/0.0", (character) => character.charCodeAt(0));
const VERSION_LENGTH = VERSION_CODES.length;
const MAJOR_AT = 5;
const MINOR_AT = 7;

/** The versions as words: "HTTP" and "/1.1" or "/1.0". */
const HTTP = 0x50545448;
const SLASH_1_1 = 0x312e312f;
const SLASH_1_0 = 0x302e312f;
/** " 200", " OK\r" and "\n": how most status lines go on. */
const SPACE_200 = 0x30303220;
const SPACE_OK_CR = 0x0d4b4f20;
const OK_LINE_LENGTH = "HTTP/1.1 200 OK\r\n".length;

export class StartLineScanner {
  fault: RefusalDetail = "bad-request-line";
  readonly #isRequest: boolean;
  #state: number;
  #mark = 0;
  #major = 0;

  constructor(isRequest: boolean) {
    this.#isRequest = isRequest;
    this.#state = isRequest ? METHOD : VERSION;
  }

  reset(): void {
    this.#state = this.#isRequest ? METHOD : VERSION;
    this.#mark = 0;
  }

  /**
   * Reads into `head`, which must be the same until the line is complete.
   * @returns the position after the line's CRLF, NEEDS_MORE, or REFUSED. Offsets count from `base`.
   */
  scan(head: MessageHead, bytes: Uint8Array, start: number, end: number, base: number): number {
    const isWhole = start === base && this.#state === (this.#isRequest ? METHOD : VERSION);
    if (isWhole && this.#isRequest) {
      const known = knownRequestLines.find(bytes, start, end);
      if (known !== undefined) {
        head.takeLine(known);
        return start + head.fieldsStart;
      }
    } else if (isWhole && isOkLine(bytes, start, end)) {
      head.minorVersion = 1;
      head.status = 200;
      head.firstEnd = VERSION_LENGTH;
      head.secondStart = VERSION_LENGTH + 1;
      head.secondEnd = OK_LINE_LENGTH - 2;
      head.fieldsStart = OK_LINE_LENGTH;
      return start + OK_LINE_LENGTH;
    }
    let at = start;
    while (at < end) {
      switch (this.#state) {
        case METHOD:
          at = this.#method(head, bytes, at, end, base);
          break;
        case TARGET_BYTES:
          at = this.#target(head, bytes, at, end, base);
          break;
        case VERSION:
          at = this.#version(head, bytes, at, end, base);
          break;
        case STATUS:
          at = this.#status(head, bytes, at, end, base);
          break;
        case REASON:
          at = this.#reason(head, bytes, at, end, base);
          break;
        default:
          if (bytes[at] !== LF) return this.#refuse("bare-cr");
          head.fieldsStart = at + 1 - base;
          if (isWhole && this.#isRequest) knownRequestLines.note(head, bytes, start, at + 1);
          return at + 1;
      }
      if (at < 0) return at;
    }
    return NEEDS_MORE;
  }

  #method(head: MessageHead, bytes: Uint8Array, at: number, end: number, base: number): number {
    while (at < end && ((OCTET[bytes[at] as number] as number) & TOKEN) !== 0) at++;
    if (at === end) return at;
    if (bytes[at] !== SP || at === base) return this.#refuse("bad-method");
    head.firstEnd = at - base;
    head.secondStart = at + 1 - base;
    this.#state = TARGET_BYTES;
    return at + 1;
  }

  #target(head: MessageHead, bytes: Uint8Array, at: number, end: number, base: number): number {
    at = skipTarget(bytes, at, end);
    if (at === end) return at;
    if (bytes[at] !== SP) {
      // A line that ends here is HTTP/0.9, which has no fields and so no Host.
      return this.#refuse(bytes[at] === CR || bytes[at] === LF ? "bad-request-line" : "bad-target");
    }
    if (at - base === head.secondStart) return this.#refuse("bad-target");
    head.secondEnd = at - base;
    this.#mark = at + 1 - base;
    this.#state = VERSION;
    return at + 1;
  }

  /** HTTP/1.0 or HTTP/1.1. Another well-formed version is 505 in a request; everything else is no HTTP. */
  #version(head: MessageHead, bytes: Uint8Array, at: number, end: number, base: number): number {
    if (at - base === this.#mark && at + VERSION_LENGTH < end) {
      const words = wordsOf(bytes);
      const number = words.getInt32(at + 4, true);
      if (words.getInt32(at, true) === HTTP && (number === SLASH_1_1 || number === SLASH_1_0)) {
        this.#major = 1;
        head.minorVersion = number === SLASH_1_1 ? 1 : 0;
        return this.#afterVersion(head, bytes[at + VERSION_LENGTH] as number, at + VERSION_LENGTH, base);
      }
    }
    for (; at < end; at++) {
      const index = at - base - this.#mark;
      const octet = bytes[at] as number;
      if (index === VERSION_LENGTH) return this.#afterVersion(head, octet, at, base);
      if (index === MAJOR_AT || index === MINOR_AT) {
        if (((OCTET[octet] as number) & DIGIT) === 0) return this.#refuse("bad-version");
        if (index === MAJOR_AT) this.#major = octet - 0x30;
        else head.minorVersion = octet - 0x30;
      } else if (octet !== VERSION_CODES[index]) {
        return this.#refuse(this.#isRequest ? "bad-request-line" : "bad-status-line");
      }
    }
    return at;
  }

  #afterVersion(head: MessageHead, octet: number, at: number, base: number): number {
    const delimiter = this.#isRequest ? CR : SP;
    if (octet !== delimiter) {
      if (octet === LF) return this.#refuse("bare-lf");
      return this.#refuse(this.#isRequest ? "bad-version" : "bad-status-line");
    }
    if (this.#major !== 1 || head.minorVersion > 1) return this.#refuse("version-not-supported");
    if (this.#isRequest) {
      this.#state = LINE_LF;
    } else {
      head.firstEnd = at - base;
      head.secondStart = at + 1 - base;
      this.#state = STATUS;
    }
    return at + 1;
  }

  /** Three digits, 100 or more; then a space and the phrase, or (as many servers do) the end of the line. */
  #status(head: MessageHead, bytes: Uint8Array, at: number, end: number, base: number): number {
    for (; at < end; at++) {
      const octet = bytes[at] as number;
      const index = at - base - head.secondStart;
      if (index === 3) {
        if (head.status < 100 || (octet !== SP && octet !== CR)) return this.#refuse("bad-status-line");
        this.#state = REASON;
        return octet === SP ? at + 1 : at;
      }
      if (((OCTET[octet] as number) & DIGIT) === 0) return this.#refuse("bad-status-line");
      head.status = head.status * 10 + octet - 0x30;
    }
    return at;
  }

  #reason(head: MessageHead, bytes: Uint8Array, at: number, end: number, base: number): number {
    while (at < end && ((OCTET[bytes[at] as number] as number) & VALUE) !== 0) at++;
    if (at === end) return at;
    if (bytes[at] !== CR) return this.#refuse(bytes[at] === LF ? "bare-lf" : "bad-status-line");
    head.secondEnd = at - base;
    this.#state = LINE_LF;
    return at + 1;
  }

  #refuse(fault: RefusalDetail): number {
    this.fault = fault;
    return REFUSED;
  }
}

function isOkLine(bytes: Uint8Array, at: number, end: number): boolean {
  if (end - at < OK_LINE_LENGTH) return false;
  const words = wordsOf(bytes);
  return (
    words.getInt32(at, true) === HTTP &&
    words.getInt32(at + 4, true) === SLASH_1_1 &&
    words.getInt32(at + 8, true) === SPACE_200 &&
    words.getInt32(at + 12, true) === SPACE_OK_CR &&
    bytes[at + 16] === LF
  );
}
