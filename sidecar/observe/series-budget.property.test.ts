// Whatever is called, however often the budget is swept or changed and services go: every request is counted once, in a
// series that is there or among the expired, and the budget knows what is used of it.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Metrics } from "./metrics.ts";

const SERVICES = ["default/orders", "default/cart", "default/pay"];

type Step =
  | {
      readonly type: "calls";
      readonly service: number;
      readonly source: number;
      readonly status: number;
      readonly times: number;
    }
  | { readonly type: "sweep" }
  | { readonly type: "budget"; readonly max: number }
  | { readonly type: "retain"; readonly kept: readonly number[] };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.record({
      type: fc.constant("calls" as const),
      service: fc.nat(SERVICES.length - 1),
      source: fc.nat(60),
      status: fc.integer({ min: 200, max: 599 }),
      times: fc.integer({ min: 1, max: 20 }),
    }),
  },
  { weight: 4, arbitrary: fc.constant({ type: "sweep" as const }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant("budget" as const), max: fc.integer({ min: 1, max: 3_000 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant("retain" as const), kept: fc.uniqueArray(fc.nat(SERVICES.length - 1)) }),
  },
);

const METHODS = ["GET", "POST", "BREW"];

function take(metrics: Metrics, one: Step): number {
  if (one.type === "sweep") metrics.budget.sweep();
  else if (one.type === "budget") metrics.budget.max = one.max;
  else if (one.type === "retain") metrics.retain((service) => one.kept.some((index) => SERVICES[index] === service));
  else {
    const service = SERVICES[one.service] ?? "";
    const source = `default/caller-${one.source}`;
    const method = METHODS[one.source % METHODS.length] ?? "GET";
    const details = { method, route: `r${one.source % 3}`, source, requestBytes: 1, responseBytes: 2 };
    const series = metrics.series("outbound", service, service, "v1");
    for (let index = 0; index < one.times; index++) series.record(one.status, "", one.status / 100, details);
    return one.times;
  }
  return 0;
}

function counted({ requests, expiredRequests }: Metrics): number {
  let sum = 0;
  for (const { cells } of [requests, expiredRequests])
    for (const { value } of cells.entries.values()) sum += value.value;
  return sum;
}

function timed({ requestDuration, expiredDuration }: Metrics): number {
  let sum = 0;
  for (const { histograms } of [requestDuration, expiredDuration])
    for (const { value } of histograms.entries.values()) sum += value.count;
  return sum;
}

/** Lines that the families of the budget are exposed as. */
function exposed({ requests, requestDuration, requestSize, responseSize }: Metrics): number {
  let lines = requests.cells.entries.size;
  for (const { histograms } of [requestDuration, requestSize, responseSize])
    lines += histograms.entries.size * histograms.weight;
  return lines;
}

test("sums are exact, and the budget knows what is used", () => {
  fc.assert(
    fc.property(fc.integer({ min: 50, max: 3_000 }), fc.array(step, { maxLength: 150, size: "max" }), (max, steps) => {
      const metrics = new Metrics();
      metrics.budget.max = max;
      let made = 0;
      for (const one of steps) {
        made += take(metrics, one);
        expect(counted(metrics)).toBe(made);
        expect(timed(metrics)).toBe(made);
        expect(metrics.budget.used).toBe(exposed(metrics));
      }
    }),
    { numRuns: 60 },
  );
});

test("a budget that is swept is kept, but for the few series that everything else is counted in", () => {
  fc.assert(
    fc.property(fc.integer({ min: 500, max: 3_000 }), fc.array(step, { maxLength: 250, size: "max" }), (max, steps) => {
      const metrics = new Metrics();
      metrics.budget.max = max;
      for (const one of steps) {
        if (one.type === "budget") continue;
        take(metrics, one);
        // One "other" for all in each of four families, and one status class of durations.
        const last = [metrics.requestDuration, metrics.requestSize, metrics.responseSize];
        const beyond = 1 + last.reduce((sum, { histograms }) => sum + histograms.weight, 0);
        expect(metrics.budget.used).toBeLessThanOrEqual(max + beyond);
      }
    }),
  );
});
