// Heads that cross from one protocol to the other: what is made of them field by field is what the decoder and the
// encoder of HTTP/1.1 would have made of their text.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RequestDecoder, ResponseDecoder } from "../http1/decoder.ts";
import { encodeRequestHead, encodeResponseHead } from "../http1/encoder.ts";
import { FIELD, FIELD_NAMES } from "../http1/field.ts";
import type { MessageHead } from "../http1/head.ts";
import { HeadEdits } from "../http1/head-edits.ts";
import { DEFAULT_HTTP1_LIMITS } from "../http1/limits.ts";
import { fieldKind, FIELD_NAMES as HTTP2_NAMES } from "../http2/field.ts";
import { Http2Head } from "../http2/head.ts";
import { readRequest, readResponse } from "./http2-fields.ts";
import { writeRequest, writeResponse } from "./http2-heads.ts";
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
function contentOf(head: MessageHead): object {
  const { fields: table } = head;
  const { method, authority, path, query, status, framing, contentLength, keepAlive, upgrade, isConnect } = head;
  return {
    text: head.text,
    lines: Array.from({ length: table.count }, (_, index) => [
      table.kinds[index],
      ...table.offsets.subarray(index << 2, (index << 2) + 4),
    ]),
    marks: [table.present, table.repeated, head.firstEnd, head.secondStart, head.secondEnd, head.fieldsStart],
    meaning: { method, authority, path, query, status, framing, contentLength, keepAlive, upgrade, isConnect },
  };
}

describe("a head of HTTP/2 for the exchange", () => {
  test("every kind of HTTP/1.1 is known in HTTP/2", () => {
    for (const name of FIELD_NAMES) if (name !== "") expect([name, fieldKind(name)]).not.toEqual([name, 0]);
  });

  test("a request is what its text says", () => {
    const methods = fc.constantFrom("GET", "POST", "OPTIONS", "DELETE", "CONNECT", "X");
    const protocols = fc.constantFrom("", "", "websocket", "other");
    const run = (method: string, protocol: string, list: [string, string][], length: number, isEnd: boolean): void => {
      const source = http2Head(list, method === "CONNECT" ? -1 : length);
      source.method = protocol === "" ? method : "CONNECT";
      source.protocol = protocol;
      source.authority = "orders:80";
      source.path = "/a?b=c";
      const filled = new RequestDecoder();
      writeRequest(source, isEnd, "a2V5", filled.head);
      const decoded = new RequestDecoder();
      const bytes = Buffer.from(filled.head.text, "latin1");
      const isTaken = filled.takeHead();
      expect(decoded.decodeHead(bytes, 0, bytes.length) === bytes.length).toBe(isTaken);
      expect(filled.refusal).toEqual(decoded.refusal);
      if (isTaken) expect(contentOf(filled.head)).toEqual(contentOf(decoded.head));
    };
    const lengths = fc.constantFrom(-1, 0, 5);
    fc.assert(fc.property(methods, protocols, fields, lengths, fc.boolean(), run));
  });

  test("an answer is what its text says", () => {
    const statuses = fc.constantFrom(100, 103, 200, 204, 206, 304, 404, 503, 999);
    const run = (status: number, list: [string, string][], length: number, isEnd: boolean): void => {
      const source = http2Head(list, status < 200 || status === 204 ? -1 : length);
      source.status = status;
      const filled = new ResponseDecoder();
      filled.expect("GET", false);
      writeResponse(source, isEnd, filled.head);
      const decoded = new ResponseDecoder();
      decoded.expect("GET", false);
      const bytes = Buffer.from(filled.head.text, "latin1");
      expect(filled.takeHead()).toBe(true);
      expect(decoded.decodeHead(bytes, 0, bytes.length)).toBe(bytes.length);
      expect(contentOf(filled.head)).toEqual(contentOf(decoded.head));
    };
    fc.assert(fc.property(statuses, fields, fc.constantFrom(-1, 0, 5), fc.boolean(), run));
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
    const size = (bound: number): RequestDecoder => {
      const decoder = new RequestDecoder({ ...DEFAULT_HTTP1_LIMITS, [limit]: bound });
      writeRequest(source, true, "", decoder.head);
      return decoder;
    };
    const { head } = size(1_000);
    const exact = { startLineBytesMax: head.fieldsStart - 2, headBytesMax: head.text.length, fieldsMax: count + 1 }[
      limit
    ];
    expect(size(exact).takeHead()).toBe(true);
    const past = size(exact - 1);
    expect([past.takeHead(), past.refusal?.detail]).toEqual([false, detail]);
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
  const list = Array.from({ length: head.count }, (_, index) => `${head.names[index]}: ${head.values[index]}`);
  const kinds = Array.from({ length: head.count }, (_, index) => [head.kinds[index], fieldKind(head.nameAt(index))]);
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
