// What RFC 9113, RFC 8441 and RFC 7541 ask, continued: values at a bound, every frame in every state, both roles, and
// header blocks that have to be read although nobody wants them. Cases as in requirements.test.ts.
import { describe, expect, it } from "vitest";
import { requestHead } from "./testing/echo.ts";
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
  readFrames,
  rst,
  SERVER_START,
  SETTINGS_ACK,
  settings,
  uint32,
  windowUpdate,
} from "./testing/frames.ts";
import { type Case, check, malformed, refused, resetAll } from "./testing/requirement.ts";
import { Script } from "./testing/script.ts";

const WINDOW_MAX = 0x7fffffff;
const WINDOW_DEFAULT = 65_535;
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const R_BIT = 0x80000000;

/** A field that enters the table, and then a name for the newest entry. */
const ENTERS = Buffer.concat([Buffer.from([0x40, 3]), Buffer.from("x-a"), Buffer.from([1]), Buffer.from("1")]);
const NEWEST = Buffer.from([0xbe]);

function blockOf(streamId: number, flags: number, ...parts: readonly Buffer[]): Buffer {
  return frame(1, END_HEADERS | flags, streamId, Buffer.concat(parts));
}

const replaced = (fields: readonly Pair[], name: string, value: string): Pair[] =>
  fields.map((each) => (each[0] === name ? ([name, value] as const) : each));
const withoutField = (fields: readonly Pair[], name: string): Pair[] => fields.filter(([each]) => each !== name);
const CONNECT: readonly Pair[] = [
  [":method", "CONNECT"],
  [":authority", "b.test:443"],
];
const EXTENDED: readonly Pair[] = [...replaced(GET, ":method", "CONNECT"), [":protocol", "websocket"]];

/** Stream 1 ends; its handler knew of it. */
const reset = (detail: string, before: readonly string[] = [], code = "PROTOCOL_ERROR"): string[] => [
  ...before,
  `refused 1 ${detail}`,
  `reset 1 refused ${code}`,
  `> RST_STREAM 1 ${code}`,
];
const posted = "head 1 POST /";
/** The connection ends under stream 1, which a handler had. */
const broken = (code: string, detail: string, before: readonly string[] = [posted]): string[] =>
  refused(code, detail, 1, [...before, resetAll(code)]);

const BEGINNINGS: Case[] = [
  ["3.4 SETTINGS of a stream do not begin", [PREFACE, frame(4, 0, 1)], refused("PROTOCOL_ERROR", "stream-id-not-zero")],
  [
    "3.4 SETTINGS of a wrong size do not begin",
    [PREFACE, frame(4, 0, 0, Buffer.alloc(5))],
    refused("FRAME_SIZE_ERROR", "bad-frame-size"),
  ],
  ["3.4 HEADERS do not begin", [PREFACE, lastHeaders(1, GET)], refused("PROTOCOL_ERROR", "settings-missing")],
  ["3.4 an unknown frame does not begin", [PREFACE, frame(0x42, 0, 0)], refused("PROTOCOL_ERROR", "settings-missing")],
];

