// The static table of HPACK (RFC 7541 appendix A) as flat arrays from index 1 on.
import { FIELD_KINDS, fieldKind } from "./field.ts";
import { classesOf } from "./octet.ts";

const ENTRIES: readonly (readonly [name: string, value: string])[] = [
  [":authority", ""],
  [":method", "GET"],
  [":method", "POST"],
  [":path", "/"],
  [":path", "/index.html"],
  [":scheme", "http"],
  [":scheme", "https"],
  [":status", "200"],
  [":status", "204"],
  [":status", "206"],
  [":status", "304"],
  [":status", "400"],
  [":status", "404"],
  [":status", "500"],
  ["accept-charset", ""],
  ["accept-encoding", "gzip, deflate"],
  ["accept-language", ""],
  ["accept-ranges", ""],
  ["accept", ""],
  ["access-control-allow-origin", ""],
  ["age", ""],
  ["allow", ""],
  ["authorization", ""],
  ["cache-control", ""],
  ["content-disposition", ""],
  ["content-encoding", ""],
  ["content-language", ""],
  ["content-length", ""],
  ["content-location", ""],
  ["content-range", ""],
  ["content-type", ""],
  ["cookie", ""],
  ["date", ""],
  ["etag", ""],
  ["expect", ""],
  ["expires", ""],
  ["from", ""],
  ["host", ""],
  ["if-match", ""],
  ["if-modified-since", ""],
  ["if-none-match", ""],
  ["if-range", ""],
  ["if-unmodified-since", ""],
  ["last-modified", ""],
  ["link", ""],
  ["location", ""],
  ["max-forwards", ""],
  ["proxy-authenticate", ""],
  ["proxy-authorization", ""],
  ["range", ""],
  ["referer", ""],
  ["refresh", ""],
  ["retry-after", ""],
  ["server", ""],
  ["set-cookie", ""],
  ["strict-transport-security", ""],
  ["transfer-encoding", ""],
  ["user-agent", ""],
  ["vary", ""],
  ["via", ""],
  ["www-authenticate", ""],
];

/** Indices 1 .. STATIC_ENTRIES; the dynamic table begins behind them. */
export const STATIC_ENTRIES: number = ENTRIES.length;
export const STATIC_NAMES: readonly string[] = ["", ...ENTRIES.map(([name]) => name)];
export const STATIC_VALUES: readonly string[] = ["", ...ENTRIES.map(([, value]) => value)];
export const STATIC_KINDS: readonly number[] = STATIC_NAMES.map(fieldKind);
/** Classes of octets that names and values are of, as in octet.ts. */
export const STATIC_NAME_CLASSES: readonly number[] = STATIC_NAMES.map(classesOf);
export const STATIC_VALUE_CLASSES: readonly number[] = STATIC_VALUES.map(classesOf);

/** The first index with the name of each kind; 0 where there is none. */
export const STATIC_INDEX_OF_KIND: Uint8Array = indexOfKind();

function indexOfKind(): Uint8Array {
  const table = new Uint8Array(FIELD_KINDS);
  for (let index = STATIC_ENTRIES; index > 0; index--) table[STATIC_KINDS[index] ?? 0] = index;
  return table;
}
