// A head that came in another protocol, as heads are seen here: its parts are strings already, so nothing is written down
// and scanned. A type, no code.

/** Stays as it is until the head that was made of it is cleared. */
export interface HeadSource {
  readonly method: string;
  /** Path and query, or "*". */
  readonly path: string;
  readonly authority: string;
  readonly status: number;
  /** The first `count` are its fields, in lower case; Host is not among them. */
  readonly count: number;
  /** Its fields take at most so many octets as lines; 0: it is not known. */
  readonly listBytes: number;
  nameAt(index: number): string;
  valueAt(index: number): string;
  /** A number for each name that its room knows, 0 for the others. */
  kindAt(index: number): number;
  /** -1 when absent. */
  readonly contentLength: number;
  readonly acceptsTrailers: boolean;
  /** Heads that came before with the same names, in the same order; undefined: none is known. */
  readonly block: SourceBlock | undefined;
}

/** What was found out about such heads can be kept here. */
export interface SourceBlock {
  memo: unknown;
}
