// The life of a connection: start, timers, draining from both sides, and every way to end, each told once. And any octets
// at all, in any pieces.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FlushQueue } from "../../runtime/flush-queue.ts";
import { ERROR } from "./error-code.ts";
import { Http2Head } from "./head.ts";
import { DEFAULT_HTTP2_LIMITS } from "./limits.ts";
import type { Http2Stream } from "./stream.ts";
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
  PADDED,
  POST,
  PRIORITY,
  ping,
  readFrames,
  rst,
  SERVER_START,
  SETTINGS_ACK,
  settings,
  windowUpdate,
} from "./testing/frames.ts";
import { Script, type ScriptOptions } from "./testing/script.ts";

function server(options: Partial<ScriptOptions> = {}): Script {
  const script = new Script({ role: "server", ...options });
  script.send(CLIENT_START);
  script.frames.length = 0;
  return script;
}

function client(options: Partial<ScriptOptions> = {}): Script {
  const script = new Script({ role: "client", ...options });
  script.send(SERVER_START);
  script.frames.length = 0;
  return script;
}

describe("starting", () => {
  it("3.4, 6.5: says its limits first, a client behind its preface, and opens the connection's window", () => {
    // The script drops what its own start wrote, so it is started once more.
    const transport = new Script({ role: "client" });
    transport.connection.start();
    transport.connection.flush();
    const written = transport.transport.take();
    expect(written.toString("latin1", 0, 24)).toBe("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    const [first, second] = readFrames(written);
    expect(first).toMatchObject({ type: 4, flags: 0, streamId: 0 });
    const values = new Map<number, number>();
    for (let at = 0; at < (first?.payload.length ?? 0); at += 6) {
      values.set(first?.payload.readUInt16BE(at) ?? 0, first?.payload.readUInt32BE(at + 2) ?? 0);
    }
    expect([...values]).toEqual([
      [2, 0],
      [4, DEFAULT_HTTP2_LIMITS.streamWindowBytes],
      [6, 64 * 1024],
    ]);
    expect(second).toMatchObject({ type: 8, streamId: 0 });
    expect(second?.payload.readUInt32BE(0)).toBe(DEFAULT_HTTP2_LIMITS.connectionWindowBytes - 65_535);
  });

  it("6.5.3: ends a connection whose peer does not acknowledge SETTINGS", () => {
    const script = new Script({ role: "server" });
    script.send(CLIENT_START.subarray(0, 33));
    script.clock.advance(9_900);
    expect(script.connection.isClosed).toBe(false);
    script.clock.advance(200);
    script.readWritten();
    expect(script.events).toEqual(["closed settings-timeout"]);
    expect(script.frames.at(-1)).toBe("> GOAWAY 0 SETTINGS_TIMEOUT settings-timeout");
  });

  it("6.5.2: a client opens 100 streams before the server has said how many, and then as many as it says", () => {
    const script = new Script({ role: "client" });
    const open = () => script.connection.request(requestHead("GET", "/"), true, script);
    for (let count = 0; count < 100; count++) expect(open()?.id).toBe(1 + 2 * count);
    expect([script.connection.canOpenStream, open()]).toEqual([false, undefined]);
    script.send(settings([3, 101]));
    expect(open()?.id).toBe(201);
    expect(script.connection.canOpenStream).toBe(false);
  });

  it("6.5.2: a client keeps to the number of streams that the server says, when it says it", () => {
    const script = new Script({ role: "client" });
    expect(script.connection.canOpenStream).toBe(true);
    script.send(settings([3, 1], [8, 1]));
    expect(script.connection.peerAllowsConnectProtocol).toBe(true);
    const stream = script.connection.request(requestHead("GET", "/"), true, script);
    expect(stream?.id).toBe(1);
    expect(script.connection.canOpenStream).toBe(false);
    script.send(settings([3, 2]));
    expect(script.connection.canOpenStream).toBe(true);
    script.send(settings([3, 0]));
    script.send(Buffer.concat([SETTINGS_ACK, lastHeaders(1, OK)]));
    expect(script.connection.canOpenStream).toBe(false);
    expect(script.connection.openStreams).toBe(0);
  });
});

describe("keep-alive", () => {
  const limits = { keepAliveIntervalMs: 1000, keepAliveTimeoutMs: 200, settingsTimeoutMs: 1e9 };

  it("asks a quiet peer with open streams, and ends the connection of one that does not answer", () => {
    const script = client({ limits, requests: ["GET"] });
    script.clock.advance(1100);
    script.readWritten();
    expect(script.frames).toEqual([]);
    script.clock.advance(1000);
    script.readWritten();
    expect(script.frames).toEqual(["> PING weft-ask"]);
    script.clock.advance(300);
    expect(script.events).toEqual(["reset 1 connection NO_ERROR", "closed keep-alive-timeout"]);
  });

  it("takes whatever comes for an answer", () => {
    const script = client({ limits, requests: ["POST"] });
    for (let turn = 0; turn < 5; turn++) {
      const asked = script.frames.length;
      for (let wait = 0; wait < 30 && script.frames.length === asked; wait++) {
        script.clock.advance(100);
        script.readWritten();
      }
      script.send(turn % 2 === 0 ? windowUpdate(0, 1) : ping("weft-ask", ACK));
    }
    expect(script.connection.isClosed).toBe(false);
    expect(script.frames.filter((line) => line.startsWith("> PING")).length).toBe(5);
  });

  it("does not ask while nothing is open, or bytes come", () => {
    const idle = client({ limits });
    idle.clock.advance(10_000);
    idle.readWritten();
    expect(idle.frames).toEqual([]);
    const busy = client({ limits, requests: ["GET"] });
    for (let turn = 0; turn < 20; turn++) {
      busy.clock.advance(500);
      busy.send(windowUpdate(0, 1));
    }
    expect(busy.frames).toEqual([]);
  });

  it("asks when it is told to", () => {
    const script = client({ limits: { ...limits, keepAliveIntervalMs: 0 } });
    script.connection.ping();
    script.readWritten();
    expect(script.frames).toEqual(["> PING weft-ask"]);
    script.send(ping("weft-ask", ACK));
    script.clock.advance(10_000);
    expect(script.connection.isClosed).toBe(false);
    script.connection.ping();
    script.clock.advance(300);
    expect(script.events).toEqual(["closed keep-alive-timeout"]);
  });
});

describe("draining", () => {
  it("6.8: says GOAWAY twice, and takes what was under way between them", () => {
    const script = server({ answers: true });
    script.send(headers(1, POST));
    script.connection.drain();
    script.readWritten();
    expect(script.frames).toEqual(["> GOAWAY 2147483647 NO_ERROR", "> PING weft-end"]);
    script.send(lastHeaders(3, GET));
    expect(script.events.at(-1)).toBe("head 3 GET / end");
    script.send(ping("weft-end", ACK));
    expect(script.frames.at(-1)).toBe("> GOAWAY 3 NO_ERROR");
    script.send(lastHeaders(5, GET));
    expect(script.frames.at(-1)).toBe("> RST_STREAM 5 REFUSED_STREAM");
    expect(script.connection.isClosed).toBe(false);
    script.send(data(1, "x", END_STREAM));
    expect(script.events.at(-1)).toBe("closed local");
    expect(script.frames.slice(-2)).toEqual(["> HEADERS 1 :status=200", "> DATA 1 ok end"]);
    expect(script.transport.hasEnded).toBe(true);
  });

  it("6.8: never names a later last stream than before, whatever ends it", () => {
    const script = server({ answers: true });
    script.send(headers(1, POST));
    script.connection.drain();
    script.send(ping("weft-end", ACK));
    expect(script.frames.at(-1)).toBe("> GOAWAY 1 NO_ERROR");
    script.send(lastHeaders(3, GET));
    expect(script.frames.at(-1)).toBe("> RST_STREAM 3 REFUSED_STREAM");
    script.send(data(5, "x"));
    expect(script.frames.at(-1)).toBe("> GOAWAY 1 PROTOCOL_ERROR frame-on-idle-stream");
  });

  it("does not wait for ever for the answer to its PING", () => {
    const script = server();
    script.connection.drain();
    script.connection.drain();
    script.clock.advance(1100);
    script.readWritten();
    expect(script.frames).toEqual(["> GOAWAY 2147483647 NO_ERROR", "> PING weft-end", "> GOAWAY 0 NO_ERROR"]);
    expect(script.events).toEqual(["closed local"]);
  });

  it("a client that drains ends with its last stream", () => {
    const script = client({ requests: ["GET"] });
    script.connection.drain();
    expect(script.connection.canOpenStream).toBe(false);
    expect(script.connection.isClosed).toBe(false);
    script.send(lastHeaders(1, OK));
    expect(script.events).toEqual(["head 1 200 end", "closed local"]);
    const idle = client();
    idle.connection.drain();
    expect(idle.events).toEqual(["closed local"]);
  });
});

describe("the end", () => {
  it("tells each stream and then the owner, once, whatever comes after", () => {
    const endings: [name: string, end: (script: Script) => void, cause: string, code: string][] = [
      ["close", (script) => script.connection.close(ERROR.internalError), "local", "INTERNAL_ERROR"],
      ["the peer's end", (script) => script.connection.onTransportEnd(), "transport", "CANCEL"],
      ["a lost socket", (script) => script.connection.onTransportClosed("ECONNRESET"), "transport", "CANCEL"],
      ["a broken rule", (script) => script.send(frame(9, 0, 1)), "refused", "PROTOCOL_ERROR"],
    ];
    for (const [name, end, cause, code] of endings) {
      const script = server();
      script.send(Buffer.concat([headers(1, POST), headers(3, POST)]));
      script.events.length = 0;
      end(script);
      script.connection.close(0);
      script.connection.drain();
      script.connection.ping();
      script.connection.onTransportEnd();
      script.connection.onTransportClosed("");
      script.connection.onTransportDrain();
      script.send(lastHeaders(5, GET));
      script.streams[0]?.sendData(Buffer.from("x"), 0, 1, true);
      script.streams[0]?.resumeReading();
      script.clock.advance(100_000);
      expect(script.events, name).toEqual([
        `reset 1 connection ${code}`,
        `reset 3 connection ${code}`,
        `closed ${cause}`,
      ]);
      expect(script.clock.pendingCount, name).toBeLessThanOrEqual(1);
    }
  });

  it("cuts a peer that does not end its side behind our last byte", () => {
    const script = server();
    script.send(frame(9, 0, 1));
    expect(script.transport).toMatchObject({ hasEnded: true, isDestroyed: false });
    script.clock.advance(1100);
    expect(script.transport.isDestroyed).toBe(true);
    const slow = server();
    slow.send(frame(9, 0, 1));
    slow.transport.isEmpty = false;
    slow.clock.advance(30_000);
    expect(slow.transport.isDestroyed).toBe(false);
    slow.clock.advance(60_000);
    expect(slow.transport.isDestroyed).toBe(true);
    const polite = server();
    polite.send(frame(9, 0, 1));
    polite.connection.onTransportClosed("");
    polite.clock.advance(10_000);
    expect(polite.transport.isDestroyed).toBe(false);
  });

  it("an end between streams is the peer's", () => {
    const script = client();
    script.connection.onTransportEnd();
    expect(script.events).toEqual(["closed peer"]);
    expect(script.transport.hasEnded).toBe(true);
  });

  it("a handler that throws ends its connection, and the error is its owner's", () => {
    const script = server();
    script.onData = () => {
      throw new Error("a bug");
    };
    expect(() => script.send(Buffer.concat([headers(1, POST), data(1, "abc")]))).toThrow("a bug");
    script.readWritten();
    expect(script.events.slice(1)).toEqual(["reset 1 connection INTERNAL_ERROR", "closed local"]);
    expect(script.frames.at(-1)).toBe("> GOAWAY 1 INTERNAL_ERROR");
  });

  it("a connection that cannot be flushed does not hold up the others", () => {
    const runs: (() => void)[] = [];
    const queue = new FlushQueue((run) => runs.push(run));
    const flushed: string[] = [];
    const named = (name: string, throws: boolean) => ({
      flush: () => {
        flushed.push(name);
        if (throws) throw new Error("a bug");
      },
    });
    for (const each of [named("a", false), named("b", true), named("c", false)]) queue.add(each);
    expect(runs).toHaveLength(1);
    expect(() => runs.pop()?.()).toThrow("a bug");
    expect(flushed).toEqual(["a", "b"]);
    runs.pop()?.();
    expect(flushed).toEqual(["a", "b", "c"]);
    expect(runs).toEqual([]);
  });

  it("a handler may end everything from within", () => {
    for (const act of ["close", "reset", "drain"] as const) {
      const script = server();
      script.onHead = (stream) => {
        if (act === "close") script.connection.close(0);
        else if (act === "reset") stream.reset(ERROR.cancel);
        else script.connection.drain();
        stream.release();
      };
      script.send(Buffer.concat([headers(1, POST), data(1, "abc"), headers(3, POST), data(3, "x", END_STREAM)]));
      expect(script.events.filter((line) => line.startsWith("data 1"))).toEqual([]);
      expect(script.connection.isClosed).toBe(act === "close");
    }
  });
});

describe("stream objects", () => {
  it("are given out again after release, with nothing of the one before", () => {
    const script = server();
    script.send(headers(1, [...POST, ["x-a", "1"]]));
    const first = script.streams[0];
    first?.pauseReading();
    script.send(data(1, "abc"));
    first?.release();
    script.send(rst(1, 8));
    script.send(lastHeaders(3, GET));
    const second = script.streams[1];
    // Released while open, it is given out at the first turn after its end.
    expect(second).toBe(first);
    expect(second).toMatchObject({ id: 3, state: "half-closed-remote", isReceived: true, resetCause: undefined });
    expect(script.heads[1]?.count).toBe(0);
    expect(script.events.at(-1)).toBe("head 3 GET / end");
  });

  it("that kept large heads are let go", () => {
    const script = server();
    script.send(lastHeaders(1, [...GET, ["x-a", "x".repeat(5000)]]));
    script.streams[0]?.reset(ERROR.cancel);
    script.streams[0]?.release();
    script.send(lastHeaders(3, GET));
    expect(script.streams[1]).not.toBe(script.streams[0]);
  });

  it("hold nothing back once they are released", () => {
    const script = server({ pauses: true, limits: { streamWindowBytes: 65_536, stalledBytesMax: 0 } });
    script.send(Buffer.concat([headers(1, POST), ...Array.from({ length: 4 }, () => data(1, Buffer.alloc(16_384)))]));
    expect(script.connection.windows.stalledBytes).toBe(65_536);
    script.streams[0]?.release();
    script.readWritten();
    expect(script.connection.windows.stalledBytes).toBe(0);
    expect(script.frames.at(-1)).toBe("> WINDOW_UPDATE 1 65536");
  });

  it("stay as they were until they are released", () => {
    const script = server({ answers: true });
    script.send(Buffer.concat([lastHeaders(1, GET), lastHeaders(3, GET)]));
    expect(script.streams.map((stream) => stream.state)).toEqual(["closed", "closed"]);
    expect(script.heads.map(({ path }) => path)).toEqual(["/", "/"]);
    expect(script.heads[0]).not.toBe(script.heads[1]);
    expect(script.streams[0]).not.toBe(script.streams[1]);
  });

  it("a head may be changed once it was sent", () => {
    const script = client();
    const head = requestHead("POST", "/a", { "x-a": "1" });
    script.connection.request(head, false, script);
    head.clear();
    script.readWritten();
    expect(script.frames).toEqual(["> HEADERS 1 :method=POST :scheme=http :path=/a :authority=service.test x-a=1"]);
  });

  it("6.2: a head larger than a frame goes out with CONTINUATION, whole", () => {
    const script = server();
    script.send(lastHeaders(1, GET));
    const head = new Http2Head();
    head.status = 200;
    head.add("x-a", "x".repeat(40_000));
    script.streams[0]?.sendHead(head, true);
    script.connection.flush();
    const frames = readFrames(script.transport.take());
    expect(frames.map(({ type, flags }) => [type, flags])).toEqual([
      [1, END_STREAM],
      [9, 0],
      [9, END_HEADERS],
    ]);
    expect(frames.reduce((sum, { payload }) => sum + payload.length, 0)).toBeGreaterThan(40_000);
  });
});

describe("edits of a head", () => {
  it("sets, adds and removes fields where they stand", () => {
    const head = requestHead("GET", "/a?b", { a: "1", b: "2" });
    head.add("a", "3");
    expect(head.value("a")).toBe("1, 3");
    head.set("a", "4");
    head.set("c", "5");
    head.remove("b");
    const copy = new Http2Head();
    copy.copyFrom(head);
    head.clear();
    expect([copy.count, copy.nameAt(0), copy.nameAt(1)]).toEqual([2, "a", "c"]);
    expect([copy.valueAt(0), copy.valueAt(1)]).toEqual(["4", "5"]);
    expect([copy.pathOnly, copy.query]).toEqual(["/a", "b"]);
    copy.setPath("/c");
    expect([copy.pathOnly, copy.query]).toEqual(["/c", ""]);
  });
});

const streamId = fc.constantFrom(0, 1, 3, 5, 2, 7);
const flags = fc.constantFrom(0, END_STREAM, END_HEADERS, END_HEADERS | END_STREAM, PADDED, PRIORITY, 0xff);
const anyFrame = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(streamId, fc.constantFrom(GET, POST)).map(([id, fields]) => lastHeaders(id, fields)),
  },
  { weight: 6, arbitrary: streamId.map((id) => headers(id, POST)) },
  { weight: 6, arbitrary: fc.tuple(streamId, flags).map(([id, set]) => data(id, "abcdef", set & 9)) },
  { weight: 2, arbitrary: fc.tuple(streamId, fc.nat(14)).map(([id, code]) => rst(id, code)) },
  { weight: 2, arbitrary: fc.tuple(streamId, fc.nat()).map(([id, by]) => windowUpdate(id, by)) },
  { weight: 2, arbitrary: fc.tuple(fc.nat(9), fc.nat(70_000)).map(([id, value]) => settings([id, value])) },
  { weight: 1, arbitrary: fc.tuple(streamId, fc.nat(14)).map(([id, code]) => goaway(id, code)) },
  { weight: 1, arbitrary: fc.constant(ping("12345678")) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.nat(12), flags, streamId, fc.uint8Array({ maxLength: 24 }))
      .map(([type, set, id, payload]) => frame(type, set, id, payload)),
  },
  { weight: 1, arbitrary: fc.constant(frame(1, 0, 1, block(POST).subarray(0, 9))) },
);
const damage = fc.array(fc.tuple(fc.nat(2000), fc.nat(255)), { maxLength: 3 });

