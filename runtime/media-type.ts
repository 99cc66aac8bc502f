// Whether a `content-type` says a certain media type, with whatever suffix (`+proto`, RFC 6838 section 4.2.8) and
// parameters (RFC 9110 section 8.3.1). A longer name is another type: `application/grpc-web` is not `application/grpc`.

/** Messages of gRPC over HTTP/2 (PROTOCOL-HTTP2.md, "Content-Type"). */
export const GRPC = "application/grpc";

const TAB = 0x09;
const SPACE = 0x20;
const PLUS = 0x2b;
const SEMICOLON = 0x3b;

/** Does the name of a type end before this octet? */
export function endsMediaType(octet: number): boolean {
  return octet === PLUS || octet === SEMICOLON || octet === SPACE || octet === TAB;
}

/** @param value of the field; undefined: there is none */
export function isMediaType(value: string | undefined, type: string): boolean {
  if (value?.startsWith(type) !== true) return false;
  return value.length === type.length || endsMediaType(value.charCodeAt(type.length));
}