const FRAMES: Case[] = [
  ["4.1 the reserved bit of a stream's frames is ignored", [lastHeaders(1 + R_BIT, GET)], ["head 1 GET / end"]],
  [
    "4.1 flags that a type does not have are ignored",
    [
      frame(1, END_HEADERS | 0xd2, 1, block(POST)),
      frame(0, 0xf6, 1, Buffer.from("x")),
      frame(8, 0xff, 1, uint32(1)),
      frame(2, 0xff, 1, Buffer.alloc(5)),
      frame(3, 0xff, 1, uint32(8)),
    ],
    [posted, "data 1 x", "reset 1 peer CANCEL"],
  ],
  [
    "4.2 a frame as large as was allowed",
    [headers(1, POST), data(1, Buffer.alloc(16_384, "a"), END_STREAM)],
    [posted, `data 1 ${"a".repeat(16_384)} end`],
  ],
  [
    "4.2 HEADERS larger than was allowed",
    [frame(1, END_HEADERS, 1, Buffer.alloc(16_385))],
    refused("FRAME_SIZE_ERROR", "frame-too-large"),
  ],
  [
    "4.2 CONTINUATION larger than was allowed",
    [headers(1, GET, END_STREAM), frame(9, END_HEADERS, 1, Buffer.alloc(16_385))],
    refused("FRAME_SIZE_ERROR", "frame-too-large"),
  ],
  ["6.2 padded, and empty", [frame(1, END_HEADERS | PADDED, 1)], refused("FRAME_SIZE_ERROR", "bad-frame-size")],
  [
    "6.2 padding that takes all that its priority leaves",
    [
      frame(
        1,
        END_HEADERS | END_STREAM | PADDED | PRIORITY,
        1,
        Buffer.concat([Buffer.from([block(GET).length + 1]), uint32(0), Buffer.from([1]), block(GET)]),
      ),
    ],
    refused("PROTOCOL_ERROR", "bad-padding"),
  ],
  ["6.1 padding of one octet less than the frame", [headers(1, POST), data(1, padded("", 3), PADDED)], [posted]],
  [
    "6.3 of a wrong size on an idle stream ends the connection: no stream is there to be reset",
    [frame(2, 0, 1, Buffer.alloc(6))],
    refused("FRAME_SIZE_ERROR", "bad-priority-size"),
  ],
  [
    "6.4 larger than its size",
    [headers(1, POST), frame(3, 0, 1, Buffer.alloc(5))],
    broken("FRAME_SIZE_ERROR", "bad-frame-size"),
  ],
  ["6.7 larger than its size", [frame(6, 0, 0, Buffer.alloc(9))], refused("FRAME_SIZE_ERROR", "bad-frame-size")],
  ["6.7 an answer of a wrong size", [frame(6, 1, 0, Buffer.alloc(7))], refused("FRAME_SIZE_ERROR", "bad-frame-size")],
  [
    "6.9 of a wrong size, of a stream",
    [headers(1, POST), frame(8, 0, 1, Buffer.alloc(5))],
    broken("FRAME_SIZE_ERROR", "bad-frame-size"),
  ],
  [
    "6.10 CONTINUATION on stream 0",
    [headers(1, GET, END_STREAM), frame(9, END_HEADERS, 0)],
    refused("PROTOCOL_ERROR", "continuation-expected"),
  ],
  [
    "6.10 HEADERS within a header block",
    [headers(1, GET, END_STREAM), lastHeaders(1, GET)],
    refused("PROTOCOL_ERROR", "continuation-expected"),
  ],
  [
    "6.10 CONTINUATION of trailers",
    [headers(1, POST), headers(1, [["a", "1"]], END_STREAM), frame(9, END_HEADERS, 1, block([["b", "2"]]))],
    [posted, "trailers 1 a=1 b=2"],
  ],
  [
    "6.10 CONTINUATION without bytes ends a block",
    [headers(1, GET, END_STREAM), frame(9, END_HEADERS, 1)],
    ["head 1 GET / end"],
  ],
];

const STATES: Case[] = [
  ["5.1 idle: CONTINUATION", [frame(9, END_HEADERS, 3)], refused("PROTOCOL_ERROR", "unexpected-continuation")],
  ["5.1 idle: DATA on an even id", [data(2, "x")], refused("PROTOCOL_ERROR", "frame-on-idle-stream")],
  ["5.1 idle: WINDOW_UPDATE on an even id", [windowUpdate(2, 1)], refused("PROTOCOL_ERROR", "frame-on-idle-stream")],
  [
    "5.1 idle: an unknown frame makes nothing of it",
    [frame(0x42, 0, 9), lastHeaders(1, GET), data(9, "x")],
    ["head 1 GET / end", resetAll("PROTOCOL_ERROR"), ...refused("PROTOCOL_ERROR", "frame-on-idle-stream", 1)],
  ],
  [
    "5.1 half-closed: an unknown frame and RST_STREAM",
    [lastHeaders(1, GET), frame(0x42, 0xff, 1, Buffer.alloc(3)), rst(1, 0)],
    ["head 1 GET / end", "reset 1 peer NO_ERROR"],
  ],
  [
    "5.1 closed by both: PRIORITY and unknown frames are ignored",
    [lastHeaders(1, GET), frame(2, 0, 1, Buffer.alloc(5)), frame(0x42, 0, 1)],
    ["head 1 GET / end", "> HEADERS 1 :status=200", "> DATA 1 ok end"],
    { answers: true },
  ],
  [
    "5.1 reset by the peer: WINDOW_UPDATE and PRIORITY are ignored",
    [headers(1, POST), rst(1, 8), windowUpdate(1, 5), frame(2, 0, 1, Buffer.alloc(5))],
    [posted, "reset 1 peer CANCEL"],
  ],
  [
    "5.4.2 RST_STREAM is never answered by RST_STREAM",
    [headers(1, POST), rst(1, 8), rst(1, 8), headers(3, replaced(POST, ":path", "no")), rst(3, 1)],
    [posted, "reset 1 peer CANCEL", "refused 3 bad-path", "> RST_STREAM 3 PROTOCOL_ERROR"],
  ],
  [
    "5.1 reset by us: PRIORITY and RST_STREAM that were under way",
    [headers(1, replaced(POST, ":path", "no")), frame(2, 0, 1, Buffer.alloc(5)), rst(1, 8), lastHeaders(3, GET)],
    ["refused 1 bad-path", "head 3 GET / end", "> RST_STREAM 1 PROTOCOL_ERROR"],
  ],
  [
    "5.1.1 an id that was used",
    [lastHeaders(1, GET), lastHeaders(3, GET), lastHeaders(1, GET)],
    [
      "head 1 GET / end",
      "head 3 GET / end",
      "closed refused",
      "> HEADERS 1 :status=200",
      "> DATA 1 ok end",
      "> HEADERS 3 :status=200",
      "> DATA 3 ok end",
      "> GOAWAY 3 STREAM_CLOSED frame-after-end",
    ],
    { answers: true },
  ],
  ["5.1.1 the highest id that there is", [lastHeaders(WINDOW_MAX, GET)], [`head ${WINDOW_MAX} GET / end`]],
  [
    "5.1.2 streams that wait for their answer count",
    [lastHeaders(1, GET), lastHeaders(3, GET)],
    ["head 1 GET / end", "refused 3 too-many-streams", "> RST_STREAM 3 REFUSED_STREAM"],
    { limits: { streamsMax: 1 } },
  ],
];

