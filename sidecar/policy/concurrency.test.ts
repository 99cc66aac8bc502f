// Places, queues, and a limit that finds the capacity of a simulated service.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ManualClock } from "../../runtime/manual-clock.ts";
import { seededRandom } from "../../runtime/random.ts";
import { AdaptiveLimit } from "./adaptive-limit.ts";
import { ConcurrencyLimit } from "./concurrency.ts";

function waiter(log: string[], name: string) {
  return { onAdmitted: () => log.push(name) };
}

describe("a fixed limit", () => {
  test("admits up to max, then queues in order, then is full", () => {
    const log: string[] = [];
    const limit = new ConcurrencyLimit({ max: 2, queue: 2, queueTimeoutMs: 0 }, undefined);
    const ask = (name: string) => limit.acquire(waiter(log, name));
    expect([ask("a"), ask("b"), ask("c"), ask("d"), ask("e")]).toEqual([
      "admitted",
      "admitted",
      "waiting",
      "waiting",
      "full",
    ]);
    limit.release(1, 0);
    expect(log).toEqual(["c"]);
    expect([limit.inFlight, limit.waiting]).toEqual([2, 1]);
    limit.release(1, 0);
    limit.release(1, 0);
    expect(log).toEqual(["c", "d"]);
    limit.release(1, 0);
    expect([limit.inFlight, limit.waiting]).toEqual([0, 0]);
  });

  test("who cancels is not told, and its place in the queue is free", () => {
    const log: string[] = [];
    const limit = new ConcurrencyLimit({ max: 1, queue: 1, queueTimeoutMs: 0 }, undefined);
    const [b, c] = [waiter(log, "b"), waiter(log, "c")];
    limit.acquire(waiter(log, "a"));
    limit.acquire(b);
    limit.cancel(b);
    limit.cancel(b);
    expect(limit.acquire(c)).toBe("waiting");
    limit.release(1, 0);
    expect(log).toEqual(["c"]);
  });

  test("in flight never passes max and everybody is told once (property)", () => {
    const step = fc.constantFrom("ask", "release", "cancel");
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 100 }),
        fc.integer({ min: 1, max: 4 }),
        fc.nat(3),
        (steps, max, queue) => {
          const limit = new ConcurrencyLimit({ max, queue, queueTimeoutMs: 0 }, undefined);
          const waiting: { onAdmitted(): void }[] = [];
          let running = 0;
          for (const one of steps) {
            if (one === "ask") {
              const mine = {
                onAdmitted: () => {
                  running++;
                  waiting.splice(waiting.indexOf(mine), 1);
                },
              };
              const admission = limit.acquire(mine);
              if (admission === "admitted") running++;
              if (admission === "waiting") waiting.push(mine);
            } else if (one === "release" && running > 0) {
              running--;
              limit.release(1, 0);
            } else if (one === "cancel" && waiting.length > 0) limit.cancel(waiting.pop()!);
            expect([limit.inFlight, limit.waiting]).toEqual([running, waiting.length]);
            expect(running).toBeLessThanOrEqual(max);
            expect(waiting.length).toBeLessThanOrEqual(queue);
            if (waiting.length > 0) expect(running).toBe(max);
          }
        },
      ),
      { numRuns: 200, seed: 2 },
    );
  });
});

interface Outcome {
  readonly goodputPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly refused: number;
}

/** A service of `servers` workers of `serviceMs` each behind a limit, under open-loop load. */
function simulate(options: {
  servers: number;
  serviceMs: number;
  perSecond: number;
  seconds: number;
  max?: number;
}): Outcome {
  const { servers, serviceMs, perSecond, seconds, max = 1_000 } = options;
  const clock = new ManualClock();
  const random = seededRandom(42);
  const limit = new ConcurrencyLimit({ max, queue: 0, queueTimeoutMs: 0 }, new AdaptiveLimit(max, random));
  const queue: number[] = [];
  const latencies: number[] = [];
  let busy = 0;
  let refused = 0;
  const serve = (): void => {
    const arrivedMs = queue.shift();
    if (arrivedMs === undefined) return;
    busy++;
    clock.after(serviceMs * (0.8 + 0.4 * random.next()), () => {
      busy--;
      const latencyMs = clock.now() - arrivedMs;
      limit.release(latencyMs, clock.now());
      // The first five seconds are for finding the limit.
      if (clock.now() > 5_000) latencies.push(latencyMs);
      serve();
    });
  };
  const arrive = (): void => {
    if (limit.acquire({ onAdmitted: () => {} }) === "admitted") {
      queue.push(clock.now());
      if (busy < servers) serve();
    } else refused++;
    clock.after((-Math.log(1 - random.next()) * 1_000) / perSecond, arrive);
  };
  arrive();
  clock.advance(seconds * 1_000);
  latencies.sort((a, b) => a - b);
  const quantile = (q: number): number => latencies[Math.floor(latencies.length * q)] ?? 0;
  return { goodputPerSecond: latencies.length / (seconds - 5), p50Ms: quantile(0.5), p99Ms: quantile(0.99), refused };
}

describe("an adaptive limit", () => {
  test.each([
    [10, 10],
    [10, 50],
    [40, 20],
    [2, 20],
    [4, 5],
  ])("keeps goodput and latency at three times the capacity (%i workers of %i ms)", (servers, serviceMs) => {
    const capacity = (servers * 1_000) / serviceMs;
    const calm = simulate({ servers, serviceMs, perSecond: capacity / 2, seconds: 20 });
    const overload = simulate({ servers, serviceMs, perSecond: capacity * 3, seconds: 65 });
    expect(overload.goodputPerSecond).toBeGreaterThan(capacity * 0.9);
    expect(overload.p99Ms).toBeLessThan(calm.p99Ms * 2);
    expect(overload.refused).toBeGreaterThan(0);
  });

  test("refuses nobody at half of the capacity", () => {
    const { refused } = simulate({ servers: 10, serviceMs: 20, perSecond: 250, seconds: 65 });
    expect(refused).toBe(0);
  });

  test("stays within its bounds whatever latencies it is told (property)", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { maxLength: 300 }), (latencies) => {
        const limit = new AdaptiveLimit(50, seededRandom(1));
        for (const [index, latencyMs] of latencies.entries()) {
          limit.observe(latencyMs, limit.limit, index * 20);
          expect(limit.limit).toBeGreaterThanOrEqual(3);
          expect(limit.limit).toBeLessThanOrEqual(50);
        }
      }),
      { numRuns: 100, seed: 6 },
    );
  });
});
