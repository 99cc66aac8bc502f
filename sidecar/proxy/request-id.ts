// Ids for `x-request-id`: the shape of a UUID (version 4), unique in the mesh, cheap. They name a request in logs and
// are no secret: 74 random bits per process, then a counter from a random start.
import { randomBytes } from "node:crypto";
import { ownCopy } from "../../runtime/latin1.ts";

/** Behind the last dash. */
const COUNTER_DIGITS = 12;
/** The last digits, as text. */
const LOW_DIGITS = 3;
const LOW = Array.from({ length: 16 ** LOW_DIGITS }, (_, value) => value.toString(16).padStart(LOW_DIGITS, "0"));
const HIGH_DIGITS = COUNTER_DIGITS - LOW_DIGITS;
const HIGH_BLOCKS = 16 ** HIGH_DIGITS;

/** Where ids come from. They are texts only where somebody wants one: most requests are asked for theirs by nobody. */
export interface RequestIds {
  /** The next id, in two pieces: what many ids begin with, which is one text for all of them, and the rest, one of a few texts. */
  draw(into: { stem: string; rest: string }): void;
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

  constructor(random: string) {
    const variant = "89ab"[Number.parseInt(random[12] ?? "0", 16) & 3];
    this.#fixed = `${random.slice(0, 8)}-${random.slice(8, 12)}-4${random.slice(13, 16)}-${variant}${random.slice(17, 20)}-`;
    this.#high = Number.parseInt(random.slice(20, 20 + HIGH_DIGITS), 16);
    this.#low = Number.parseInt(random.slice(-LOW_DIGITS), 16);
    this.#begin();
  }

  draw(into: { stem: string; rest: string }): void {
    if (this.#low === LOW.length) this.#nextBlock();
    into.stem = this.#stem;
    into.rest = LOW[this.#low++] as string;
  }

  drawText(): string {
    const id = { stem: "", rest: "" };
    this.draw(id);
    return id.stem + id.rest;
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