const SETTINGS: Case[] = [
  ["6.5.2 ENABLE_PUSH of 0 and 1", [settings([2, 0]), settings([2, 1])], ["> SETTINGS ack", "> SETTINGS ack"]],
  ["6.5.2 the largest window", [settings([4, WINDOW_MAX])], ["> SETTINGS ack"]],
  ["6.5.2 the smallest and the largest frame", [settings([5, 16_384], [5, 16_777_215])], ["> SETTINGS ack"]],
  ["6.5.2 any table, any list, no streams", [settings([1, 0xffffffff], [6, 0], [3, 0])], ["> SETTINGS ack"]],
  [
    "6.5.3 values act in their order, the last of one kind stays",
    [settings([4, 0]), lastHeaders(1, GET), settings([4, 1], [4, 2])],
    ["head 1 GET / end", "drain 1", "> SETTINGS ack", "> HEADERS 1 :status=200", "> SETTINGS ack", "> DATA 1 ok end"],
    { answers: true },
  ],
  [
    "6.5.3 a value that is wrong behind one that is not",
    [settings([4, 5], [5, 0])],
    refused("PROTOCOL_ERROR", "bad-setting"),
  ],
  ["8441 3 ENABLE_CONNECT_PROTOCOL of 2", [settings([8, 2])], refused("PROTOCOL_ERROR", "bad-setting")],
  ["8441 3 allowed, and again", [settings([8, 1]), settings([8, 1])], ["> SETTINGS ack", "> SETTINGS ack"]],
  [
    "8441 3 not allowed, said in so many words",
    [settings([8, 0]), settings([8, 0])],
    ["> SETTINGS ack", "> SETTINGS ack"],
  ],
  ["6.9.1 the connection's window at 2^31-1", [windowUpdate(0, WINDOW_MAX - WINDOW_DEFAULT)], []],
  ["6.9.1 a stream's window at 2^31-1", [headers(1, POST), windowUpdate(1, WINDOW_MAX - WINDOW_DEFAULT)], [posted]],
  [
    "6.9.2 a first window does not change the connection's",
    [settings([4, WINDOW_MAX]), windowUpdate(0, WINDOW_MAX - WINDOW_DEFAULT)],
    ["> SETTINGS ack"],
  ],
];

