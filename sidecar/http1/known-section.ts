// A section of fields that came before: where its fields stand, and what they mean. Which bytes it has is known to
// section-memo.ts.
import type { Framing } from "./body-framing.ts";
import { LINE_END } from "./field-line.ts";
import { KIND_MASK, KIND_SHIFT, MARKS } from "./field-marks.ts";

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

/** Nothing of it changes but what is found out about it. */
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
  /** What others have found out about messages with it. */
  memo: unknown = undefined;

  constructor(lines: string, marks: Int32Array, { count, present, repeated }: Counted) {
    this.lines = lines;
    this.marks = marks;
    this.count = count;
    this.present = present;
    this.repeated = repeated;
  }

  /** The lines, without the fields of the kinds `dropped` (`1 << FIELD.via`). */
  linesWithout(dropped: number): string {
    let lines = "";
    for (let at = 0; at < this.marks.length; at += MARKS) {
      const mark = this.marks[at] as number;
      if (((dropped >> (mark & KIND_MASK)) & 1) === 1) continue;
      const next = this.marks[at + MARKS];
      lines += this.lines.slice(mark >>> KIND_SHIFT, next === undefined ? this.lines.length : next >>> KIND_SHIFT);
    }
    return lines;
  }

  /** Octets, the empty line included. */
  get length(): number {
    return this.lines.length + LINE_END.length;
  }
}
