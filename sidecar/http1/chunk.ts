// Chunk framing out (RFC 9112 section 7.1), for content whose own framing ends at this hop. All of it latin1 text.

/** What stands before `size` bytes of content (never 0: that would be the last chunk). */
export function chunkHeader(size: number): string {
  return `${size.toString(16)}\r\n`;
}

/** What stands after them. */
export const CHUNK_END = "\r\n";

/** The end of a body without trailers. */
export const LAST_CHUNK = "0\r\n\r\n";
