// When the timer of a client connection falls due, on a clock that moves only when told.
import { expect, test } from "vitest";
import { ManualClock } from "../../runtime/manual-clock.ts";
import { TimerWheel } from "../../runtime/timer-wheel.ts";
import { type Phase, PhaseTimer } from "./phase-timer.ts";

const DELAY_MS = 8_000;
/** The wheel's two ticks. */
const COARSE_MS = 20;

function setUp() {
  const clock = new ManualClock();
  const told: { phase: Phase; atMs: number }[] = [];
  const owner = { onTimeout: (phase: Phase) => void told.push({ phase, atMs: clock.now() }) };
  const waiting = {
    hasProgress: false,
    takeProgress(): boolean {
      const had = this.hasProgress;
      this.hasProgress = false;
      return had;
    },
  };
  return { clock, told, waiting, timer: new PhaseTimer(owner, new TimerWheel(clock), waiting) };
}

test.each([
  ["stream", "a byte that moved"],
  ["half-closed", "a byte that moved"],
  ["stream", "a byte that went out without a word"],
] as const)("%s: the time runs from %s last, and ends by an eighth late at the most", (phase, what) => {
  for (const movedMs of [0, 1, 500, 999, 1_000, 4_321, 7_999]) {
    const { clock, told, waiting, timer } = setUp();
    timer.arm(phase, DELAY_MS);
    clock.advance(movedMs);
    if (what === "a byte that moved") timer.hasMoved = movedMs > 0;
    else waiting.hasProgress = movedMs > 0;
    for (let step = 0; step < 3 * DELAY_MS; step += 10) clock.advance(10);
    expect(told).toHaveLength(1);
    expect(told[0]?.phase).toBe(phase);
    const lateMs = (told[0]?.atMs ?? 0) - movedMs - DELAY_MS;
    expect(lateMs).toBeGreaterThanOrEqual(0);
    expect(lateMs).toBeLessThanOrEqual((movedMs === 0 ? 0 : DELAY_MS / 8) + COARSE_MS);
  }
});

test("bytes that go on moving begin it anew each time", () => {
  const { clock, told, timer } = setUp();
  timer.arm("stream", DELAY_MS);
  for (let round = 0; round < 10; round++) {
    for (let step = 0; step < DELAY_MS - 10; step += 10) clock.advance(10);
    timer.hasMoved = true;
    clock.advance(10);
  }
  expect(told).toEqual([]);
});

test.each(["idle", "head", "linger"] as const)("%s: bytes begin nothing anew", (phase) => {
  const { clock, told, timer } = setUp();
  timer.arm(phase, DELAY_MS);
  for (let step = 0; step < DELAY_MS + COARSE_MS; step += 10) {
    timer.hasMoved = true;
    clock.advance(10);
  }
  expect(told.map((entry) => entry.phase)).toEqual([phase]);
});
