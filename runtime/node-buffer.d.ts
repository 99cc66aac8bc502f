// Methods of Buffer that the type package leaves out. They have been there since its beginning: `toString("latin1")` and
// `write(text, "latin1")` end there, after 20 ns of argument checks.
declare global {
  interface Buffer {
    latin1Slice(start: number, end: number): string;
    latin1Write(text: string, at: number, length: number): number;
  }
}

export {};
