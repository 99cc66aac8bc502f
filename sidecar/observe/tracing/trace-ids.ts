// Ids of traces and spans: random from a CSPRNG, as hexadecimal text, cheap. Drawn as a page of digits that ids are cut
// from, because one call into the generator costs more than all else (randomBytes().toString per id: 2.6 us, this: 0.05).
import { randomFillSync } from "node:crypto";
import { ownCopy } from "../../../runtime/latin1.ts";

/** A page lives as long as any id that was cut from it, so it is small. */
const PAGE_BYTES = 4_096;
const TRACE_ID_DIGITS = 32;
const SPAN_ID_DIGITS = 16;

/** W3C Trace Context section 3.2.2.3: all zeros is no id. */
const NO_TRACE_ID = "0".repeat(TRACE_ID_DIGITS);
const NO_SPAN_ID = "0".repeat(SPAN_ID_DIGITS);

export class TraceIds {
  readonly #bytes = Buffer.allocUnsafeSlow(PAGE_BYTES);
  #page = "";
  #at = 0;

  /** 32 lower-case hexadecimal digits, not all zero. */
  traceId(): string {
    const id = this.#cut(TRACE_ID_DIGITS);
    return id === NO_TRACE_ID ? this.traceId() : id;
  }

  /** 16 lower-case hexadecimal digits, not all zero. */
  spanId(): string {
    const id = this.#cut(SPAN_ID_DIGITS);
    return id === NO_SPAN_ID ? this.spanId() : id;
  }

  #cut(digits: number): string {
    if (this.#at + digits > this.#page.length) this.#draw();
    const start = this.#at;
    this.#at += digits;
    return this.#page.slice(start, this.#at);
  }

  #draw(): void {
    randomFillSync(this.#bytes);
    this.#page = this.#bytes.toString("hex");
    this.#at = 0;
  }
}

/** For ids that are kept: without the page around them. */
export function keptId(id: string): string {
  return ownCopy(id);
}
