// Which bytes may stand where (RFC 9110 section 5.6, RFC 9112 sections 3 and 5, RFC 3986), as one table of bits, so
// that a scan costs one load and one test per byte. Not a parser.

export const HTAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;
export const COLON = 0x3a;

/** tchar: method names, field names, list tokens. */
export const TOKEN = 1;
/** field-vchar, SP, HTAB: field values and reason phrases. Bytes from 0x80 (obs-text) pass through. */
export const VALUE = 2;
/**
 * A request-target: visible US-ASCII but "#" (a fragment never travels). `"<>\^`{|}` are not URI characters, yet
 * browsers and clients send them in queries and they mean the same to every peer; bytes from 0x80 do not.
 */
export const TARGET = 4;
/** reg-name without "," (a comma is what joins two Host lines into one) and without "%", which is checked apart. */
export const HOST = 8;
export const DIGIT = 16;
export const HEX = 32;
/** Inside the quotes of a chunk extension's value: qdtext. */
export const QUOTED = 64;

/** Bits of each byte. */
export const OCTET: Uint8Array = octets();

/** Value of a hexadecimal digit; 0 for other bytes. */
export const HEX_VALUE: Uint8Array = hexValues();

function octets(): Uint8Array {
  const table = new Uint8Array(256);
  const mark = (from: number, to: number, bits: number): void => {
    for (let octet = from; octet <= to; octet++) table[octet] = (table[octet] ?? 0) | bits;
  };
  const markAll = (characters: string, bits: number): void => {
    for (const character of characters) mark(character.charCodeAt(0), character.charCodeAt(0), bits);
  };
  mark(0x30, 0x39, TOKEN | HOST | DIGIT | HEX);
  mark(0x41, 0x5a, TOKEN | HOST);
  mark(0x61, 0x7a, TOKEN | HOST);
  mark(0x41, 0x46, HEX);
  mark(0x61, 0x66, HEX);
  markAll("!#$%&'*+-.^_`|~", TOKEN);
  markAll("-._~!$&'()*+;=", HOST);
  mark(0x20, 0x7e, VALUE | QUOTED);
  mark(0x80, 0xff, VALUE | QUOTED);
  mark(HTAB, HTAB, VALUE | QUOTED);
  mark(0x21, 0x7e, TARGET);
  table[0x23] = (table[0x23] ?? 0) & ~TARGET;
  table[0x22] = (table[0x22] ?? 0) & ~QUOTED;
  table[0x5c] = (table[0x5c] ?? 0) & ~QUOTED;
  return table;
}

function hexValues(): Uint8Array {
  const table = new Uint8Array(256);
  for (let digit = 0; digit < 16; digit++) {
    const text = digit.toString(16);
    table[text.charCodeAt(0)] = digit;
    table[text.toUpperCase().charCodeAt(0)] = digit;
  }
  return table;
}

/** Are text[start, end) all of this class, and at least one? */
export function isAll(text: string, start: number, end: number, bits: number): boolean {
  for (let at = start; at < end; at++) {
    const code = text.charCodeAt(at);
    if (code > 255 || ((OCTET[code] as number) & bits) === 0) return false;
  }
  return end > start;
}

/** Without spaces and tabs around. A regular expression would need time by the square of a long run of spaces. */
export function trimmed(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === SP || code === HTAB;
}
