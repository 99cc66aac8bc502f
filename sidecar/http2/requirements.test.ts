// What RFC 9113, RFC 8441 and RFC 9110 ask of an endpoint, a case for each, with its section: octets in, what handlers are
// told and what is written back. Each is sent whole, cut in two at every byte, and byte by byte.
import { describe, it } from "vitest";
import {
  block,
  CLIENT_START,
  data,
  END_HEADERS,
  END_STREAM,
  frame,
  GET,
  goaway,
  headers,
  lastHeaders,
  OK,
  PADDED,
  type Pair,
  POST,
  PRIORITY,
  padded,
  ping,
  rst,
  SERVER_START,
  SETTINGS_ACK,
  settings,
  uint32,
  windowUpdate,
} from "./testing/frames.ts";
import { type Case, check, malformed, refused, resetAll } from "./testing/requirement.ts";

const withField = (name: string, value: string): Buffer[] => [lastHeaders(1, [...GET, [name, value]])];
const without = (fields: readonly Pair[], name: string): Pair[] => fields.filter(([each]) => each !== name);
const replaced = (fields: readonly Pair[], name: string, value: string): Pair[] =>
  fields.map((each) => (each[0] === name ? ([name, value] as const) : each));

const STARTING: Case[] = [
  ["3.4 a preface that is none", [Buffer.from("PRI * HTTP/1.1\r\n\r\n")], refused("PROTOCOL_ERROR", "bad-preface")],
  [
    "3.4 a preface without SETTINGS",
    [Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), ping("12345678")],
    refused("PROTOCOL_ERROR", "settings-missing"),
  ],
  [
    "3.4 an acknowledgement is not the first SETTINGS",
    [Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), SETTINGS_ACK],
    refused("PROTOCOL_ERROR", "settings-missing"),
  ],
];

