// What a decoded head or trailers must be (RFC 9113 sections 8.1 to 8.6, RFC 8441, RFC 9110): fills an Http2Head field by
// field and finds the first rule that is broken. As strict as the HTTP/1.1 room, because the message may go on as
// HTTP/1.1: what another parser could read in two ways is refused.
import { decimal } from "../../runtime/decimal.ts";
import { FIELD, PSEUDO_KINDS } from "./field.ts";
import type { Http2Head } from "./head.ts";
import type { FieldSink } from "./hpack-decoder.ts";
import type { Http2Limits } from "./limits.ts";
import { AUTHORITY, DIGIT, isAuthority, NAME, SCHEME, TARGET, TOKEN, VALUE } from "./octet.ts";
import { REFUSALS, type Refusal, type RefusalDetail } from "./refusal.ts";

export type HeadPart = "request" | "response" | "trailers";

/** What a field adds to the size of a list (RFC 9113 section 6.5.2). */
const FIELD_OVERHEAD = 32;
/** 2^53 - 1 has 16 digits. */
export const LENGTH_DIGITS_MAX = 16;

const COLON = 0x3a;
const SLASH = 0x2f;
const UPPER_A = 0x41;

/** One per connection: heads are read one after the other. */
export class HeadReader implements FieldSink {
  readonly #limits: Http2Limits;
  #head: Http2Head | undefined = undefined;
  #part: HeadPart = "request";
  #fault: RefusalDetail | undefined = undefined;
  #listBytes = 0;
  /** Pseudo-fields that came: `1 << kind`. */
  #pseudo = 0;
  #hasField = false;
  #host = "";
  #hasHost = false;
  #cookieAt = -1;
  /** The authority that was accepted last: a connection mostly has one. */
  #lastAuthority: string | undefined = undefined;

  constructor(limits: Http2Limits) {
    this.#limits = limits;
  }

  begin(head: Http2Head, part: HeadPart): void {
    head.clear();
    head.ownsText = true;
    this.#head = head;
    this.#part = part;
    this.#fault = undefined;
    this.#listBytes = 0;
    this.#pseudo = 0;
    this.#hasField = false;
    this.#host = "";
    this.#hasHost = false;
    this.#cookieAt = -1;
  }

