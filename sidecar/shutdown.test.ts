// The order of ending, and its times, on a clock that moves when told.
import { describe, expect, test } from "vitest";
import { silentLog } from "../runtime/log.ts";
import { ManualClock } from "../runtime/manual-clock.ts";
import { type AppToStop, OUTBOUND_QUIET_MS, type ShutdownCause, shutDown, WITHDRAW_MS } from "./shutdown.ts";

const DRAIN_MS = 30_000;

function setUp(options: { announced?: boolean; inboundMs?: number; outboundMs?: number; app?: AppToStop } = {}) {
  const clock = new ManualClock();
  const events: string[] = [];
  const traffic = { total: 0, active: 0 };
  const note = (event: string): void => void events.push(`${clock.now()} ${event}`);
  const drain = (name: string, takesMs: number) => (deadlineMs: number) =>
    new Promise<void>((done) => {
      note(`drain ${name} in ${deadlineMs}`);
      clock.after(Math.min(takesMs, deadlineMs), done);
    });
  const parts = {
    withdraw: () => {
      note("withdraw");
      return options.announced ?? true;
    },
    drainInbound: drain("inbound", options.inboundMs ?? 0),
    drainOutbound: drain("outbound", options.outboundMs ?? 0),
    app: options.app,
    outboundUse: () => traffic,
    close: () => {
      note("close");
      return Promise.resolve();
    },
    clock,
    log: silentLog(),
    drainMs: DRAIN_MS,
  };
  /** Lets time pass in steps until it has ended; returns what happened. */
  const run = async (cause: ShutdownCause, onStep = (_nowMs: number): void => {}): Promise<string[]> => {
    let ended = false;
    void shutDown(parts, cause).then(() => {
      ended = true;
    });
    while (!ended) {
      for (let turn = 0; turn < 10; turn++) await Promise.resolve();
      onStep(clock.now());
      if (!ended) clock.advance(50);
    }
    return events;
  };
  return { clock, note, events, traffic, run };
}

const at = (events: readonly string[], word: string): number =>
  Number(events.find((event) => event.includes(word))?.split(" ")[0] ?? Number.NaN);

describe("SIGTERM with a wrapped app", () => {
  test("withdraws, drains inbound, stops the app, and closes only when that has gone", async () => {
    const signals: string[] = [];
    let gone = false;
    const app = { signal: (signal: string) => void signals.push(signal), hasGone: () => gone };
    const { run } = setUp({ app, inboundMs: 400 });
    const events = await run("terminate", (nowMs) => {
      if (nowMs >= 3_000) gone = true;
    });
    const order = events.map((event) => event.replace(/^\d+ | in \d+/g, ""));
    expect(order).toEqual(["withdraw", "drain inbound", "drain outbound", "close"]);
    expect(at(events, "drain inbound")).toBe(WITHDRAW_MS);
    expect(at(events, "drain outbound")).toBeGreaterThanOrEqual(3_000);
    expect(at(events, "close")).toBeLessThan(3_200);
    expect(signals).toEqual(["SIGTERM"]);
  });

  test("gives inbound streams half the time, and kills an app that takes more than the rest", async () => {
    const signals: string[] = [];
    let killed = false;
    const app = {
      signal: (signal: string) => {
        signals.push(signal);
        killed ||= signal === "SIGKILL";
      },
      hasGone: () => killed,
    };
    const { run } = setUp({ app, inboundMs: 1e9 });
    const events = await run("terminate");
    expect(signals).toEqual(["SIGTERM", "SIGKILL"]);
    expect(events[1]).toContain(`drain inbound in ${(DRAIN_MS - WITHDRAW_MS) / 2}`);
    expect(at(events, "close")).toBeGreaterThanOrEqual(DRAIN_MS);
    expect(at(events, "close")).toBeLessThan(DRAIN_MS + 200);
  });

  test("an app that has gone already is not signalled", async () => {
    const app = { signal: () => expect.unreachable("signalled"), hasGone: () => true };
    const { run } = setUp({ app });
    expect(at(await run("app-gone"), "close")).toBeLessThan(500);
  });
});

describe("SIGTERM beside an app that somebody else stops", () => {
  test("waits until its port is closed", async () => {
    let gone = false;
    const { run, traffic } = setUp({ app: { hasGone: () => gone } });
    const events = await run("terminate", (nowMs) => {
      traffic.total++;
      if (nowMs >= 9_000) gone = true;
    });
    expect(at(events, "close")).toBeGreaterThanOrEqual(9_000);
    expect(at(events, "close")).toBeLessThan(9_200);
  });

  test("or until it has called nobody for a while", async () => {
    const { run, traffic } = setUp({ app: { hasGone: () => false } });
    const events = await run("terminate", (nowMs) => {
      if (nowMs < 2_000) traffic.total++;
    });
    expect(at(events, "close")).toBeGreaterThanOrEqual(1_950 + OUTBOUND_QUIET_MS);
    expect(at(events, "close")).toBeLessThan(2_200 + OUTBOUND_QUIET_MS);
  });

  test("never longer than the drain time, the last of which is for its own calls to end in order", async () => {
    const { run, traffic } = setUp({ app: { hasGone: () => false }, outboundMs: 1e9 });
    const events = await run("terminate", () => {
      traffic.total++;
    });
    expect(events).toContain("25000 drain outbound in 5000");
    expect(at(events, "close")).toBe(DRAIN_MS);
  });

  test("and inbound requests that never end leave that last part to the app's own calls", async () => {
    const { run } = setUp({ app: { hasGone: () => true }, inboundMs: 1e9, outboundMs: 300 });
    const events = await run("terminate");
    expect(events).toContain("25000 drain outbound in 5000");
    expect(at(events, "close")).toBe(25_300);
  });
});

test("SIGINT waits for requests in progress and for no app", async () => {
  const { run } = setUp({ app: { hasGone: () => false }, inboundMs: 700, outboundMs: 300 });
  expect(at(await run("interrupt"), "close")).toBe(WITHDRAW_MS + 700 + 300);
});

test("who was never announced has nothing to wait for", async () => {
  const { run } = setUp({ announced: false });
  expect(at(await run("interrupt"), "close")).toBeLessThanOrEqual(100);
});
