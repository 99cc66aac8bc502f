// Whole numbers in texts that peers send. `Number(text)` of a piece of a larger text is two calls into V8's runtime: a
// hundredth of all that a proxied request takes.

const ZERO = 0x30;

/**
 * The number that the decimal digits text[start, end) say. Exact up to 2^53 - 1, larger where it is larger.
 * @param digitsMax more are no number
 * @returns -1: there is no digit, there are too many, or something else stands among them
 */
export function decimal(text: string, digitsMax: number, start = 0, end: number = text.length): number {
  if (end <= start || end - start > digitsMax) return -1;
  let number = 0;
  for (let at = start; at < end; at++) {
    const digit = text.charCodeAt(at) - ZERO;
    if (!(digit >= 0 && digit <= 9)) return -1;
    number = number * 10 + digit;
  }
  return number;
}
