// Standard output that several processes write lines to. A pipe keeps a write whole only up to PIPE_BUF bytes (POSIX;
// 4096 on Linux), so text goes out in pieces of whole lines that are no longer than that.
import type { LineSink } from "../access-log.ts";

const PIPE_BUF = 4_096;

/** @param sink takes each piece as one write */
export function sharedLines(sink: LineSink): LineSink {
  return {
    get writableLength() {
      return sink.writableLength;
    },
    write: (text, done) => {
      for (const piece of pieces(text)) sink.write(piece);
      if (done !== undefined) sink.write("", done);
    },
  };
}

/** Whole lines, as many as fit into one write; a line that is longer by itself is a piece of its own. */
export function pieces(text: string): string[] {
  const found: string[] = [];
  let piece = "";
  let pieceBytes = 0;
  for (const line of text.match(/[^\n]*\n|[^\n]+$/g) ?? []) {
    const bytes = Buffer.byteLength(line);
    if (piece !== "" && pieceBytes + bytes > PIPE_BUF) {
      found.push(piece);
      piece = "";
      pieceBytes = 0;
    }
    piece += line;
    pieceBytes += bytes;
  }
  if (piece !== "") found.push(piece);
  return found;
}
