// Where a path stands in the index of a table: kept by whoever asks for the same path again and again, so that it is
// looked for once. It may be of an index that is gone: then it is found anew.

/** Stands in no index. */
export const NOWHERE = -1;
/** Of the index of a place that was never looked for. */
const NO_INDEX = 0;

export class PathPlace {
  /** `PathIndex.serial`. Not the index itself, which would live as long as the place. */
  index = NO_INDEX;
  /** Group of the path itself, and of the longest prefix that holds for it. */
  exact: number = NOWHERE;
  deepest: number = NOWHERE;
}
