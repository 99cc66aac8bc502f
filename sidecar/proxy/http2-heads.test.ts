// Heads that cross from one protocol to the other: what is made of them field by field is what the decoder and the
// encoder of HTTP/1.1 would have made of their text.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { OutFraming } from "../http1/contract.ts";
import { RequestDecoder, ResponseDecoder } from "../http1/decoder.ts";
import { encodeRequestHead, encodeResponseHead } from "../http1/encoder.ts";
import { FIELD, FIELD_NAMES } from "../http1/field.ts";
import type { MessageHead } from "../http1/head.ts";
import { HeadEdits } from "../http1/head-edits.ts";
import { DEFAULT_HTTP1_LIMITS } from "../http1/limits.ts";
import { fieldKind, FIELD_NAMES as HTTP2_NAMES } from "../http2/field.ts";
import { Http2Head } from "../http2/head.ts";
import { readRequest, readResponse } from "./http2-fields.ts";
import { HTTP1_KINDS } from "./http2-heads.ts";
import { readRequestText, readResponseText } from "./http2-text.ts";

const NAMES = [...HTTP2_NAMES.slice(7), "x-own", "x-other", "content-languag", "sec-websocket-key"].filter(
  (name) =>
    !["host", "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade", "te"].includes(name),
);
const VALUES = ["", "1", "a b", "text/plain", "é=ü", "x".repeat(60), "application/grpc", "0"];
const fields = fc.array(
  fc.tuple(fc.constantFrom(...NAMES.filter((name) => name !== "content-length")), fc.constantFrom(...VALUES)),
  {
    maxLength: 24,
  },
);

function http2Head(list: readonly (readonly [string, string])[], length: number): Http2Head {
  const head = new Http2Head();
  for (const [name, value] of list) head.add(name, value);
  if (length < 0) return head;
  head.add("content-length", String(length));
  head.contentLength = length;
  return head;
}

/** What code reads of a head. */
function contentOf({ fields: table, ...head }: MessageHead, { isRequest }: { isRequest: boolean }): object {
  const { minorVersion, framing, contentLength, keepAlive, upgrade, expectContinue, acceptsTrailers } = head;
  const list = Array.from({ length: table.count }, (_, index) => [
    table.kindAt(index),
    table.nameAt(index),
    table.valueAt(index),
  ]).filter(([kind]) => kind !== FIELD.contentLength && kind !== FIELD.transferEncoding);
  const found = NAMES.map((name) => [name, table.value(name), table.has(FIELD_NAMES.indexOf(name))]);
  const known = FIELD_NAMES.map((_, kind) => [kind, table.known(kind)]);
  return {
    list,
    found: found.filter(([name]) => name !== "content-length"),
    known: known.filter(([kind]) => kind !== FIELD.contentLength && kind !== FIELD.transferEncoding),
    meaning: [minorVersion, framing, contentLength, keepAlive, upgrade, expectContinue, acceptsTrailers, isRequest],
  };
}

function startOf({ method, target, originForm, authority, path, query, isConnect }: MessageHead): object {
  return { method, target, originForm, authority, path, query, isConnect };
}

/** Start line, and field lines in any order. */
function linesOf(text: string): string[] {
  const [start = "", ...lines] = text.toLowerCase().split("\r\n");
  return [start, ...lines.sort()];
}

/** As HTTP/1.1 would have brought it. */
function decodedRequest(head: Http2Head, isEnd: boolean): RequestDecoder {
  let lines = `host: ${head.authority}\r\n`;
  for (let index = 0; index < head.count; index++) lines += `${head.nameAt(index)}: ${head.valueAt(index)}\r\n`;
  if (head.contentLength < 0 && !isEnd) lines += "transfer-encoding: chunked\r\n";
  else if (head.contentLength < 0 && head.method === "POST") lines += "content-length: 0\r\n";
  const decoder = new RequestDecoder();
  const bytes = Buffer.from(`${head.method} ${head.path} HTTP/1.1\r\n${lines}\r\n`, "latin1");
  decoder.decodeHead(bytes, 0, bytes.length);
  return decoder;
}

function decodedAnswer(head: Http2Head, isEnd: boolean, method: string): ResponseDecoder {
  let lines = "";
  for (let index = 0; index < head.count; index++) lines += `${head.nameAt(index)}: ${head.valueAt(index)}\r\n`;
  const { status } = head;
  const hasBody = !isEnd && status >= 200 && status !== 204 && status !== 304;
  if (head.contentLength < 0 && hasBody) lines += "transfer-encoding: chunked\r\n";
  const decoder = new ResponseDecoder();
  decoder.expect(method, "");
  const bytes = Buffer.from(`HTTP/1.1 ${status} \r\n${lines}\r\n`, "latin1");
  decoder.decodeHead(bytes, 0, bytes.length);
  return decoder;
}

