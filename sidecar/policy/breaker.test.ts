// The breaker's life by a clock that moves when told: opossum's own timer runs on vitest's.
import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Breaker, type BreakerSettings, REFUSED, type Verdict } from "./breaker.ts";

const SETTINGS: BreakerSettings = {
  errorThresholdPercentage: 50,
  volumeThreshold: 4,
  rollingWindowMs: 10_000,
  resetTimeoutMs: 5_000,
  halfOpenProbes: 2,
};

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

function breakerAt(settings: Partial<BreakerSettings> = {}) {
  const changes: string[] = [];
  const breaker = new Breaker({ ...SETTINGS, ...settings }, (state, why) => changes.push(`${state}: ${why}`));
  let nowMs = 0;
  return {
    breaker,
    changes,
    now: () => nowMs,
    attempt: (verdict: Verdict): boolean => {
      const ticket = breaker.admit();
      if (ticket !== REFUSED) breaker.settle(ticket, verdict, nowMs);
      return ticket !== REFUSED;
    },
    pass: (ms: number) => {
      nowMs += ms;
      vi.advanceTimersByTime(ms);
    },
  };
}

test("opens at the error share, not before the volume, and refuses until the reset timeout", () => {
  const { breaker, attempt, pass, changes, now } = breakerAt();
  for (const verdict of ["failure", "failure", "failure"] as const) attempt(verdict);
  expect(breaker.state).toBe("closed");
  attempt("success");
  expect(breaker.state).toBe("closed");
  attempt("failure");
  expect(breaker.state).toBe("open");
  expect(changes).toEqual(["open: 4 of 5 failed"]);
  expect(attempt("success")).toBe(false);
  pass(4_000);
  expect(breaker.retryAfterMs(now())).toBe(1_000);
  expect(attempt("success")).toBe(false);
  pass(1_000);
  expect(breaker.state).toBe("half-open");
});

test("old failures leave the window", () => {
  const { breaker, attempt, pass } = breakerAt();
  for (let count = 0; count < 3; count++) attempt("failure");
  pass(11_000);
  attempt("failure");
  expect(breaker.state).toBe("closed");
});

test("half-open lets its probes through together and closes when all passed", () => {
  const { breaker, attempt, pass, changes, now } = breakerAt();
  for (let count = 0; count < 4; count++) attempt("failure");
  pass(5_000);
  const [one, two] = [breaker.admit(), breaker.admit()];
  expect([one, two]).not.toContain(REFUSED);
  expect(breaker.admit()).toBe(REFUSED);
  breaker.settle(one, "success", now());
  expect(breaker.admit()).toBe(REFUSED);
  breaker.settle(two, "success", now());
  expect(breaker.state).toBe("closed");
  expect(changes.at(-1)).toBe("closed: 2 of 2 probes passed");
  attempt("failure");
  expect(breaker.state).toBe("closed");
});

test("a failed probe opens again for the whole reset timeout", () => {
  const { breaker, attempt, pass } = breakerAt();
  for (let count = 0; count < 4; count++) attempt("failure");
  pass(5_000);
  attempt("failure");
  expect(breaker.state).toBe("open");
  pass(4_999);
  expect(breaker.state).toBe("open");
  pass(1);
  expect(breaker.state).toBe("half-open");
});

test("a probe whose client went away gives its place back", () => {
  const { breaker, attempt, pass } = breakerAt({ halfOpenProbes: 1 });
  for (let count = 0; count < 4; count++) attempt("failure");
  pass(5_000);
  for (let count = 0; count < 20; count++) expect(attempt("none")).toBe(true);
  expect(breaker.state).toBe("half-open");
  attempt("success");
  expect(breaker.state).toBe("closed");
});

test("an attempt from before the circuit opened is no probe", () => {
  const { breaker, attempt, pass, now } = breakerAt({ halfOpenProbes: 1 });
  const early = breaker.admit();
  for (let count = 0; count < 4; count++) attempt("failure");
  pass(5_000);
  breaker.settle(early, "failure", now());
  expect(breaker.state).toBe("half-open");
  expect(attempt("success")).toBe(true);
  expect(breaker.state).toBe("closed");
});

test("a volume of 0 is taken for 1 and a share of 100 still opens", () => {
  const { breaker, attempt } = breakerAt({ volumeThreshold: 0, errorThresholdPercentage: 100 });
  attempt("failure");
  expect(breaker.state).toBe("open");
});

test("new settings act at once, an open circuit stays open", () => {
  const { breaker, attempt, pass } = breakerAt();
  for (let count = 0; count < 4; count++) attempt("failure");
  breaker.configure({ ...SETTINGS, resetTimeoutMs: 1_000 });
  expect(breaker.state).toBe("open");
  pass(1_000);
  expect(breaker.state).toBe("half-open");
  breaker.configure({ ...SETTINGS, resetTimeoutMs: 1_000, halfOpenProbes: 1 });
  attempt("success");
  expect(breaker.state).toBe("closed");
});

test("a closed breaker holds no timer", () => {
  const { breaker, attempt } = breakerAt();
  expect(vi.getTimerCount()).toBe(0);
  for (let count = 0; count < 4; count++) attempt("failure");
  expect(vi.getTimerCount()).toBe(1);
  breaker.close();
  expect(vi.getTimerCount()).toBe(0);
});

test("never stuck: whatever happened, time and good answers close it (property)", () => {
  const step = fc.oneof(
    fc.constantFrom<Verdict>("success", "failure", "none"),
    fc.constant("hold" as const),
    fc.nat(8_000),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 4 }), (steps, halfOpenProbes) => {
      const { breaker, attempt, pass, now } = breakerAt({ halfOpenProbes });
      const held: number[] = [];
      for (const one of steps) {
        if (typeof one === "number") pass(one);
        else if (one === "hold") held.push(breaker.admit());
        else attempt(one);
      }
      for (const ticket of held) breaker.settle(ticket, "none", now());
      pass(5_000);
      for (let count = 0; count < 4; count++) attempt("success");
      expect(breaker.state).toBe("closed");
      breaker.close();
    }),
    { numRuns: 200, seed: 11 },
  );
});
