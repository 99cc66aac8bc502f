// The queue before an exporter: batches, one at a time; bounded; counted.
import { expect, test } from "vitest";
import { ManualClock } from "../../../runtime/manual-clock.ts";
import { BATCH_MAX, BatchQueue, type ItemOutcome, WAITING_MAX } from "./batch-queue.ts";

function rig() {
  const clock = new ManualClock();
  const sent: number[][] = [];
  const dones: ((error: string) => void)[] = [];
  const counts: Record<ItemOutcome, number> = { exported: 0, dropped: 0, failed: 0 };
  const changes: string[] = [];
  const queue = new BatchQueue<number>({
    clock,
    send: (batch, done) => {
      sent.push(batch);
      dones.push(done);
    },
    count: (outcome, items) => {
      counts[outcome] += items;
    },
    onChange: (error) => changes.push(error),
  });
  const add = (count: number) => {
    for (let item = 0; item < count; item++) queue.add(item);
  };
  return { clock, sent, dones, counts, changes, queue, add };
}

test("what came within a second goes out together", () => {
  const { clock, sent, dones, counts, add } = rig();
  add(3);
  clock.advance(999);
  expect(sent).toEqual([]);
  clock.advance(1);
  expect(sent).toEqual([[0, 1, 2]]);
  dones[0]?.("");
  expect(counts).toEqual({ exported: 3, dropped: 0, failed: 0 });
});

test("a full batch goes out at once, the next one when that is done", () => {
  const { clock, sent, dones, add } = rig();
  add(3 * BATCH_MAX - 1);
  clock.advance(0);
  expect(sent.map((batch) => batch.length)).toEqual([BATCH_MAX]);
  clock.advance(5_000);
  expect(sent).toHaveLength(1);
  dones[0]?.("");
  clock.advance(0);
  expect(sent.map((batch) => batch.length)).toEqual([BATCH_MAX, BATCH_MAX]);
});

test("while nobody answers no more than the bound waits, and what is dropped is counted", () => {
  const { clock, sent, dones, counts, queue, changes, add } = rig();
  add(BATCH_MAX + 10);
  clock.advance(0);
  add(100_000);
  expect(queue.waiting).toBe(WAITING_MAX);
  expect(counts.dropped).toBe(100_000 + 10 - WAITING_MAX);
  clock.advance(15_000);
  expect(counts.failed).toBe(BATCH_MAX);
  expect(changes).toEqual(["no answer"]);
  clock.advance(0);
  expect(sent).toHaveLength(2);
  dones[0]?.("");
  expect(counts.exported, "what is heard too late does not count again").toBe(0);
  dones[1]?.("");
  expect(counts.exported).toBe(BATCH_MAX);
  expect(changes).toEqual(["no answer", ""]);
});

test("an exporter that throws has failed, and is tried again", () => {
  const clock = new ManualClock();
  let calls = 0;
  const failed: number[] = [];
  const queue = new BatchQueue<string>({
    clock,
    send: () => {
      calls++;
      throw new Error("bug");
    },
    count: (outcome, items) => outcome === "failed" && failed.push(items),
    onChange: () => {},
  });
  queue.add("a");
  clock.advance(1_000);
  queue.add("b");
  clock.advance(1_000);
  expect(calls).toBe(2);
  expect(failed).toEqual([1, 1]);
});

test("closing sends what is there, and does not wait for ever", async () => {
  const { clock, sent, dones, counts, queue, add } = rig();
  add(BATCH_MAX + 88);
  const closed = queue.close();
  add(1);
  dones[0]?.("");
  expect(sent.map((batch) => batch.length)).toEqual([BATCH_MAX, 88]);
  clock.advance(2_000);
  await closed;
  expect(counts).toEqual({ exported: BATCH_MAX, dropped: 1, failed: 0 });
  const empty = rig();
  await empty.queue.close();
  expect(empty.sent).toEqual([]);
});
