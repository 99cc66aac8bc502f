// Ids for `x-request-id`: the shape of a UUID (version 4), unique in the mesh, cheap. They name a request in logs and
// are no secret: 74 random bits per process, then a counter from a random start.
import { randomBytes } from "node:crypto";
import { latin1, ownCopy } from "../../runtime/latin1.ts";
import type { OwnId } from "../observe/exchange-record.ts";

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

/** Where ids come from. They are texts only where somebody wants one: most requests are asked for theirs by nobody. */
export interface RequestIds {
  /** The next id. */
  draw(into: OwnId): void;
  /** An id that was drawn lately as a text in one piece, for who writes it at once: joining two takes twice as long. */
  textOf(id: OwnId): string;
  drawText(): string;
}

/** A source of ids. */
export function requestIds(): RequestIds {
  return new CountedIds(randomBytes(16).toString("hex"));
}

class CountedIds implements RequestIds {
  /** All but the last digits, which alone differ until all of them were drawn. */
  #stem = "";
  readonly #fixed: string;
  #high: number;
  #low: number;
  readonly #bytes = Buffer.allocUnsafeSlow(PAGE_IDS * LENGTH);
  #page = "";
  #pageStem = "";
  #pageFirst = 0;

  constructor(random: string) {
    const variant = "89ab"[Number.parseInt(random[12] ?? "0", 16) & 3];
    this.#fixed = `${random.slice(0, 8)}-${random.slice(8, 12)}-4${random.slice(13, 16)}-${variant}${random.slice(17, 20)}-`;
    this.#high = Number.parseInt(random.slice(20, 20 + HIGH_DIGITS), 16);
    this.#low = Number.parseInt(random.slice(-LOW_DIGITS), 16);
    this.#begin();
  }

  draw(into: OwnId): void {
    if (this.#low === LOW.length) this.#nextBlock();
    into.stem = this.#stem;
    into.number = this.#low;
    into.rest = LOW[this.#low++] as string;
  }

  drawText(): string {
    const id = { stem: "", rest: "", number: 0 };
    this.draw(id);
    return id.stem + id.rest;
  }

  textOf({ stem, number }: OwnId): string {
    const first = number & -PAGE_IDS;
    if (this.#pageFirst !== first || this.#pageStem !== stem) this.#fillPage(stem, first);
    const at = (number - first) * LENGTH;
    return this.#page.slice(at, at + LENGTH);
  }

  #fillPage(stem: string, first: number): void {
    const bytes = this.#bytes;
    for (let id = 0; id < PAGE_IDS; id++) {
      if (this.#pageStem !== stem) bytes.write(stem, id * LENGTH, "latin1");
      const digits = LOW[first + id] as string;
      const end = (id + 1) * LENGTH - LOW_DIGITS;
      for (let digit = 0; digit < LOW_DIGITS; digit++) bytes[end + digit] = digits.charCodeAt(digit);
    }
    this.#page = latin1(bytes, 0, bytes.length);
    this.#pageStem = stem;
    this.#pageFirst = first;
  }

  #nextBlock(): void {
    this.#low = 0;
    this.#high = (this.#high + 1) % HIGH_BLOCKS;
    this.#begin();
  }

  #begin(): void {
    this.#stem = ownCopy(this.#fixed + this.#high.toString(16).padStart(HIGH_DIGITS, "0"));
  }
}