/** Header blocks of streams that nobody has, or that are refused: what they enter into the table is there (section 4.3). */
const DISCARDED: Case[] = [
  [
    "4.3 of a stream too many",
    [headers(1, POST), blockOf(3, 0, block(POST), ENTERS), rst(1, 8), blockOf(5, END_STREAM, block(GET), NEWEST)],
    [
      posted,
      "refused 3 too-many-streams",
      "reset 1 peer CANCEL",
      "head 5 GET / x-a=1 end",
      "> RST_STREAM 3 REFUSED_STREAM",
    ],
    { limits: { streamsMax: 1 } },
  ],
  [
    "4.3 of a request that breaks a rule before the field",
    [blockOf(1, END_STREAM, block(replaced(GET, ":path", "no")), ENTERS), blockOf(3, END_STREAM, block(GET), NEWEST)],
    ["refused 1 bad-path", "head 3 GET / x-a=1 end", "> RST_STREAM 1 PROTOCOL_ERROR"],
  ],
  [
    "4.3 of trailers of a stream that was reset here",
    [
      headers(1, replaced(POST, ":path", "no")),
      blockOf(1, END_STREAM, ENTERS),
      blockOf(3, END_STREAM, block(GET), NEWEST),
    ],
    ["refused 1 bad-path", "head 3 GET / x-a=1 end", "> RST_STREAM 1 PROTOCOL_ERROR"],
  ],
  [
    "4.3 of HEADERS behind the end of a message",
    [lastHeaders(1, GET), blockOf(1, END_STREAM, ENTERS), blockOf(3, END_STREAM, block(GET), NEWEST)],
    [
      "head 1 GET / end",
      "refused 1 frame-after-half-close",
      "reset 1 refused STREAM_CLOSED",
      "head 3 GET / x-a=1 end",
      "> RST_STREAM 1 STREAM_CLOSED",
    ],
  ],
  [
    "4.3 of more fields than were allowed",
    [
      blockOf(1, END_STREAM, block(GET), block([["b", "1"]]), ENTERS, NEWEST, NEWEST),
      blockOf(3, END_STREAM, block(GET), NEWEST),
    ],
    ["refused 1 too-many-fields", "head 3 GET / x-a=1 end", "> RST_STREAM 1 PROTOCOL_ERROR"],
    { limits: { fieldsMax: 2 } },
  ],
  [
    "4.3 a block of trailers that HPACK cannot read ends the connection",
    [headers(1, POST), frame(1, END_HEADERS | END_STREAM, 1, Buffer.from([0x80]))],
    broken("COMPRESSION_ERROR", "bad-index"),
  ],
  [
    "4.3 a block that nobody wants and HPACK cannot read ends the connection too",
    [headers(1, replaced(POST, ":path", "no")), frame(1, END_HEADERS | END_STREAM, 1, Buffer.from([0xbf]))],
    ["refused 1 bad-path", "closed refused", "> RST_STREAM 1 PROTOCOL_ERROR", "> GOAWAY 1 COMPRESSION_ERROR bad-index"],
  ],
];

