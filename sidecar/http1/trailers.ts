// The trailer section of a chunked body (RFC 9112 section 7.1.2): gathered, bounded, checked like a head's fields,
// and passed on without the fields that a recipient must not believe there (RFC 9110 section 6.5.1).
import { NEEDS_MORE, REFUSED } from "./contract.ts";
import { FieldScanner } from "./field-scanner.ts";
import { FieldTable } from "./field-table.ts";
import type { Http1Limits } from "./limits.ts";
import type { RefusalDetail } from "./refusal.ts";

/** Framing, routing, authentication, request modifiers, response control and content format: never in trailers. */
const FORBIDDEN = new Set<string>([
  ...["transfer-encoding", "content-length", "host", "connection", "keep-alive", "proxy-connection", "te", "trailer"],
  ...["upgrade", "http2-settings", "expect", "range", "if-match", "if-none-match", "if-modified-since", "if-range"],
  ...["if-unmodified-since", "max-forwards", "cache-control", "pragma", "authorization", "proxy-authorization"],
  ...["proxy-authenticate", "www-authenticate", "cookie", "set-cookie", "content-encoding", "content-type"],
  ...["content-range", "age", "date", "expires", "location", "retry-after", "vary", "warning", "via", "forwarded"],
  ...["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-request-id", "traceparent", "tracestate"],
]);

/** May a trailer of this lower-case name be passed on? */
export function mayTravel(lowerName: string): boolean {
  return !FORBIDDEN.has(lowerName);
}

const EMPTY = Buffer.alloc(0);
const GATHER_BYTES_AT_FIRST = 256;

export class TrailerReader {
  fault: RefusalDetail = "bad-field-name";
  readonly fields: FieldTable = new FieldTable();
  readonly #scanner: FieldScanner;
  readonly #bytesMax: number;
  #gathered: Buffer = EMPTY;
  #held = 0;

  constructor(limits: Http1Limits) {
    this.#scanner = new FieldScanner(limits.trailersMax, "too-many-trailers");
    this.#bytesMax = limits.trailerBytesMax;
  }

  begin(): void {
    this.fields.clear();
    this.#scanner.begin(0);
    this.#held = 0;
  }

  /** @returns the position after the empty line (`fields` is complete), NEEDS_MORE or REFUSED. */
  read(bytes: Buffer, start: number, end: number): number {
    const before = this.#held;
    this.#gather(bytes, start, Math.min(end, start + this.#bytesMax - before));
    const stop = this.#scanner.scan(this.fields, this.#gathered, before, this.#held, 0);
    if (stop === REFUSED) this.fault = this.#scanner.fault;
    if (stop === NEEDS_MORE && this.#held === this.#bytesMax) {
      this.fault = "trailers-too-large";
      return REFUSED;
    }
    if (stop < 0) return stop;
    this.fields.text = this.#gathered.latin1Slice(0, stop);
    this.#gathered = EMPTY;
    return start + stop - before;
  }

  /** The lines that may travel on, and the empty line. */
  passedOn(): string {
    const fields = this.fields;
    let lines = "";
    for (let index = 0; index < fields.count; index++) {
      if (!mayTravel(fields.nameAt(index).toLowerCase())) continue;
      lines += `${fields.nameAt(index)}: ${fields.valueAt(index)}\r\n`;
    }
    return `${lines}\r\n`;
  }

  #gather(bytes: Buffer, start: number, end: number): void {
    const needed = this.#held + end - start;
    if (needed > this.#gathered.length) {
      const size = Math.max(GATHER_BYTES_AT_FIRST, needed, Math.min(this.#bytesMax, this.#gathered.length * 2));
      const larger = Buffer.allocUnsafeSlow(size);
      this.#gathered.copy(larger, 0, 0, this.#held);
      this.#gathered = larger;
    }
    bytes.copy(this.#gathered, this.#held, start, end);
    this.#held = needed;
  }
}
