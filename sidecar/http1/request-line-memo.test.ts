// Request lines that came before are taken as they were: whatever is made of one the first time is made of it the fifth
// time, whole or cut, and a line that differs by one byte is read as what it is.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { NEEDS_MORE, REFUSED } from "./contract.ts";
import { RequestDecoder } from "./decoder.ts";
import { DEFAULT_HTTP1_LIMITS, type Http1Limits } from "./limits.ts";
import { REQUEST_LINE_PLACES } from "./request-line-memo.ts";

const METHODS = ["GET", "POST", "OPTIONS", "get", "M", "CONNECT", "PATCH"];
const TARGETS = [
  "/",
  "//",
  "/a",
  "/api/v1/orders/17",
  "/api/v1/orders/18",
  "/api/v1/orders/18?",
  "/api/v1/orders?page=2",
  "/a%20b",
  "/a;b=c",
  `/${"long/".repeat(44)}`,
  `/${"long/".repeat(44)}x`,
  `/${"longer/".repeat(60)}`,
  "*",
  "http://orders/a",
  "orders:80",
];
const REST = "Host: orders\r\nAccept: */*\r\n\r\n";

/** What is read of a head, or the rule that was broken, of what may be cut at `cut`. */
function readingOf(head: string, cut = 0, decoder = new RequestDecoder()): unknown {
  decoder.reset();
  // Behind something else, as in a buffer that others read into, too.
  const lead = 13;
  const bytes = Buffer.from("x".repeat(lead) + head, "latin1");
  let at = cut > 0 ? decoder.decodeHead(Buffer.from(head.slice(0, cut), "latin1"), 0, cut) : NEEDS_MORE;
  if (at === NEEDS_MORE) at = decoder.decodeHead(bytes, lead + cut, bytes.length);
  if (at === REFUSED) return decoder.refusal?.detail;
  const read = decoder.head;
  const { method, target, path, query, originForm, text, authority, minorVersion, isConnect, isAbsoluteForm } = read;
  const { firstEnd, secondStart, secondEnd, fieldsStart, originStart } = read;
  const marks = [firstEnd, secondStart, secondEnd, fieldsStart, originStart];
  const flags = [minorVersion, isConnect, isAbsoluteForm];
  return [method, target, path, query, originForm, text, authority, ...flags, ...marks, read.value("accept")];
}

/** As byte by byte reads have it, which know no line. */
function plainReadingOf(head: string): unknown {
  return readingOf(head, 1);
}

describe("request lines that came before", () => {
  test("mean what they meant, whole or cut, on new connections and on one", () => {
    const shared = new RequestDecoder();
    const run = (method: string, target: string, minor: number, cut: number): void => {
      const head = `${method} ${target} HTTP/1.${minor}\r\n${REST}`;
      const expected = plainReadingOf(head);
      for (let time = 0; time < 4; time++) {
        expect(readingOf(head)).toEqual(expected);
        expect(readingOf(head, 0, shared)).toEqual(expected);
        expect(readingOf(head, 1 + (cut % (head.length - 1)))).toEqual(expected);
      }
    };
    const [method, target] = [fc.constantFrom(...METHODS), fc.constantFrom(...TARGETS)];
    fc.assert(fc.property(method, target, fc.constantFrom(0, 1), fc.nat(), run), { numRuns: 400 });
  });

  test("say nothing about a line that differs in any byte", () => {
    const line = "GET /api/v1/orders/17 HTTP/1.1\r\n";
    for (let time = 0; time < 3; time++) readingOf(line + REST);
    for (let at = 0; at < line.length; at++) {
      for (const octet of ["\0", "\t", "\n", "\r", " ", "?", "#", ":", "/", "0", "a", "\x7f", "\x8d", "\xff"]) {
        const head = line.slice(0, at) + octet + line.slice(at + 1) + REST;
        expect([head, readingOf(head)]).toEqual([head, plainReadingOf(head)]);
      }
    }
  });

  test("are the same texts for all who send them", () => {
    const [one, other] = [new RequestDecoder(), new RequestDecoder()];
    const head = `GET /the/same/path HTTP/1.1\r\n${REST}`;
    for (let time = 0; time < 3; time++) for (const decoder of [one, other]) readingOf(head, 0, decoder);
    expect(one.head.knownLine).toBeDefined();
    expect(one.head.knownLine).toBe(other.head.knownLine);
    expect(readingOf(`GET /another/path HTTP/1.1\r\n${REST}`, 0, one)).toContain("/another/path");
    expect(one.head.knownLine).toBeUndefined();
    expect(other.head.path).toBe("/the/same/path");
  });

  test("are not kept where they have a query, or are of another form or version", () => {
    const lines = ["GET /a?token=secret HTTP/1.1", "GET /a? HTTP/1.1", "GET /b HTTP/1.0", "OPTIONS * HTTP/1.1"];
    for (const line of [...lines, "GET http://orders/c HTTP/1.1", "CONNECT orders:80 HTTP/1.1"]) {
      const decoder = new RequestDecoder();
      for (let time = 0; time < 4; time++) readingOf(`${line}\r\n${REST}`, 0, decoder);
      expect([line, decoder.head.knownLine]).toEqual([line, undefined]);
    }
  });

  test("stay what they were in the heads that had them when others took their places", () => {
    const decoder = new RequestDecoder();
    const head = `GET /kept HTTP/1.1\r\n${REST}`;
    for (let time = 0; time < 3; time++) readingOf(head, 0, decoder);
    const known = decoder.head.knownLine;
    expect(known?.path).toBe("/kept");
    for (let number = 0; number < REQUEST_LINE_PLACES * 20; number++)
      for (let time = 0; time < 2; time++) readingOf(`GET /other/${number} HTTP/1.1\r\n${REST}`);
    expect([decoder.head.method, decoder.head.path, decoder.head.target]).toEqual(["GET", "/kept", "/kept"]);
    expect(readingOf(head)).toEqual(plainReadingOf(head));
  });

  test("count against the limit of whoever reads them", () => {
    const head = `GET /${"x".repeat(100)} HTTP/1.1\r\n${REST}`;
    for (let time = 0; time < 3; time++) readingOf(head);
    const limits: Http1Limits = { ...DEFAULT_HTTP1_LIMITS, startLineBytesMax: 64 };
    expect(readingOf(head, 0, new RequestDecoder(limits))).toBe("start-line-too-long");
  });
});
