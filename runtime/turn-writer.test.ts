// Texts of one turn leave together at its end, in order, and nothing is lost on the way to an end.
import { once } from "node:events";
import { afterEach, describe, expect, test } from "vitest";
import { FlushQueue } from "./flush-queue.ts";
import type { SocketMode } from "./socket-output.ts";
import { closeSockets, type SocketPair, socketPair } from "./testing/socket-pair.ts";
import { type Prepared, TurnWriter } from "./turn-writer.ts";

const BUFFER_BYTES = 64 * 1024;

afterEach(closeSockets);

interface Pair extends SocketPair {
  readonly writer: TurnWriter;
  /** Ends the turn. */
  readonly endTurn: () => void;
}

/** As HeldReads. */
class Reads {
  readonly bytes: Buffer = Buffer.alloc(64 * 1024, "0123456789");
  readonly words = new BigInt64Array(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length / 8);
  kept = 0;
  keep(): void {
    this.kept++;
  }
  letGo(): void {
    this.kept--;
  }
}

/** Octets in which one stands for another each time: the one under "_". */
class Shared {
  lost = 0;
  #bytes: Buffer;
  readonly #at: number;

  constructor(text: string) {
    this.#bytes = Buffer.from(text);
    this.#at = text.indexOf("_");
  }

  with(letter: string): Prepared {
    const take = (): Buffer => {
      this.#bytes.write(letter, this.#at);
      return this.#bytes;
    };
    const lose = (): void => {
      this.lost++;
      this.#bytes = Buffer.from(this.#bytes);
    };
    return {
      get text(): string {
        return take().toString("latin1");
      },
      take,
      lose,
    };
  }
}

async function pair(mode: SocketMode, bufferBytes = BUFFER_BYTES, reads?: Reads): Promise<Pair> {
  let run = (): void => {};
  const flushes = new FlushQueue((flush) => {
    run = flush;
  });
  const sockets = await socketPair();
  return { ...sockets, writer: new TurnWriter(sockets.near, mode, bufferBytes, flushes, reads), endTurn: () => run() };
}

