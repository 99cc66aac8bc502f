// The tail rule: what is kept though it was not sampled, and how much of it.
import { expect, test } from "vitest";
import { ManualClock } from "../../../runtime/manual-clock.ts";
import { TailRule } from "./tail.ts";

test("errors and what is slower are kept, the rest is not", () => {
  const tail = new TailRule({ errors: true, slowerThanMs: 100, maxPerSecond: 10 }, 1, new ManualClock());
  expect(tail.judge(false, 100)).toBe("");
  expect(tail.judge(false, 101)).toBe("slow");
  expect(tail.judge(true, 1)).toBe("error");
});

test("up to so many in a second, of which each process has its share", () => {
  const clock = new ManualClock();
  const tail = new TailRule({ errors: true, slowerThanMs: 0, maxPerSecond: 10 }, 0.5, clock);
  const judged = () => Array.from({ length: 20 }, () => tail.judge(true, 0)).filter((verdict) => verdict === "error");
  expect(judged()).toHaveLength(5);
  clock.advance(1_000);
  expect(judged()).toHaveLength(5);
  clock.advance(60_000);
  expect(judged(), "no more than a second's worth is saved up").toHaveLength(5);
});

test("a rate below one still keeps one now and then; none keeps none", () => {
  const clock = new ManualClock();
  const rare = new TailRule({ errors: true, slowerThanMs: 0, maxPerSecond: 0.1 }, 1, clock);
  expect([rare.judge(true, 0), rare.judge(true, 0)]).toEqual(["error", "over-limit"]);
  clock.advance(10_000);
  expect(rare.judge(true, 0)).toBe("error");
  expect(new TailRule({ errors: true, slowerThanMs: 0, maxPerSecond: 0 }, 1, clock).isOn).toBe(false);
  expect(new TailRule({ errors: false, slowerThanMs: 0, maxPerSecond: 10 }, 1, clock).isOn).toBe(false);
});
