// Who is ejected when, for how long, and who never is; time is a number.
import fc from "fast-check";
import { expect, test } from "vitest";
import { type HostOutcome, OutlierDetector, OutlierHost, type OutlierSettings } from "./outlier.ts";

const SETTINGS: OutlierSettings = {
  consecutiveErrors: 3,
  consecutiveGatewayErrors: 0,
  consecutiveConnectFailures: 0,
  intervalMs: 10_000,
  baseEjectionTimeMs: 30_000,
  maxEjectionTimeMs: 80_000,
  keepAtLeast: 1,
  successRate: undefined,
  failurePercentage: undefined,
};

function detectorOf(count: number, settings: Partial<OutlierSettings> = {}) {
  const events: string[] = [];
  const hosts = Array.from({ length: count }, (_, index) => new OutlierHost(`h${index}`));
  const listener = {
    onEjected: (host: OutlierHost, cause: string, forMs: number) => events.push(`${host.name} out ${cause} ${forMs}`),
    onReturned: (host: OutlierHost) => events.push(`${host.name} back`),
    onRefused: (host: OutlierHost, cause: string) => events.push(`${host.name} kept ${cause}`),
  };
  const detector = new OutlierDetector({ ...SETTINGS, ...settings }, listener, 0);
  detector.setHosts(hosts);
  const report = (index: number, outcome: HostOutcome, times = 1, nowMs = 0) => {
    for (let time = 0; time < times; time++) detector.report(hosts[index]!, outcome, nowMs);
  };
  return { detector, hosts, events, report };
}

test("errors in a row eject, a success between them does not", () => {
  const { report, events } = detectorOf(3);
  report(0, "error", 2);
  report(0, "success");
  report(0, "error", 2);
  expect(events).toEqual([]);
  report(0, "error");
  expect(events).toEqual(["h0 out consecutive-errors 30000"]);
});

test.each([
  ["connect-failure", { consecutiveConnectFailures: 2 }, "consecutive-connect-failures"],
  ["gateway-error", { consecutiveGatewayErrors: 2 }, "consecutive-gateway-errors"],
  ["connect-failure", { consecutiveGatewayErrors: 2 }, "consecutive-gateway-errors"],
] as const)("%s with %j ejects for %s", (outcome, settings, cause) => {
  const { report, events } = detectorOf(2, { consecutiveErrors: 0, ...settings });
  report(0, "error", 10);
  expect(events).toEqual([]);
  report(0, outcome, 2);
  expect(events).toEqual([`h0 out ${cause} 30000`]);
});

test("an ejection ends at its time and the next one is longer, up to the cap; good intervals shorten it again", () => {
  const { detector, report, events } = detectorOf(2);
  let nowMs = 0;
  const pass = (ms: number): void => {
    nowMs += ms;
    detector.sweep(nowMs);
  };
  const eject = (): string => {
    report(0, "error", 3, nowMs);
    return events.at(-1) ?? "";
  };
  expect(eject()).toBe("h0 out consecutive-errors 30000");
  pass(29_999);
  expect(events.length).toBe(1);
  pass(1);
  expect(events.at(-1)).toBe("h0 back");
  expect(eject()).toBe("h0 out consecutive-errors 60000");
  pass(60_000);
  expect(eject()).toBe("h0 out consecutive-errors 80000");
  pass(80_000);
  expect(eject()).toBe("h0 out consecutive-errors 80000");
  pass(80_000);
  for (let interval = 0; interval < 2; interval++) pass(10_000);
  expect(eject()).toBe("h0 out consecutive-errors 60000");
});

test("keepAtLeast hosts are left and the refusal is told; the last one is never ejected", () => {
  const { report, events } = detectorOf(3, { keepAtLeast: 2 });
  report(0, "error", 3);
  report(1, "error", 3);
  expect(events).toEqual(["h0 out consecutive-errors 30000", "h1 kept consecutive-errors"]);
  const last = detectorOf(1, { keepAtLeast: 0 });
  last.report(0, "connect-failure", 100);
  expect(last.hosts[0]!.isEjected).toBe(false);
});

