// Heads out: the text of the head that came, edited. Not a serializer of header maps: kept fields are copied as they
// stood, in runs, and only what the sidecar must change is written anew.
import type { MessageHead } from "./head.ts";

/**
 * How the next hop's body is framed. "same" keeps what came (Content-Length and Transfer-Encoding rewritten in place
 * to their one canonical form). "chunked": coding added (from until-close). "close": no framing fields, the end of
 * the connection ends it (chunked for an HTTP/1.0 client). "none": no body, framing fields out. "length": `length`.
 */
export type OutFraming = "same" | "chunked" | "close" | "none" | "length";

/** What to change in a head; one reusable object per connection, `clear()` before each use. */
export interface HeadEditList {
  /** Request: replaces the request-target ("" = origin-form of what came; CONNECT keeps its authority). */
  target: string;
  /** Request: replaces Host's value where it stands ("" = the head's authority). */
  host: string;
  /** Response: replaces the status line's code and reason (0 = as came). */
  status: number;
  /** Known kinds to leave out besides the hop-by-hop ones: `1 << FIELD.via | ...`. */
  dropKinds: number;
  /** Complete field lines put at the end, each ending in CRLF: `via: 1.1 weft\r\n`. The caller vouches for them. */
  append: string;
  framing: OutFraming;
  length: number;
  /** "close" / "keep-alive" put `connection:` in; "" leaves it to the version's default. */
  connection: "" | "close" | "keep-alive";
  /** Keep `Upgrade` and say `connection: upgrade`. */
  upgrade: boolean;
  clear(): void;
  /** Leaves out every field of this lower-case name. */
  remove(lowerName: string): void;
  /** Replaces: the first such field's value changes in place, further ones go; appended when absent. */
  set(name: string, value: string): void;
  /** Adds a line at the end. */
  add(name: string, value: string): void;
}

export type EncodeHead = (head: MessageHead, edits: HeadEditList) => string;
