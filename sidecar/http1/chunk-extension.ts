// The grammar of chunk extensions (RFC 9112 section 7.1.1), one byte at a time. Extensions are checked, counted and
// left out: no peer of a mesh needs them, and parsers that skip them loosely are how chunked bodies get a second
// reading. The whitespace that the RFC calls bad is refused.
import { OCTET, QUOTED, TOKEN, VALUE } from "./octet.ts";

const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Where in `*( ";" name [ "=" ( token / quoted-string ) ] )` the next byte stands. */
export const EXTENSION_START = 0;
const NAME_FIRST = 1;
const NAME = 2;
const VALUE_FIRST = 3;
const TOKEN_VALUE = 4;
const QUOTED_VALUE = 5;
const QUOTED_PAIR = 6;
const AFTER_QUOTED = 7;
export const EXTENSION_FAULT = -1;

/** May the line end here? */
export function isExtensionEnd(state: number): boolean {
  return state === NAME || state === TOKEN_VALUE || state === AFTER_QUOTED;
}

/** The state after this byte, or EXTENSION_FAULT. */
export function nextInExtension(state: number, octet: number): number {
  const bits = OCTET[octet] as number;
  switch (state) {
    case EXTENSION_START:
    case AFTER_QUOTED:
      return octet === SEMICOLON ? NAME_FIRST : EXTENSION_FAULT;
    case NAME_FIRST:
      return (bits & TOKEN) !== 0 ? NAME : EXTENSION_FAULT;
    case NAME:
      if (octet === EQUALS) return VALUE_FIRST;
      return octet === SEMICOLON ? NAME_FIRST : (bits & TOKEN) !== 0 ? NAME : EXTENSION_FAULT;
    case VALUE_FIRST:
      return octet === QUOTE ? QUOTED_VALUE : (bits & TOKEN) !== 0 ? TOKEN_VALUE : EXTENSION_FAULT;
    case TOKEN_VALUE:
      return octet === SEMICOLON ? NAME_FIRST : (bits & TOKEN) !== 0 ? TOKEN_VALUE : EXTENSION_FAULT;
    case QUOTED_VALUE:
      if (octet === QUOTE) return AFTER_QUOTED;
      return octet === BACKSLASH ? QUOTED_PAIR : (bits & QUOTED) !== 0 ? QUOTED_VALUE : EXTENSION_FAULT;
    default:
      return (bits & VALUE) !== 0 ? QUOTED_VALUE : EXTENSION_FAULT;
  }
}