describe.each(["handle", "shared"] as const)("%s", (mode) => {
  test("texts wait for the end of the turn and leave with one write", async () => {
    const { near, writer, whole, endTurn } = await pair(mode);
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
    const { near, writer, whole, endTurn } = await pair(mode);
    writer.write("a");
    expect(writer.writeBytes(Buffer.from("b"))).toBe(true);
    expect([writer.isEmpty, near.bytesWritten]).toEqual([true, 2]);
    writer.write("c");
    endTurn();
    near.end();
    expect(await whole).toBe("abc");
  });

  test("what was read in this turn goes out from where it is, one piece behind the other", async () => {
    const reads = new Reads();
    const { near, writer, whole, endTurn } = await pair(mode, BUFFER_BYTES, reads);
    expect([writer.writeRead(reads.bytes, 2, 5), writer.writeRead(reads.bytes, 5, 8)]).toEqual([true, true]);
    expect([writer.isEmpty, near.bytesWritten, reads.kept]).toEqual([false, 0, 1]);
    endTurn();
    expect([writer.isEmpty, near.bytesWritten, reads.kept]).toEqual([true, 6, 0]);
    reads.bytes.write("ABC", 2);
    writer.writeRead(reads.bytes, 2, 5);
    endTurn();
    near.end();
    expect(await whole).toBe("234567ABC");
  });

  test("texts and bytes behind what was read go out behind it", async () => {
    const reads = new Reads();
    const { near, writer, whole, endTurn } = await pair(mode, BUFFER_BYTES, reads);
    writer.writeRead(reads.bytes, 1, 3);
    writer.write("a");
    expect(reads.kept).toBe(0);
    writer.write("b");
    endTurn();
    writer.writeRead(reads.bytes, 3, 5);
    writer.writeBytes(Buffer.from("c"));
    writer.writeRead(reads.bytes, 5, 7);
    writer.sendNow();
    near.end();
    endTurn();
    expect([await whole, reads.kept]).toEqual(["12ab34c56", 0]);
  });

  test("other bytes, a gap, text before it or too much are the caller's to copy", async () => {
    const reads = new Reads();
    const { writer, endTurn } = await pair(mode, BUFFER_BYTES, reads);
    expect(writer.writeRead(Buffer.from("abc"), 0, 3)).toBe(false);
    expect(writer.writeRead(reads.bytes, 0, 16 * 1024 + 1)).toBe(false);
    expect(reads.kept).toBe(0);
    writer.writeRead(reads.bytes, 0, 16 * 1024);
    expect(writer.writeRead(reads.bytes, 16 * 1024, 16 * 1024 + 1)).toBe(false);
    expect(writer.writeRead(reads.bytes, 20_000, 20_001)).toBe(false);
    endTurn();
    writer.write("text");
    expect(writer.writeRead(reads.bytes, 0, 1)).toBe(false);
    expect(reads.kept).toBe(0);
  });

  test("what the kernel does not take at once is as it was, whatever is read and written after it", async () => {
    const reads = new Reads();
    const { near, far, writer, whole, endTurn } = await pair(mode, BUFFER_BYTES, reads);
    far.pause();
    let expected = "";
    for (let count = 0; count < 10_000; count++) {
      reads.bytes.fill(String.fromCharCode(97 + (count % 26)), 0, 10_000);
      if (!writer.writeRead(reads.bytes, 0, 10_000)) break;
      expected += reads.bytes.toString("latin1", 0, 10_000);
      endTurn();
    }
    expect(writer.isEmpty).toBe(false);
    const {
      writer: other,
      near: otherNear,
      whole: otherWhole,
      endTurn: endOtherTurn,
    } = await pair(mode, BUFFER_BYTES, reads);
    reads.bytes.fill("!", 0, 10_000);
    other.writeRead(reads.bytes, 0, 10_000);
    endOtherTurn();
    otherNear.end();
    far.resume();
    near.end();
    expect([(await whole) === expected, await otherWhole, reads.kept]).toEqual([true, "!".repeat(10_000), 0]);
  });

  test("what stands ready goes out as it is when its turn comes, alone or with what was written around it", async () => {
    const reads = new Reads();
    const { near, writer, whole, endTurn } = await pair(mode, BUFFER_BYTES, reads);
    const shared = new Shared("(_)");
    expect(writer.writePrepared(shared.with("a"))).toBe(true);
    expect([writer.isEmpty, near.bytesWritten]).toEqual([false, 0]);
    expect(writer.writeRead(reads.bytes, 0, 1)).toBe(false);
    endTurn();
    writer.writePrepared(shared.with("b"));
    writer.write("text");
    writer.writePrepared(shared.with("c"));
    endTurn();
    writer.writeRead(reads.bytes, 1, 3);
    writer.writePrepared(shared.with("d"));
    endTurn();
    writer.writePrepared(shared.with("e"));
    writer.writeBytes(Buffer.from("bytes"));
    writer.writePrepared(shared.with("f"));
    writer.sendNow();
    near.end();
    expect(await whole).toBe("(a)(b)text(c)12(d)(e)bytes(f)");
  });

  test("what stands ready is not changed any more where the kernel did not take all of it", async () => {
    const { near, far, writer, whole, endTurn } = await pair(mode);
    far.pause();
    const shared = new Shared(`_${"-".repeat(10_000)}`);
    let expected = "";
    // A few more go out behind the first that stays, of the same octets.
    for (let count = 0, behind = 0; behind < 4; count++) {
      expect(count).toBeLessThan(10_000);
      const letter = String.fromCharCode(97 + (count % 26));
      writer.writePrepared(shared.with(letter));
      expected += `${letter}${"-".repeat(10_000)}`;
      endTurn();
      if (shared.lost > 0) behind++;
    }
    far.resume();
    near.end();
    expect((await whole) === expected).toBe(true);
  });

  test("what is to be ended is sent before", async () => {
    const { near, writer, whole, endTurn } = await pair(mode);
    writer.write("all of it");
    writer.sendNow();
    near.end();
    endTurn();
    expect(await whole).toBe("all of it");
  });

  test("much text does not wait", async () => {
    const { near, writer } = await pair(mode);
    writer.write("x".repeat(10_000));
    expect(near.bytesWritten).toBe(0);
    writer.write("x".repeat(10_000));
    expect(near.bytesWritten).toBe(20_000);
  });

  test("a socket that is gone takes nothing, and nobody is told of an error", async () => {
    const reads = new Reads();
    const { near, writer, endTurn } = await pair(mode, BUFFER_BYTES, reads);
    const errors: Error[] = [];
    near.on("error", (error) => errors.push(error));
    writer.write("too late");
    near.destroy();
    endTurn();
    await once(near, "close");
    writer.writeRead(reads.bytes, 0, 1);
    endTurn();
    expect([errors, writer.isEmpty, reads.kept]).toEqual([[], true, 0]);
  });

  // Less than the socket itself takes before it says 'drain' must not have anybody wait for one that never comes.
  test.each([1, BUFFER_BYTES])(
    "who writes to somebody that does not read is told to wait, and when to go on (%d)",
    async (bufferBytes) => {
      const { near, far, writer, endTurn } = await pair(mode, bufferBytes);
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
      // By the handle some may wait in the stream then, less than would have somebody wait.
      if (mode === "shared") expect(writer.isEmpty).toBe(true);
      while (!writer.isEmpty) await new Promise((resolve) => setImmediate(resolve));
      expect(writer.write("more")).toBe(true);
    },
  );
});
