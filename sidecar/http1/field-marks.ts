// What a field table remembers of each field of a text: marks side by side in one array, with the kind of the field in the
// low bits of the first.

/** Name start with the kind below it, name end, value start, value end, line (line-memo.ts). */
export const MARKS = 5;
export const LINE = 4;
/** Kinds are below 32 (field.ts); above them whether a Connection option named the field. Sections are below 64 MiB. */
export const KIND_MASK = 31;
export const NOMINATED = 32;
export const KIND_SHIFT = 6;