test("hosts that are out for another reason are not counted as left", () => {
  const { hosts, report, events } = detectorOf(2);
  hosts[1]!.isOut = true;
  report(0, "error", 3);
  expect(events).toEqual(["h0 kept consecutive-errors"]);
});

test("a success rate far below the mean ejects, if there are hosts and requests enough", () => {
  const run = (requests: number, hosts: number) => {
    const { detector, report, events } = detectorOf(hosts, {
      consecutiveErrors: 0,
      successRate: { stdevFactor: 1.9, minHosts: 5, minRequests: 100 },
    });
    for (let host = 0; host < hosts; host++) report(host, "success", requests);
    for (let error = 0; error < requests; error++) report(2, "error");
    detector.sweep(10_000);
    return events;
  };
  expect(run(100, 6)).toEqual(["h2 out success-rate 30000"]);
  expect(run(40, 6)).toEqual([]);
  expect(run(100, 4)).toEqual([]);
});

test("a share of failures at the threshold ejects, and an interval that is over does not count in the next", () => {
  const { detector, report, events } = detectorOf(5, {
    consecutiveErrors: 0,
    failurePercentage: { threshold: 80, minHosts: 5, minRequests: 10 },
  });
  for (let host = 0; host < 5; host++) report(host, "success", 2);
  for (let host = 1; host < 5; host++) report(host, "success", 8);
  report(0, "error", 7);
  detector.sweep(10_000);
  expect(events).toEqual([]);
  for (let host = 1; host < 5; host++) report(host, "success", 10);
  report(0, "success", 2);
  report(0, "error", 8);
  detector.sweep(20_000);
  expect(events).toEqual(["h0 out failure-percentage 30000"]);
});

test("a host that left is not ejected, one that stays keeps its ejection", () => {
  const { detector, hosts, report, events } = detectorOf(3);
  report(0, "error", 3);
  detector.setHosts([hosts[0]!, hosts[1]!]);
  report(2, "error", 3);
  expect(events.length).toBe(1);
  expect(hosts[0]!.isEjected).toBe(true);
  detector.clear();
  expect(hosts[0]!.isEjected).toBe(false);
});

test("never fewer than keepAtLeast hosts in use, and everybody comes back (property)", () => {
  const outcome = fc.constantFrom<HostOutcome>("success", "error", "gateway-error", "connect-failure");
  const step = fc.record({ host: fc.nat(5), outcome, times: fc.nat(8), passMs: fc.nat(20_000) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 50 }), fc.nat(4), (steps, keepAtLeast) => {
      const { detector, hosts, report } = detectorOf(6, { keepAtLeast });
      let nowMs = 0;
      for (const { host, outcome: kind, times, passMs } of steps) {
        nowMs += passMs;
        detector.sweep(nowMs);
        report(host, kind, times, nowMs);
        const inUse = hosts.filter(({ isEjected }) => !isEjected).length;
        expect(inUse).toBeGreaterThanOrEqual(Math.max(1, keepAtLeast));
      }
      detector.sweep(nowMs + SETTINGS.maxEjectionTimeMs);
      expect(hosts.some(({ isEjected }) => isEjected)).toBe(false);
    }),
    { numRuns: 200, seed: 5 },
  );
});

test("when the others leave, as many of the ejected come back as must be kept", () => {
  const { detector, hosts, report, events } = detectorOf(4, { keepAtLeast: 2 });
  report(0, "error", 3, 1_000);
  report(1, "error", 3, 2_000);
  events.length = 0;
  detector.setHosts(hosts.slice(0, 3));
  expect(events).toEqual(["h0 back"]);
  detector.setHosts(hosts.slice(0, 2));
  expect(events).toEqual(["h0 back", "h1 back"]);
});
