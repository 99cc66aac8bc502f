// How long a body is: Content-Length and Transfer-Encoding read strictly (RFC 9112 sections 6.1 to 6.3), for
// requests and responses alike. Everything that two parsers have been seen to read differently is refused, also
// what the RFC lets a recipient repair.
import { FIELD, FRAMING } from "./field.ts";
import type { FieldTable } from "./field-table.ts";
import type { MessageHead } from "./head.ts";
import { CR, DIGIT, HTAB, isAll, OCTET, SP, TOKEN, trimmed } from "./octet.ts";
import type { RefusalDetail } from "./refusal.ts";

/** Sets framing to "length", "chunked" or "none" by the fields alone. @returns the broken rule, if any. */
export function readFraming(head: MessageHead): RefusalDetail | undefined {
  const fields = head.fields;
  const present = fields.present & FRAMING;
  if (present === 0) return undefined;
  if ((fields.repeated & (1 << FIELD.contentLength)) !== 0) return "content-length-repeated";
  if ((fields.repeated & (1 << FIELD.transferEncoding)) !== 0) return "transfer-encoding-repeated";
  if (present === FRAMING) return "transfer-encoding-with-content-length";
  return fields.has(FIELD.contentLength) ? readLength(head) : readCoding(head);
}

/** 1*DIGIT, no sign, no list, and a number that can be counted exactly. Leading zeros are digits too. */
function readLength(head: MessageHead): RefusalDetail | undefined {
  const { fields } = head;
  const field = fields.indexOf(FIELD.contentLength);
  const start = fields.valueStart(field);
  const end = fields.valueEnd(field);
  if (end === start) return "bad-content-length";
  let length = 0;
  for (let index = start; index < end; index++) {
    const digit = fields.octetAt(index) - 0x30;
    if (digit < 0 || digit > 9) return "bad-content-length";
    length = length * 10 + digit;
    if (length > Number.MAX_SAFE_INTEGER) return "bad-content-length";
  }
  head.contentLength = length;
  head.framing = "length";
  return undefined;
}

/** The one coding understood is "chunked", alone. */
function readCoding(head: MessageHead): RefusalDetail | undefined {
  if (head.minorVersion === 0) return "transfer-encoding-in-1.0";
  const value = head.fields.known(FIELD.transferEncoding) ?? "";
  if (value !== "chunked" && value.toLowerCase() !== "chunked") return faultOfCodings(value.toLowerCase());
  if (hasTabBehind(head.fields)) return "bad-transfer-encoding";
  head.framing = "chunked";
  return undefined;
}

/** A tab behind the coding is whitespace to the RFC and part of the coding to llhttp, among others. */
function hasTabBehind(fields: FieldTable): boolean {
  let at = fields.valueEnd(fields.indexOf(FIELD.transferEncoding));
  while (fields.octetAt(at) === SP) at++;
  return fields.octetAt(at) === HTAB;
}

function faultOfCodings(value: string): RefusalDetail {
  const codings = value.split(",").map(trimmed);
  if (codings.some((coding) => !isAll(coding, 0, coding.length, TOKEN))) return "bad-transfer-encoding";
  if (codings.filter((coding) => coding === "chunked").length > 1) return "chunked-repeated";
  return codings.at(-1) === "chunked" ? "unknown-transfer-coding" : "chunked-not-final";
}

const ZERO = 0x30;

/** Is this Transfer-Encoding written the one way that no peer misreads: `chunked`, one space before? */
export function isCanonicalCoding(fields: FieldTable, index: number): boolean {
  return isBehindSpace(fields, index) && fields.standsAt(fields.valueStart(index), "chunked\r\n");
}

/** The same of Content-Length: digits alone, of which the first is no 0 before others. */
export function isCanonicalLength(fields: FieldTable, index: number): boolean {
  const start = fields.valueStart(index);
  const end = fields.valueEnd(index);
  if (!isBehindSpace(fields, index) || start === end || fields.octetAt(end) !== CR) return false;
  if (fields.octetAt(start) === ZERO && end - start > 1) return false;
  for (let at = start; at < end; at++) if (((OCTET[fields.octetAt(at)] as number) & DIGIT) === 0) return false;
  return true;
}

/** One space, and nothing else, stands between the colon and the value. */
function isBehindSpace(fields: FieldTable, index: number): boolean {
  const nameEnd = fields.nameEnd(index);
  return fields.valueStart(index) === nameEnd + 2 && fields.octetAt(nameEnd + 1) === SP;
}
