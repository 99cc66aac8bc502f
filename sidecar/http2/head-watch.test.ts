// What is begun on a connection of HTTP/2 has one time to be finished, whenever the one before it was.
import { expect, test } from "vitest";
import { ManualClock } from "../../runtime/manual-clock.ts";
import { TimerWheel } from "../../runtime/timer-wheel.ts";
import { HeadWatch } from "./head-watch.ts";

const TIMEOUT_MS = 1_000;
const TICKS_MS = 20;

function rig() {
  const clock = new ManualClock();
  const reader = { isUnfinished: false, finishedCount: 0 };
  let late = 0;
  const watch = new HeadWatch(reader, new TimerWheel(clock), TIMEOUT_MS, () => late++);
  const begin = (): void => {
    reader.isUnfinished = true;
    watch.note();
  };
  const finish = (): void => {
    reader.isUnfinished = false;
    reader.finishedCount++;
  };
  return { clock, begin, finish, note: () => watch.note(), lateCount: () => late };
}

test.each([10, 500, 990])("one that is begun %s ms after another has its time and no more", (afterMs) => {
  const { clock, begin, finish, note, lateCount } = rig();
  begin();
  clock.advance(afterMs);
  finish();
  begin();
  for (let waited = 0; waited < TIMEOUT_MS - 1; waited += 111) {
    clock.advance(111);
    note();
  }
  expect(lateCount()).toBe(0);
  clock.advance(1 + TICKS_MS);
  expect(lateCount()).toBe(1);
});

test("what is finished in time is not late, nor is what follows it much later", () => {
  const { clock, begin, finish, lateCount } = rig();
  begin();
  clock.advance(900);
  finish();
  clock.advance(5_000);
  begin();
  clock.advance(900);
  finish();
  clock.advance(5_000);
  expect(lateCount()).toBe(0);
});
