// What the decision record costs per request: filled, kept by the ring under load, passed over by a tap, told by one.
// In one process without sockets, because on top of a request such differences drown.
import { systemClock } from "../runtime/clock.ts";
import { DecisionRing } from "../sidecar/observe/decision-ring.ts";
import { ExchangeRecord, type RecordedHead } from "../sidecar/observe/exchange-record.ts";
import { type TapFilter, TapSet } from "../sidecar/observe/tap.ts";
import type { BenchOptions, BenchResult, Figure } from "./result.ts";

const REQUESTS = 2_000_000;
const ROUNDS = 5;
/** Requests to a second of the ring's time: a busy sidecar. */
const PER_SECOND = 20_000;

const HEAD: RecordedHead = {
  ...{ method: "GET", target: "/api/items?page=2", authority: "orders", path: "/api/items", query: "page=2" },
  value: () => undefined,
};
const ALL: TapFilter = {
  ...{ service: "", direction: "", route: "", reason: "" },
  ...{ statuses: [], slowerMs: 0, headers: [] },
};

export function run({ scale, note }: BenchOptions): Promise<BenchResult> {
  const requests = Math.max(50_000, Math.round(REQUESTS * scale));
  const ids = Array.from({ length: 4_096 }, (_, index) => `${"0".repeat(24)}${Math.imul(index + 1, 0x9e3779b1) >>> 0}`);
  const cases: Readonly<Record<string, () => (record: ExchangeRecord) => void>> = {
    "record alone": () => () => {},
    "record and ring at 20,000 requests a second": () => {
      const ring = new DecisionRing(systemClock);
      return (record) => ring.onExchange(record);
    },
    "record and a tap of another service": () => tapped({ ...ALL, service: "default/others" }),
    "record and a tap that tells 100 a second": () => tapped(ALL),
  };
  const figures = Object.entries(cases).map(([name, build]): Figure => {
    note(name);
    const rounds = Array.from({ length: ROUNDS }, () => nanosecondsPer(requests, ids, build()));
    return { name, value: Math.round(rounds.sort((a, b) => a - b)[ROUNDS >> 1] ?? 0), unit: "ns" };
  });
  return Promise.resolve({ bench: "decisions", title: "Decision records, per request.", figures });
}

function tapped(filter: TapFilter): (record: ExchangeRecord) => void {
  const taps = new TapSet(systemClock, () => {});
  taps.open({ tap: 1, filter, maxPerSecond: 100 });
  return (record) => taps.onExchange(record);
}

function nanosecondsPer(requests: number, ids: readonly string[], observe: (record: ExchangeRecord) => void): number {
  const record = new ExchangeRecord("outbound");
  const startedMs = systemClock.now();
  for (let index = 0; index < requests; index++) {
    const nowMs = startedMs + (index * 1_000) / PER_SECOND;
    record.begin(HEAD, "127.0.0.1", 7, nowMs);
    record.traceId = ids[index & 4_095] ?? "";
    record.splitPoint = 0.5;
    record.backendIndex = 1;
    record.addAttempt("first", "default/orders-v2", "10.0.0.1:8080", "v2", nowMs).status = 200;
    record.service = "default/orders";
    record.backend = "default/orders-v2";
    record.status = 200;
    record.reason = "";
    record.endedMs = nowMs + 1;
    observe(record);
  }
  return ((systemClock.now() - startedMs) * 1e6) / requests;
}
