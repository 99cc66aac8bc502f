// Sections that came before are taken as they were: whatever is made of a head the first time is made of it the fifth time,
// whatever else came in between, and a section that differs by one byte is read as what it is.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { wordsOf } from "../../runtime/words.ts";
import { NEEDS_MORE, REFUSED } from "./contract.ts";
import { RequestDecoder, ResponseDecoder } from "./decoder.ts";
import { encodeRequestHead, encodeResponseHead } from "./encoder.ts";
import { FIELD, FIELD_NAMES } from "./field.ts";
import { FieldTable } from "./field-table.ts";
import type { MessageHead } from "./head.ts";
import { HeadEdits } from "./head-edits.ts";
import { DEFAULT_HTTP1_LIMITS, type Http1Limits } from "./limits.ts";
import { knownSections, SectionMemo } from "./section-memo.ts";

const REQUEST_LINES = [
  "GET /a HTTP/1.1",
  "POST /a?b=c HTTP/1.1",
  "GET /a HTTP/1.0",
  "GET http://other/a HTTP/1.1",
  "CONNECT orders:80 HTTP/1.1",
  "CONNECT /a HTTP/1.1",
  "OPTIONS * HTTP/1.1",
];
const STATUS_LINES = [
  "HTTP/1.1 200 OK",
  "HTTP/1.0 200 OK",
  "HTTP/1.1 204 No Content",
  "HTTP/1.1 304 Not Modified",
  "HTTP/1.1 101 Switching Protocols",
  "HTTP/1.1 103 Early Hints",
  "HTTP/1.1 426 Upgrade Required",
  "HTTP/1.1 500",
];
const LINES = [
  "Content-Length: 5",
  "content-length:07",
  "Content-Length: 0",
  "Content-Length: +1",
  "Transfer-Encoding: chunked",
  "transfer-encoding:  Chunked",
  "Transfer-Encoding: gzip",
  "Connection: close",
  "Connection: keep-alive",
  "Connection: upgrade, x-some",
  "Upgrade: websocket",
  "Upgrade: h2c",
  "Keep-Alive: timeout=5, max=7",
  "TE: trailers",
  "Expect: 100-continue",
  "X-Some: one",
  "X-Forwarded-For: 10.0.0.7",
  "Via: 1.1 other",
  "Host: other",
  `X-Long: ${"v".repeat(300)}`,
  "Accept: */*",
];
const section = fc
  .uniqueArray(fc.constantFrom(...LINES), { maxLength: 6 })
  .map((lines) => `Host: orders\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n`);

/** All that is known of a head, and what is sent of it. */
function factsOf(head: MessageHead, encode: (head: MessageHead, edits: HeadEdits) => string): unknown {
  const { framing, contentLength, keepAlive, upgrade, expectContinue, acceptsTrailers, authority } = head;
  const { keepAliveTimeoutSeconds, keepAliveMax, isConnect, isAbsoluteForm, fields } = head;
  const edits = new HeadEdits();
  const plain = encode(head, edits);
  edits.framing = "chunked";
  edits.dropKinds = 1 << FIELD.via;
  edits.set("X-Some", "two");
  return {
    ...{ framing, contentLength, keepAlive, upgrade, expectContinue, acceptsTrailers, authority },
    ...{ keepAliveTimeoutSeconds, keepAliveMax, isConnect, isAbsoluteForm },
    fields: Array.from({ length: fields.count }, (_, index) => [
      fields.kindAt(index),
      fields.nameAt(index),
      fields.valueAt(index),
    ]),
    known: FIELD_NAMES.map((name, kind) => (name === "" ? undefined : fields.known(kind))),
    length: fields.length,
    plain,
    edited: encode(head, edits),
  };
}

/** A decoder that reads heads one after the other; what it finds in each, or the rule that was broken. */
function reader(isRequest: boolean, limits: Http1Limits = DEFAULT_HTTP1_LIMITS, method = "GET") {
  const request = new RequestDecoder(limits);
  const response = new ResponseDecoder(limits);
  const decoder = isRequest ? request : response;
  response.expect(method, "websocket, h2c");
  return (head: string, cut = 0): unknown => {
    decoder.reset();
    const bytes = Buffer.from(head, "latin1");
    let at = cut > 0 ? decoder.decodeHead(Buffer.from(bytes.subarray(0, cut)), 0, cut) : NEEDS_MORE;
    if (at === NEEDS_MORE) at = decoder.decodeHead(bytes, cut, bytes.length);
    if (at === REFUSED) return decoder.refusal?.detail;
    expect(at).toBe(bytes.length);
    return factsOf(decoder.head, isRequest ? encodeRequestHead : encodeResponseHead);
  };
}

