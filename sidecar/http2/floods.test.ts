// Attacks: each bound of limits.ts, at it and one past it, and what is answered; and that ordinary use at any rate is
// none.
import { describe, expect, it } from "vitest";
import { ERROR } from "./error-code.ts";
import { requestHead } from "./testing/echo.ts";
import {
  ACK,
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
  POST,
  ping,
  rst,
  settings,
  windowUpdate,
} from "./testing/frames.ts";
import { Script, type ScriptOptions } from "./testing/script.ts";

const NOTHING = Buffer.alloc(0);
const FEW = { burst: 10, perSecond: 1 };

function server(options: Partial<ScriptOptions> = {}): Script {
  const script = new Script({ role: "server", ...options });
  script.send(CLIENT_START);
  return script;
}

function detailOf(script: Script): string | undefined {
  return script.connection.refusal?.detail;
}

/** Sends until the connection ends. @returns how many it took */
function countUntilClosed(script: Script, make: (turn: number) => Buffer, turnsMax = 5000): number {
  for (let turn = 0; turn < turnsMax; turn++) {
    script.send(make(turn));
    if (script.connection.isClosed) return turn + 1;
  }
  return turnsMax;
}

const id = (turn: number): number => turn * 2 + 1;

describe("floods end the connection with ENHANCE_YOUR_CALM", () => {
  const cases: [name: string, limits: ScriptOptions["limits"], make: (turn: number) => Buffer, detail: string][] = [
    [
      "streams opened and reset (CVE-2023-44487)",
      { resets: FEW },
      (turn) => Buffer.concat([lastHeaders(id(turn), GET), rst(id(turn), 8)]),
      "reset-flood",
    ],
    [
      "streams that we are made to reset (CVE-2025-8671)",
      { resets: FEW },
      (turn) => Buffer.concat([headers(id(turn), POST), windowUpdate(id(turn), 0)]),
      "reset-flood",
    ],
    ["malformed requests", { resets: FEW }, (turn) => lastHeaders(id(turn), GET.slice(1)), "reset-flood"],
    ["PING", { pings: FEW }, () => ping("12345678"), "ping-flood"],
    ["answers to PING that nobody sent", { pings: FEW }, () => ping("12345678", ACK), "ping-flood"],
    [
      "GOAWAY",
      { settings: { burst: 11, perSecond: 1 } },
      (turn) => Buffer.concat([turn === 0 ? headers(1, POST) : NOTHING, goaway(0, 0)]),
      "goaway-flood",
    ],
    ["SETTINGS", { settings: { burst: 11, perSecond: 1 } }, () => settings(), "settings-flood"],
    ["PRIORITY", { idleFrames: FEW }, () => frame(2, 0, 3, Buffer.alloc(5)), "idle-frame-flood"],
    ["unknown frames", { idleFrames: FEW }, () => frame(0x77, 0, 3), "idle-frame-flood"],
    [
      "RST_STREAM of a stream that is over",
      { lateFrames: FEW },
      (turn) => Buffer.concat([turn === 0 ? Buffer.concat([headers(1, POST), rst(1, 8)]) : NOTHING, rst(1, 8)]),
      "idle-frame-flood",
    ],
    [
      "HEADERS of a stream that we have reset",
      { lateFrames: FEW },
      (turn) =>
        Buffer.concat([
          turn === 0 ? Buffer.concat([headers(1, POST), windowUpdate(1, 0)]) : NOTHING,
          headers(1, [["a", "b"]]),
        ]),
      "idle-frame-flood",
    ],
    [
      "empty DATA (CVE-2019-9518)",
      { emptyFrames: FEW },
      (turn) => Buffer.concat([turn === 0 ? headers(1, POST) : NOTHING, data(1, "")]),
      "empty-frame-flood",
    ],
    [
      "DATA of nothing but padding",
      { emptyFrames: FEW },
      (turn) => Buffer.concat([turn === 0 ? headers(1, POST) : NOTHING, data(1, Buffer.from([3, 0, 0, 0]), 8)]),
      "empty-frame-flood",
    ],
    [
      "empty CONTINUATION",
      { emptyFrames: FEW, continuationsMax: 1000 },
      (turn) => (turn === 0 ? frame(1, 0, 1) : frame(9, 0, 1)),
      "empty-frame-flood",
    ],
    ["WINDOW_UPDATE", { windowUpdates: FEW }, () => windowUpdate(0, 1), "window-update-flood"],
    [
      "changes of the table's size",
      { tableUpdates: FEW },
      (turn) => frame(1, END_HEADERS | END_STREAM, id(turn), Buffer.concat([Buffer.from([0x20]), block(GET)])),
      "table-update-flood",
    ],
  ];
  it.each(cases)("%s", (_name, limits, make, detail) => {
    const script = server({ limits: { ...limits, streamsMax: 1000 } });
    expect(countUntilClosed(script, make)).toBe(11);
    expect(detailOf(script)).toBe(detail);
    expect(script.events.at(-1)).toBe("closed refused");
    expect(script.frames.at(-1)).toMatch(new RegExp(`GOAWAY \\d+ ENHANCE_YOUR_CALM ${detail}`));
    expect(script.transport.hasEnded).toBe(true);
    expect(script.connection.openStreams).toBe(0);
  });

  it.each(cases)("%s, no faster than is allowed, goes on", (_name, limits, make) => {
    const script = server({ limits: { ...limits, streamsMax: 1000, settingsTimeoutMs: 1e9, keepAliveIntervalMs: 0 } });
    for (let turn = 0; turn < 50; turn++) {
      script.clock.advance(1000);
      script.send(make(turn));
    }
    expect(detailOf(script) ?? "").not.toMatch(/flood/);
  });
});