const SERVER: Case[] = [
  // ---- frames ----
  [
    "4.1 an unknown frame type is ignored",
    [frame(0x42, 0xff, 7, Buffer.from("abc")), ...[lastHeaders(1, GET)]],
    ["head 1 GET / end"],
  ],
  ["4.1 unknown flags are ignored", [frame(6, 0xfe, 0, Buffer.from("12345678"))], ["> PING 12345678 ack"]],
  ["4.1 the reserved bit is ignored", [frame(8, 0, 0x80000000, uint32(0x80000005))], []],
  [
    "4.2 a frame larger than was allowed",
    [frame(0, 0, 1, Buffer.alloc(16_385))],
    refused("FRAME_SIZE_ERROR", "frame-too-large"),
  ],
  [
    "4.2 an unknown frame larger than was allowed",
    [frame(0x42, 0, 0, Buffer.alloc(16_385))],
    refused("FRAME_SIZE_ERROR", "frame-too-large"),
  ],
  [
    "4.3 another frame within a header block",
    [headers(1, GET, END_STREAM), ping("12345678")],
    refused("PROTOCOL_ERROR", "continuation-expected"),
  ],
  [
    "4.3 CONTINUATION of another stream",
    [headers(1, GET, END_STREAM), frame(9, 4, 3)],
    refused("PROTOCOL_ERROR", "continuation-expected"),
  ],
  [
    "4.3 an unknown frame within a header block",
    [headers(1, GET, END_STREAM), frame(0x42, 0, 1)],
    refused("PROTOCOL_ERROR", "continuation-expected"),
  ],
  [
    "4.3 a block that HPACK cannot read",
    [frame(1, 5, 1, Buffer.from([0x80]))],
    [resetAll("COMPRESSION_ERROR"), ...refused("COMPRESSION_ERROR", "bad-index", 1)].slice(1),
  ],
  [
    "6.10 a block in three frames",
    [
      frame(1, END_STREAM, 1, block(GET).subarray(0, 5)),
      frame(9, 0, 1, block(GET).subarray(5, 9)),
      frame(9, END_HEADERS, 1, block(GET).subarray(9)),
    ],
    ["head 1 GET / end"],
  ],
  ["6.10 CONTINUATION on its own", [frame(9, 4, 1)], refused("PROTOCOL_ERROR", "unexpected-continuation")],
  [
    "6.10 CONTINUATION behind a whole block",
    [lastHeaders(1, GET), frame(9, 4, 1)],
    ["head 1 GET / end", resetAll("PROTOCOL_ERROR"), ...refused("PROTOCOL_ERROR", "unexpected-continuation", 1)],
  ],
  // ---- states of streams ----
  ["5.1 idle: DATA", [data(1, "x")], refused("PROTOCOL_ERROR", "frame-on-idle-stream")],
  ["5.1 idle: RST_STREAM", [rst(1, 0)], refused("PROTOCOL_ERROR", "frame-on-idle-stream")],
  ["5.1 idle: WINDOW_UPDATE", [windowUpdate(1, 5)], refused("PROTOCOL_ERROR", "frame-on-idle-stream")],
  ["5.1 idle: PRIORITY is ignored", [frame(2, 0, 5, Buffer.alloc(5))], []],
  [
    "5.1 half-closed: DATA",
    [lastHeaders(1, GET), data(1, "x")],
    [
      "head 1 GET / end",
      "refused 1 frame-after-half-close",
      "reset 1 refused STREAM_CLOSED",
      "> RST_STREAM 1 STREAM_CLOSED",
    ],
  ],
  [
    "5.1 half-closed: HEADERS",
    [lastHeaders(1, GET), lastHeaders(1, GET)],
    [
      "head 1 GET / end",
      "refused 1 frame-after-half-close",
      "reset 1 refused STREAM_CLOSED",
      "> RST_STREAM 1 STREAM_CLOSED",
    ],
  ],
  [
    "5.1 half-closed: WINDOW_UPDATE, PRIORITY and RST_STREAM are fine",
    [lastHeaders(1, GET), windowUpdate(1, 5), frame(2, 0, 1, Buffer.alloc(5)), rst(1, 8)],
    ["head 1 GET / end", "reset 1 peer CANCEL"],
  ],
  [
    "5.1 closed by both: DATA",
    [lastHeaders(1, GET), data(1, "x")],
    [
      "head 1 GET / end",
      "closed refused",
      "> HEADERS 1 :status=200",
      "> DATA 1 ok end",
      "> GOAWAY 1 STREAM_CLOSED frame-after-end",
    ],
    { answers: true },
  ],
  [
    "5.1 closed by both: HEADERS",
    [lastHeaders(1, GET), lastHeaders(1, GET)],
    [
      "head 1 GET / end",
      "closed refused",
      "> HEADERS 1 :status=200",
      "> DATA 1 ok end",
      "> GOAWAY 1 STREAM_CLOSED frame-after-end",
    ],
    { answers: true },
  ],
  [
    "5.1 closed by both: WINDOW_UPDATE and RST_STREAM are ignored",
    [lastHeaders(1, GET), windowUpdate(1, 5), rst(1, 8)],
    ["head 1 GET / end", "> HEADERS 1 :status=200", "> DATA 1 ok end"],
    { answers: true },
  ],
  [
    "5.1 reset by the peer: DATA",
    [headers(1, POST), rst(1, 8), data(1, "x")],
    ["head 1 POST /", "reset 1 peer CANCEL", "> RST_STREAM 1 STREAM_CLOSED"],
  ],
  [
    "5.1 reset by the peer: HEADERS",
    [headers(1, POST), rst(1, 8), lastHeaders(1, GET)],
    ["head 1 POST /", "reset 1 peer CANCEL", "> RST_STREAM 1 STREAM_CLOSED"],
  ],
  [
    "5.1 reset by us: what was under way is ignored, and HPACK goes on",
    [
      headers(1, replaced(POST, ":path", "no")),
      data(1, "x"),
      lastHeaders(1, [["x", "y"]]),
      windowUpdate(1, 9),
      lastHeaders(3, GET),
    ],
    ["refused 1 bad-path", "head 3 GET / end", "> RST_STREAM 1 PROTOCOL_ERROR"],
  ],
  ["5.1.1 an even id", [lastHeaders(2, GET)], refused("PROTOCOL_ERROR", "bad-stream-id")],
  [
    "5.1.1 a lower id than before, never used",
    [lastHeaders(5, GET), lastHeaders(3, GET)],
    ["head 5 GET / end", "reset 5 connection STREAM_CLOSED", ...refused("STREAM_CLOSED", "frame-after-end", 5)],
  ],
  [
    "5.1.2 more streams than were allowed",
    [headers(1, POST), headers(3, POST), headers(5, POST), rst(1, 8), headers(7, POST)],
    [
      "head 1 POST /",
      "head 3 POST /",
      "refused 5 too-many-streams",
      "reset 1 peer CANCEL",
      "head 7 POST /",
      "> RST_STREAM 5 REFUSED_STREAM",
    ],
    { limits: { streamsMax: 2 } },
  ],
  [
    "5.3.1 a stream that depends on itself, in HEADERS",
    [frame(1, END_HEADERS | END_STREAM | PRIORITY, 1, Buffer.concat([uint32(1), Buffer.from([9]), block(GET)]))],
    malformed("self-dependency"),
  ],
  [
    "5.3.1 a stream that depends on itself, in PRIORITY",
    [headers(1, POST), frame(2, 0, 1, Buffer.concat([uint32(1), Buffer.from([9])]))],
    ["head 1 POST /", "refused 1 self-dependency", "reset 1 refused PROTOCOL_ERROR", "> RST_STREAM 1 PROTOCOL_ERROR"],
  ],
  [
    "5.3.2 priorities are ignored",
    [
      frame(
        1,
        END_HEADERS | END_STREAM | PRIORITY,
        1,
        Buffer.concat([uint32(0x80000003), Buffer.from([9]), block(GET)]),
      ),
    ],
    ["head 1 GET / end"],
  ],
  // ---- DATA ----
  [
    "6.1 content in pieces",
    [headers(1, POST), data(1, "ab"), data(1, ""), data(1, "cd", END_STREAM)],
    ["head 1 POST /", "data 1 abcd end"],
  ],
  ["6.1 an empty end", [headers(1, POST), data(1, "", END_STREAM)], ["head 1 POST /", "data 1  end"]],
  [
    "6.1 padding is dropped",
    [headers(1, POST), data(1, padded("ab", 7), PADDED), data(1, padded("cd", 0), PADDED | END_STREAM)],
    ["head 1 POST /", "data 1 abcd end"],
  ],
  [
    "6.1 nothing but padding",
    [headers(1, POST), data(1, padded("", 5), PADDED | END_STREAM)],
    ["head 1 POST /", "data 1  end"],
  ],
  [
    "6.1 padding longer than the frame",
    [headers(1, POST), data(1, Buffer.from([6, 1, 2, 3, 4, 5]), PADDED)],
    ["head 1 POST /", resetAll("PROTOCOL_ERROR"), ...refused("PROTOCOL_ERROR", "bad-padding", 1)],
  ],
  [
    "6.1 padded, and empty",
    [headers(1, POST), data(1, "", PADDED)],
    ["head 1 POST /", resetAll("FRAME_SIZE_ERROR"), ...refused("FRAME_SIZE_ERROR", "bad-frame-size", 1)],
  ],
  ["6.1 on stream 0", [data(0, "x")], refused("PROTOCOL_ERROR", "stream-id-zero")],
  // ---- HEADERS ----
  [
    "6.2 padded",
    [frame(1, END_HEADERS | END_STREAM | PADDED, 1, Buffer.concat([Buffer.from([3]), block(GET), Buffer.alloc(3)]))],
    ["head 1 GET / end"],
  ],
  [
    "6.2 padded and with a priority",
    [
      frame(
        1,
        END_HEADERS | END_STREAM | PADDED | PRIORITY,
        1,
        Buffer.concat([Buffer.from([3]), uint32(0), Buffer.from([1]), block(GET), Buffer.alloc(3)]),
      ),
    ],
    ["head 1 GET / end"],
  ],
  [
    "6.2 padding longer than the frame",
    [frame(1, END_HEADERS | PADDED, 1, Buffer.from([9, 1, 2]))],
    refused("PROTOCOL_ERROR", "bad-padding"),
  ],
  [
    "6.2 too short for its priority",
    [frame(1, END_HEADERS | PRIORITY, 1, Buffer.alloc(4))],
    refused("FRAME_SIZE_ERROR", "bad-frame-size"),
  ],
  ["6.2 on stream 0", [lastHeaders(0, GET)], refused("PROTOCOL_ERROR", "stream-id-zero")],
  // ---- PRIORITY, RST_STREAM ----
  ["6.3 on stream 0", [frame(2, 0, 0, Buffer.alloc(5))], refused("PROTOCOL_ERROR", "stream-id-zero")],
  [
    "6.3 of a wrong size",
    [headers(1, POST), frame(2, 0, 1, Buffer.alloc(4))],
    [
      "head 1 POST /",
      "refused 1 bad-priority-size",
      "reset 1 refused FRAME_SIZE_ERROR",
      "> RST_STREAM 1 FRAME_SIZE_ERROR",
    ],
  ],
  ["6.4 on stream 0", [rst(0, 0)], refused("PROTOCOL_ERROR", "stream-id-zero")],
  [
    "6.4 of a wrong size",
    [headers(1, POST), frame(3, 0, 1, Buffer.alloc(3))],
    ["head 1 POST /", resetAll("FRAME_SIZE_ERROR"), ...refused("FRAME_SIZE_ERROR", "bad-frame-size", 1)],
  ],
  [
    "6.4 ends the stream; an unknown code is one all the same",
    [headers(1, POST), rst(1, 0xff)],
    ["head 1 POST /", "reset 1 peer 0xff"],
  ],
  // ---- SETTINGS ----
  ["6.5 on a stream", [frame(4, 0, 1)], refused("PROTOCOL_ERROR", "stream-id-not-zero")],
  ["6.5 of a wrong size", [frame(4, 0, 0, Buffer.alloc(7))], refused("FRAME_SIZE_ERROR", "bad-frame-size")],
  [
    "6.5 an acknowledgement with values",
    [frame(4, 1, 0, Buffer.alloc(6))],
    refused("FRAME_SIZE_ERROR", "bad-frame-size"),
  ],
  ["6.5.2 ENABLE_PUSH of 2", [settings([2, 2])], refused("PROTOCOL_ERROR", "bad-setting")],
  ["6.5.2 a window over 2^31-1", [settings([4, 0x80000000])], refused("FLOW_CONTROL_ERROR", "bad-initial-window")],
  ["6.5.2 frames under 16384", [settings([5, 16_383])], refused("PROTOCOL_ERROR", "bad-setting")],
  ["6.5.2 frames over 2^24-1", [settings([5, 16_777_216])], refused("PROTOCOL_ERROR", "bad-setting")],
  ["6.5.2 unknown settings are ignored, and acknowledged", [settings([0x99, 1])], ["> SETTINGS ack"]],
  ["6.5.3 an acknowledgement of nothing", [SETTINGS_ACK], refused("PROTOCOL_ERROR", "unexpected-settings-ack")],
  [
    "8441 3 allowed and then not",
    [settings([8, 1]), settings([8, 0])],
    ["closed refused", "> SETTINGS ack", "> GOAWAY 0 PROTOCOL_ERROR bad-setting"],
  ],
  // ---- PUSH_PROMISE, PING, GOAWAY ----
  ["8.4 a client that pushes", [frame(5, 4, 1, Buffer.alloc(4))], refused("PROTOCOL_ERROR", "push-not-allowed")],
  [
    "6.7 is answered with its own octets",
    [ping("abcdefgh"), ping("ijklmnop")],
    ["> PING abcdefgh ack", "> PING ijklmnop ack"],
  ],
  ["6.7 an answer to nothing is ignored", [ping("abcdefgh", 1)], []],
  ["6.7 on a stream", [frame(6, 0, 1, Buffer.alloc(8))], refused("PROTOCOL_ERROR", "stream-id-not-zero")],
  ["6.7 of a wrong size", [frame(6, 0, 0, Buffer.alloc(7))], refused("FRAME_SIZE_ERROR", "bad-frame-size")],
  ["6.8 on a stream", [frame(7, 0, 1, Buffer.alloc(8))], refused("PROTOCOL_ERROR", "stream-id-not-zero")],
  ["6.8 of a wrong size", [frame(7, 0, 0, Buffer.alloc(7))], refused("FRAME_SIZE_ERROR", "bad-frame-size")],
  [
    "6.8 a client that leaves gets its answers, and then the end",
    [headers(1, POST), goaway(0, 0), data(1, "x", END_STREAM)],
    [
      "head 1 POST /",
      "goaway 0 NO_ERROR",
      "data 1 x end",
      "closed peer",
      "> HEADERS 1 :status=200",
      "> DATA 1 ok end",
      "> GOAWAY 1 NO_ERROR",
    ],
    { answers: true },
  ],
  // ---- WINDOW_UPDATE ----
  ["6.9 zero, of the connection", [windowUpdate(0, 0)], refused("PROTOCOL_ERROR", "connection-zero-window-update")],
  [
    "6.9 zero, of a stream",
    [headers(1, POST), windowUpdate(1, 0)],
    [
      "head 1 POST /",
      "refused 1 zero-window-update",
      "reset 1 refused PROTOCOL_ERROR",
      "> RST_STREAM 1 PROTOCOL_ERROR",
    ],
  ],
  ["6.9 of a wrong size", [frame(8, 0, 0, Buffer.alloc(3))], refused("FRAME_SIZE_ERROR", "bad-frame-size")],
  [
    "6.9.1 the connection's window over 2^31-1",
    [windowUpdate(0, 0x7fffffff)],
    refused("FLOW_CONTROL_ERROR", "connection-window-overflow"),
  ],
  [
    "6.9.1 a stream's window over 2^31-1",
    [headers(1, POST), windowUpdate(1, 0x7fffffff)],
    [
      "head 1 POST /",
      "refused 1 window-overflow",
      "reset 1 refused FLOW_CONTROL_ERROR",
      "> RST_STREAM 1 FLOW_CONTROL_ERROR",
    ],
  ],
  [
    "6.9.2 a first window that makes an open one overflow",
    [headers(1, POST), windowUpdate(1, 0x7fffffff - 65_535), settings([4, 65_536])],
    ["head 1 POST /", resetAll("FLOW_CONTROL_ERROR"), ...refused("FLOW_CONTROL_ERROR", "bad-initial-window", 1)],
  ],
  // ---- messages ----
  [
    "8.1 trailers",
    [headers(1, POST), data(1, "x"), lastHeaders(1, [["x-sum", "1"]])],
    ["head 1 POST /", "data 1 x", "trailers 1 x-sum=1"],
  ],
  [
    "8.1 trailers without content",
    [headers(1, POST), lastHeaders(1, [["x-sum", "1"]])],
    ["head 1 POST /", "trailers 1 x-sum=1"],
  ],
  [
    "8.1 trailers that do not end the stream",
    [headers(1, POST), headers(1, [["x-sum", "1"]])],
    [
      "head 1 POST /",
      "refused 1 trailers-without-end",
      "reset 1 refused PROTOCOL_ERROR",
      "> RST_STREAM 1 PROTOCOL_ERROR",
    ],
  ],
  [
    "8.1 a pseudo-field in trailers",
    [headers(1, POST), lastHeaders(1, [[":path", "/"]])],
    [
      "head 1 POST /",
      "refused 1 pseudo-field-in-trailers",
      "reset 1 refused PROTOCOL_ERROR",
      "> RST_STREAM 1 PROTOCOL_ERROR",
    ],
  ],
  [
    "8.1.1 more content than Content-Length",
    [headers(1, [...POST, ["content-length", "2"]]), data(1, "ab"), data(1, "c")],
    [
      "head 1 POST / content-length=2",
      "data 1 ab",
      "refused 1 content-length-differs",
      "reset 1 refused PROTOCOL_ERROR",
      "> RST_STREAM 1 PROTOCOL_ERROR",
    ],
  ],
  [
    "8.1.1 less content than Content-Length",
    [headers(1, [...POST, ["content-length", "3"]]), data(1, "", END_STREAM)],
    [
      "head 1 POST / content-length=3",
      "refused 1 content-length-differs",
      "reset 1 refused PROTOCOL_ERROR",
      "> RST_STREAM 1 PROTOCOL_ERROR",
    ],
  ],
  [
    "8.1.1 less content than Content-Length, with trailers",
    [headers(1, [...POST, ["content-length", "3"]]), lastHeaders(1, [["a", "b"]])],
    [
      "head 1 POST / content-length=3",
      "refused 1 content-length-differs",
      "reset 1 refused PROTOCOL_ERROR",
      "> RST_STREAM 1 PROTOCOL_ERROR",
    ],
  ],
  [
    "8.1.1 Content-Length and no content",
    [lastHeaders(1, [...POST, ["content-length", "3"]])],
    malformed("content-length-differs"),
  ],
  [
    "8.1.1 content in several frames, as long as was said",
    [headers(1, [...POST, ["content-length", "4"]]), data(1, "ab"), data(1, padded("cd", 3), END_STREAM | PADDED)],
    ["head 1 POST / content-length=4", "data 1 abcd end"],
  ],
  ["9110 8.6 Content-Length that is no number", withField("content-length", "1x"), malformed("bad-content-length")],
  ["9110 8.6 Content-Length that is signed", withField("content-length", "+1"), malformed("bad-content-length")],
  ["9110 8.6 an empty Content-Length", withField("content-length", ""), malformed("bad-content-length")],
  [
    "9110 8.6 Content-Length over 2^53-1",
    withField("content-length", "9007199254740992"),
    malformed("bad-content-length"),
  ],
  [
    "9110 8.6 Content-Length twice",
    [lastHeaders(1, [...GET, ["content-length", "0"], ["content-length", "0"]])],
    malformed("bad-content-length"),
  ],
  ["8.2.1 an upper-case name", withField("X-A", "1"), malformed("bad-field-name")],
  ["8.2.1 an empty name", withField("", "1"), malformed("bad-field-name")],
  ["8.2.1 a name with a space", withField("x a", "1"), malformed("bad-field-name")],
  ["8.2.1 a name with a colon", withField("x:a", "1"), malformed("bad-field-name")],
  ["8.2.1 a name with a control", withField("x\x01", "1"), malformed("bad-field-name")],
  ["8.2.1 a name beyond ASCII", withField("x\xe9", "1"), malformed("bad-field-name")],
  ["8.2.1 a name that is no token", withField("x/a", "1"), malformed("bad-field-name")],
  ["8.2.1 a name that gateways read as Content-Length", withField("content_length", "1"), malformed("bad-field-name")],
  ["8.2.1 a value with NUL", withField("x-a", "1\x002"), malformed("bad-field-value")],
  ["8.2.1 a value with CR", withField("x-a", "1\r2"), malformed("bad-field-value")],
  ["8.2.1 a value with LF", withField("x-a", "1\n2"), malformed("bad-field-value")],
  ["9110 5.5 a value with another control", withField("x-a", "1\x7f"), malformed("bad-field-value")],
  ["8.2.1 a value with a space in front", withField("x-a", " 1"), malformed("bad-field-value")],
  ["8.2.1 a value with a tab behind", withField("x-a", "1\t"), malformed("bad-field-value")],
  [
    "8.2.1 an empty value, blanks within, octets from 0x80",
    [lastHeaders(1, [...GET, ["x-a", ""], ["x-b", "1 \t2"], ["x-c", "\xe9"]])],
    ["head 1 GET / x-a= x-b=1 \t2 x-c=\xe9 end"],
  ],
  ["8.2.2 connection", withField("connection", "close"), malformed("connection-field")],
  ["8.2.2 keep-alive", withField("keep-alive", "timeout=5"), malformed("connection-field")],
  ["8.2.2 proxy-connection", withField("proxy-connection", "keep-alive"), malformed("connection-field")],
  ["8.2.2 transfer-encoding", withField("transfer-encoding", "chunked"), malformed("connection-field")],
  ["8.2.2 upgrade", withField("upgrade", "h2c"), malformed("connection-field")],
  ["8.2.2 te: trailers", withField("te", "trailers"), ["head 1 GET / te=trailers end"]],
  ["8.2.2 any other te", withField("te", "gzip"), malformed("bad-te")],
  [
    "8.2.2 connection in trailers",
    [headers(1, POST), lastHeaders(1, [["connection", "close"]])],
    ["head 1 POST /", "refused 1 connection-field", "reset 1 refused PROTOCOL_ERROR", "> RST_STREAM 1 PROTOCOL_ERROR"],
  ],
  [
    "8.2.3 cookie crumbs are joined where the first one stood",
    [lastHeaders(1, [...GET, ["cookie", "a=1"], ["x-a", "1"], ["cookie", "b=2"], ["cookie", "c=3"]])],
    ["head 1 GET / cookie=a=1; b=2; c=3 x-a=1 end"],
  ],
  ["8.3 an unknown pseudo-field", [lastHeaders(1, [...GET, [":foo", "1"]])], malformed("unknown-pseudo-field")],
  ["8.3 a response's pseudo-field", [lastHeaders(1, [...GET, [":status", "200"]])], malformed("unknown-pseudo-field")],
  [
    "8.3 a pseudo-field behind a field",
    [lastHeaders(1, [...GET.slice(0, 3), ["x-a", "1"], [":authority", "a.test"]])],
    malformed("late-pseudo-field"),
  ],
  ["8.3.1 a pseudo-field twice", [lastHeaders(1, [...GET, [":path", "/"]])], malformed("repeated-pseudo-field")],
  ["8.3.1 without :method", [lastHeaders(1, without(GET, ":method"))], malformed("missing-pseudo-field")],
  ["8.3.1 without :scheme", [lastHeaders(1, without(GET, ":scheme"))], malformed("missing-pseudo-field")],
  ["8.3.1 without :path", [lastHeaders(1, without(GET, ":path"))], malformed("missing-pseudo-field")],
  [
    "8.3.1 without :authority and host",
    [lastHeaders(1, without(GET, ":authority"))],
    malformed("missing-pseudo-field"),
  ],
  [
    "8.3.1 host instead of :authority",
    [lastHeaders(1, [...without(GET, ":authority"), ["host", "b.test:80"]])],
    ["head 1 GET / @b.test:80 end"],
  ],
  ["8.3.1 host that says the same", withField("host", "A.test"), ["head 1 GET / end"]],
  ["8.3.1 host that says another", withField("host", "b.test"), malformed("host-disagrees")],
  ["8.3.1 host twice", [lastHeaders(1, [...GET, ["host", "a.test"], ["host", "a.test"]])], malformed("host-disagrees")],
  ["8.3.1 an empty :path", [lastHeaders(1, replaced(GET, ":path", ""))], malformed("bad-path")],
  ["8.3.1 a :path that is none", [lastHeaders(1, replaced(GET, ":path", "a"))], malformed("bad-path")],
  ["8.3.1 a :path with a space", [lastHeaders(1, replaced(GET, ":path", "/a b"))], malformed("bad-path")],
  [
    "8.3.1 a :path with a line end",
    [lastHeaders(1, replaced(GET, ":path", "/ HTTP/1.1\r\nx: y"))],
    malformed("bad-path"),
  ],
  ["8.3.1 a :path with a fragment", [lastHeaders(1, replaced(GET, ":path", "/a#b"))], malformed("bad-path")],
  ["8.3.1 * of GET", [lastHeaders(1, replaced(GET, ":path", "*"))], malformed("bad-path")],
  [
    "8.3.1 * of OPTIONS",
    [lastHeaders(1, replaced(replaced(GET, ":path", "*"), ":method", "OPTIONS"))],
    ["head 1 OPTIONS * end"],
  ],
  ["8.3.1 a :path with a query", [lastHeaders(1, replaced(GET, ":path", "/a?b=c|d"))], ["head 1 GET /a?b=c|d end"]],
  [
    "8.3.1 user information in :authority",
    [lastHeaders(1, replaced(GET, ":authority", "u@a.test"))],
    malformed("bad-authority"),
  ],
  [
    "8.3.1 two hosts in :authority",
    [lastHeaders(1, replaced(GET, ":authority", "a.test,b.test"))],
    malformed("bad-authority"),
  ],
  ["8.3.1 an empty :authority", [lastHeaders(1, replaced(GET, ":authority", ""))], malformed("bad-authority")],
  [
    "8.3.1 a port that is none",
    [lastHeaders(1, replaced(GET, ":authority", "a.test:65536"))],
    malformed("bad-authority"),
  ],
  ["8.3.1 an IPv6 address", [lastHeaders(1, replaced(GET, ":authority", "[::1]:80"))], ["head 1 GET / @[::1]:80 end"]],
  [
    "8.3.1 an IPv6 address that is none",
    [lastHeaders(1, replaced(GET, ":authority", "[::g]"))],
    malformed("bad-authority"),
  ],
  [
    "8.3.1 an IPv6 address with more behind it",
    [lastHeaders(1, replaced(GET, ":authority", "[::1]x"))],
    malformed("bad-authority"),
  ],
  ["8.3.1 a :scheme that is none", [lastHeaders(1, replaced(GET, ":scheme", "h_p"))], malformed("bad-scheme")],
  ["9110 9.1 an unknown method", [lastHeaders(1, replaced(GET, ":method", "PURGE"))], ["head 1 PURGE / end"]],
  ["9110 9.1 a method that is no token", [lastHeaders(1, replaced(GET, ":method", "G ET"))], malformed("bad-method")],
  [
    "8.5 CONNECT",
    [
      headers(1, [
        [":method", "CONNECT"],
        [":authority", "b.test:443"],
      ]),
      data(1, "raw"),
    ],
    ["head 1 CONNECT  @b.test:443", "data 1 raw"],
  ],
  [
    "8.5 CONNECT with :path",
    [
      headers(1, [
        [":method", "CONNECT"],
        [":authority", "b.test:443"],
        [":path", "/"],
      ]),
    ],
    malformed("bad-connect"),
  ],
  [
    "8.5 CONNECT with :scheme",
    [
      headers(1, [
        [":method", "CONNECT"],
        [":authority", "b.test:443"],
        [":scheme", "http"],
      ]),
    ],
    malformed("bad-connect"),
  ],
  ["8.5 CONNECT without :authority", [headers(1, [[":method", "CONNECT"]])], malformed("bad-connect")],
  [
    "8.5 CONNECT without a port",
    [
      headers(1, [
        [":method", "CONNECT"],
        [":authority", "b.test"],
      ]),
    ],
    malformed("bad-authority"),
  ],
  [
    "8441 4 extended CONNECT",
    [headers(1, [...replaced(GET, ":method", "CONNECT"), [":protocol", "websocket"]]), data(1, "raw")],
    ["head 1 CONNECT /", "data 1 raw"],
  ],
  [
    "8441 4 extended CONNECT without :path",
    [headers(1, [...without(replaced(GET, ":method", "CONNECT"), ":path"), [":protocol", "websocket"]])],
    malformed("missing-pseudo-field"),
  ],
  ["8441 4 :protocol of another method", [headers(1, [...GET, [":protocol", "websocket"]])], malformed("bad-protocol")],
  [
    "8441 3 extended CONNECT that was not allowed",
    [headers(1, [...replaced(GET, ":method", "CONNECT"), [":protocol", "websocket"]])],
    malformed("bad-protocol"),
    { limits: { allowsConnectProtocol: false } },
  ],
  [
    "10.5.1 a head larger than was allowed is answered 431",
    [lastHeaders(1, [...GET, ["x-a", "x".repeat(200)]]), lastHeaders(3, GET)],
    [
      "refused 1 head-too-large",
      "head 3 GET / end",
      "> HEADERS 1 :status=431 end",
      "> HEADERS 3 :status=200",
      "> DATA 3 ok end",
    ],
    { answers: true, limits: { headerListBytesMax: 300 } },
  ],
  [
    "10.5.1 the answer to a request that goes on is followed by NO_ERROR",
    [headers(1, [...GET, ["x-a", "x".repeat(200)]])],
    ["refused 1 head-too-large", "> HEADERS 1 :status=431 end", "> RST_STREAM 1 NO_ERROR"],
    { answers: true, limits: { headerListBytesMax: 300 } },
  ],
  [
    "10.5 more fields than were allowed",
    [lastHeaders(1, [...GET, ["a", ""], ["b", ""], ["c", ""]])],
    malformed("too-many-fields"),
    { limits: { fieldsMax: 2 } },
  ],
  [
    "10.5 as many fields as were allowed",
    [lastHeaders(1, [...GET, ["a", ""], ["b", ""]])],
    ["head 1 GET / a= b= end"],
    { limits: { fieldsMax: 2 } },
  ],
];

