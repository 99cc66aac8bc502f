// One message head, request or response, as it came: its text and where things are in it. Strings are cut out of
// the text only when asked for. Not a header map: order, case and duplicates are the message's own.
import type { Framing } from "./contract.ts";

export interface MessageHead {
  /** The head as latin1 text from the first byte of the start line to the empty line included. */
  readonly text: string;
  /** 1 or 0: HTTP/1.1 or HTTP/1.0. */
  readonly minorVersion: number;
  /** Request: as sent, case-sensitive. */
  readonly method: string;
  /** Request: the request-target as sent. */
  readonly target: string;
  /** Request: path and query of the target without the authority ("/" if absolute-form has none; "*"; "" for CONNECT). */
  readonly originForm: string;
  /** Request: path without the query; of CONNECT "". */
  readonly path: string;
  /** Request: without "?"; "" if none. */
  readonly query: string;
  /** Request: host[:port] from Host, or from the target (which must agree); "" only in HTTP/1.0 without Host. */
  readonly authority: string;
  readonly isAbsoluteForm: boolean;
  readonly isConnect: boolean;
  /** Response: 100..999, and the reason phrase as sent ("" if none). */
  readonly status: number;
  readonly reason: string;

  readonly framing: Framing;
  /** Content-Length: the body's length when framing is "length"; also on HEAD and 304; -1 when absent. */
  readonly contentLength: number;
  /** Whether the peer lets the connection be used again after this message (version, Connection tokens, framing). */
  readonly keepAlive: boolean;
  /** Request: asks for, or response 101: confirms a protocol (never h2c, which is hidden from both). */
  readonly upgrade: boolean;
  /** Request HTTP/1.1 with `Expect: 100-continue`. */
  readonly expectContinue: boolean;
  /** Request: `TE: trailers`. */
  readonly acceptsTrailers: boolean;
  /** Seconds of `Keep-Alive: timeout=N`; -1 when absent. */
  readonly keepAliveTimeoutSeconds: number;
  /** `max=N` of Keep-Alive; -1 when absent. */
  readonly keepAliveMax: number;

  readonly fieldCount: number;
  /** Kind (field.ts) of field `index`. */
  kindAt(index: number): number;
  nameAt(index: number): string;
  valueAt(index: number): string;
  /** Is there a field of this known kind? One test of a bit. */
  has(kind: number): boolean;
  /** First value of a known kind, or undefined. */
  known(kind: number): string | undefined;
  /** Value by lower-case name, repeated ones joined with ", " (cookie: "; "); undefined when absent. No allocation on a miss. */
  value(lowerName: string): string | undefined;
}
