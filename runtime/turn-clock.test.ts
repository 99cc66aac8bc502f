// Time stands still while a turn holds it, from the first question on, and at no other time.
import { expect, test } from "vitest";
import { ManualClock } from "./manual-clock.ts";
import { Turn } from "./turn.ts";
import { TurnClock } from "./turn-clock.ts";

function rig(): { machine: ManualClock; clock: TurnClock; turn: Turn; ends: (() => void)[] } {
  const machine = new ManualClock();
  const clock = new TurnClock(machine);
  const ends: (() => void)[] = [];
  const turn = new Turn((run) => ends.push(run), clock);
  return { machine, clock, turn, ends };
}

test("within a turn the first answer is the answer, and its stages and writes hear it too", () => {
  const { machine, clock, turn, ends } = rig();
  const told: number[] = [];
  const stage = turn.stage(() => told.push(clock.now()));
  turn.begin();
  machine.advance(5);
  expect(clock.now()).toBe(5);
  machine.advance(5);
  expect(clock.now()).toBe(5);
  stage.add(undefined);
  turn.flushes.add({ flush: () => told.push(clock.now()) });
  ends.shift()?.();
  expect(told).toEqual([5, 5]);
  expect(clock.now()).toBe(10);
  machine.advance(1);
  expect(clock.now()).toBe(11);
});

test("a turn in which nobody asked holds nothing, and the next one asks anew", () => {
  const { machine, clock, turn, ends } = rig();
  for (const expected of [3, 6]) {
    turn.begin();
    machine.advance(3);
    expect(clock.now()).toBe(expected);
    ends.shift()?.();
  }
  turn.begin();
  ends.shift()?.();
  machine.advance(1);
  expect(clock.now()).toBe(7);
});

test("what a step throws ends the turn's time as well; what it left for the next turn has that one's", () => {
  const { machine, clock, turn, ends } = rig();
  const told: number[] = [];
  const stage = turn.stage((item: string) => {
    if (item === "bad") throw new Error("bad item");
    told.push(clock.now());
  });
  stage.add("bad");
  stage.add("good");
  expect(clock.now()).toBe(0);
  machine.advance(4);
  expect(() => ends.shift()?.()).toThrow("bad item");
  ends.shift()?.();
  expect(told).toEqual([4]);
});

test("calls back and tells the date as the clock beneath does", () => {
  const { machine, clock, turn } = rig();
  const calls: string[] = [];
  turn.begin();
  clock.after(2, () => calls.push("called"));
  clock.after(2, () => calls.push("cancelled")).cancel();
  machine.advance(2);
  expect(calls).toEqual(["called"]);
  expect(clock.wall()).toBe(machine.wall());
});
