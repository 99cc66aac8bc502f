// Ids for `x-request-id`: the shape of a UUID (version 4), unique in the mesh, cheap. They name a request in logs and
// are no secret: 74 random bits per process, then a counter from a random start.
import { randomBytes } from "node:crypto";
import { latin1 } from "../../runtime/latin1.ts";

const LENGTH = 36;
/** Behind the last dash. */
const COUNTER_DIGITS = 12;
/** The last digits, as text. */
const LOW_DIGITS = 3;
const LOW = Array.from({ length: 16 ** LOW_DIGITS }, (_, value) => value.toString(16).padStart(LOW_DIGITS, "0"));
const HIGH_DIGITS = COUNTER_DIGITS - LOW_DIGITS;
const HIGH_BLOCKS = 16 ** HIGH_DIGITS;
/** A page lives as long as any id that was cut from it, so it is small. Divides the number of low parts. */
const PAGE_IDS = 32;

/** Where ids come from. */
export interface RequestIds {
  draw(): string;
  /** The id that was drawn last, in two pieces: what many ids begin with, which is one text for all of them, and the rest. */
  readonly stem: string;
  readonly rest: string;
}

/**
 * A source of ids. They are cut from pages of text: 16 ns each against 270 for randomUUID, whose string of many pieces
 * also is most of a request's garbage; and whoever looks into one finds it in one piece.
 */
export function requestIds(): RequestIds {
  return new PagedIds(randomBytes(16).toString("hex"));
}

class PagedIds implements RequestIds {
  /** All but the last digits, which alone differ until all of them were drawn. */
  stem = "";
  /** Place of the page's first id in LOW. */
  #first = 0;
  readonly #fixed: string;
  #high: number;
  #low: number;
  readonly #bytes = Buffer.allocUnsafeSlow(PAGE_IDS * LENGTH);
  #page = "";
  #at = PAGE_IDS * LENGTH;

  constructor(random: string) {
    const variant = "89ab"[Number.parseInt(random[12] ?? "0", 16) & 3];
    this.#fixed = `${random.slice(0, 8)}-${random.slice(8, 12)}-4${random.slice(13, 16)}-${variant}${random.slice(17, 20)}-`;
    this.#high = Number.parseInt(random.slice(20, 20 + HIGH_DIGITS), 16);
    this.#low = Number.parseInt(random.slice(-LOW_DIGITS), 16) & -PAGE_IDS;
  }

  get rest(): string {
    return LOW[this.#first + this.#at / LENGTH - 1] as string;
  }

  draw(): string {
    if (this.#at === PAGE_IDS * LENGTH) this.#nextPage();
    const start = this.#at;
    this.#at = start + LENGTH;
    return this.#page.slice(start, start + LENGTH);
  }

  #nextPage(): void {
    if (this.#low === LOW.length) {
      this.#low = 0;
      this.#high = (this.#high + 1) % HIGH_BLOCKS;
      this.stem = "";
    }
    if (this.stem === "") this.#begin();
    const bytes = this.#bytes;
    for (let id = 0; id < PAGE_IDS; id++) {
      const digits = LOW[this.#low + id] as string;
      const end = (id + 1) * LENGTH - LOW_DIGITS;
      for (let digit = 0; digit < LOW_DIGITS; digit++) bytes[end + digit] = digits.charCodeAt(digit);
    }
    this.#page = latin1(bytes, 0, bytes.length);
    this.#first = this.#low;
    this.#low += PAGE_IDS;
    this.#at = 0;
  }

  #begin(): void {
    this.stem = this.#fixed + this.#high.toString(16).padStart(HIGH_DIGITS, "0");
    for (let id = 0; id < PAGE_IDS; id++) this.#bytes.write(this.stem, id * LENGTH, "latin1");
  }
}
