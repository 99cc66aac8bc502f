// Texts of one turn leave together at its end, in order, and nothing is lost on the way to an end.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { FlushQueue } from "./flush-queue.ts";
import { TurnWriter } from "./turn-writer.ts";

const BUFFER_BYTES = 64 * 1024;

let server: Server | undefined;
const sockets: Socket[] = [];

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  server?.close();
});

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
  readonly writer: TurnWriter;
  /** What the other side has read until its end. */
  readonly whole: Promise<string>;
  /** Ends the turn. */
  readonly endTurn: () => void;
}

async function pair(bufferBytes = BUFFER_BYTES): Promise<Pair> {
  const listening = createServer().listen(0, "127.0.0.1");
  server = listening;
  await once(listening, "listening");
  const near = connect((listening.address() as AddressInfo).port, "127.0.0.1");
  const [[far]] = (await Promise.all([once(listening, "connection"), once(near, "connect")])) as [[Socket], unknown];
  sockets.push(near, far);
  near.on("error", () => {});
  far.on("error", () => {});
  let text = "";
  far.setEncoding("latin1").on("data", (piece: string) => {
    text += piece;
  });
  const whole = once(far, "end").then(() => text);
  let run = (): void => {};
  const flushes = new FlushQueue((flush) => {
    run = flush;
  });
  return { near, far, whole, writer: new TurnWriter(near, bufferBytes, flushes), endTurn: () => run() };
}

test("texts wait for the end of the turn and leave with one write", async () => {
  const { near, writer, whole, endTurn } = await pair();
  expect(writer.isEmpty).toBe(true);
  expect([writer.write("a"), writer.write("b\xe9")]).toEqual([true, true]);
  expect([writer.isEmpty, near.bytesWritten]).toEqual([false, 0]);
  endTurn();
  expect([writer.isEmpty, near.bytesWritten]).toEqual([true, 3]);
  writer.write("c");
  endTurn();
  near.end();
  expect(await whole).toBe("ab\xe9c");
});

test("bytes leave at once, behind the text that came before them", async () => {
  const { near, writer, whole, endTurn } = await pair();
  writer.write("a");
  expect(writer.writeBytes(Buffer.from("b"))).toBe(true);
  expect([writer.isEmpty, near.bytesWritten]).toEqual([true, 2]);
  writer.write("c");
  endTurn();
  near.end();
  expect(await whole).toBe("abc");
});

test("what is to be ended is sent before", async () => {
  const { near, writer, whole, endTurn } = await pair();
  writer.write("all of it");
  writer.sendNow();
  near.end();
  endTurn();
  expect(await whole).toBe("all of it");
});

test("much text does not wait", async () => {
  const { near, writer } = await pair();
  writer.write("x".repeat(10_000));
  expect(near.bytesWritten).toBe(0);
  writer.write("x".repeat(10_000));
  expect(near.bytesWritten).toBe(20_000);
});

test("a socket that is gone takes nothing, and nobody is told of an error", async () => {
  const { near, writer, endTurn } = await pair();
  const errors: Error[] = [];
  near.on("error", (error) => errors.push(error));
  writer.write("too late");
  near.destroy();
  endTurn();
  await once(near, "close");
  expect([errors, writer.isEmpty]).toEqual([[], true]);
});

// Less than the socket itself takes before it says 'drain' must not have anybody wait for one that never comes.
test.each([1, BUFFER_BYTES])(
  "who writes to somebody that does not read is told to wait, and when to go on (%d)",
  async (bufferBytes) => {
    const { near, far, writer, endTurn } = await pair(bufferBytes);
    far.pause();
    const piece = "x".repeat(8_000);
    let pieces = 0;
    while (writer.write(piece)) {
      endTurn();
      expect(++pieces).toBeLessThan(10_000);
    }
    const drained = once(near, "drain");
    far.resume();
    endTurn();
    await drained;
    expect([writer.isEmpty, writer.write("more")]).toEqual([true, true]);
  },
);