const MESSAGES: Case[] = [
  [
    "8.2.1 an upper-case name in trailers",
    [headers(1, POST), lastHeaders(1, [["X-A", "1"]])],
    reset("bad-field-name", [posted]),
  ],
  [
    "8.2.1 a line end in trailers",
    [headers(1, POST), lastHeaders(1, [["x-a", "1\r\n2"]])],
    reset("bad-field-value", [posted]),
  ],
  [
    "8.1 trailers after trailers",
    [headers(1, POST), lastHeaders(1, [["a", "1"]]), lastHeaders(1, [["a", "2"]])],
    [
      posted,
      "trailers 1 a=1",
      "refused 1 frame-after-half-close",
      "reset 1 refused STREAM_CLOSED",
      "> RST_STREAM 1 STREAM_CLOSED",
    ],
  ],
  [
    "8.3 a pseudo-field between fields",
    [lastHeaders(1, [...GET.slice(0, 2), ["a", "1"], ...GET.slice(2)])],
    malformed("late-pseudo-field"),
  ],
  ["8.3 a pseudo-field without a name", [lastHeaders(1, [...GET, [":", "1"]])], malformed("unknown-pseudo-field")],
  [
    "8.3 an upper-case pseudo-field",
    [
      lastHeaders(
        1,
        replaced(GET, ":path", "/").map(([name, value]) => [name === ":path" ? ":Path" : name, value] as const),
      ),
    ],
    malformed("unknown-pseudo-field"),
  ],
  ["8.3.1 :authority twice", [lastHeaders(1, [...GET, [":authority", "a.test"]])], malformed("repeated-pseudo-field")],
  ["8.3.1 an empty :method", [lastHeaders(1, replaced(GET, ":method", ""))], malformed("bad-method")],
  ["8.3.1 an empty :scheme", [lastHeaders(1, replaced(GET, ":scheme", ""))], malformed("bad-scheme")],
  [
    "8.3.1 a :scheme that begins with a digit",
    [lastHeaders(1, replaced(GET, ":scheme", "1http"))],
    malformed("bad-scheme"),
  ],
  ["8.3.1 an absolute :path", [lastHeaders(1, replaced(GET, ":path", "http://a.test/"))], malformed("bad-path")],
  [
    "8.1.1 Content-Length 0 and content",
    [headers(1, [...POST, ["content-length", "0"]]), data(1, "x", END_STREAM)],
    reset("content-length-differs", ["head 1 POST / content-length=0"]),
  ],
  [
    "8.1.1 Content-Length 0 and an empty end",
    [headers(1, [...POST, ["content-length", "0"]]), data(1, padded("", 4), PADDED | END_STREAM)],
    ["head 1 POST / content-length=0", "data 1  end"],
  ],
  [
    "8.5 HEADERS on a connected stream",
    [headers(1, CONNECT), data(1, "raw"), lastHeaders(1, [["a", "1"]])],
    reset("fields-in-tunnel", ["head 1 CONNECT  @b.test:443", "data 1 raw"]),
  ],
  [
    "8.5 WINDOW_UPDATE, PRIORITY and RST_STREAM on a connected stream are fine",
    [headers(1, CONNECT), windowUpdate(1, 1), frame(2, 0, 1, Buffer.alloc(5)), data(1, "raw"), rst(1, 8)],
    ["head 1 CONNECT  @b.test:443", "data 1 raw", "reset 1 peer CANCEL"],
  ],
  [
    "8.5 the end of a connected stream",
    [headers(1, CONNECT), data(1, "raw", END_STREAM)],
    ["head 1 CONNECT  @b.test:443", "data 1 raw end"],
  ],
  [
    "8.5 CONNECT with Content-Length",
    [headers(1, [...CONNECT, ["content-length", "3"]])],
    malformed("bad-content-length"),
  ],
  [
    "8441 4 HEADERS on a stream of extended CONNECT",
    [headers(1, EXTENDED), lastHeaders(1, [["a", "1"]])],
    reset("fields-in-tunnel", ["head 1 CONNECT /"]),
  ],
  [
    "8441 4 extended CONNECT without :scheme",
    [headers(1, withoutField(EXTENDED, ":scheme"))],
    malformed("missing-pseudo-field"),
  ],
  [
    "8441 4 extended CONNECT without :authority",
    [headers(1, withoutField(EXTENDED, ":authority"))],
    malformed("bad-connect"),
  ],
  ["8441 4 an empty :protocol", [headers(1, replaced(EXTENDED, ":protocol", ""))], malformed("bad-protocol")],
  [
    "8441 4 extended CONNECT with Content-Length",
    [headers(1, [...EXTENDED, ["content-length", "3"]])],
    malformed("bad-content-length"),
  ],
  ["8441 4 h2c as :protocol", [headers(1, replaced(EXTENDED, ":protocol", "h2c"))], malformed("bad-protocol")],
  ["8441 4 H2 as :protocol", [headers(1, replaced(EXTENDED, ":protocol", "H2"))], malformed("bad-protocol")],
  [
    "8441 4 :protocol twice",
    [headers(1, [...EXTENDED, [":protocol", "websocket"]])],
    malformed("repeated-pseudo-field"),
  ],
];