describe("a head of HTTP/2 for the exchange", () => {
  test("every kind of HTTP/1.1 is known in HTTP/2", () => {
    for (const name of FIELD_NAMES) if (name !== "") expect([name, fieldKind(name)]).not.toEqual([name, 0]);
  });

  test("a request is what its text says, and leaves as that would", () => {
    const methods = fc.constantFrom("GET", "POST", "OPTIONS", "DELETE", "X");
    const paths = fc.constantFrom("/a?b=c", "/", "*", "/a?", "//x");
    const run = (
      method: string,
      path: string,
      list: [string, string][],
      length: number,
      isEnd: boolean,
      choice: number,
    ): void => {
      const source = http2Head(list, length);
      Object.assign(source, { method, path, authority: "orders:80" });
      if ((choice & 128) !== 0) source.add("te", "trailers");
      source.acceptsTrailers = (choice & 128) !== 0;
      const taken = new RequestDecoder();
      const isTaken = taken.takeHead(source, HTTP1_KINDS, isEnd);
      const decoded = decodedRequest(source, isEnd);
      expect(taken.refusal).toEqual(decoded.refusal);
      expect(isTaken).toBe(decoded.refusal === undefined);
      if (!isTaken) return;
      expect(startOf(taken.head)).toEqual(startOf(decoded.head));
      expect(contentOf(taken.head, { isRequest: true })).toEqual(contentOf(decoded.head, { isRequest: true }));
      for (let repeat = 0; repeat < 3; repeat++)
        expect(linesOf(encodeRequestHead(taken.head, editsOf(choice, true)))).toEqual(
          linesOf(encodeRequestHead(decoded.head, editsOf(choice, true))),
        );
    };
    const lengths = fc.constantFrom(-1, 0, 5);
    fc.assert(fc.property(methods, paths, fields, lengths, fc.boolean(), fc.nat(255), run));
  });

  test("an answer is what its text says, and leaves as that would", () => {
    const statuses = fc.constantFrom(100, 103, 200, 204, 206, 304, 404, 503, 999);
    const framings = fc.constantFrom("same", "chunked", "length", "none", "close");
    const run = (
      status: number,
      list: [string, string][],
      length: number,
      isEnd: boolean,
      choice: number,
      framing: OutFraming,
      method: string,
    ): void => {
      const source = http2Head(list, status < 200 || status === 204 ? -1 : length);
      source.status = status;
      const taken = new ResponseDecoder();
      taken.expect(method, "");
      expect(taken.takeHead(source, HTTP1_KINDS, isEnd)).toBe(true);
      const decoded = decodedAnswer(source, isEnd, method);
      expect([taken.head.status, taken.head.reason]).toEqual([decoded.head.status, decoded.head.reason]);
      const { framing: own } = taken.head;
      // Of HTTP/1.1 an answer without length lasts until its connection closes; frames say where it ends.
      if (own === "none" && decoded.head.framing === "until-close") return;
      expect(contentOf(taken.head, { isRequest: false })).toEqual(contentOf(decoded.head, { isRequest: false }));
      // An answer to HEAD has no content that could be chunked: the field may be there or not (RFC 9112 section 6.1).
      if (method === "HEAD" && length < 0) return;
      const edits = (): HeadEdits => Object.assign(editsOf(choice, false), { framing, length: 7, connection: "close" });
      for (let repeat = 0; repeat < 3; repeat++)
        expect(linesOf(encodeResponseHead(taken.head, edits()))).toEqual(
          linesOf(encodeResponseHead(decoded.head, edits())),
        );
    };
    const methods = fc.constantFrom("GET", "HEAD", "CONNECT");
    const lengths = fc.constantFrom(-1, 0, 5);
    fc.assert(fc.property(statuses, fields, lengths, fc.boolean(), fc.nat(31), framings, methods, run));
  });

  test.each([
    ["startLineBytesMax", "start-line-too-long", "/".padEnd(40, "x"), 1],
    ["headBytesMax", "head-too-large", "/", 8],
    ["fieldsMax", "too-many-fields", "/", 41],
  ] as const)("is held to %s", (limit, detail, path, count) => {
    const source = http2Head(
      Array.from({ length: count }, () => ["x-own", "v"] as const),
      -1,
    );
    Object.assign(source, { method: "GET", authority: "orders", path });
    const { head } = decodedRequest(source, true);
    const bounds = { startLineBytesMax: head.fieldsStart - 2, headBytesMax: head.text.length, fieldsMax: count + 1 };
    const isTaken = (bound: number): [boolean, string | undefined] => {
      const decoder = new RequestDecoder({ ...DEFAULT_HTTP1_LIMITS, [limit]: bound });
      return [decoder.takeHead(source, HTTP1_KINDS, true), decoder.refusal?.detail];
    };
    expect(isTaken(bounds[limit])).toEqual([true, undefined]);
    expect(isTaken(bounds[limit] - 1)).toEqual([false, detail]);
  });

  test("is forgotten with the next one", () => {
    const source = http2Head([["x-own", "v"]], -1);
    Object.assign(source, { method: "GET", authority: "orders", path: "/a" });
    const decoder = new RequestDecoder();
    decoder.takeHead(source, HTTP1_KINDS, true);
    decoder.reset();
    const bytes = Buffer.from("PUT /b HTTP/1.1\r\nHost: other\r\n\r\n");
    decoder.decodeHead(bytes, 0, bytes.length);
    const { head } = decoder;
    expect([head.method, head.path, head.authority, head.value("x-own")]).toEqual(["PUT", "/b", "other", undefined]);
  });
});

