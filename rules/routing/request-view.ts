// What routing may ask about a request, and the answer it gives: the contract between the data path, which fills the
// view from whatever it decoded, and the table, which only looks.
import type { RouteMatch, RouteRule } from "../resource.ts";
import type { PathPlace } from "./path-place.ts";

/** One request as routing sees it. Members are read only when a candidate rule needs them. */
export interface RequestView {
  /** As received; methods are case-sensitive (RFC 9110 section 9.1). */
  readonly method: string;
  /** As received, without the query: escapes are not decoded and dots are not resolved. */
  readonly path: string;
  /** Where this very path was found before, if somebody keeps it. */
  readonly place?: PathPlace | undefined;
  /** Without the `?`; empty when there is none. */
  readonly query: string;
  /** The service port that was asked for. */
  readonly port: number;
  /** Namespace of the caller. */
  readonly fromNamespace: string;
  /**
   * The value of a header by its lower-case name, or undefined when it is absent. Repeated fields are one value,
   * joined by `, ` in order (RFC 9110 section 5.3), `cookie` by `; ` (RFC 9113 section 8.2.3). `host` gives the authority.
   */
  header(lowerName: string): string | undefined;
}

/** The rule that a request goes by. Made once per match when the table is compiled: a lookup creates nothing. */
export interface RouteHit {
  readonly rule: RouteRule;
  /** Index of the rule in the table's `rules`: dense, for arrays of counters and policies. */
  readonly ruleNumber: number;
  readonly match: RouteMatch;
  readonly matchIndex: number;
}
