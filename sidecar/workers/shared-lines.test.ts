// Lines that several processes write to one pipe stay whole.
import { expect, test } from "vitest";
import { pieces, sharedLines } from "./shared-lines.ts";

const line = (bytes: number, letter = "a") => `${letter.repeat(bytes - 1)}\n`;

test("text goes out in pieces of whole lines of at most 4096 bytes", () => {
  expect(pieces(line(2_000) + line(2_096) + line(1))).toEqual([line(2_000) + line(2_096), line(1)]);
  expect(pieces(line(2_000) + line(2_097))).toEqual([line(2_000), line(2_097)]);
});

test("bytes are counted, not characters", () => {
  const wide = `${"ü".repeat(2_047)}\n`;
  expect(pieces(wide + line(2))).toEqual([wide, line(2)]);
  expect(pieces(wide + line(1))).toEqual([wide + line(1)]);
});

test("a line that is longer than a piece is one by itself, and nothing is lost", () => {
  const text = `${line(10)}${line(9_000, "b")}${line(10, "c")}no end`;
  expect(pieces(text)).toEqual([line(10), line(9_000, "b"), `${line(10, "c")}no end`]);
  expect(pieces("")).toEqual([]);
});

test("each piece is one write", () => {
  const writes: string[] = [];
  const sink = sharedLines({ writableLength: 7, write: (text) => writes.push(text) });
  sink.write(line(4_000) + line(4_000));
  expect([sink.writableLength, writes.length]).toEqual([7, 2]);
});
