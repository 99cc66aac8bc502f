// The hub between questions and sidecars: answers in time, names of the silent, taps for those who come later, bounds.
import { describe, expect, test } from "vitest";
import type { StreamResponse } from "../../proto/gen/weft/v1/discovery.ts";
import { Decision, TapFilter } from "../../proto/gen/weft/v1/telemetry.ts";
import { ManualClock } from "../../runtime/manual-clock.ts";
import { INQUIRIES_MAX, type Informant, TAPS_MAX, TelemetryHub } from "./telemetry-hub.ts";

type Message = NonNullable<StreamResponse["message"]>;

function informant(id: string): Informant & { readonly heard: Message[] } {
  const heard: Message[] = [];
  return { id, service: `default/${id}`, heard, send: (message) => heard.push(message) > 0 };
}

function begin(...ids: string[]) {
  const clock = new ManualClock();
  const hub = new TelemetryHub(clock);
  const sidecars = ids.map(informant);
  const leave = sidecars.map((sidecar) => hub.join(sidecar));
  return { clock, hub, sidecars, leave };
}

const decision = (atMs: number) => Decision.fromPartial({ atMs, sidecar: "forged" });

describe("a question", () => {
  test("is answered when all have answered, in the order of time, with who told it", async () => {
    const { hub, sidecars } = begin("a", "b");
    const asked = hub.ask("id", 1_000);
    const query = (sidecars[0]!.heard[0] as Extract<Message, { $case: "decisionQuery" }>).value.query;
    hub.answer(sidecars[0]!, { query, decisions: [decision(2)] });
    hub.answer(sidecars[0]!, { query, decisions: [decision(9)] });
    hub.answer(sidecars[1]!, { query, decisions: [decision(1)] });
    const found = await asked;
    expect(found).toMatchObject({ asked: 2, silent: [] });
    expect(found!.decisions.map(({ atMs, sidecar, sidecarService }) => [atMs, sidecar, sidecarService])).toEqual([
      [1, "b", "default/b"],
      [2, "a", "default/a"],
    ]);
  });

  test("names who is silent when the time is over, and who left", async () => {
    const { clock, hub, sidecars, leave } = begin("a", "b", "c");
    const asked = hub.ask("id", 1_000);
    const query = (sidecars[0]!.heard[0] as Extract<Message, { $case: "decisionQuery" }>).value.query;
    hub.answer(sidecars[0]!, { query, decisions: [] });
    leave[1]!();
    clock.advance(1_000);
    expect(await asked).toMatchObject({ asked: 3, silent: ["b", "c"] });
    hub.answer(sidecars[2]!, { query, decisions: [decision(1)] });
  });

  test("of nobody is answered at once, and too many are refused", async () => {
    expect(await begin().hub.ask("id", 1_000)).toMatchObject({ asked: 0, decisions: [] });
    const { clock, hub } = begin("a");
    const open = Array.from({ length: INQUIRIES_MAX }, () => hub.ask("id", 1_000));
    expect(await hub.ask("id", 1_000)).toBeUndefined();
    clock.advance(1_000);
    expect(await Promise.all(open)).toHaveLength(INQUIRIES_MAX);
  });
});

describe("a tap", () => {
  const filter = TapFilter.fromPartial({ service: "default/orders" });

  test("is opened everywhere, also in sidecars that come later, and closed everywhere", () => {
    const { hub, sidecars } = begin("a");
    const seen: number[] = [];
    const tap = hub.openTap(filter, 10, { onReport: ({ matched }) => seen.push(matched) })!;
    const late = informant("late");
    hub.join(late);
    expect(tap.sidecars).toBe(2);
    for (const { heard } of [sidecars[0]!, late])
      expect(heard[0]).toMatchObject({ $case: "tapOpen", value: { filter } });
    const number = (late.heard[0] as Extract<Message, { $case: "tapOpen" }>).value.tap;
    hub.report(late, { tap: number, decisions: [], matched: 3, dropped: 0 });
    tap.close();
    tap.close();
    hub.report(late, { tap: number, decisions: [], matched: 4, dropped: 0 });
    expect(seen).toEqual([3]);
    // Told once by the close, and again by its late report.
    expect(late.heard.slice(1).map(({ $case }) => $case)).toEqual(["tapClose", "tapClose"]);
  });

  test("past the bound is refused", () => {
    const { hub } = begin();
    const events = { onReport: () => {} };
    const taps = Array.from({ length: TAPS_MAX }, () => hub.openTap(filter, 1, events));
    expect(hub.openTap(filter, 1, events)).toBeUndefined();
    taps[0]?.close();
    expect(hub.openTap(filter, 1, events)).toBeDefined();
  });
});

test("traffic is reported often while anybody looks, also by those who come later", () => {
  const { hub, sidecars } = begin("a");
  const intervals = ({ heard }: { readonly heard: Message[] }) =>
    heard.map((message) => (message as Extract<Message, { $case: "trafficWatch" }>).value.intervalMs);
  const [first, second] = [hub.watchTraffic(), hub.watchTraffic()];
  const late = informant("late");
  hub.join(late);
  first();
  expect(intervals(sidecars[0]!)).toEqual([1_000]);
  second();
  expect(intervals(sidecars[0]!)).toEqual([1_000, 0]);
  expect(intervals(late)).toEqual([1_000, 0]);
});
