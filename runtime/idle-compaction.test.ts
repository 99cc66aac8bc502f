// When a process that has become idle gives its memory back.
import { expect, test } from "vitest";
import { GROWTH_MIN_BYTES, IDLE_CPU_SECONDS, IdleCompaction, LOOK_EVERY_MS, PAUSE_MIN_MS } from "./idle-compaction.ts";
import { ManualClock } from "./manual-clock.ts";

const BASE_BYTES = 100_000_000;

/** A process that uses what it is told to, and after a compaction is as large as `afterBytes`. */
function processOf(afterBytes: () => number = () => BASE_BYTES) {
  const clock = new ManualClock();
  const state = { cpuSeconds: 1, residentBytes: BASE_BYTES, compactions: 0 };
  const compact = (): void => {
    state.compactions++;
    state.cpuSeconds += 0.05;
    state.residentBytes = afterBytes();
  };
  const compaction = new IdleCompaction({ clock, usage: () => ({ ...state }), compact });
  return { clock, state, compaction };
}

test("what grew is given back at the first look that finds the process idle", () => {
  const { clock, state, compaction } = processOf();
  compaction.compact();
  compaction.watch();
  clock.advance(PAUSE_MIN_MS);
  expect(state.compactions).toBe(1);
  state.residentBytes += GROWTH_MIN_BYTES;
  state.cpuSeconds += IDLE_CPU_SECONDS;
  clock.advance(LOOK_EVERY_MS);
  expect(state.compactions).toBe(1);
  state.cpuSeconds += IDLE_CPU_SECONDS / 2;
  clock.advance(LOOK_EVERY_MS);
  expect(state.compactions).toBe(2);
  expect(state.residentBytes).toBe(BASE_BYTES);
});

test("what cannot be given back is not tried for again", () => {
  const { clock, state, compaction } = processOf(() => 2 * BASE_BYTES);
  compaction.compact();
  compaction.watch();
  clock.advance(10 * PAUSE_MIN_MS);
  expect(state.compactions).toBe(1);
});

test("not under load, however much it grows", () => {
  const { clock, state, compaction } = processOf();
  compaction.compact();
  compaction.watch();
  for (let look = 0; look < 100; look++) {
    state.residentBytes += GROWTH_MIN_BYTES;
    state.cpuSeconds += 1;
    clock.advance(LOOK_EVERY_MS);
  }
  expect(state.compactions).toBe(1);
});

test("not more often than once a minute", () => {
  const { clock, state, compaction } = processOf();
  compaction.compact();
  compaction.watch();
  for (let atMs = 0; atMs < 5 * PAUSE_MIN_MS; atMs += LOOK_EVERY_MS) {
    state.residentBytes = BASE_BYTES + GROWTH_MIN_BYTES;
    clock.advance(LOOK_EVERY_MS);
  }
  expect(state.compactions).toBe(6);
});

test("growth counts from the least, which may be after the compaction", () => {
  const { clock, state, compaction } = processOf();
  compaction.compact();
  compaction.watch();
  clock.advance(PAUSE_MIN_MS);
  state.residentBytes = BASE_BYTES - GROWTH_MIN_BYTES;
  clock.advance(LOOK_EVERY_MS);
  state.residentBytes = BASE_BYTES;
  clock.advance(LOOK_EVERY_MS);
  expect(state.compactions).toBe(2);
});

test("a process that was never compacted is, once it is idle; a stopped one is left alone", () => {
  const { clock, state, compaction } = processOf();
  compaction.watch();
  clock.advance(LOOK_EVERY_MS);
  expect(state.compactions).toBe(1);
  compaction.stop();
  state.residentBytes += GROWTH_MIN_BYTES;
  clock.advance(2 * PAUSE_MIN_MS);
  expect(state.compactions).toBe(1);
  expect(clock.pendingCount).toBe(0);
});
