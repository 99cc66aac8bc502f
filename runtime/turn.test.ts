// Stages of a turn run in their order, each for all who wait; reads come to their readers in the order in which they came,
// and nothing is lost to what throws on the way.
import { expect, test } from "vitest";
import { type HeldReader, type HeldReads, Turn } from "./turn.ts";

interface Rig {
  readonly turn: Turn;
  /** Ends of turns that were asked for and have not come. */
  readonly ends: (() => void)[];
  endTurn(): void;
}

function rig(): Rig {
  const ends: (() => void)[] = [];
  const turn = new Turn((run) => ends.push(run));
  return { turn, ends, endTurn: () => ends.shift()?.() };
}

class Reader implements HeldReader {
  heldReads = 0;
  readonly log: string[];
  readonly name: string;

  constructor(name: string, log: string[]) {
    this.name = name;
    this.log = log;
  }

  onHeldBytes(bytes: Buffer, start: number, end: number): void {
    this.log.push(`${this.name} ${bytes.toString("latin1", start, end)}`);
  }
}

const SHARED_BYTES = 32 * 1024;

/** As a socket reads: into a buffer that the next read overwrites. */
function read(reads: HeldReads, reader: Reader, text: string, shared = Buffer.alloc(SHARED_BYTES)): void {
  const length = shared.write(text, "latin1");
  if (!reads.take(reader, shared, length)) reader.log.push(`${reader.name} now ${text.length}`);
  shared.fill("!");
}

test("each stage runs for all before the next, in the order of the stages, and writes come last", () => {
  const { turn, ends, endTurn } = rig();
  const log: string[] = [];
  const first = turn.stage((item: string) => log.push(`first ${item}`));
  const second = turn.stage((item: string) => log.push(`second ${item}`));
  turn.flushes.add({ flush: () => log.push("written") });
  second.add("a");
  first.add("b");
  first.add("c");
  expect(ends).toHaveLength(1);
  endTurn();
  expect(log).toEqual(["first b", "first c", "second a", "written"]);
  expect(ends).toEqual([]);
});

test("what comes for a later stage is done in the same turn, for the same or an earlier one in the next", () => {
  const { turn, ends, endTurn } = rig();
  const log: string[] = [];
  const early = turn.stage((item: string) => {
    log.push(`early ${item}`);
    if (item === "a") early.add("same");
    late.add(item);
  });
  const late = turn.stage((item: string) => {
    log.push(`late ${item}`);
    if (item === "a") early.add("b");
  });
  early.add("a");
  endTurn();
  expect(log).toEqual(["early a", "late a"]);
  expect(ends).toHaveLength(1);
  endTurn();
  expect(log.slice(2)).toEqual(["early same", "early b", "late same", "late b"]);
  expect(ends).toEqual([]);
});

test("a write that is asked for while everything is written leaves in the next turn", () => {
  const { turn, ends, endTurn } = rig();
  let flushes = 0;
  const again = { flush: () => void (flushes++ === 0 && turn.flushes.add(again)) };
  turn.flushes.add(again);
  endTurn();
  expect([flushes, ends.length]).toEqual([1, 1]);
  endTurn();
  expect([flushes, ends.length]).toEqual([2, 0]);
});

test("one that throws holds nobody up but until the next turn", () => {
  const { turn, ends, endTurn } = rig();
  const log: string[] = [];
  const stage = turn.stage((item: string) => {
    if (item === "bad") throw new Error("bad");
    log.push(item);
  });
  const reads = turn.reads();
  for (const item of ["a", "bad", "b"]) stage.add(item);
  const bad = new Reader("bad", log);
  bad.onHeldBytes = () => {
    throw new Error("bad reader");
  };
  read(reads, bad, "1");
  read(reads, new Reader("good", log), "2");
  expect(endTurn).toThrow("bad");
  expect(log).toEqual(["a"]);
  expect(ends).toHaveLength(1);
  expect(endTurn).toThrow("bad reader");
  expect(ends).toHaveLength(1);
  endTurn();
  expect(log).toEqual(["a", "b", "good 2"]);
  expect(ends).toEqual([]);
});

test("small reads come to their readers as they were, in their order", () => {
  const { turn, endTurn } = rig();
  const log: string[] = [];
  const reads = turn.reads();
  const [one, two] = [new Reader("one", log), new Reader("two", log)];
  read(reads, one, "GET /");
  read(reads, two, "GET /2");
  read(reads, one, "1 HTTP");
  expect([one.heldReads, two.heldReads, log]).toEqual([2, 1, []]);
  endTurn();
  expect(log).toEqual(["one GET /", "two GET /2", "one 1 HTTP"]);
  expect([one.heldReads, two.heldReads, reads.isEmpty]).toEqual([0, 0, true]);
});

