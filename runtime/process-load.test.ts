// How short of time and memory a process is: a stall shows at once and fades, and nothing shows before figures are taken.
import { expect, test } from "vitest";
import { ProcessLoad } from "./process-load.ts";
import { LateClock } from "./testing/late-clock.ts";

test("a stall of the event loop shows with the next figure, and halves with each after it", () => {
  const clock = new LateClock();
  const load = new ProcessLoad(clock, () => ({ usedBytes: 30, limitBytes: 120 }));
  load.start();
  load.start();
  expect([load.eventLoopDelayMs, load.heapPercent]).toEqual([0, 0]);
  clock.advance(100);
  expect([load.eventLoopDelayMs, load.heapPercent]).toEqual([0, 25]);
  clock.lateMs = 400;
  const delays = Array.from({ length: 4 }, () => {
    clock.advance(100);
    return load.eventLoopDelayMs;
  });
  expect(delays).toEqual([400, 200, 100, 50]);
});

test("who takes no figures any more has none, and no timer", () => {
  const clock = new LateClock();
  const load = new ProcessLoad(clock, () => ({ usedBytes: 1, limitBytes: 2 }));
  load.start();
  clock.lateMs = 400;
  clock.advance(100);
  load.stop();
  expect([load.eventLoopDelayMs, load.heapPercent, clock.pendingCount]).toEqual([0, 0, 0]);
});
