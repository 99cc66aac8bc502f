// `latin1Slice` has been a method of Buffer since its beginning and is what `toString("latin1")` calls; the type
// package leaves it out.
declare global {
  interface Buffer {
    latin1Slice(start: number, end: number): string;
  }
}

export {};