it("streams opened behind the last GOAWAY are refused, and counted as resets", () => {
  const script = server({ limits: { resets: { burst: 10, perSecond: 0 } } });
  script.send(headers(1, POST));
  script.connection.drain();
  script.clock.advance(1000);
  expect(countUntilClosed(script, (turn) => lastHeaders(id(turn + 1), GET))).toBe(11);
  expect(detailOf(script)).toBe("reset-flood");
});

describe("what is no flood", () => {
  it("what comes late for streams that have ended, at any rate of them", () => {
    const script = new Script({ role: "client", limits: { lateFrames: FEW } });
    script.send(Buffer.concat([settings(), frame(4, 1, 0)]));
    for (let turn = 0; turn < 100; turn++) {
      const stream = script.connection.request(requestHead("GET", "/"), true, script);
      stream?.reset(ERROR.cancel);
      const late = stream?.id ?? 0;
      script.send(Buffer.concat([headers(late, OK), lastHeaders(late, [["grpc-status", "1"]]), rst(late, 0)]));
    }
    expect(detailOf(script)).toBeUndefined();
  });

  it("calls given up at any rate, while as many end well", () => {
    const script = server({ limits: { resets: FEW }, answers: true });
    let turn = 0;
    for (let round = 0; round < 500; round++) {
      script.send(lastHeaders(id(turn++), GET));
      script.send(Buffer.concat([headers(id(turn), POST), rst(id(turn++), 8)]));
    }
    expect(script.connection.isClosed).toBe(false);
  });

  it("calls given up when they have lasted a second, and none of them ends well", () => {
    const script = server({ limits: { resets: FEW, lastingStreamMs: 1000, lateFrames: FEW } });
    const ids = (round: number): number[] => Array.from({ length: 100 }, (_, index) => id(round * 100 + index));
    for (let round = 0; round < 10; round++) {
      script.send(Buffer.concat(ids(round).map((stream) => lastHeaders(stream, GET))));
      script.clock.advance(1000);
      script.send(Buffer.concat(ids(round).map((stream) => rst(stream, ERROR.cancel))));
    }
    expect(detailOf(script)).toBeUndefined();
    script.send(Buffer.concat(ids(10).map((stream) => lastHeaders(stream, GET))));
    script.clock.advance(999);
    script.send(Buffer.concat(ids(10).map((stream) => rst(stream, ERROR.cancel))));
    expect(detailOf(script)).toBe("reset-flood");
  });

  it("PING and WINDOW_UPDATE for each DATA frame", () => {
    const script = server({ limits: { pings: FEW, windowUpdates: FEW }, answers: true });
    for (let turn = 0; turn < 200; turn++) {
      script.send(Buffer.concat([lastHeaders(id(turn), GET), windowUpdate(0, 2), ping("12345678")]));
    }
    expect(script.connection.isClosed).toBe(false);
  });

  it("a client that resets what a server refused, and a server that resets much", () => {
    const script = new Script({ role: "client", limits: { resets: FEW } });
    script.send(Buffer.concat([settings(), frame(4, 1, 0)]));
    for (let turn = 0; turn < 100; turn++) {
      const stream = script.connection.request(requestHead("GET", "/"), true, script);
      script.send(rst(stream?.id ?? 0, ERROR.refusedStream));
    }
    expect(script.connection.isClosed).toBe(false);
  });

  it("more streams than are allowed before our SETTINGS are known", () => {
    const script = new Script({ role: "server", limits: { resets: FEW, streamsMax: 2 } });
    script.send(CLIENT_START.subarray(0, 24 + 9));
    for (let turn = 0; turn < 50; turn++) script.send(headers(id(turn), POST));
    expect(script.connection.isClosed).toBe(false);
    expect(script.frames.filter((line) => line.endsWith("REFUSED_STREAM"))).toHaveLength(48);
    script.send(CLIENT_START.subarray(24 + 9));
    expect(countUntilClosed(script, (turn) => headers(id(turn + 50), POST))).toBe(11);
  });
});

