// Which bytes may stand where (RFC 9113 section 8.2.1, RFC 9110 section 5.6, RFC 3986), as one table of bits. The bits of
// all bytes of a string, and-ed, are the classes that the string is of: found once when it is decoded, asked for as
// often as it is used. Not a parser.
import { isIPv6 } from "node:net";
import { wordsOf } from "../../runtime/words.ts";

/** tchar without upper case: field names. */
export const NAME = 1;
/** field-vchar, SP, HTAB, and neither of these two at either end: field values. Bytes from 0x80 pass through. */
export const VALUE = 2;
/** tchar: methods. */
export const TOKEN = 4;
/** Visible US-ASCII but "#": what may stand in a request-target, and means the same to every peer. */
export const TARGET = 8;
/** An authority's characters, "@" and "," not among them. */
export const AUTHORITY = 16;
export const DIGIT = 32;
/** ALPHA, DIGIT, "+", "-", ".": schemes. */
export const SCHEME = 64;
const HEX = 128;

/** What the empty string is of: whatever has no first character to ask for. */
const ALL = 255;

/** Bits of each byte. */
const OCTET: Uint8Array = octets();

function octets(): Uint8Array {
  const table = new Uint8Array(256);
  const mark = (from: number, to: number, bits: number): void => {
    for (let octet = from; octet <= to; octet++) table[octet] = (table[octet] ?? 0) | bits;
  };
  const markAll = (characters: string, bits: number): void => {
    for (const character of characters) mark(character.charCodeAt(0), character.charCodeAt(0), bits);
  };
  mark(0x30, 0x39, NAME | TOKEN | AUTHORITY | DIGIT | SCHEME | HEX);
  mark(0x61, 0x7a, NAME | TOKEN | AUTHORITY | SCHEME);
  mark(0x41, 0x5a, TOKEN | AUTHORITY | SCHEME);
  markAll("abcdefABCDEF", HEX);
  markAll("!#$%&'*+-.^_`|~", NAME | TOKEN);
  markAll("-._~!$&'()*+;=:[]%", AUTHORITY);
  markAll("+-.", SCHEME);
  mark(0x20, 0x7e, VALUE);
  mark(0x80, 0xff, VALUE);
  mark(0x09, 0x09, VALUE);
  mark(0x21, 0x7e, TARGET);
  table[0x23] = (table[0x23] ?? 0) & ~TARGET;
  return table;
}

/** The classes that bytes[start, end) are of. */
export function classesOfBytes(bytes: Uint8Array, start: number, end: number): number {
  let classes = ALL;
  for (let at = start; at < end; at++) classes &= OCTET[bytes[at] as number] as number;
  if (end > start && (isBlank(bytes[start] as number) || isBlank(bytes[end - 1] as number))) return classes & ~VALUE;
  return classes;
}

/** VALUE or 0: whether bytes[start, end) are a field value, without asking for more. */
export function valueClassOfBytes(bytes: Uint8Array, start: number, end: number): number {
  if (end > start && (isBlank(bytes[start] as number) || isBlank(bytes[end - 1] as number))) return 0;
  const words = wordsOf(bytes);
  let at = start;
  while (at + 4 <= end) {
    const word = words.getInt32(at, true);
    // A byte under 0x20 borrows from its top bit, 0x7f carries into it, and `& ~word` forgives bytes from 0x80.
    if ((((word - 0x20202020) | (word + 0x01010101)) & ~word & 0x80808080) !== 0) break;
    at += 4;
  }
  while (at < end && ((OCTET[bytes[at] as number] as number) & VALUE) !== 0) at++;
  return at === end ? VALUE : 0;
}

/** The classes of a latin1 string. */
export function classesOf(text: string): number {
  const bytes = Buffer.from(text, "latin1");
  return classesOfBytes(bytes, 0, bytes.length);
}

function isBlank(octet: number): boolean {
  return octet === 0x20 || octet === 0x09;
}

const PORT_MAX = 65_535;
/** The longest spelling, with an IPv4 address at its end, and the bracket. */
const IPV6_BYTES_MAX = 46;
const HOST_PERCENT = /%(?![0-9a-fA-F]{2})/;

/** uri-host [":" port], not empty, of text that is of AUTHORITY: a name, an IPv4 address or a bracketed IPv6 address. */
export function isAuthority(text: string): boolean {
  let portAt = text.indexOf(":");
  if (text.charCodeAt(0) === 0x5b) {
    const close = text.indexOf("]");
    if (close < 0 || close > IPV6_BYTES_MAX || text.includes("%") || !isIPv6(text.slice(1, close))) return false;
    portAt = close + 1 === text.length ? -1 : close + 1;
    if (portAt > 0 && text.charCodeAt(portAt) !== 0x3a) return false;
  } else if (portAt === 0 || text === "" || /[[\]]/.test(text) || HOST_PERCENT.test(text)) return false;
  if (portAt < 0) return true;
  const port = text.slice(portAt + 1);
  return port === "" || (/^\d{1,5}$/.test(port) && Number(port) <= PORT_MAX);
}
