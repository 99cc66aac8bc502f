// Taps: what a filter lets through, what is told and what is counted only.
import { describe, expect, test } from "vitest";
import { ManualClock } from "../../runtime/manual-clock.ts";
import { ExchangeRecord } from "./exchange-record.ts";
import { passes, TAP_REPORT_EVERY_MS, TAPS_MAX, type TapFilter, type TapReport, TapSet } from "./tap.ts";

const ALL: TapFilter = { service: "", direction: "", route: "", statuses: [], reason: "", slowerMs: 0, headers: [] };

function record(over: Partial<ExchangeRecord> = {}): ExchangeRecord {
  const made = new ExchangeRecord("outbound");
  made.head = {
    ...{ method: "GET", target: "/a", authority: "orders", path: "/a", query: "" },
    value: (name) => (name === "x-user" ? "ann" : undefined),
  };
  made.service = "default/orders";
  made.backend = "default/orders-v2";
  made.status = 200;
  return Object.assign(made, over);
}

const RULE = { route: "HTTPRoute default/orders" } as NonNullable<ExchangeRecord["rule"]>;

test.each<[string, Partial<TapFilter>, Partial<ExchangeRecord>, boolean]>([
  ["nothing asked", {}, {}, true],
  ["the service", { service: "default/orders" }, {}, true],
  ["the backend", { service: "default/orders-v2" }, {}, true],
  ["another service", { service: "default/order" }, {}, false],
  ["the direction", { direction: "inbound" }, {}, false],
  [
    "a status in a range",
    {
      statuses: [
        { from: 500, to: 599 },
        { from: 200, to: 200 },
      ],
    },
    {},
    true,
  ],
  ["a status outside", { statuses: [{ from: 500, to: 599 }] }, { status: 499 }, false],
  ["the reason", { reason: "circuit-open" }, { reason: "circuit-open" }, true],
  ["another reason", { reason: "circuit-open" }, { reason: "rate-limited" }, false],
  ["any reason", { reason: "any" }, { reason: "rate-limited" }, true],
  ["any reason, of an endpoint's answer", { reason: "any" }, {}, false],
  ["as slow", { slowerMs: 100 }, { endedMs: 100 }, true],
  ["faster", { slowerMs: 100 }, { endedMs: 99 }, false],
  ["the route", { route: "default/orders" }, { rule: RULE }, true],
  ["a route of a longer name", { route: "default/order" }, { rule: RULE }, false],
  ["no route", { route: "default/orders" }, {}, false],
  ["a header", { headers: [{ name: "x-user", value: "" }] }, {}, true],
  ["a header's value", { headers: [{ name: "x-user", value: "ann" }] }, {}, true],
  ["another value", { headers: [{ name: "x-user", value: "bob" }] }, {}, false],
  [
    "one header of two",
    {
      headers: [
        { name: "x-user", value: "" },
        { name: "x-b", value: "" },
      ],
    },
    {},
    false,
  ],
])("a filter by %s", (_title, filter, over, expected) => {
  expect(passes({ ...ALL, ...filter }, record(over))).toBe(expected);
});

describe("a set of taps", () => {
  function begin() {
    const clock = new ManualClock();
    const reports: TapReport[] = [];
    const taps = new TapSet(clock, (report) => reports.push(report));
    const see = (times: number, over: Partial<ExchangeRecord> = {}): void => {
      for (let index = 0; index < times; index++) taps.onExchange(record({ endedMs: clock.now(), ...over }));
    };
    return { clock, reports, taps, see };
  }

  test("gathers for a moment, and tells what it could not tell", () => {
    const { clock, reports, taps, see } = begin();
    taps.open({ tap: 1, filter: ALL, maxPerSecond: 10 });
    see(25);
    expect(reports).toEqual([]);
    clock.advance(TAP_REPORT_EVERY_MS);
    expect(reports).toMatchObject([{ tap: 1, matched: 25, dropped: 15 }]);
    expect(reports[0]!.decisions).toHaveLength(10);
    // A tenth of a second later there is room for one more.
    see(5);
    clock.advance(TAP_REPORT_EVERY_MS);
    expect(reports[1]).toMatchObject({ matched: 5, dropped: 4 });
    clock.advance(10_000);
    expect(reports).toHaveLength(2);
  });

  test("each tap goes by its own filter, and a closed one tells nothing more", () => {
    const { clock, reports, taps, see } = begin();
    taps.open({ tap: 1, filter: { ...ALL, reason: "any" }, maxPerSecond: 10 });
    taps.open({ tap: 2, filter: ALL, maxPerSecond: 10 });
    see(1);
    see(1, { reason: "no-route" });
    taps.close(2);
    clock.advance(TAP_REPORT_EVERY_MS);
    expect(reports).toMatchObject([{ tap: 1, matched: 1 }]);
    expect(taps.isEmpty).toBe(false);
    taps.closeAll();
    expect(taps.isEmpty).toBe(true);
  });

  test("more taps than there may be are not opened", () => {
    const { clock, reports, taps, see } = begin();
    for (let tap = 1; tap <= TAPS_MAX + 1; tap++) taps.open({ tap, filter: ALL, maxPerSecond: 1 });
    see(1);
    clock.advance(TAP_REPORT_EVERY_MS);
    expect(reports.map(({ tap }) => tap)).toEqual(Array.from({ length: TAPS_MAX }, (_, index) => index + 1));
  });
});
