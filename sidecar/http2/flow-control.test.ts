// Windows both ways: what is sent within them, what waits, who is told, and what one slow reader costs the others.
import { describe, expect, it } from "vitest";
import { ERROR } from "./error-code.ts";
import { Http2Head } from "./head.ts";
import {
  CLIENT_START,
  data,
  END_STREAM,
  GET,
  headers,
  lastHeaders,
  OK,
  POST,
  rst,
  SERVER_START,
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

function answerHead(): Http2Head {
  const head = new Http2Head();
  head.status = 200;
  return head;
}

function send(script: Script, index: number, text: string, isEnd = false): boolean | undefined {
  const bytes = Buffer.from(text);
  const result = script.streams[index]?.sendData(bytes, 0, bytes.length, isEnd);
  bytes.fill(0x21);
  script.readWritten();
  return result;
}

function setWindow(script: Script, octets: number): void {
  script.send(settings([4, octets]));
  script.frames.length = 0;
}

describe("sending", () => {
  it("keeps to the stream's window, tells when all that waited is out, and ends behind it", () => {
    const script = server();
    setWindow(script, 4);
    script.send(lastHeaders(1, GET));
    script.streams[0]?.sendHead(answerHead(), false);
    expect(send(script, 0, "abcdef")).toBe(false);
    expect(script.frames).toEqual(["> HEADERS 1 :status=200", "> DATA 1 abcd"]);
    expect(script.streams[0]?.queuedBytes).toBe(2);
    script.send(windowUpdate(1, 1));
    expect(script.events).not.toContain("drain 1");
    script.send(windowUpdate(1, 1));
    expect(script.events).toContain("drain 1");
    expect(send(script, 0, "gh", true)).toBe(false);
    script.send(windowUpdate(1, 100));
    expect(script.frames.join("|")).toBe("> HEADERS 1 :status=200|> DATA 1 abcdefgh end");
    // The end is told as well: whoever sent it may wait for it to be out.
    expect(script.events.filter((line) => line.startsWith("drain"))).toEqual(["drain 1", "drain 1"]);
    expect(script.connection.openStreams).toBe(0);
  });

  it("sends trailers behind content that waits", () => {
    const script = server();
    setWindow(script, 2);
    script.send(lastHeaders(1, GET));
    script.streams[0]?.sendHead(answerHead(), false);
    send(script, 0, "abc");
    const trailers = new Http2Head();
    trailers.add("x-t", "1");
    script.streams[0]?.sendTrailers(trailers);
    trailers.clear();
    script.readWritten();
    expect(script.frames.at(-1)).toBe("> DATA 1 ab");
    script.send(windowUpdate(1, 9));
    expect(script.frames.slice(-2)).toEqual(["> DATA 1 abc", "> HEADERS 1 x-t=1 end"]);
    expect(script.connection.openStreams).toBe(0);
  });

  it("6.9: an empty end needs no window", () => {
    const script = server();
    setWindow(script, 0);
    script.send(lastHeaders(1, GET));
    script.streams[0]?.sendHead(answerHead(), false);
    expect(send(script, 0, "", true)).toBe(true);
    expect(script.frames.at(-1)).toBe("> DATA 1  end");
  });

  it("6.9.2: a first window that shrinks makes open ones negative, and they stay shut until they are positive", () => {
    const script = server();
    setWindow(script, 10);
    script.send(lastHeaders(1, GET));
    script.streams[0]?.sendHead(answerHead(), false);
    send(script, 0, "abcdefgh");
    script.send(settings([4, 3]));
    expect(send(script, 0, "ijk")).toBe(false);
    script.send(windowUpdate(1, 5));
    expect(script.frames.at(-1)).toBe("> SETTINGS ack");
    script.send(windowUpdate(1, 1));
    expect(script.frames.at(-1)).toBe("> DATA 1 i");
    script.send(settings([4, 5]));
    // The acknowledgement comes first: what follows goes by the new window.
    expect(script.frames.slice(-2)).toEqual(["> SETTINGS ack", "> DATA 1 jk"]);
  });

  it("gives the connection's window to the streams in turn", () => {
    const script = server();
    for (const id of [1, 3]) script.send(Buffer.concat([lastHeaders(id, GET), windowUpdate(id, 1 << 20)]));
    script.send(lastHeaders(5, GET));
    for (const stream of script.streams) stream.sendHead(answerHead(), false);
    const large = Buffer.alloc(100_000, "x");
    script.streams[0]?.sendData(large, 0, 65_535, false);
    expect(script.connection.sender.window).toBe(0);
    for (const stream of script.streams.slice(0, 2)) stream.sendData(large, 0, large.length, false);
    script.readWritten();
    script.frames.length = 0;
    script.send(windowUpdate(0, 4 * 16_384));
    expect(script.frames).toEqual(
      ["> DATA 1 16384 bytes", "> DATA 3 16384 bytes"]
        .flatMap((line) => [line])
        .concat(["> DATA 1 16384 bytes", "> DATA 3 16384 bytes"]),
    );
    expect(script.streams[0]?.queuedBytes).toBe(100_000 - 2 * 16_384);
    expect(send(script, 2, "x")).toBe(false);
  });

  it("keeps frames under the size that the peer takes", () => {
    const script = server();
    script.send(Buffer.concat([settings([4, 1 << 20], [5, 20_000]), windowUpdate(0, 1 << 20), lastHeaders(1, GET)]));
    script.streams[0]?.sendHead(answerHead(), false);
    script.readWritten();
    script.frames.length = 0;
    script.streams[0]?.sendData(Buffer.alloc(50_000), 0, 50_000, true);
    script.readWritten();
    expect(script.frames[0]).toMatch(/^> DATA 1 20000 bytes20000 bytes10000 bytes end$/);
  });

  it("holds content back while the transport is full, and small pieces cost what they hold", () => {
    const script = server();
    script.send(lastHeaders(1, GET));
    script.streams[0]?.sendHead(answerHead(), false);
    script.transport.isBlocked = true;
    script.transport.isEmpty = false;
    expect(send(script, 0, "a")).toBe(true);
    for (let piece = 0; piece < 1000; piece++) expect(send(script, 0, "b")).toBe(false);
    expect(script.frames.at(-1)).toBe("> DATA 1 a");
    expect(script.streams[0]?.queuedBytes).toBe(1000);
    script.transport.isBlocked = false;
    script.transport.isEmpty = true;
    script.connection.onTransportDrain();
    script.readWritten();
    expect(script.frames.at(-1)).toBe("> DATA 1 a1000 bytes");
    expect(script.events.filter((line) => line === "drain 1")).toHaveLength(1);
  });

  it("drops what waits when the stream is reset, by either side", () => {
    for (const end of ["peer", "us"]) {
      const script = server();
      setWindow(script, 1);
      script.send(Buffer.concat([headers(1, POST), headers(3, POST)]));
      script.streams[0]?.sendHead(answerHead(), false);
      send(script, 0, "abc");
      if (end === "peer") script.send(rst(1, ERROR.cancel));
      else script.streams[0]?.reset(ERROR.cancel);
      script.frames.length = 0;
      script.send(windowUpdate(1, 100));
      expect(script.frames.filter((line) => line.startsWith("> DATA"))).toEqual([]);
      expect(send(script, 0, "more")).toBe(true);
      expect(script.frames.filter((line) => line.startsWith("> DATA"))).toEqual([]);
      expect(script.connection.openStreams).toBe(1);
    }
  });
});

describe("what an owner has left to go out", () => {
  /** A request of which `waiting` octets wait, answered in full and released. */
  function leftWaiting(waiting: number): Script {
    const script = new Script({ role: "client", requests: ["POST"] });
    script.send(Buffer.concat([SERVER_START, lastHeaders(1, OK)]));
    const bytes = Buffer.alloc(65_535 + waiting);
    script.streams[0]?.sendData(bytes, 0, bytes.length, true);
    script.streams[0]?.release();
    script.readWritten();
    script.frames.length = 0;
    return script;
  }

  it("goes out as the peer takes it, however slowly, and ends the stream", () => {
    const script = leftWaiting(5);
    script.send(windowUpdate(0, 100));
    for (let step = 0; step < 5; step++) {
      script.clock.advance(45_000);
      script.send(windowUpdate(1, 1));
    }
    expect(script.lines.filter((line) => line.startsWith("> DATA"))).toEqual(["> DATA 1 \0\0\0\0\0 end"]);
    script.clock.advance(120_000);
    script.readWritten();
    expect(script.lines.filter((line) => /RST|stalled/.test(line))).toEqual([]);
    expect(script.connection.openStreams).toBe(0);
  });

  it("is given up where it stands still, with what it held", () => {
    const script = leftWaiting(5);
    script.send(windowUpdate(0, 100));
    script.clock.advance(59_900);
    script.readWritten();
    expect([script.frames, script.connection.openStreams]).toEqual([[], 1]);
    script.clock.advance(200);
    script.readWritten();
    expect(script.lines.slice(-2)).toEqual(["refused 1 stalled-stream", "> RST_STREAM 1 CANCEL"]);
    expect(script.connection.openStreams).toBe(0);
  });
});

const KIB = 1024;

function content(streamId: number, octets: number, flags = 0): Buffer {
  const frames: Buffer[] = [];
  for (let left = octets; left > 0; left -= 16 * KIB) {
    const length = Math.min(left, 16 * KIB);
    frames.push(data(streamId, Buffer.alloc(length), left <= 16 * KIB ? flags : 0));
  }
  return Buffer.concat(frames);
}

const WINDOWS = { streamWindowBytes: 64 * KIB, connectionWindowBytes: 128 * KIB, stalledBytesMax: 256 * KIB };

describe("receiving", () => {
  it("gives windows back when half of them was taken, and costs a small call no frame", () => {
    const script = server({ limits: WINDOWS });
    script.send(headers(1, POST));
    script.send(content(1, 31 * KIB));
    expect(script.frames).toEqual([]);
    script.send(content(1, 1 * KIB));
    expect(script.frames).toEqual([`> WINDOW_UPDATE 1 ${32 * KIB}`]);
    script.send(content(1, 32 * KIB, END_STREAM));
    // The stream's message has ended: its window is of no use any more.
    expect(script.frames.slice(1)).toEqual([`> WINDOW_UPDATE 0 ${64 * KIB}`]);
  });

  it("gives a paused stream's window back when it is read again", () => {
    const script = server({ limits: WINDOWS, pauses: true });
    script.send(headers(1, POST));
    script.send(content(1, 64 * KIB));
    expect(script.frames).toEqual([`> WINDOW_UPDATE 0 ${64 * KIB}`]);
    script.streams[0]?.resumeReading();
    script.readWritten();
    expect(script.frames.slice(1)).toEqual([`> WINDOW_UPDATE 1 ${64 * KIB}`]);
  });

  it("6.9.1: more than the stream's window is an error of the stream, more than the connection's of all", () => {
    const script = server({ limits: WINDOWS, pauses: true });
    script.send(Buffer.concat([headers(1, POST), content(1, 64 * KIB), data(1, "x")]));
    expect(script.events.slice(-2)).toEqual(["refused 1 window-exceeded", "reset 1 refused FLOW_CONTROL_ERROR"]);
    const other = server({ limits: { ...WINDOWS, connectionWindowBytes: 64 * KIB, stalledBytesMax: 0 }, pauses: true });
    other.send(Buffer.concat([headers(1, POST), headers(3, POST), content(1, 64 * KIB - 1), data(3, "x")]));
    expect(other.connection.isClosed).toBe(false);
    other.send(data(3, "y"));
    expect(other.connection.refusal?.detail).toBe("connection-window-exceeded");
  });

  it("lets streams that nobody reads stop only themselves, up to the bound, and then the connection", () => {
    const script = server({ limits: WINDOWS, pauses: true });
    for (let index = 0; index < 4; index++)
      script.send(Buffer.concat([headers(index * 2 + 1, POST), content(index * 2 + 1, 64 * KIB)]));
    expect(script.connection.windows.stalledBytes).toBe(256 * KIB);
    const returned = (): number =>
      script.frames
        .filter((line) => line.startsWith("> WINDOW_UPDATE 0"))
        .reduce((sum, line) => sum + Number(line.split(" ")[3]), 0);
    expect(returned()).toBe(256 * KIB);
    script.send(Buffer.concat([headers(9, POST), content(9, 64 * KIB), headers(11, POST), content(11, 64 * KIB)]));
    expect(returned()).toBe(256 * KIB);
    expect(script.connection.windows.stalledBytes).toBe(384 * KIB);
    script.streams[0]?.reset(ERROR.cancel);
    script.streams[1]?.resumeReading();
    script.readWritten();
    expect(returned()).toBe(384 * KIB);
    for (const stream of script.streams) stream.reset(ERROR.cancel);
    expect(script.connection.windows.stalledBytes).toBe(0);
  });

  it("gives back what padding, reset streams and refused ones took of the connection's window", () => {
    const script = server({ limits: WINDOWS });
    script.send(Buffer.concat([headers(1, POST), headers(3, POST)]));
    script.streams[0]?.reset(ERROR.cancel);
    script.readWritten();
    script.frames.length = 0;
    script.send(content(1, 64 * KIB));
    expect(script.frames).toEqual([`> WINDOW_UPDATE 0 ${64 * KIB}`]);
    const padding = Buffer.concat([Buffer.from([255]), Buffer.alloc(256, "x").subarray(0, 1), Buffer.alloc(255)]);
    for (let frame = 0; frame < 256; frame++) script.send(data(3, padding, 8));
    expect(script.frames.some((line) => line.startsWith("> WINDOW_UPDATE 3"))).toBe(true);
    expect(script.frames.filter((line) => line.startsWith("> WINDOW_UPDATE 0"))).toHaveLength(2);
  });

  it("6.5.3: takes the protocol's first window until its own, smaller one was acknowledged", () => {
    const script = new Script({ role: "server", limits: { streamWindowBytes: 1000 }, pauses: true });
    const [preface] = [CLIENT_START.subarray(0, 24 + 9)];
    script.send(Buffer.concat([preface ?? CLIENT_START, headers(1, POST), content(1, 60_000)]));
    expect(script.connection.refusal).toBeUndefined();
    expect(script.events.some((line) => line.startsWith("refused"))).toBe(false);
    script.send(Buffer.concat([CLIENT_START.subarray(24 + 9), headers(3, POST), data(3, Buffer.alloc(1001))]));
    expect(script.events.slice(-2)).toEqual(["refused 3 window-exceeded", "reset 3 refused FLOW_CONTROL_ERROR"]);
  });
});