const CLIENT: Case[] = [
  [
    "4.1 an unknown frame type is ignored",
    [frame(0x42, 0xff, 1, Buffer.from("abc")), lastHeaders(1, OK)],
    ["head 1 200 end"],
  ],
  [
    "4.2 a frame larger than was allowed",
    [frame(0, 0, 1, Buffer.alloc(16_385))],
    refused("FRAME_SIZE_ERROR", "frame-too-large", 0, [resetAll("FRAME_SIZE_ERROR")]),
  ],
  [
    "4.3 a block that HPACK cannot read",
    [frame(1, END_HEADERS | END_STREAM, 1, Buffer.from([0x80]))],
    refused("COMPRESSION_ERROR", "bad-index", 0, [resetAll("COMPRESSION_ERROR")]),
  ],
  [
    "4.3 a refused answer's block is in the table",
    [blockOf(1, END_STREAM, block([["a", "b"]]), ENTERS), blockOf(3, END_STREAM, block(OK), NEWEST)],
    [
      "refused 1 missing-pseudo-field",
      "reset 1 refused PROTOCOL_ERROR",
      "head 3 200 x-a=1 end",
      "> RST_STREAM 1 PROTOCOL_ERROR",
    ],
    { requests: ["GET", "GET"] },
  ],
  [
    "5.1 idle: DATA",
    [data(3, "x")],
    refused("PROTOCOL_ERROR", "frame-on-idle-stream", 0, [resetAll("PROTOCOL_ERROR")]),
  ],
  [
    "5.1 idle: RST_STREAM",
    [rst(3, 0)],
    refused("PROTOCOL_ERROR", "frame-on-idle-stream", 0, [resetAll("PROTOCOL_ERROR")]),
  ],
  [
    "5.1 idle: WINDOW_UPDATE",
    [windowUpdate(3, 1)],
    refused("PROTOCOL_ERROR", "frame-on-idle-stream", 0, [resetAll("PROTOCOL_ERROR")]),
  ],
  [
    "5.1 idle: what a server never began",
    [windowUpdate(2, 1)],
    refused("PROTOCOL_ERROR", "frame-on-idle-stream", 0, [resetAll("PROTOCOL_ERROR")]),
  ],
  [
    "5.1 half-closed: WINDOW_UPDATE and PRIORITY",
    [windowUpdate(1, 5), frame(2, 0, 1, Buffer.alloc(5)), lastHeaders(1, OK)],
    ["head 1 200 end"],
  ],
  [
    "5.1 closed by both: DATA",
    [lastHeaders(1, OK), data(1, "x")],
    ["head 1 200 end", "closed refused", "> GOAWAY 0 STREAM_CLOSED frame-after-end"],
  ],
  [
    "5.1 closed by both: HEADERS",
    [lastHeaders(1, OK), lastHeaders(1, OK)],
    ["head 1 200 end", "closed refused", "> GOAWAY 0 STREAM_CLOSED frame-after-end"],
  ],
  [
    "5.1 closed by both: WINDOW_UPDATE, PRIORITY and RST_STREAM are ignored",
    [lastHeaders(1, OK), windowUpdate(1, 5), frame(2, 0, 1, Buffer.alloc(5)), rst(1, 0)],
    ["head 1 200 end"],
  ],
  [
    "5.1 behind the end of an answer whose request goes on: DATA",
    [lastHeaders(1, OK), data(1, "x")],
    [
      "head 1 200 end",
      "refused 1 frame-after-half-close",
      "reset 1 refused STREAM_CLOSED",
      "> RST_STREAM 1 STREAM_CLOSED",
    ],
    { requests: ["POST"] },
  ],
  ["5.1 reset by the peer: DATA", [rst(1, 8), data(1, "x")], ["reset 1 peer CANCEL", "> RST_STREAM 1 STREAM_CLOSED"]],
  [
    "5.1 reset by us: what was under way is ignored",
    [headers(1, [["a", "b"]]), data(1, "x"), lastHeaders(1, [["c", "d"]]), windowUpdate(1, 1), rst(1, 2)],
    reset("missing-pseudo-field"),
  ],
  [
    "6.1 padding is dropped",
    [headers(1, OK), data(1, padded("ab", 9), PADDED | END_STREAM)],
    ["head 1 200", "data 1 ab end"],
  ],
  [
    "6.5.2 SETTINGS that end a window's range",
    [settings([4, R_BIT])],
    refused("FLOW_CONTROL_ERROR", "bad-initial-window", 0, [resetAll("FLOW_CONTROL_ERROR")]),
  ],
  [
    "6.5.2 a server may say that it takes no push",
    [settings([2, 0]), lastHeaders(1, OK)],
    ["head 1 200 end", "> SETTINGS ack"],
  ],
  [
    "8441 3 allowed and then not",
    [settings([8, 1]), settings([8, 0])],
    [resetAll("PROTOCOL_ERROR"), "closed refused", "> SETTINGS ack", "> GOAWAY 0 PROTOCOL_ERROR bad-setting"],
  ],
  [
    "6.8 with words",
    [Buffer.concat([frame(7, 0, 0, Buffer.concat([uint32(1, 0), Buffer.from("maintenance")]))]), lastHeaders(1, OK)],
    ["goaway 1 NO_ERROR", "head 1 200 end", "closed peer", "> GOAWAY 0 NO_ERROR"],
  ],
  [
    "6.8 the reserved bit is ignored",
    [frame(7, 0, 0, uint32(R_BIT + 1, 0)), lastHeaders(1, OK)],
    ["goaway 1 NO_ERROR", "head 1 200 end", "closed peer", "> GOAWAY 0 NO_ERROR"],
  ],
  [
    "7 an unknown code of GOAWAY is an error like another",
    [goaway(1, 0xff), lastHeaders(1, OK)],
    ["goaway 1 0xff", "head 1 200 end", "closed peer-error", "> GOAWAY 0 NO_ERROR"],
  ],
  [
    "6.8 on a stream",
    [frame(7, 0, 1, uint32(0, 0))],
    refused("PROTOCOL_ERROR", "stream-id-not-zero", 0, [resetAll("PROTOCOL_ERROR")]),
  ],
  ["6.9 zero, of a stream", [windowUpdate(1, 0)], reset("zero-window-update")],
  [
    "6.9.1 a stream's window over 2^31-1",
    [windowUpdate(1, WINDOW_MAX)],
    reset("window-overflow", [], "FLOW_CONTROL_ERROR"),
  ],
  [
    "8.1 trailers of an answer that do not end it",
    [headers(1, OK), headers(1, [["a", "1"]])],
    reset("trailers-without-end", ["head 1 200"]),
  ],
  [
    "8.1 an interim head behind the final one is trailers that break a rule",
    [headers(1, OK), headers(1, [[":status", "103"]])],
    reset("pseudo-field-in-trailers", ["head 1 200"]),
  ],
  [
    "8.1.1 a shorter answer than was said",
    [headers(1, [...OK, ["content-length", "3"]]), data(1, "a", END_STREAM)],
    reset("content-length-differs", ["head 1 200 content-length=3"]),
  ],
  [
    "8.1.1 a shorter answer than was said, with trailers",
    [headers(1, [...OK, ["content-length", "3"]]), data(1, "ab"), lastHeaders(1, [["a", "1"]])],
    reset("content-length-differs", ["head 1 200 content-length=3", "data 1 ab"]),
  ],
  [
    "8.1.1 an answer without the content that was said",
    [lastHeaders(1, [...OK, ["content-length", "3"]])],
    reset("content-length-differs"),
  ],
  ["8.2.1 an upper-case name", [lastHeaders(1, [...OK, ["X-A", "1"]])], reset("bad-field-name")],
  ["8.2.1 a line end in a value", [lastHeaders(1, [...OK, ["x-a", "1\n2"]])], reset("bad-field-value")],
  ["8.2.2 connection", [lastHeaders(1, [...OK, ["connection", "close"]])], reset("connection-field")],
  ["8.2.2 transfer-encoding", [lastHeaders(1, [...OK, ["transfer-encoding", "chunked"]])], reset("connection-field")],
  [
    "8.2.2 upgrade in trailers",
    [headers(1, OK), lastHeaders(1, [["upgrade", "h2c"]])],
    reset("connection-field", ["head 1 200"]),
  ],
  ["8.3 an unknown pseudo-field", [lastHeaders(1, [...OK, [":foo", "1"]])], reset("unknown-pseudo-field")],
  [
    "8.3 :status behind a field",
    [
      lastHeaders(1, [
        ["a", "1"],
        [":status", "200"],
      ]),
    ],
    reset("late-pseudo-field"),
  ],
  ["8.3.2 :status twice", [lastHeaders(1, [...OK, [":status", "200"]])], reset("repeated-pseudo-field")],
  ["8.3.2 a :status of four digits", [lastHeaders(1, [[":status", "2000"]])], reset("bad-status")],
  ["8.3.2 an empty :status", [lastHeaders(1, [[":status", ""]])], reset("bad-status")],
  ["8.3.2 a :status that nobody registered", [lastHeaders(1, [[":status", "799"]])], ["head 1 799 end"]],
  [
    "8.4 a server that pushes on a stream that was never asked",
    [frame(5, END_HEADERS, 3, Buffer.concat([uint32(2), block(GET)]))],
    refused("PROTOCOL_ERROR", "push-not-allowed", 0, [resetAll("PROTOCOL_ERROR")]),
  ],
  [
    "8.5 HEADERS on a connected stream",
    [headers(1, OK), data(1, "raw"), lastHeaders(1, [["a", "1"]])],
    reset("fields-in-tunnel", ["head 1 200", "data 1 raw"]),
    { requests: ["CONNECT"] },
  ],
  [
    "8.5 an answer to CONNECT that is no tunnel has trailers like others",
    [headers(1, [[":status", "502"]]), data(1, "no"), lastHeaders(1, [["a", "1"]])],
    ["head 1 502", "data 1 no", "trailers 1 a=1"],
    { requests: ["CONNECT"] },
  ],
  [
    "8.7 GOAWAY above all that was asked lets it go on",
    [goaway(WINDOW_MAX, 0), lastHeaders(1, OK)],
    [`goaway ${WINDOW_MAX} NO_ERROR`, "head 1 200 end", "closed peer", "> GOAWAY 0 NO_ERROR"],
  ],
];