const CLIENT: Case[] = [
  [
    "3.4 a server without SETTINGS",
    [ping("12345678")],
    ["reset 1 connection PROTOCOL_ERROR", ...refused("PROTOCOL_ERROR", "settings-missing")],
  ],
];

const CLIENT_STARTED: Case[] = [
  [
    "8.1 interim heads, head, content, trailers",
    [
      headers(1, [[":status", "100"]]),
      headers(1, [
        [":status", "103"],
        ["link", "x"],
      ]),
      headers(1, OK),
      data(1, "ab"),
      lastHeaders(1, [["x-t", "1"]]),
    ],
    ["interim 1 100", "interim 1 103 link=x", "head 1 200", "data 1 ab", "trailers 1 x-t=1"],
  ],
  [
    "8.1 an interim head that ends the stream",
    [lastHeaders(1, [[":status", "103"]])],
    ["refused 1 interim-ends-stream", "reset 1 refused PROTOCOL_ERROR", "> RST_STREAM 1 PROTOCOL_ERROR"],
  ],
  [
    "8.1 content before a head",
    [data(1, "x")],
    ["refused 1 data-before-head", "reset 1 refused PROTOCOL_ERROR", "> RST_STREAM 1 PROTOCOL_ERROR"],
  ],
  [
    "8.1 content behind an interim head",
    [headers(1, [[":status", "103"]]), data(1, "x")],
    ["interim 1 103", "refused 1 data-before-head", "reset 1 refused PROTOCOL_ERROR", "> RST_STREAM 1 PROTOCOL_ERROR"],
  ],
  [
    "8.1 an answer before the request is whole, and NO_ERROR",
    [lastHeaders(1, OK), rst(1, 0)],
    ["head 1 200 end", "reset 1 peer NO_ERROR"],
    { requests: ["POST"] },
  ],
  [
    "8.3.2 without :status",
    [lastHeaders(1, [["a", "b"]])],
    ["refused 1 missing-pseudo-field", "reset 1 refused PROTOCOL_ERROR", "> RST_STREAM 1 PROTOCOL_ERROR"],
  ],
  [
    "8.3.2 a :status of two digits",
    [lastHeaders(1, [[":status", "20"]])],
    ["refused 1 bad-status", "reset 1 refused PROTOCOL_ERROR", "> RST_STREAM 1 PROTOCOL_ERROR"],
  ],
  [
    "8.3.2 a :status below 100",
    [lastHeaders(1, [[":status", "099"]])],
    ["refused 1 bad-status", "reset 1 refused PROTOCOL_ERROR", "> RST_STREAM 1 PROTOCOL_ERROR"],
  ],
  [
    "8.3.2 a :status that is no number",
    [lastHeaders(1, [[":status", "2xx"]])],
    ["refused 1 bad-status", "reset 1 refused PROTOCOL_ERROR", "> RST_STREAM 1 PROTOCOL_ERROR"],
  ],
  [
    "8.3.2 a request's pseudo-field",
    [lastHeaders(1, [...OK, [":path", "/"]])],
    ["refused 1 unknown-pseudo-field", "reset 1 refused PROTOCOL_ERROR", "> RST_STREAM 1 PROTOCOL_ERROR"],
  ],
  [
    "8.6 a :status of 101",
    [headers(1, [[":status", "101"]])],
    ["refused 1 unexpected-101", "reset 1 refused PROTOCOL_ERROR", "> RST_STREAM 1 PROTOCOL_ERROR"],
  ],
  [
    "8.1.1 a longer answer than was said",
    [headers(1, [...OK, ["content-length", "1"]]), data(1, "a"), data(1, "b", END_STREAM)],
    [
      "head 1 200 content-length=1",
      "data 1 a",
      "refused 1 content-length-differs",
      "reset 1 refused PROTOCOL_ERROR",
      "> RST_STREAM 1 PROTOCOL_ERROR",
    ],
  ],
  [
    "8.1.1 the length of an answer to HEAD",
    [lastHeaders(1, [...OK, ["content-length", "5"]])],
    ["head 1 200 content-length=5 end"],
    { requests: ["HEAD"] },
  ],
  [
    "8.1.1 content of an answer to HEAD",
    [headers(1, OK), data(1, "ab", END_STREAM)],
    [
      "head 1 200",
      "refused 1 content-length-differs",
      "reset 1 refused PROTOCOL_ERROR",
      "> RST_STREAM 1 PROTOCOL_ERROR",
    ],
    { requests: ["HEAD"] },
  ],
  [
    "8.1.1 the length of a 304",
    [
      lastHeaders(1, [
        [":status", "304"],
        ["content-length", "5"],
      ]),
    ],
    ["head 1 304 content-length=5 end"],
  ],
  [
    "8.1.1 content of a 204",
    [headers(1, [[":status", "204"]]), data(1, "a", END_STREAM)],
    [
      "head 1 204",
      "refused 1 content-length-differs",
      "reset 1 refused PROTOCOL_ERROR",
      "> RST_STREAM 1 PROTOCOL_ERROR",
    ],
  ],
  [
    "8.1.1 the length of a 204",
    [
      lastHeaders(1, [
        [":status", "204"],
        ["content-length", "5"],
      ]),
    ],
    ["refused 1 bad-content-length", "reset 1 refused PROTOCOL_ERROR", "> RST_STREAM 1 PROTOCOL_ERROR"],
  ],
  [
    "8.5 an answer to CONNECT is a tunnel",
    [headers(1, OK), data(1, "raw")],
    ["head 1 200", "data 1 raw"],
    { requests: ["CONNECT"] },
  ],
  [
    "8.4 a server that pushes",
    [frame(5, 4, 1, Buffer.alloc(4))],
    ["reset 1 connection PROTOCOL_ERROR", ...refused("PROTOCOL_ERROR", "push-not-allowed")],
  ],
  [
    "5.1.1 a server that begins a stream",
    [lastHeaders(2, OK)],
    ["reset 1 connection PROTOCOL_ERROR", ...refused("PROTOCOL_ERROR", "frame-on-idle-stream")],
  ],
  [
    "5.1 an answer to what was never asked",
    [lastHeaders(3, OK)],
    ["reset 1 connection PROTOCOL_ERROR", ...refused("PROTOCOL_ERROR", "frame-on-idle-stream")],
  ],
  [
    "6.5.2 a server that would push",
    [settings([2, 1])],
    ["reset 1 connection PROTOCOL_ERROR", ...refused("PROTOCOL_ERROR", "bad-setting")],
  ],
  [
    "6.8 streams above the last id may be repeated, the others go on",
    [goaway(1, 0), lastHeaders(1, OK)],
    [
      "reset 3 goaway REFUSED_STREAM unprocessed",
      "goaway 1 NO_ERROR",
      "head 1 200 end",
      "closed peer",
      "> GOAWAY 0 NO_ERROR",
    ],
    { requests: ["GET", "GET"] },
  ],
  [
    "6.8 twice: first all, then the last id",
    [goaway(0x7fffffff, 0), goaway(1, 0), lastHeaders(1, OK)],
    [
      "goaway 2147483647 NO_ERROR",
      "reset 3 goaway REFUSED_STREAM unprocessed",
      "goaway 1 NO_ERROR",
      "head 1 200 end",
      "closed peer",
      "> GOAWAY 0 NO_ERROR",
    ],
    { requests: ["GET", "GET"] },
  ],
  [
    "6.8 a last id that grows",
    [goaway(1, 0), goaway(3, 0)],
    ["goaway 1 NO_ERROR", "reset 1 connection PROTOCOL_ERROR", ...refused("PROTOCOL_ERROR", "bad-goaway")],
  ],
  [
    "6.8 with an error",
    [goaway(0, 11)],
    [
      "reset 1 goaway REFUSED_STREAM unprocessed",
      "goaway 0 ENHANCE_YOUR_CALM",
      "closed peer-error",
      "> GOAWAY 0 NO_ERROR",
    ],
  ],
  ["8.7 REFUSED_STREAM may be repeated", [rst(1, 7)], ["reset 1 peer REFUSED_STREAM unprocessed"]],
  [
    "9110 15.2 more interim heads than were allowed",
    [headers(1, [[":status", "103"]]), headers(1, [[":status", "103"]]), headers(1, [[":status", "103"]])],
    [
      "interim 1 103",
      "interim 1 103",
      "refused 1 too-many-interim-heads",
      "reset 1 refused ENHANCE_YOUR_CALM",
      "> RST_STREAM 1 ENHANCE_YOUR_CALM",
    ],
    { limits: { interimHeadsMax: 2 } },
  ],
];

describe("a server", () => {
  for (const each of STARTING) it(each[0], () => check("server", [], each));
  for (const each of SERVER) it(each[0], () => check("server", [CLIENT_START], each));
});

describe("a client", () => {
  for (const each of CLIENT) it(each[0], () => check("client", [], each));
  for (const each of CLIENT_STARTED) it(each[0], () => check("client", [SERVER_START], each));
});