const LINES = fc.array(
  fc.tuple(
    fc.constantFrom(
      ...FIELD_NAMES.filter((name) => !["", "content-length", "transfer-encoding", "host", "upgrade"].includes(name)),
      ..."Accept X-Own x-own User-Agent Via Sec-WebSocket-Key Connection TE Keep-Alive".split(" "),
      "x".repeat(70),
    ),
    fc.constantFrom("1", "a b", "close", "x-nominated", "trailers", "keep-alive, x-nominated", "timeout=5", "é"),
  ),
  { maxLength: 20 },
);
const FRAMINGS = fc.constantFrom(
  "",
  "Content-Length: 5\r\n",
  "content-length:007\r\n",
  "Transfer-Encoding: chunked\r\n",
);

function editsOf(choice: number, isRequest: boolean): HeadEdits {
  const edits = new HeadEdits();
  if ((choice & 1) !== 0) edits.set("X-Own", "edited");
  if ((choice & 2) !== 0) edits.remove("accept");
  if ((choice & 4) !== 0) edits.add("x-added", "twice");
  if ((choice & 8) !== 0) edits.dropKinds = (1 << FIELD.via) | (1 << FIELD.xEnvoyAttemptCount);
  edits.append += "via: 1.1 weft\r\n";
  if (!isRequest) {
    if ((choice & 16) !== 0) edits.status = 418;
    return edits;
  }
  if ((choice & 16) !== 0) edits.requestId = "id-1";
  if ((choice & 32) !== 0) edits.host = "other:81";
  if ((choice & 64) !== 0) edits.target = "/rewritten?x";
  return edits;
}

/** Pseudo-fields, and fields in any order: among other names it means nothing. */
function meaningOf(head: Http2Head): object {
  const { method, scheme, authority, path, status, contentLength } = head;
  const list = Array.from({ length: head.count }, (_, index) => `${head.nameAt(index)}: ${head.valueAt(index)}`);
  const kinds = Array.from({ length: head.count }, (_, index) => [head.kindAt(index), fieldKind(head.nameAt(index))]);
  for (const [kind, known] of kinds) expect(kind).toBe(known);
  return { method, scheme, authority, path, status, contentLength, fields: list.sort() };
}

describe("a head of HTTP/1.1 for an endpoint or a client of HTTP/2", () => {
  test("a request is what the encoder's text says", () => {
    const starts = fc.constantFrom(
      "GET /a?b=c",
      "POST /",
      "OPTIONS *",
      "GET http://orders:80/z",
      "OPTIONS http://orders:80",
    );
    const run = (start: string, lines: [string, string][], framing: string, choice: number): void => {
      const text = lines.map(([name, value]) => `${name}:  ${value} \r\n`).join("");
      const bytes = Buffer.from(`${start} HTTP/1.1\r\nHost: orders:80\r\n${text}${framing}\r\n`, "latin1");
      const decoder = new RequestDecoder();
      fc.pre(decoder.decodeHead(bytes, 0, bytes.length) === bytes.length);
      const expected = new Http2Head();
      readRequestText(encodeRequestHead(decoder.head, editsOf(choice, true)), expected);
      const made = new Http2Head();
      readRequest(decoder.head, editsOf(choice, true), made);
      expect(meaningOf(made)).toEqual(meaningOf(expected));
    };
    fc.assert(fc.property(starts, LINES, FRAMINGS, fc.nat(127), run));
  });

  test("an answer is what the encoder's text says", () => {
    const starts = fc.constantFrom("200 OK", "204 No Content", "304 Not Modified", "404", "503 ");
    const run = (start: string, lines: [string, string][], framing: string, choice: number): void => {
      const text = lines.map(([name, value]) => `${name}:  ${value} \r\n`).join("");
      const bytes = Buffer.from(`HTTP/1.1 ${start}\r\n${text}${framing}\r\n`, "latin1");
      const decoder = new ResponseDecoder();
      fc.pre(decoder.decodeHead(bytes, 0, bytes.length) === bytes.length);
      const isOpen = decoder.head.framing === "until-close";
      const edits = editsOf(choice, false);
      if (isOpen) edits.framing = "chunked";
      const expected = new Http2Head();
      readResponseText(encodeResponseHead(decoder.head, edits), expected);
      const made = new Http2Head();
      readResponse(decoder.head, edits, made);
      expect(meaningOf(made)).toEqual(meaningOf(expected));
    };
    fc.assert(fc.property(starts, LINES, FRAMINGS, fc.nat(31), run));
  });
});