describe("any frames, damaged, in any pieces", () => {
  for (const role of ["server", "client"] as const) {
    it(`a ${role} says the same however they are cut, tells each stream its end once, and writes whole frames`, () => {
      let alive = 0;
      fc.assert(
        fc.property(
          fc.array(anyFrame, { maxLength: 12 }),
          damage,
          fc.array(fc.nat(600), { maxLength: 6 }),
          fc.boolean(),
          (frames, changes, positions, pauses) => {
            const bytes = Buffer.concat([role === "server" ? CLIENT_START : SERVER_START, ...frames]);
            for (const [at, octet] of changes) if (at < bytes.length) bytes[at] = octet;
            const run = (cuts: readonly number[]): Script => {
              const script = new Script({
                role,
                answers: true,
                pauses,
                requests: role === "client" ? ["GET", "POST"] : [],
              });
              script.send(bytes, cuts);
              return script;
            };
            const whole = run([]);
            const cut = run(positions.filter((at) => at < bytes.length).sort((left, right) => left - right));
            // A connection that is done after GOAWAY ends with the read, so that what is behind it depends on the cut.
            const isDone = whole.events.some((line) => line.startsWith("goaway"));
            if (!isDone) expect(cut.frames.map(withoutText)).toEqual(whole.frames.map(withoutText));
            if (!isDone) expect(cut.events.filter(isOutcome)).toEqual(whole.events.filter(isOutcome));
            if (!whole.connection.isClosed) alive++;
            const resets = whole.events.filter((line) => line.startsWith("reset"));
            expect(new Set(resets.map((line) => line.split(" ")[1])).size).toBe(resets.length);
            expect(whole.events.filter((line) => line.startsWith("closed")).length).toBe(
              whole.connection.isClosed ? 1 : 0,
            );
            whole.connection.close(0);
            expect(whole.connection.openStreams).toBe(0);
            expect(whole.connection.windows.stalledBytes).toBe(0);
          },
        ),
        { numRuns: 3000 },
      );
      expect(alive).toBeGreaterThan(300);
    });
  }
});