describe("a server", () => {
  it("3.4 an empty SETTINGS frame is enough of a beginning, without an acknowledgement of ours", () => {
    const script = new Script({ role: "server" });
    script.send(Buffer.concat([PREFACE, settings(), lastHeaders(1, GET)]));
    expect(script.lines).toEqual(["head 1 GET / end", "> SETTINGS ack"]);
  });
  for (const each of BEGINNINGS) it(each[0], () => check("server", [], each));
  for (const each of [...FRAMES, ...STATES, ...SETTINGS, ...DISCARDED, ...MESSAGES])
    it(each[0], () => check("server", [CLIENT_START], each));

  it("8.2.1 names are lower-case tokens, whatever the octet", () => {
    const token = /^[!#$%&'*+\-.^_`|~0-9a-z]$/;
    for (let octet = 0; octet < 256; octet++) {
      const name = `x${String.fromCharCode(octet)}`;
      const script = new Script({ role: "server" });
      script.send(Buffer.concat([CLIENT_START, lastHeaders(1, [...GET, [name, "1"]])]));
      const isGood = token.test(String.fromCharCode(octet));
      expect(script.events, `octet ${octet}`).toEqual([
        isGood ? `head 1 GET / ${name}=1 end` : "refused 1 bad-field-name",
      ]);
    }
  });

  it("8.2.1 values have no controls but tabs within, whatever the octet", () => {
    for (let octet = 0; octet < 256; octet++) {
      const value = `1${String.fromCharCode(octet)}2`;
      const script = new Script({ role: "server" });
      script.send(Buffer.concat([CLIENT_START, lastHeaders(1, [...GET, ["x-a", value]])]));
      const isGood = octet === 9 || (octet >= 32 && octet !== 127);
      expect(script.events, `octet ${octet}`).toEqual([
        isGood ? `head 1 GET / x-a=${value} end` : "refused 1 bad-field-value",
      ]);
    }
  });
});

describe("a client", () => {
  for (const each of CLIENT) it(each[0], () => check("client", [SERVER_START], each));

  it("5.1.1 opens no stream past the last id", () => {
    const script = new Script({ role: "client" });
    script.send(SERVER_START);
    script.connection.streams.nextOwnId = WINDOW_MAX;
    expect(script.connection.canOpenStream).toBe(true);
    script.connection.request(requestHead("GET", "/"), true, script);
    expect(script.connection.canOpenStream).toBe(false);
  });

  it("6.8 opens no stream once the server has said GOAWAY, whatever id it names", () => {
    const script = new Script({ role: "client", requests: ["GET"] });
    script.send(Buffer.concat([SERVER_START, goaway(WINDOW_MAX, 0)]));
    expect(script.connection.canOpenStream).toBe(false);
  });

  it("6.5.3, HPACK 4.2 a table that SETTINGS empty and enlarge again at once is said to be empty first", () => {
    const script = new Script({ role: "server", answers: true });
    script.send(CLIENT_START);
    const answerTo = (bytes: Buffer): Buffer => {
      script.connection.receive(bytes, 0, bytes.length);
      script.flushes.flushAll();
      const blocks = readFrames(script.transport.take()).filter(({ type }) => type === 1);
      return blocks.at(-1)?.payload ?? Buffer.alloc(0);
    };
    answerTo(lastHeaders(1, GET));
    answerTo(lastHeaders(3, GET));
    const known = answerTo(lastHeaders(5, GET));
    const emptied = answerTo(Buffer.concat([settings([1, 0], [1, 4096]), lastHeaders(7, GET)]));
    expect(known.toString("hex")).not.toMatch(/^20/);
    expect(emptied.toString("hex")).toMatch(/^203fe11f/);
    expect(answerTo(Buffer.concat([settings([4, 1000]), lastHeaders(9, GET)])).toString("hex")).not.toMatch(/^[23]/);
  });

  it("6.7, 6.5.3 answers PING and SETTINGS before anything else that waits", () => {
    const script = new Script({ role: "client", requests: ["POST"] });
    script.send(Buffer.concat([settings([4, 1]), SETTINGS_ACK]));
    script.frames.length = 0;
    script.streams[0]?.sendData(Buffer.alloc(100, "x"), 0, 100, true);
    script.send(Buffer.concat([ping("abcdefgh"), settings([4, 200])]));
    expect(script.frames).toEqual([
      "> DATA 1 x",
      "> PING abcdefgh ack",
      "> SETTINGS ack",
      `> DATA 1 ${"x".repeat(99)} end`,
    ]);
  });
});