  /** How many pseudo-fields the head that was read last has. */
  get pseudoFields(): number {
    let count = 0;
    for (let bits = this.#pseudo; bits !== 0; bits &= bits - 1) count++;
    return count;
  }

  /** @returns the first rule that was broken */
  finish(): Refusal | undefined {
    const head = this.#head;
    this.#head = undefined;
    if (head !== undefined) head.listBytes = this.#listBytes;
    if (this.#fault === undefined && head !== undefined) {
      if (this.#part === "request") this.#finishRequest(head);
      else if (this.#part === "response") this.#finishResponse(head);
    }
    return this.#fault === undefined ? undefined : REFUSALS[this.#fault];
  }

  add(name: string, value: string, kind: number, nameClasses: number, valueClasses: number, sensitive: number): void {
    this.#listBytes += name.length + value.length + FIELD_OVERHEAD;
    // A field too many is still decoded, for the table's sake, but nothing is kept or looked at any more.
    const head = this.#head;
    if (this.#fault !== undefined || head === undefined) return this.#passOver(value, kind, valueClasses);
    if (this.#listBytes > this.#limits.headerListBytesMax) return this.#refuse("head-too-large");
    if (kind !== FIELD.unknown && kind <= PSEUDO_KINDS) return this.#addPseudo(head, value, kind, valueClasses);
    this.#hasField = true;
    if ((nameClasses & NAME) === 0 || name === "") {
      return this.#refuse(name.charCodeAt(0) === COLON ? "unknown-pseudo-field" : "bad-field-name");
    }
    if ((valueClasses & VALUE) === 0) return this.#refuse("bad-field-value");
    if (head.count >= this.#limits.fieldsMax) return this.#refuse("too-many-fields");
    if (kind === FIELD.unknown) {
      if (isFramingLookalike(name)) return this.#refuse("bad-field-name");
    } else if (kind <= FIELD.upgrade) return this.#addSpecial(head, name, value, kind, valueClasses, sensitive);
    head.push(name, value, kind, sensitive);
  }

  /** The type of a refused message is still taken down: by it who answers knows in which terms. */
  #passOver(value: string, kind: number, valueClasses: number): void {
    if (kind !== FIELD.contentType || (valueClasses & VALUE) === 0) return;
    if (this.#head?.has(kind) === false) this.#head.push("content-type", value, kind, 0);
  }

  #refuse(detail: RefusalDetail): void {
    this.#fault = detail;
  }

  // ---- pseudo-fields (section 8.3) ----

  #addPseudo(head: Http2Head, value: string, kind: number, classes: number): void {
    if (this.#part === "trailers") return this.#refuse("pseudo-field-in-trailers");
    if ((this.#part === "response") !== (kind === FIELD.status)) return this.#refuse("unknown-pseudo-field");
    if (this.#hasField) return this.#refuse("late-pseudo-field");
    if ((this.#pseudo & (1 << kind)) !== 0) return this.#refuse("repeated-pseudo-field");
    this.#pseudo |= 1 << kind;
    switch (kind) {
      case FIELD.method:
        if ((classes & TOKEN) === 0 || value === "") return this.#refuse("bad-method");
        head.method = value;
        return;
      case FIELD.scheme:
        // Of the octets of a scheme those from A on are letters: it begins with one (RFC 3986 section 3.1), and is not empty.
        if ((classes & SCHEME) === 0 || !(value.charCodeAt(0) >= UPPER_A)) return this.#refuse("bad-scheme");
        head.scheme = value;
        return;
      case FIELD.path:
        if ((classes & TARGET) === 0 || value === "") return this.#refuse("bad-path");
        head.path = value;
        return;
      case FIELD.authority:
        head.authority = value;
        return this.#checkAuthority(value, classes);
      case FIELD.protocol:
        if ((classes & TOKEN) === 0 || value === "" || IS_HTTP2.test(value)) return this.#refuse("bad-protocol");
        head.protocol = value;
        return;
      case FIELD.status:
        if ((classes & DIGIT) === 0 || value.length !== 3) return this.#refuse("bad-status");
        head.status = decimal(value, 3);
        return;
    }
  }

  #checkAuthority(value: string, classes: number): void {
    if (value === this.#lastAuthority) return;
    if ((classes & AUTHORITY) === 0 || !isAuthority(value)) return this.#refuse("bad-authority");
    this.#lastAuthority = value;
  }

  // ---- fields with rules of their own ----

  #addSpecial(head: Http2Head, name: string, value: string, kind: number, classes: number, sensitive: number): void {
    switch (kind) {
      case FIELD.host:
        return this.#addHost(head, value, classes);
      case FIELD.contentLength:
        // Of trailers nothing is believed that says where a message ends or where it goes (RFC 9110 section 6.5.1).
        if (this.#part === "trailers") return;
        if (!this.#readLength(head, value, classes)) return this.#refuse("bad-content-length");
        break;
      case FIELD.te:
        if (value !== "trailers" && value.toLowerCase() !== "trailers") return this.#refuse("bad-te");
        if (this.#part === "trailers") return;
        head.acceptsTrailers = true;
        break;
      case FIELD.cookie:
        // Crumbs are joined (section 8.2.3): what goes on as HTTP/1.1 must have one line.
        if (this.#cookieAt >= 0) {
          head.joinAt(this.#cookieAt, `; ${value}`, sensitive);
          return;
        }
        this.#cookieAt = head.count;
        break;
      default:
        return this.#refuse("connection-field");
    }
    head.push(name, value, kind, sensitive);
  }

  /** Host of a request is kept apart: it says the same as `:authority`, or the request is refused. */
  #addHost(head: Http2Head, value: string, classes: number): void {
    if (this.#part === "trailers") return;
    if (this.#part === "response") return head.push("host", value, FIELD.host, 0);
    if (this.#hasHost) return this.#refuse("host-disagrees");
    this.#hasHost = true;
    this.#host = value;
    this.#checkAuthority(value, classes);
  }

  #readLength(head: Http2Head, value: string, classes: number): boolean {
    if (head.contentLength >= 0 || (classes & DIGIT) === 0) return false;
    const length = decimal(value, LENGTH_DIGITS_MAX);
    if (length < 0) return false;
    head.contentLength = length;
    return length <= Number.MAX_SAFE_INTEGER;
  }

  // ---- the whole ----

  #finishRequest(head: Http2Head): void {
    const pseudo = this.#pseudo;
    if ((pseudo & (1 << FIELD.method)) === 0) return this.#refuse("missing-pseudo-field");
    if (this.#hasHost) this.#joinHost(head);
    if (head.method === "CONNECT" || (pseudo & (1 << FIELD.protocol)) !== 0) this.#finishConnect(head);
    else if ((pseudo & REQUIRED) !== REQUIRED) this.#refuse("missing-pseudo-field");
    else if (head.authority === "" && (head.scheme === "http" || head.scheme === "https")) {
      this.#refuse("missing-pseudo-field");
    } else this.#checkPath(head);
  }

  #joinHost(head: Http2Head): void {
    if (head.authority === "") head.authority = this.#host;
    else if (head.authority !== this.#host && head.authority.toLowerCase() !== this.#host.toLowerCase()) {
      this.#refuse("host-disagrees");
    }
  }

  #checkPath(head: Http2Head): void {
    if (head.path.charCodeAt(0) === SLASH) return;
    // OPTIONS of the server as a whole; schemes other than http and https have paths of their own (RFC 3986).
    if (head.path === "*" && head.method === "OPTIONS") return;
    this.#refuse("bad-path");
  }

  /** Section 8.5; with `:protocol` RFC 8441 section 4, where scheme and path are there as in any request. */
  #finishConnect(head: Http2Head): void {
    const isExtended = (this.#pseudo & (1 << FIELD.protocol)) !== 0;
    if (head.authority === "") return this.#refuse("bad-connect");
    // What follows is the tunnel's. An upgrade that promises content would take the next request of its connection for it.
    if (head.contentLength >= 0) return this.#refuse("bad-content-length");
    if (!isExtended) {
      if ((this.#pseudo & REQUIRED) !== 1 << FIELD.method) return this.#refuse("bad-connect");
      if (!HAS_PORT.test(head.authority)) this.#refuse("bad-authority");
      return;
    }
    if (!this.#limits.allowsConnectProtocol || head.method !== "CONNECT") return this.#refuse("bad-protocol");
    if ((this.#pseudo & REQUIRED) !== REQUIRED) return this.#refuse("missing-pseudo-field");
    this.#checkPath(head);
  }

  #finishResponse(head: Http2Head): void {
    if ((this.#pseudo & (1 << FIELD.status)) === 0) return this.#refuse("missing-pseudo-field");
    if (head.status < 100) return this.#refuse("bad-status");
    if (head.status === 101) return this.#refuse("unexpected-101");
    // RFC 9110 section 8.6: neither has content, nor says how much it would be.
    if ((head.status < 200 || head.status === 204) && head.contentLength > 0) this.#refuse("bad-content-length");
  }
}

const REQUIRED = (1 << FIELD.method) | (1 << FIELD.scheme) | (1 << FIELD.path);
const HAS_PORT = /:\d+$/;
/** Not to be had within a stream: HTTP/1.1 offers no upgrade to it, and without one nothing would frame what follows. */
const IS_HTTP2 = /^h2c?$/i;

/**
 * Other names than Content-Length and Transfer-Encoding, but gateways that turn fields into variables read them as
 * these, so they are a way to smuggle once the message goes on as HTTP/1.1.
 */
function isFramingLookalike(name: string): boolean {
  if (name.length !== 14 && name.length !== 17) return false;
  const dashed = name.replaceAll("_", "-");
  return dashed !== name && (dashed === "content-length" || dashed === "transfer-encoding");
}
