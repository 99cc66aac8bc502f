// Behaviour of the timer wheel on a clock that moves only when told.
import { expect, test } from "vitest";
import { LateClock } from "./testing/late-clock.ts";
import { TimerWheel, WheelTimer } from "./timer-wheel.ts";

function setUp() {
  const clock = new LateClock();
  const wheel = new TimerWheel(clock);
  const told: { kind: number; atMs: number }[] = [];
  const owner = { onTimer: (kind: number) => void told.push({ kind, atMs: clock.now() }) };
  return { clock, wheel, told, owner };
}

test.each([0, 1, 9, 10, 11, 250, 999, 10_239, 10_240, 10_241, 61_000, 3_600_000])(
  "a timer of %i ms fires once, never early and at most two ticks late",
  (delayMs) => {
    const { clock, wheel, told, owner } = setUp();
    clock.advance(3);
    wheel.arm(new WheelTimer(owner, 7), delayMs);
    clock.advance(delayMs);
    clock.advance(20);
    expect(told).toHaveLength(1);
    expect(told[0]!.kind).toBe(7);
    expect(told[0]!.atMs).toBeGreaterThanOrEqual(3 + delayMs);
    expect(told[0]!.atMs).toBeLessThanOrEqual(3 + delayMs + 20);
    clock.advance(30_000);
    expect(told).toHaveLength(1);
  },
);

test("a cancelled timer never fires and the wheel then sleeps", () => {
  const { clock, wheel, told, owner } = setUp();
  const timer = new WheelTimer(owner);
  wheel.arm(timer, 100);
  wheel.cancel(timer);
  wheel.cancel(timer);
  clock.advance(1_000);
  expect(told).toEqual([]);
  expect(wheel.linkedCount).toBe(0);
  expect(clock.pendingCount).toBe(0);
});

test("arming again moves the deadline", () => {
  const { clock, wheel, told, owner } = setUp();
  const timer = new WheelTimer(owner);
  wheel.arm(timer, 100);
  clock.advance(90);
  wheel.arm(timer, 100);
  clock.advance(90);
  expect(told).toEqual([]);
  clock.advance(40);
  expect(told).toHaveLength(1);
  expect(timer.isArmed).toBe(false);
  expect(wheel.linkedCount).toBe(0);
});

test("arming for earlier than it stands fires in time; cancelling and arming again does too", () => {
  const { clock, wheel, told, owner } = setUp();
  const timer = new WheelTimer(owner);
  wheel.arm(timer, 5_000);
  wheel.arm(timer, 100);
  clock.advance(120);
  expect(told).toHaveLength(1);
  wheel.arm(timer, 50);
  wheel.cancel(timer);
  wheel.arm(timer, 70);
  clock.advance(60);
  expect(told).toHaveLength(1);
  clock.advance(30);
  expect(told).toHaveLength(2);
});

test("a timer that is armed again and again fires once, after the last time", () => {
  const { clock, wheel, told, owner } = setUp();
  const timer = new WheelTimer(owner);
  for (let request = 0; request < 1_000; request++) {
    wheel.arm(timer, 300);
    clock.advance(7);
  }
  expect(told).toEqual([]);
  clock.advance(400);
  expect(told).toHaveLength(1);
});

test("a released timer is held no longer", () => {
  const { wheel, owner } = setUp();
  const timer = new WheelTimer(owner);
  wheel.arm(timer, 60_000);
  wheel.release(timer);
  wheel.release(timer);
  expect(wheel.linkedCount).toBe(0);
  expect(timer.next).toBeUndefined();
});

test("an earlier timer armed while the wheel sleeps is still in time", () => {
  const { clock, wheel, told, owner } = setUp();
  wheel.arm(new WheelTimer(owner, 1), 200);
  wheel.arm(new WheelTimer(owner, 2), 15);
  clock.advance(35);
  expect(told.map((entry) => entry.kind)).toEqual([2]);
});

test("a callback may cancel a timer due in the same turn, and arm others", () => {
  const { clock, wheel } = setUp();
  const told: number[] = [];
  const victim = new WheelTimer({ onTimer: () => void told.push(2) });
  const again: WheelTimer = new WheelTimer({
    onTimer: () => {
      told.push(1);
      wheel.cancel(victim);
      if (told.length < 3) wheel.arm(again, 50);
    },
  });
  wheel.arm(again, 50);
  wheel.arm(victim, 50);
  clock.advance(500);
  expect(told).toEqual([1, 1, 1]);
});

test("after a stall longer than a revolution everything due fires", () => {
  const { clock, wheel, told, owner } = setUp();
  for (let kind = 0; kind < 50; kind++) wheel.arm(new WheelTimer(owner, kind), kind * 400);
  expect(told).toEqual([]);
  clock.lateMs = 25_000;
  clock.advance(10);
  expect(told.map((entry) => entry.kind).sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, kind) => kind));
  expect(wheel.linkedCount).toBe(0);
});

test("while anything is armed, the wheel looks at the time at least every quarter of a second", () => {
  const { clock, wheel, owner } = setUp();
  const looks: number[] = [clock.now()];
  const after = clock.after.bind(clock);
  clock.after = (delayMs, callback) =>
    after(delayMs, () => {
      looks.push(clock.now());
      callback();
    });
  wheel.arm(new WheelTimer(owner), 5_000);
  for (let step = 0; step < 400; step++) {
    clock.advance(12);
    if (clock.now() < 5_000) expect(clock.now() - (looks.at(-1) ?? 0)).toBeLessThanOrEqual(250);
  }
  expect(looks.length).toBeGreaterThan(19);
});

test("a callback that throws does not stop the others", () => {
  const { clock, wheel, told, owner } = setUp();
  const bad = new WheelTimer({
    onTimer: () => {
      throw new Error("bug");
    },
  });
  wheel.arm(bad, 10);
  wheel.arm(new WheelTimer(owner, 5), 10);
  expect(() => clock.advance(20)).toThrow("bug");
  clock.advance(40);
  expect(told.map((entry) => entry.kind)).toEqual([5]);
});
