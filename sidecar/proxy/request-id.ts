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

/**
 * A source of ids. They are cut from pages of text: 16 ns each against 270 for randomUUID, whose string of many pieces
 * also is most of a request's garbage; and whoever looks into one finds it in one piece.
 */
export function requestIds(): () => string {
  const random = randomBytes(16).toString("hex");
  const variant = "89ab"[Number.parseInt(random[12] ?? "0", 16) & 3];
  const fixed = `${random.slice(0, 8)}-${random.slice(8, 12)}-4${random.slice(13, 16)}-${variant}${random.slice(17, 20)}-`;
  let high = Number.parseInt(random.slice(20, 20 + HIGH_DIGITS), 16);
  let low = Number.parseInt(random.slice(-LOW_DIGITS), 16) & -PAGE_IDS;
  const bytes = Buffer.allocUnsafeSlow(PAGE_IDS * LENGTH);
  let page = "";
  let at = PAGE_IDS * LENGTH;

  /** All of the page but the last digits, which alone differ until all of them were drawn. */
  function begin(): void {
    const prefix = fixed + high.toString(16).padStart(HIGH_DIGITS, "0");
    for (let id = 0; id < PAGE_IDS; id++) bytes.write(prefix, id * LENGTH, "latin1");
  }

  function draw(): void {
    for (let id = 0; id < PAGE_IDS; id++) {
      const digits = LOW[low + id] as string;
      const end = (id + 1) * LENGTH - LOW_DIGITS;
      for (let digit = 0; digit < LOW_DIGITS; digit++) bytes[end + digit] = digits.charCodeAt(digit);
    }
    page = latin1(bytes, 0, bytes.length);
    low += PAGE_IDS;
    if (low < LOW.length) return;
    low = 0;
    high = (high + 1) % HIGH_BLOCKS;
    begin();
  }

  begin();
  return () => {
    if (at === PAGE_IDS * LENGTH) {
      draw();
      at = 0;
    }
    at += LENGTH;
    return page.slice(at - LENGTH, at);
  };
}