/** By bytes alone: a head that is cut within its last line is none that came before. */
function readingOf(isRequest: boolean, head: string, limits?: Http1Limits, method?: string): unknown {
  return reader(isRequest, limits, method)(head, head.length - 1);
}

describe("sections that came before", () => {
  test("mean what they meant, in requests and answers of either version, whatever they come with", () => {
    const heads = fc.array(fc.tuple(fc.boolean(), fc.nat(), section, fc.constantFrom("GET", "HEAD", "CONNECT")), {
      minLength: 1,
      maxLength: 4,
    });
    const run = (all: [boolean, number, string, string][]): void => {
      // The same sections with other start lines in between, on connections of their own and on shared ones.
      const shared = reader(true);
      for (let time = 0; time < 4; time++) {
        for (const [isRequest, number, fields, method] of all) {
          const lines = isRequest ? REQUEST_LINES : STATUS_LINES;
          for (const line of [lines[number % lines.length], lines[(number + time) % lines.length]]) {
            const head = `${line}\r\n${fields}`;
            const expected = readingOf(isRequest, head, undefined, method);
            expect([head, reader(isRequest, undefined, method)(head)]).toEqual([head, expected]);
            if (isRequest) expect([head, shared(head)]).toEqual([head, expected]);
          }
        }
      }
    };
    fc.assert(fc.property(heads, run));
  });

  test("are found again", () => {
    const text = "Host: orders\r\nX-Found: again\r\n\r\n";
    const bytes = Buffer.from(`GET /found HTTP/1.1\r\n${text}`);
    const decoder = new RequestDecoder();
    for (let time = 0; time < 3; time++) {
      decoder.reset();
      decoder.decodeHead(bytes, 0, bytes.length);
    }
    expect(decoder.head.fields.section).toMatchObject({ length: text.length, count: 2, authority: "orders" });
    expect(decoder.head.fields.section?.meaning).toMatchObject({ framing: "none", keepAlive: true });
    expect(decoder.head.fields.lineAt(1)).toBeGreaterThanOrEqual(0);
  });

  test("say nothing about a section that differs in any byte", () => {
    const head = "GET / HTTP/1.1\r\nHost: orders\r\nContent-Length: 12\r\nX-Other: 1\r\n\r\n";
    const read = reader(true);
    for (let time = 0; time < 3; time++) read(head);
    for (let at = head.indexOf("Host"); at < head.length; at++) {
      for (const octet of ["\0", "\t", "\n", "\r", " ", ":", "-", "2", "a", "\x7f", "\xff"]) {
        const other = head.slice(0, at) + octet + head.slice(at + 1);
        // What ends sooner is followed by octets of no head.
        if (other.indexOf("\r\n\r\n") !== other.length - 4) continue;
        expect([other, read(other)]).toEqual([other, readingOf(true, other)]);
      }
    }
  });

  test("keep nothing of what one head made of them", () => {
    const nominating = "GET / HTTP/1.1\r\nHost: orders\r\nConnection: x-some\r\nX-Some: one\r\n\r\n";
    const read = reader(true);
    for (let time = 0; time < 5; time++) expect(read(nominating)).toEqual(readingOf(true, nominating));
    expect(read(nominating)).toMatchObject({ plain: "GET / HTTP/1.1\r\nHost: orders\r\n\r\n" });
  });

  test("count against the limits of fields and octets", () => {
    const head = `GET / HTTP/1.1\r\nHost: orders\r\n${"X-Few: 1\r\n".repeat(9)}\r\n`;
    const few = { ...DEFAULT_HTTP1_LIMITS, fieldsMax: 9 };
    const short = { ...DEFAULT_HTTP1_LIMITS, headBytesMax: head.length - 1 };
    const exact = { ...DEFAULT_HTTP1_LIMITS, headBytesMax: head.length, fieldsMax: 10 };
    for (let time = 0; time < 3; time++) reader(true)(head);
    expect(reader(true, few)(head)).toBe("too-many-fields");
    expect(reader(true, short)(head)).toBe("head-too-large");
    expect(reader(true, exact)(head)).toEqual(readingOf(true, head));
  });

  test("that are longer than what is kept are read as they are", () => {
    const limit = 512 - 16;
    for (const length of [limit - 1, limit, limit + 1]) {
      const lines = "Host: orders\r\nX-Long: ";
      const head = `GET / HTTP/1.1\r\n${lines}${"v".repeat(length - lines.length - 4)}\r\n\r\n`;
      const decoder = new RequestDecoder();
      for (let time = 0; time < 3; time++) {
        decoder.reset();
        expect(decoder.decodeHead(Buffer.from(head), 0, head.length)).toBe(head.length);
      }
      expect(decoder.head.fields.section?.length).toBe(length > limit ? undefined : length);
      expect(reader(true)(head)).toEqual(readingOf(true, head));
    }
  });

  test("are taken whole within one read, and not beyond its end", () => {
    const head = "GET / HTTP/1.1\r\nHost: orders\r\nX-Whole: 1234567\r\n\r\n";
    for (let time = 0; time < 3; time++) reader(true)(head);
    const bytes = Buffer.from(head);
    for (let end = 1; end < head.length; end++) {
      const decoder = new RequestDecoder();
      expect(decoder.decodeHead(bytes, 0, end)).toBe(NEEDS_MORE);
      expect(decoder.decodeHead(bytes, end, bytes.length)).toBe(bytes.length);
      expect(factsOf(decoder.head, encodeRequestHead)).toEqual(readingOf(true, head));
    }
  });

  test("are not kept where there are secrets in them", () => {
    for (const [text, kind] of [
      ["Authorization: Bearer abcdef\r\n\r\n", FIELD.authorization],
      ["Proxy-Authorization: Basic abcdef\r\n\r\n", FIELD.unknown],
      ["Cookie: a=bcdefghijklmn\r\n\r\n", FIELD.cookie],
      ["Set-Cookie: a=bcdefghijklmn\r\n\r\n", FIELD.setCookie],
      ["X-Other: a=bcdefghijklmn\r\n\r\n", FIELD.unknown],
    ] as const) {
      const memo = new SectionMemo();
      const bytes = Buffer.from(text);
      const words = wordsOf(bytes);
      for (let time = 0; time < 3; time++) {
        const table = new FieldTable();
        const colon = text.indexOf(":");
        if (memo.find(words, 0, bytes.length) !== undefined) continue;
        table.open(0, colon, kind);
        table.close(colon + 2, text.length - 4);
        memo.note(bytes, 0, bytes.length, table, 0);
      }
      expect(memo.find(words, 0, bytes.length)?.length).toBe(text.startsWith("X-Other") ? bytes.length : undefined);
    }
  });

  test("of which none comes again are hardly kept at all, and those that do come again are, behind them", () => {
    const memo = new SectionMemo();
    let kept = 0;
    class CountedTable extends FieldTable {
      override marksFrom(...where: Parameters<FieldTable["marksFrom"]>): Int32Array {
        kept++;
        return super.marksFrom(...where);
      }
    }
    // The id is where nobody looks: first and last octets, and those in the middle, are the same.
    const send = (id: string): boolean => {
      const text = `Host: orders.default\r\nX-Id: ${id}\r\nX-Long: ${"v".repeat(200)}\r\n\r\n`;
      const bytes = Buffer.from(text);
      const words = wordsOf(bytes);
      if (memo.find(words, 0, bytes.length) !== undefined) return true;
      const table = new CountedTable();
      for (const line of text.split("\r\n").slice(0, 3)) {
        const at = text.indexOf(line);
        table.open(at, at + line.indexOf(":"), FIELD.unknown);
        table.close(at + line.indexOf(" ") + 1, at + line.length);
      }
      memo.note(bytes, 0, bytes.length, table, 0);
      return false;
    };
    for (let id = 10_000; id < 20_000; id++) expect(send(`${id}`)).toBe(false);
    expect(kept).toBeLessThan(25);
    let sent = 0;
    while (!send("again")) sent++;
    expect(sent).toBeLessThan(1_030);
    expect(send("again")).toBe(true);
  });

  test("that others took the place of since stay what they were in the heads that had them", () => {
    const decoder = new RequestDecoder();
    const text = "Host: orders\r\nX-Kept: the value\r\nConnection: close\r\n\r\n";
    const bytes = Buffer.from(`GET /kept HTTP/1.1\r\n${text}`);
    for (let time = 0; time < 3; time++) {
      decoder.reset();
      decoder.decodeHead(bytes, 0, bytes.length);
    }
    const { fields } = decoder.head;
    expect(fields.section).toBeDefined();
    const read = reader(true);
    for (let number = 0; number < 5_000; number++)
      for (let time = 0; time < 2; time++) read(`GET / HTTP/1.1\r\nHost: o${number}\r\nX-Number: ${number}\r\n\r\n`);
    expect(knownSections.find(wordsOf(bytes), bytes.length - text.length, bytes.length)).toBeUndefined();
    expect([fields.valueAt(1), fields.nameAt(2), decoder.head.keepAlive]).toEqual(["the value", "Connection", false]);
  });
});
