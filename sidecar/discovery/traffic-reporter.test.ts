// Reports say what changed, and all of what is new to the stream.
import { expect, it } from "vitest";
import type { TrafficCount, TrafficReport } from "../../proto/gen/weft/v1/discovery.ts";
import { ManualClock } from "../../runtime/manual-clock.ts";
import { reportTraffic } from "./traffic-reporter.ts";

function count(backend: string, requests: number): TrafficCount {
  const key = { service: "default/orders", backend, version: "", route: "", mirror: false };
  return { ...key, requests, failures: 0, latency: [] };
}

it("tells what changed, and of what was forgotten meanwhile all", async () => {
  const clock = new ManualClock();
  const reports: string[][] = [];
  let counts: TrafficCount[] = [];
  const source = { counts: async () => ({ counts, routes: [] }), countRoutes: () => {}, isReleaseLive: () => true };
  const send = ({ counts }: TrafficReport) =>
    void reports.push(counts.map(({ backend, requests }) => `${backend} ${requests}`));
  const report = async (...now: TrafficCount[]) => {
    counts = now;
    clock.advance(1_000);
    await new Promise(setImmediate);
  };
  const timer = reportTraffic(clock, source, send);
  await new Promise(setImmediate);
  await report(count("v1", 5), count("v2", 5));
  await report(count("v1", 5), count("v2", 6));
  await report(count("v1", 5));
  await report(count("v1", 5), count("v2", 6));
  timer.cancel();
  expect(reports).toEqual([[], ["v1 5", "v2 5"], ["v2 6"], [], ["v2 6"]]);
});
