// By the handle or by the stream: all that is written arrives in its order, once, whoever reads it slowly, and who was
// told to wait is told to go on.
import { once } from "node:events";
import { Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { SocketWriter } from "./socket-writer.ts";
import { handleOf, writeText } from "./stream-handle.ts";
import { closeSockets, connecting, type SocketPair, socketPair } from "./testing/socket-pair.ts";

const BUFFER_BYTES = 64 * 1024;
const PIECE = Buffer.alloc(10_000, "0123456789");

afterEach(closeSockets);

/** `far` reads nothing until it is resumed. */
async function pair(): Promise<SocketPair> {
  const sockets = await socketPair();
  sockets.far.pause();
  return sockets;
}

/** @returns how many of them it took */
function fill(writer: SocketWriter): number {
  let count = 0;
  while (writer.isEmpty) {
    writer.writeBytes(PIECE);
    expect(++count).toBeLessThan(10_000);
  }
  return count;
}

describe.each(["handle", "shared"] as const)("%s", (mode) => {
  test("what the kernel did not take goes out before what is written after it, also at the end", async () => {
    const { near, far, whole } = await pair();
    const writer = new SocketWriter(near, mode, BUFFER_BYTES);
    const count = fill(writer);
    writer.write("a");
    writer.writeBytes(Buffer.from("b"));
    near.end();
    far.resume();
    expect(await whole).toBe(`${PIECE.toString("latin1").repeat(count)}ab`);
    expect(writer.isEmpty).toBe(true);
  });

  test("once all is written it goes as at the beginning", async () => {
    const { near, far, whole } = await pair();
    const writer = new SocketWriter(near, mode, BUFFER_BYTES);
    const count = fill(writer);
    writer.write("a");
    far.resume();
    while (!writer.isEmpty) await new Promise((resolve) => setImmediate(resolve));
    writer.write("b");
    expect([writer.isEmpty, near.writableLength]).toEqual([true, 0]);
    near.end();
    expect(await whole).toBe(`${PIECE.toString("latin1").repeat(count)}ab`);
  });

  test.each([1, PIECE.length, BUFFER_BYTES])(
    "who is told to wait is told to go on, with room for %d bytes",
    async (bytes) => {
      const { near, far } = await pair();
      const writer = new SocketWriter(near, mode, bytes);
      let count = 0;
      while (writer.writeBytes(PIECE)) expect(++count).toBeLessThan(10_000);
      expect(writer.isEmpty).toBe(false);
      const drained = once(near, "drain");
      far.resume();
      await drained;
      expect(writer.write("more")).toBe(true);
    },
  );

  test("bytes that wait are not lost with the object that held them", async () => {
    const { near, far, whole } = await pair();
    const writer = new SocketWriter(near, mode, BUFFER_BYTES);
    let expected = "";
    for (let count = 0; writer.isEmpty; count++) {
      const text = String(count).padEnd(10_000, ".");
      writer.writeBytes(Buffer.from(text));
      expected += text;
    }
    globalThis.gc?.();
    for (let count = 0; count < 100; count++) Buffer.from("garbage".repeat(2_000));
    near.end();
    far.resume();
    expect((await whole) === expected).toBe(true);
  });

  test("a peer that is gone ends the socket, and further writes go nowhere", async () => {
    const { near, far } = await pair();
    const writer = new SocketWriter(near, mode, BUFFER_BYTES);
    fill(writer);
    const closed = new Promise((resolve) => near.once("close", resolve));
    far.resetAndDestroy();
    await closed;
    expect([writer.write("late"), writer.writeBytes(Buffer.from("late"))]).toEqual([true, true]);
    expect(writer.isEmpty).toBe(true);
  });

  test("a socket that is destroyed while something waits is as empty as any", async () => {
    const { near } = await pair();
    const writer = new SocketWriter(near, mode, BUFFER_BYTES);
    fill(writer);
    const errors: Error[] = [];
    near.on("error", (error) => errors.push(error));
    near.destroy();
    await once(near, "close");
    writer.write("late");
    expect([errors, writer.isEmpty]).toEqual([[], true]);
  });

  test("nothing follows an end", async () => {
    const { near, far, whole } = await pair();
    const writer = new SocketWriter(near, mode, BUFFER_BYTES);
    const errors: Error[] = [];
    near.on("error", (error) => errors.push(error));
    writer.write("last");
    near.end();
    writer.write("late");
    far.resume();
    expect([await whole, errors]).toEqual(["last", []]);
  });

  test("before there is a connection the stream takes it", async () => {
    const { server, near } = await connecting();
    const writer = new SocketWriter(near, mode, BUFFER_BYTES);
    expect(writer.write("early")).toBe(true);
    expect(writer.isEmpty).toBe(false);
    const [far] = (await once(server, "connection")) as [Socket];
    let text = "";
    far.setEncoding("latin1").on("data", (piece: string) => {
      text += piece;
    });
    await once(near, "connect");
    while (!writer.isEmpty) await new Promise((resolve) => setImmediate(resolve));
    writer.write(" and later");
    near.end();
    await once(far, "end");
    expect(text).toBe("early and later");
  });

  test.each(["nothing", "all that the kernel takes, and more"])(
    "a reset right behind the end, which %s stands before, is one, and the descriptor is given back",
    async (before) => {
      const { near, far, whole } = await pair();
      whole.catch(() => {});
      const writer = new SocketWriter(near, mode, BUFFER_BYTES);
      if (before !== "nothing") fill(writer);
      writer.end();
      writer.reset();
      await once(near, "close");
      // Who has read an end hears of a reset when it writes.
      while (far.errored === null) {
        far.write("?");
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
  );

  test("the end goes behind what the kernel did not take", async () => {
    const { near, far, whole } = await pair();
    const writer = new SocketWriter(near, mode, BUFFER_BYTES);
    const count = fill(writer);
    writer.end();
    far.resume();
    expect((await whole).length).toBe(PIECE.length * count);
  });

  test("one kind of writes overtakes no other", async () => {
    const { near, far, whole } = await pair();
    const writer = new SocketWriter(near, mode, BUFFER_BYTES);
    let expected = "";
    for (let count = 0; count < 300; count++) {
      const text = `${count},`.padEnd([2, 700, 20_000, 70_000][count % 4] as number, "x");
      expected += text;
      if (count % 3 === 0) writer.write(text);
      else writer.writeBytes(Buffer.from(text));
      if (count === 200) far.resume();
      if (count % 50 === 49) await new Promise((resolve) => setImmediate(resolve));
    }
    near.end();
    expect((await whole) === expected).toBe(true);
  });
});

test("a socket without a handle has none", () => {
  expect(handleOf(new Socket())).toBeUndefined();
});

test("a handle that was closed takes nothing", async () => {
  const { near } = await pair();
  const handle = handleOf(near)!;
  near.destroy();
  await once(near, "close");
  expect(writeText(handle, "late", { onWritten: () => expect.unreachable() })).toBe("refused");
});
