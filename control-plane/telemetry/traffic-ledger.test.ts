// Totals in, what is new out: across lost reports, restarts of either side, and sidecars that talk nonsense.
import { beforeEach, describe, expect, it } from "vitest";
import type { TrafficCount } from "../../proto/gen/weft/v1/discovery.ts";
import { ManualClock } from "../../runtime/manual-clock.ts";
import { RateWindow, WINDOWS_MAX } from "./rate-window.ts";
import {
  COUNT_NAME_CHARACTERS_MAX,
  REPORT_COUNTS_MAX,
  REPORTERS_MAX,
  TOTALS_MAX,
  type TrafficDelta,
  TrafficLedger,
} from "./traffic-ledger.ts";

let clock: ManualClock;
let ledger: TrafficLedger;
let deltas: TrafficDelta[];

beforeEach(() => {
  clock = new ManualClock();
  ledger = new TrafficLedger(clock);
  deltas = [];
  ledger.onDelta((delta) => deltas.push(delta));
});

function count(requests: number, failures = 0, latency: number[] = []): TrafficCount {
  return {
    service: "default/orders",
    backend: "default/orders-v2",
    version: "v2",
    route: "",
    mirror: false,
    requests,
    failures,
    latency,
  };
}

describe("reports", () => {
  it("begin with a baseline: what was before is nobody's fault", () => {
    ledger.report("web-1", "a", [count(1_000, 900)]);
    expect(deltas).toEqual([]);
  });

  it("add what is new since the one before, with its time", () => {
    ledger.report("web-1", "a", []);
    clock.advance(1_000);
    ledger.report("web-1", "a", [count(10, 2, [5, 5])]);
    clock.advance(1_000);
    ledger.report("web-1", "a", [count(15, 2, [5, 9, 1])]);
    expect(deltas).toMatchObject([
      { fromMs: 0, atMs: 1_000, counts: [{ requests: 10, failures: 2, latency: [5, 5] }] },
      { fromMs: 1_000, atMs: 2_000, counts: [{ requests: 5, failures: 0, latency: [0, 4, 1] }] },
    ]);
  });

  it("make good for one that was lost on the way", () => {
    ledger.report("web-1", "a", [count(0)]);
    clock.advance(5_000);
    ledger.report("web-1", "a", [count(50, 5)]);
    expect(deltas).toMatchObject([{ fromMs: 0, atMs: 5_000, counts: [{ requests: 50, failures: 5 }] }]);
  });

  it("of a process that restarted begin anew", () => {
    ledger.report("web-1", "a", [count(100)]);
    ledger.report("web-1", "b", [count(3)]);
    ledger.report("web-1", "b", [count(5)]);
    expect(deltas).toMatchObject([{ counts: [{ requests: 2 }] }]);
  });

  it("that make no sense are left out", () => {
    ledger.report("web-1", "a", []);
    const nonsense = [count(1, 2), count(-1), count(1.5), count(5, 0, new Array(500).fill(1))];
    for (const each of nonsense) ledger.report("web-1", "a", [each]);
    expect(deltas.flatMap(({ counts }) => counts)).toEqual([]);
  });
});

describe("what is remembered", () => {
  const of = (backend: string, requests: number) => ({ ...count(requests), backend });
  /** As many others as a sidecar may have, in reports of what is looked at. */
  function reportOthers(requests: number): void {
    for (let first = 0; first < TOTALS_MAX; first += REPORT_COUNTS_MAX)
      ledger.report(
        "web-1",
        "a",
        Array.from({ length: REPORT_COUNTS_MAX }, (_, index) => of(`other-${first + index}`, requests)),
      );
  }
  const newOf = (backend: string) =>
    deltas.flatMap(({ counts }) => counts.filter((each) => each.backend === backend).map(({ requests }) => requests));

  it("of a sidecar has a bound: what it named longest ago goes, and is no burst when it is named again", () => {
    ledger.report("web-1", "a", [of("old", 1_000)]);
    reportOthers(1);
    ledger.report("web-1", "a", [of("old", 1_001)]);
    ledger.report("web-1", "a", [of("old", 1_003)]);
    expect(newOf("old")).toEqual([2]);
  });

  it("is enough for as many as the bound says, all of which go on", () => {
    reportOthers(1);
    reportOthers(3);
    expect(newOf("other-0")).toEqual([2]);
    expect(newOf(`other-${TOTALS_MAX - 1}`)).toEqual([1, 2]);
  });

  it("is nothing of names that are too long", () => {
    const long = "x".repeat(COUNT_NAME_CHARACTERS_MAX);
    ledger.report("web-1", "a", []);
    ledger.report("web-1", "a", [of(long, 5), of(`${long}x`, 5)]);
    expect(deltas[0]?.counts.map(({ backend }) => backend)).toEqual([long]);
  });

  it("of sidecars that come and go has a bound, and those that report stay", () => {
    ledger.report("web-1", "a", [count(10)]);
    ledger.report("gone", "a", []);
    for (let index = 0; index < REPORTERS_MAX - 1; index++) {
      if (index === 1) ledger.report("web-1", "a", [count(10)]);
      ledger.report(`passing-${index}`, "a", []);
    }
    expect(ledger.lastReportMs("gone")).toBeUndefined();
    ledger.report("web-1", "a", [count(12)]);
    expect(deltas.at(-1)?.counts.map(({ requests }) => requests)).toEqual([2]);
  });
});

it("rates of new services are known however many services there were before", () => {
  const rates = new RateWindow(clock, ledger);
  const service = (name: string, requests: number) => ({ ...count(requests), service: name, backend: name });
  ledger.report("web-1", "a", []);
  const earlier = Array.from({ length: WINDOWS_MAX / 2 }, (_, index) => service(`default/s${index}`, 30));
  ledger.report("web-1", "a", earlier);
  ledger.report("web-1", "a", [service("default/late", 30)]);
  expect(rates.perSecond("default/late")).toBe(0);
  clock.advance(30_000);
  ledger.report("web-1", "a", [service("default/new", 60)]);
  expect(rates.perSecond("default/new")).toBe(2);
});

it("rates are requests a second over the last half minute", () => {
  const rates = new RateWindow(clock, ledger);
  ledger.report("web-1", "a", []);
  for (let second = 1; second <= 60; second++) {
    clock.advance(1_000);
    ledger.report("web-1", "a", [count(second * 20)]);
  }
  expect(rates.perSecond("default/orders")).toBeCloseTo(20, 0);
  expect(rates.perSecondTo("default/orders", "default/orders-v2")).toBeCloseTo(20, 0);
  clock.advance(60_000);
  expect(rates.perSecond("default/orders")).toBe(0);
});
