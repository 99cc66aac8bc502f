// Quiet time, maximum and cancelling, on a clock that is moved by hand.
import { expect, it } from "vitest";
import { ManualClock } from "../../runtime/manual-clock.ts";
import { Debounce } from "./debounce.ts";

function debounce(): { clock: ManualClock; subject: Debounce; acts: number[] } {
  const clock = new ManualClock();
  const acts: number[] = [];
  const subject = new Debounce({ clock, quietMs: 20, maxMs: 200, act: () => acts.push(clock.now()) });
  return { clock, subject, acts };
}

it("acts once, after the quiet time", () => {
  const { clock, subject, acts } = debounce();
  subject.trigger();
  clock.advance(10);
  subject.trigger();
  clock.advance(500);
  expect(acts).toEqual([30]);
});

it("does not wait longer than the maximum, however busy it is", () => {
  const { clock, subject, acts } = debounce();
  for (let step = 0; step < 50; step++) {
    subject.trigger();
    clock.advance(10);
  }
  clock.advance(500);
  expect(acts).toEqual([200, 400, 510]);
});

it("does nothing after it was cancelled", () => {
  const { clock, subject, acts } = debounce();
  subject.trigger();
  subject.cancel();
  clock.advance(500);
  expect(acts).toEqual([]);
  expect(clock.pendingCount).toBe(0);
});