test("a large read comes at once, behind what the same reader had read before it", () => {
  const { turn, endTurn } = rig();
  const log: string[] = [];
  const reads = turn.reads();
  const [one, two] = [new Reader("one", log), new Reader("two", log)];
  read(reads, two, "x".repeat(16_384));
  read(reads, one, "small");
  read(reads, two, "x".repeat(16_384));
  expect(log).toEqual(["two now 16384", "two now 16384"]);
  read(reads, one, "x".repeat(16_384));
  expect(log.slice(2)).toEqual(["one small", "one now 16384"]);
  endTurn();
  expect(log).toHaveLength(4);
});

test("more than there is room for comes at once, and none of it is lost or late", () => {
  const { turn, endTurn } = rig();
  const log: string[] = [];
  const reads = turn.reads();
  const readers = Array.from({ length: 300 }, (_, index) => new Reader(String(index), log));
  for (const reader of readers) read(reads, reader, "y".repeat(1_000));
  const first = readers[0] as Reader;
  for (let index = 0; index < 3; index++) read(reads, first, `z${index}`);
  endTurn();
  for (const reader of readers) {
    const own = log.filter((line) => line.startsWith(`${reader.name} `)).map((line) => line.slice(0, 12));
    expect(own[0], reader.name).toMatch(/^\d+ (yyy|now 1000)/);
    expect(own.slice(1)).toEqual(reader === first ? ["0 z0", "0 z1", "0 z2"] : []);
  }
});

test("what is kept of a read stays as it was until it is let go", () => {
  const { turn, endTurn } = rig();
  const log: string[] = [];
  const reads = turn.reads();
  const [one, two] = [new Reader("one", log), new Reader("two", log)];
  let kept: () => string = () => "";
  one.onHeldBytes = (bytes, start, end) => {
    reads.keep();
    kept = () => bytes.toString("latin1", start, end);
  };
  read(reads, one, "keep me");
  endTurn();
  read(reads, two, "another turn");
  endTurn();
  read(reads, two, "x".repeat(4_000));
  expect([kept(), log]).toEqual(["keep me", ["two another turn"]]);
  reads.letGo();
  expect(kept()).toBe("keep me");
  endTurn();
  read(reads, two, "from the beginning again");
  endTurn();
  expect(kept()).toBe("from th");
  expect(log.slice(1)).toEqual([`two ${"x".repeat(4_000)}`, "two from the beginning again"]);
});

test("while something is kept there is as much room as is left, and then all of it again", () => {
  const { turn, endTurn } = rig();
  const log: string[] = [];
  const reads = turn.reads();
  const reader = new Reader("r", log);
  reads.keep();
  for (let count = 0; count < 50; count++) {
    read(reads, reader, "x".repeat(8_000));
    endTurn();
  }
  expect(log.filter((line) => line === "r now 8000")).toHaveLength(50 - Math.floor((256 * 1024) / 8_000));
  reads.letGo();
  log.length = 0;
  for (let count = 0; count < 50; count++) {
    read(reads, reader, "x".repeat(8_000));
    endTurn();
  }
  expect(log.filter((line) => line === "r now 8000")).toEqual([]);
});

test("before a reader is told of its end it gets what it has read", () => {
  const { turn, ends, endTurn } = rig();
  const log: string[] = [];
  const reads = turn.reads();
  const [one, two] = [new Reader("one", log), new Reader("two", log)];
  read(reads, one, "last words");
  reads.settle(two);
  expect(log).toEqual([]);
  reads.settle(one);
  expect(log).toEqual(["one last words"]);
  endTurn();
  expect([log.length, ends.length]).toEqual([1, 0]);
});

test("reads of every length, out of buffers that begin anywhere, come as they were", () => {
  const { turn, endTurn } = rig();
  const log: string[] = [];
  const reads = turn.reads();
  const memory = Buffer.alloc(2 * SHARED_BYTES).buffer;
  const lengths = [...Array.from({ length: 200 }, (_, length) => length), 1_019, 1_020, 1_021, 1_022, 1_023, 4_000];
  const texts = lengths.map((length) => `${length} `.padEnd(length + 4, "abcdefgh"));
  const reader = new Reader("r", log);
  for (const [index, text] of texts.entries()) {
    const bytes = [SHARED_BYTES, 4_096][index % 2] as number;
    read(reads, reader, text, Buffer.from(memory, index % 5, bytes));
    if (index % 7 === 0) endTurn();
  }
  endTurn();
  expect(log).toEqual(texts.map((text) => `r ${text}`));
});
