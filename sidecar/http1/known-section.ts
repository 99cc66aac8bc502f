// A section of fields that came before: where its fields stand, and what they mean. Which bytes it has is known to
// section-memo.ts.
import type { Framing } from "./body-framing.ts";
import { LINE_END } from "./field-line.ts";

/** What fields mean by themselves, in whatever message of HTTP/1.1 they come (section-meaning.ts). */
export interface SectionMeaning {
  readonly framing: Framing;
  readonly contentLength: number;
  readonly keepAlive: boolean;
  readonly upgrade: boolean;
  readonly expectContinue: boolean;
  readonly acceptsTrailers: boolean;
  readonly keepAliveTimeoutSeconds: number;
  readonly keepAliveMax: number;
  /** Its framing field is written the one way that no peer misreads. */
  readonly isCanonical: boolean;
}

/** How many fields there are, and of which kinds (FieldTable). */
interface Counted {
  readonly count: number;
  readonly present: number;
  readonly repeated: number;
}

/** Nothing of it changes but what it is found to mean. */
export class KnownSection {
  /** The field lines, without the empty line behind them. */
  readonly lines: string;
  /** As in a FieldTable, counted from the first field line. */
  readonly marks: Int32Array;
  readonly count: number;
  readonly present: number;
  readonly repeated: number;
  /** Undefined until it has been read. */
  meaning: SectionMeaning | undefined = undefined;
  /** Host, where a request had it that was accepted; "" before. */
  authority = "";
  /** It came again. */
  isFound = false;

  constructor(lines: string, marks: Int32Array, { count, present, repeated }: Counted) {
    this.lines = lines;
    this.marks = marks;
    this.count = count;
    this.present = present;
    this.repeated = repeated;
  }

  /** Octets, the empty line included. */
  get length(): number {
    return this.lines.length + LINE_END.length;
  }
}