describe("bounds of one head", () => {
  it("CONTINUATION frames, at the bound and past it (CVE-2024-24549)", () => {
    const [first, ...rest] = [block(GET), Buffer.from([0]), Buffer.from([1]), Buffer.from("a"), Buffer.from([0])];
    const pieces = rest.map((piece, index) => frame(9, index === rest.length - 1 ? END_HEADERS : 0, 1, piece));
    const good = server({ limits: { continuationsMax: 4 } });
    good.send(Buffer.concat([frame(1, END_STREAM, 1, first), ...pieces]));
    expect(good.events).toEqual(["head 1 GET / a= end"]);
    const bad = server({ limits: { continuationsMax: 3 } });
    bad.send(Buffer.concat([frame(1, END_STREAM, 1, first), ...pieces]));
    expect(detailOf(bad)).toBe("too-many-continuations");
  });

  it("octets of a block, at the bound and past it", () => {
    const long = block([...GET, ["x-a", "x".repeat(1000)]]);
    const send = (max: number): Script => {
      const script = server({ limits: { headerBlockBytesMax: max } });
      script.send(
        Buffer.concat([frame(1, END_STREAM, 1, long.subarray(0, 500)), frame(9, END_HEADERS, 1, long.subarray(500))]),
      );
      return script;
    };
    expect(send(long.length).events[0]).toMatch(/^head 1/);
    expect(detailOf(send(long.length - 1))).toBe("header-block-too-large");
  });

  it("a bomb: one large entry, named by each octet of a block, costs its octets and no memory", () => {
    const script = server({ limits: { headerListBytesMax: 64 * 1024 } });
    const large = Buffer.concat([
      Buffer.from([0x40, 1, 0x61, 0x7f, 0x80 | ((3900 - 127) & 127), (3900 - 127) >> 7]),
      Buffer.alloc(3900, "x"),
    ]);
    script.send(frame(1, END_HEADERS | END_STREAM, 1, Buffer.concat([block(GET), large])));
    expect(script.events[0]).toMatch(/^head 1 GET/);
    script.send(frame(1, END_HEADERS | END_STREAM, 3, Buffer.concat([block(GET), Buffer.alloc(16_000, 0xbe)])));
    expect(script.events.at(-1)).toBe("refused 3 head-too-large");
    script.send(lastHeaders(5, GET));
    expect(script.events.at(-1)).toBe("head 5 GET / end");
  });

  it("values in one SETTINGS frame", () => {
    const values = Array.from({ length: 33 }, () => [0x99, 1] as const);
    const good = server();
    good.send(settings(...values.slice(1)));
    expect(good.connection.isClosed).toBe(false);
    const bad = server();
    bad.send(settings(...values));
    expect(detailOf(bad)).toBe("too-many-settings");
  });
});

describe("a peer that does not read", () => {
  it("is cut off when answers to its PINGs pile up", () => {
    const script = server({ limits: { controlFramesMax: 20 } });
    script.transport.isBlocked = true;
    script.transport.isEmpty = false;
    expect(countUntilClosed(script, () => ping("12345678"))).toBeLessThan(25);
    expect(detailOf(script)).toBe("control-queue-full");
  });

  it("is cut off when heads of answers pile up, which need no window", () => {
    const script = server({ answers: true, limits: { unreadBytesMax: 2000 } });
    script.transport.isBlocked = true;
    script.transport.isEmpty = false;
    for (let turn = 0; script.transport.waitingBytes <= 2000; turn++) {
      expect(script.connection.isClosed).toBe(false);
      script.send(lastHeaders(id(turn), GET));
    }
    expect(detailOf(script)).toBe("unread-output");
    expect(script.transport.isDestroyed).toBe(true);
  });

  it("holds no more than octets of unfinished frames", () => {
    const script = server();
    script.send(Buffer.concat([headers(1, POST), frame(1, 0, 3, block(GET)).subarray(0, 20)]));
    expect(script.connection.isClosed).toBe(false);
    script.send(data(1, "x").subarray(0, 3));
    expect(script.connection.isClosed).toBe(false);
  });
});
