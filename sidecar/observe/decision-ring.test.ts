// The ring remembers what went wrong longer than what went well, keeps to its bounds, and under load the same traces as
// every other sidecar.
import { describe, expect, test } from "vitest";
import { ManualClock } from "../../runtime/manual-clock.ts";
import { DEFAULT_RING_BOUNDS, DecisionRing, type RingBounds } from "./decision-ring.ts";
import { ExchangeRecord } from "./exchange-record.ts";

function begin(bounds: Partial<RingBounds> = {}) {
  const clock = new ManualClock();
  const ring = new DecisionRing(clock, { ...DEFAULT_RING_BOUNDS, ...bounds });
  const see = (traceId: string, change: (record: ExchangeRecord) => void = () => {}): void => {
    const record = new ExchangeRecord("outbound");
    record.startedMs = clock.now();
    record.endedMs = clock.now() + 1;
    record.status = 200;
    record.traceId = traceId;
    change(record);
    ring.onExchange(record);
  };
  const isKept = (id: string) => ring.find(id).length > 0;
  return { clock, ring, see, isKept };
}

/** 32 hexadecimal digits that look like chance. */
function traceId(index: number): string {
  return [1, 2, 3, 4]
    .map((part) => (Math.imul(index * 4 + part, 0x9e3779b1) >>> 0).toString(16).padStart(8, "0"))
    .join("");
}

describe("what is kept", () => {
  test("by trace id and by request id, with the time of the wall clock", () => {
    const { clock, ring, see } = begin();
    clock.advance(5_000);
    see(traceId(1), (record) => {
      record.requestId = "mine";
      record.service = "default/orders";
    });
    const [byTrace] = ring.find(traceId(1));
    expect(byTrace).toMatchObject({ service: "default/orders", requestId: "mine", atMs: clock.wall(), durationMs: 1 });
    expect(ring.find("mine")).toEqual([byTrace]);
    expect(ring.find("other")).toEqual([]);
  });

  test("without secrets of the query", () => {
    const { ring, see } = begin();
    see("a", (record) => {
      record.head = { ...record.head, target: "/a?page=2&access_token=hush" };
    });
    expect(ring.find("a")[0]?.target).toBe("/a?page=2&access_token=REDACTED");
  });

  test("the newest push out the oldest, but plain ones do not push out failures", () => {
    const { see, isKept } = begin({ entriesMax: 10, perSecond: 1_000_000 });
    see("failed", (record) => {
      record.status = 503;
    });
    see("retried", (record) => {
      record.attemptCount = 2;
    });
    see("call", (record) => {
      record.grpcStatus = "UNAVAILABLE";
    });
    for (let index = 0; index < 25; index++) see(`plain-${index}`);
    expect([isKept("failed"), isKept("retried"), isKept("call")]).toEqual([true, true, true]);
    expect([isKept("plain-14"), isKept("plain-15"), isKept("plain-24")]).toEqual([false, true, true]);
  });

  test("acts that are usual where their policy is used make no request notable", () => {
    const { see, isKept } = begin({ entriesMax: 5, perSecond: 1_000_000 });
    see("deadline", (record) => record.note("deadline", "", 100));
    see("limited", (record) => record.note("rate-limit", "few", 0));
    for (let index = 0; index < 5; index++) see(`plain-${index}`);
    expect([isKept("deadline"), isKept("limited")]).toEqual([false, true]);
  });

  test("bytes are bounded, and long texts are cut", () => {
    const { see, ring } = begin({ bytesMax: 20_000, perSecond: 1_000_000 });
    const long = "x".repeat(60_000);
    for (let index = 0; index < 100; index++)
      see(`t${index}`, (record) => {
        record.head = {
          method: "GET",
          target: `/${long}`,
          authority: long,
          path: "/",
          query: "",
          value: () => undefined,
        };
      });
    const kept = Array.from({ length: 100 }, (_, index) => ring.find(`t${index}`)).flat();
    expect(kept.length).toBeGreaterThan(5);
    expect(JSON.stringify(kept).length).toBeLessThan(40_000);
  });

  test("nothing is told after ten minutes", () => {
    const { clock, see, isKept } = begin();
    see("old");
    clock.advance(DEFAULT_RING_BOUNDS.ageMsMax - 1_000);
    see("young");
    clock.advance(2_000);
    expect([isKept("old"), isKept("young")]).toEqual([false, true]);
  });
});

describe("under load", () => {
  const load = ({ clock, see }: ReturnType<typeof begin>, requests: number, perSecond: number): void => {
    for (let index = 0; index < requests; index++) {
      if (index % 50 === 0) clock.advance(50_000 / perSecond);
      see(traceId(index));
    }
  };

  test("a share is kept, so that what is there reaches back further than a moment", () => {
    const rig = begin();
    load(rig, 60_000, 5_000);
    const kept = Array.from({ length: 60_000 }, (_, index) => index).filter((index) => rig.isKept(traceId(index)));
    expect(kept.length).toBeGreaterThan(100);
    expect(kept.length).toBeLessThan(4_096);
    // Half of the time is still there.
    expect(kept.filter((index) => index < 30_000).length).toBeGreaterThan(20);
  }, 30_000);

  test("two sidecars keep the same traces, the busier one fewer of them", () => {
    const [calm, busy] = [begin(), begin()];
    load(calm, 3_000, 500);
    load(busy, 3_000, 4_000);
    const ids = Array.from({ length: 1_500 }, (_, index) => traceId(index + 1_500));
    const ofBusy = ids.filter((id) => busy.isKept(id));
    expect(ofBusy.length).toBeGreaterThan(0);
    expect(ofBusy.filter((id) => !calm.isKept(id)).length).toBeLessThanOrEqual(ofBusy.length * 0.1);
  });

  test("an id that stands in two pieces is chosen as the same id in one", () => {
    const [pieces, whole] = [begin({ perSecond: 8 }), begin({ perSecond: 8 })];
    for (let index = 0; index < 2_000; index++) {
      const id = traceId(index);
      const cut = index % id.length;
      pieces.see("", (record) => {
        record.hasOwnId = true;
        record.ownId.stem = id.slice(0, cut);
        record.ownId.rest = id.slice(cut);
      });
      whole.see("", (record) => {
        record.requestId = id;
      });
    }
    const kept = Array.from({ length: 2_000 }, (_, index) => traceId(index)).filter(whole.isKept);
    expect(kept.length).toBeLessThan(1_000);
    expect(kept.length).toBeGreaterThan(10);
    expect(kept.filter(pieces.isKept)).toEqual(kept);
  });

  test("who asked for it, or sampled it, is kept whatever the load", () => {
    const rig = begin();
    load(rig, 20_000, 10_000);
    rig.see("sampled", (record) => {
      record.isSampled = true;
    });
    rig.see("debugged", (record) => {
      record.isDebugged = true;
    });
    expect([rig.isKept("sampled"), rig.isKept("debugged")]).toEqual([true, true]);
    // After a pause everything is kept again.
    rig.clock.advance(5_000);
    rig.see("later");
    expect(rig.isKept("later")).toBe(true);
  });
});
