// Lines that came before are taken as they were: whatever is made of a head the first time is made of it the fifth time,
// and a line that differs by one byte is read as what it is.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { wordsOf } from "../../runtime/words.ts";
import { NEEDS_MORE, REFUSED } from "./contract.ts";
import { RequestDecoder } from "./decoder.ts";
import { FIELD } from "./field.ts";
import { FieldTable } from "./field-table.ts";
import { knownLines, LineMemo } from "./line-memo.ts";

const NAMES = [
  "Accept",
  "X-Forwarded-For",
  "x-forwarded-proto",
  "Content-Type",
  "a",
  "Transfer-Encodin",
  "x".repeat(60),
];
const VALUES = [
  "",
  "1",
  "*/*",
  "  padded \t",
  "text/plain; charset=utf-8",
  "10.0.0.7",
  "v".repeat(170),
  "w".repeat(200),
  "é",
  "a: b",
];
const line = fc
  .tuple(fc.constantFrom(...NAMES), fc.constantFrom(...VALUES))
  .map(([name, value]) => `${name}:${value}\r\n`);

/** Fields, or the rule that was broken, of what may be cut at `cut`. */
function readingOf(head: string, cut = 0): unknown {
  const decoder = new RequestDecoder();
  const bytes = Buffer.from(head, "latin1");
  let at = cut > 0 ? decoder.decodeHead(Buffer.from(bytes.subarray(0, cut)), 0, cut) : NEEDS_MORE;
  if (at === NEEDS_MORE) at = decoder.decodeHead(bytes, cut, bytes.length);
  if (at === REFUSED) return decoder.refusal?.detail;
  const { fields } = decoder.head;
  return Array.from({ length: fields.count }, (_, index) => [
    fields.kindAt(index),
    fields.nameAt(index),
    fields.valueAt(index),
  ]);
}

function headOf(lines: readonly string[]): string {
  return `GET / HTTP/1.1\r\nHost: orders\r\n${lines.join("")}\r\n`;
}

describe("field lines that came before", () => {
  test("mean what they meant, whole or cut", () => {
    const run = (lines: string[], cut: number): void => {
      const head = headOf(lines);
      const expected = lines.map((each) => {
        const colon = each.indexOf(":");
        return [each.slice(0, colon), each.slice(colon + 1).replace(/^[ \t]+|[ \t]*\r\n$/g, "")];
      });
      for (let time = 0; time < 4; time++) {
        const read = readingOf(head, time === 2 ? 1 + (cut % (head.length - 1)) : 0) as [number, string, string][];
        expect(read.slice(1).map(([, name, value]) => [name, value])).toEqual(expected);
      }
    };
    fc.assert(fc.property(fc.array(line, { maxLength: 8 }), fc.nat(), run));
  });

  test("say nothing about a line that differs in any byte", () => {
    const kept = "X-Forwarded-For: 10.0.0.7, 10.0.0.8\r\n";
    const head = headOf([kept, "Accept: */*\r\n"]);
    for (let time = 0; time < 3; time++) readingOf(head);
    const start = head.indexOf(kept);
    for (let at = start; at < start + kept.length; at++) {
      for (const octet of ["\0", "\t", "\n", "\r", " ", ":", "-", "_", "a", "\x7f", "\xff"]) {
        const other = head.slice(0, at) + octet + head.slice(at + 1);
        // Cut within the line it is read byte by byte.
        const expected = readingOf(other, start + 1);
        expect([other, readingOf(other)]).toEqual([other, expected]);
      }
    }
  });

  test("that others took the place of since stay what they were in the heads that had them", () => {
    const decoder = new RequestDecoder();
    for (let time = 0; time < 3; time++) {
      // Another section each time: one that came before is taken whole (section-memo.ts).
      const lines = ["X-Kept: the value\r\n", "X-Other: another\r\n", `X-Time: ${time}\r\n`];
      const bytes = Buffer.from(headOf(lines), "latin1");
      decoder.reset();
      decoder.decodeHead(bytes, 0, bytes.length);
    }
    const { fields } = decoder.head;
    expect(fields.lineAt(1)).toBeGreaterThanOrEqual(0);
    const line = fields.lineAt(1);
    expect(knownLines.valueOf(line)).toBe("the value");
    for (let number = 0; number < 10_000; number++)
      for (let time = 0; time < 2; time++) readingOf(headOf([`X-${number}: ${number}\r\n`]));
    expect(knownLines.valueOf(line)).toBeUndefined();
    expect([fields.valueAt(1), fields.valueAt(2)]).toEqual(["the value", "another"]);
  });

  test("count against the limit of fields", () => {
    const head = headOf(Array.from({ length: 200 }, () => "Accept: */*\r\n"));
    for (let time = 0; time < 3; time++) expect(readingOf(head)).toBe("too-many-fields");
  });

  test("are not kept where they are secrets", () => {
    for (const [text, kind] of [
      ["Authorization: Bearer abcdef\r\n", FIELD.authorization],
      ["Proxy-Authorization: Basic abcdef\r\n", FIELD.unknown],
      ["Cookie: a=bcdefghij\r\n", FIELD.cookie],
      ["X-Other: a=bcdefghij\r\n", FIELD.unknown],
    ] as const) {
      const memo = new LineMemo();
      const bytes = Buffer.from(text);
      const words = wordsOf(bytes);
      for (let time = 0; time < 3; time++) {
        const table = new FieldTable();
        const colon = text.indexOf(":");
        if (memo.find(words, 0, bytes.length) > 0) expect(text).toContain("X-Other");
        else {
          table.open(0, colon, kind);
          table.close(colon + 2, text.length - 2);
          memo.note(bytes, 0, bytes.length, table);
        }
      }
      expect(memo.find(words, 0, bytes.length)).toBe(text.startsWith("X-Other") ? bytes.length : 0);
    }
  });
});