/** Content that was delivered before a later octet showed that there is too much of it depends on the cut. */
function isOutcome(line: string): boolean {
  return !line.startsWith("data");
}

function withoutText(line: string): string {
  return line.replace(/^(> DATA \d+) .*/, "$1");
}

describe("objects of streams are given out again", () => {
  it("what is left of a frame of a stream that ended between two reads is not the next stream's", () => {
    const script = client({ requests: ["GET"] });
    const [first] = script.streams;
    script.send(headers(1, OK));
    const bytes = data(1, "of the first stream", END_STREAM);
    script.send(bytes.subarray(0, 14));
    first?.reset(ERROR.cancel);
    first?.release();
    script.send(bytes.subarray(14, 18));
    const second = script.connection.request(requestHead("GET", "/"), true, script);
    expect(second).toBe(first);
    script.events.length = 0;
    script.send(bytes.subarray(18));
    expect(script.events).toEqual([]);
    script.send(Buffer.concat([headers(3, OK), data(3, "of the second", END_STREAM)]));
    expect(script.events).toEqual(["head 3 200", "data 3 of the second end"]);
  });

  it("the same between two connections", () => {
    const one = server();
    one.send(Buffer.concat([headers(1, POST), data(1, "begun").subarray(0, 11)]));
    const [begun] = one.streams;
    begun?.reset(ERROR.cancel);
    begun?.release();
    one.connection.flush();
    const other = server();
    other.send(headers(1, POST));
    expect(other.streams[0]).toBe(begun);
    one.events.length = 0;
    other.events.length = 0;
    one.send(data(1, "begun").subarray(11));
    expect([one.events, other.events]).toEqual([[], []]);
    other.send(data(1, "its own", END_STREAM));
    expect(other.events).toEqual(["data 1 its own end"]);
  });

  it("trailers that waited for a window are not kept with the object", () => {
    const script = server();
    script.send(Buffer.concat([settings([4, 0]), lastHeaders(1, GET)]));
    const stream = script.streams[0] as Http2Stream;
    const head = new Http2Head();
    head.status = 200;
    stream.sendHead(head, false);
    stream.sendData(Buffer.from("waits"), 0, 5, false);
    stream.sendTrailers(head);
    expect(stream.backlog?.trailers).toBeDefined();
    stream.reset(ERROR.cancel);
    stream.release();
    script.connection.flush();
    expect(stream.backlog).toBeUndefined();
  });
});
