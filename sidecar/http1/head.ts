// One message head, request or response, as it came: its text and where things are in it. Strings are cut out of
// the text only when asked for. Not a header map, and not the rules: those are in request-rules.ts and
// response-rules.ts, which fill in what the fields mean.
import type { Framing } from "./body-framing.ts";
import { FieldTable } from "./field-table.ts";
import type { KnownRequestLine } from "./request-line-memo.ts";

/** What stands behind the target of a request line that is known. */
const LINE_REST_LENGTH = " HTTP/1.1\r\n".length;

export class MessageHead {
  /** The field lines. Their offsets count in `text`. */
  readonly fields: FieldTable = new FieldTable();

  // Start line, as offsets into `text`: [0, firstEnd) SP [secondStart, secondEnd), CRLF at lineEnd.
  // Request: method, target. Response: version, then status code at secondStart and the phrase up to secondEnd.
  firstEnd = 0;
  secondStart = 0;
  secondEnd = 0;
  /** Where the first field line begins. */
  fieldsStart = 0;
  /** 1 or 0: HTTP/1.1 or HTTP/1.0. */
  minorVersion = 1;

  /** Response: 100..999; 0 in a request. */
  status = 0;

  framing: Framing = "none";
  /** Content-Length: the body's length when framing is "length"; also of HEAD and 304; -1 when absent. */
  contentLength = -1;
  /** Whether the peer lets the connection be used again after this message (version, Connection tokens, framing). */
  keepAlive = false;
  /** Request: asks for a protocol; response: 101 confirms one, 426 wants one. Never h2c but of 426, as it is kept from both ends. */
  upgrade = false;
  /** Request HTTP/1.1 with `Expect: 100-continue`. */
  expectContinue = false;
  /** Request: `TE: trailers`. */
  acceptsTrailers = false;
  /** Seconds of `Keep-Alive: timeout=N`, and its `max=N`; -1 when absent. */
  keepAliveTimeoutSeconds = -1;
  keepAliveMax = -1;
  /** Request: host[:port] from Host or from the target (they must agree); "" only in HTTP/1.0 without Host. */
  authority = "";
  /** Request: the target is a whole URI, as sent to a proxy. `originStart` is where its path begins. */
  isAbsoluteForm = false;
  isConnect = false;
  /** Request: where path and query begin in `text` (equal to secondEnd when there is none). */
  originStart = 0;

  /** Request: its line, if that is one that came before (request-line-memo.ts). */
  knownLine: KnownRequestLine | undefined = undefined;

  /** Methods repeat on a connection: the last one is compared with, not cut out and hashed again. */
  #method = "";
  #isMethodKnown = false;
  /** As the method: the Host that was accepted last; "" before the first. */
  lastHost = "";
  #path: string | undefined;
  #query = "";

  /** The head as latin1 text from the first byte of the start line to the empty line included; "" of one from a source. */
  get text(): string {
    return this.fields.text;
  }

  /** Request: as sent; methods are case-sensitive. */
  get method(): string {
    if (this.#isMethodKnown) return this.#method;
    const { text, source } = this.fields;
    if (source !== undefined) return source.method;
    if (this.#method.length !== this.firstEnd || !text.startsWith(this.#method))
      this.#method = text.slice(0, this.firstEnd);
    this.#isMethodKnown = true;
    return this.#method;
  }

  /** Request: the request-target as sent. */
  get target(): string {
    if (this.knownLine !== undefined) return this.knownLine.path;
    const { text, source } = this.fields;
    return source === undefined ? text.slice(this.secondStart, this.secondEnd) : source.path;
  }

  /** Request: path and query without scheme and authority; "*" and, of CONNECT, the authority as they are. */
  get originForm(): string {
    if (!this.isAbsoluteForm) return this.target;
    const text = this.fields.text;
    if (this.originStart === this.secondEnd) return this.method === "OPTIONS" ? "*" : "/";
    const rest = text.slice(this.originStart, this.secondEnd);
    return rest.charCodeAt(0) === 0x3f ? `/${rest}` : rest;
  }

  /** Request: path without the query; "" of CONNECT. */
  get path(): string {
    if (this.#path === undefined) this.#splitTarget();
    return this.#path ?? "";
  }

  /** Request: the query without its "?"; "" when there is none. */
  get query(): string {
    if (this.#path === undefined) this.#splitTarget();
    return this.#query;
  }

  /** Response: the reason phrase as sent. */
  get reason(): string {
    if (this.fields.source !== undefined) return "";
    return this.fields.text.slice(Math.min(this.secondStart + 4, this.secondEnd), this.secondEnd);
  }

  get fieldCount(): number {
    return this.fields.count;
  }

  nameAt(index: number): string {
    return this.fields.nameAt(index);
  }

  valueAt(index: number): string {
    return this.fields.valueAt(index);
  }

  /** Is there a field of this known kind? */
  has(kind: number): boolean {
    return this.fields.has(kind);
  }

  /** First value of a known kind. */
  known(kind: number): string | undefined {
    return this.fields.known(kind);
  }

  /** Value by lower-case name, repeated ones joined with ", " (cookie: "; "). A miss costs no allocation. */
  value(lowerName: string): string | undefined {
    return this.fields.value(lowerName);
  }

  /** The request line, with its CRLF, is this one. */
  takeLine(line: KnownRequestLine): void {
    const { method, path } = line;
    this.knownLine = line;
    this.firstEnd = method.length;
    this.secondStart = method.length + 1;
    this.secondEnd = this.secondStart + path.length;
    this.fieldsStart = this.secondEnd + LINE_REST_LENGTH;
    this.minorVersion = 1;
    this.#method = method;
    this.#isMethodKnown = true;
    this.#path = path;
  }

  /** Forgets everything, for the next message. */
  clear(): void {
    this.fields.clear();
    this.status = 0;
    this.framing = "none";
    this.contentLength = -1;
    this.keepAlive = false;
    this.upgrade = false;
    this.expectContinue = false;
    this.acceptsTrailers = false;
    this.keepAliveTimeoutSeconds = -1;
    this.keepAliveMax = -1;
    this.authority = "";
    this.isAbsoluteForm = false;
    this.isConnect = false;
    this.knownLine = undefined;
    this.#isMethodKnown = false;
    this.#path = undefined;
    this.#query = "";
  }

  #splitTarget(): void {
    const form = this.isConnect ? "" : this.originForm;
    const mark = form.indexOf("?");
    this.#path = mark < 0 ? form : form.slice(0, mark);
    this.#query = mark < 0 ? "" : form.slice(mark + 1);
  }
}
