// What an encoder of HPACK remembers of one field name: which of its values are in the table, and which were sent lately.

/** Values of one name that are remembered at a time. */
export const WAYS = 4;

/** The encoder's to change. */
export class NameMemory {
  readonly name: string;
  /** 0: none. */
  readonly staticIndex: number;
  /** Number of the newest entry with this name; 0: none. */
  lastEntry = 0;
  /**
   * The value that was found last, and its entry: mostly the next head has the same. With many connections the lists below
   * are out of cache, and six more places to look for each field.
   */
  found = "";
  foundEntry = 0;
  readonly values: string[] = ["", "", "", ""];
  /** Of each value: only one whose mark is the same is compared. */
  readonly marks: number[] = [0, 0, 0, 0];
  /** Number of the entry that holds each value; 0: none. Whether it is still there is seen by its number. */
  readonly entries: number[] = [0, 0, 0, 0];
  /** Marks of values that were sent without being entered, and how often each has come again. */
  readonly seen: number[] = [0, 0, 0, 0];
  readonly repeats: number[] = [0, 0, 0, 0];
  next = 0;
  nextSeen = 0;

  constructor(name: string, staticIndex: number) {
    this.name = name;
    this.staticIndex = staticIndex;
  }
}
