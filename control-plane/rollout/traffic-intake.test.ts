// What of the sidecars' counts a release is judged by, and what not.
import { expect, it } from "vitest";
import type { TrafficCount } from "../../proto/gen/weft/v1/discovery.ts";
import { TrafficIntake } from "./traffic-intake.ts";

const VERSIONS = { service: "default/orders", stable: "default/orders-v1", canary: "default/orders-v2" };

function count(overrides: Partial<TrafficCount>): TrafficCount {
  const known = { service: "default/orders", backend: "default/orders-v2", version: "v2", route: "HTTPRoute a 0" };
  return { ...known, mirror: false, requests: 10, failures: 1, latency: [10], ...overrides };
}

function delta(fromMs: number, ...counts: TrafficCount[]) {
  return { workload: "web-1", fromMs, atMs: fromMs + 1_000, counts, routes: [] };
}

it("takes the requests of its rules to its two versions, each once", () => {
  const intake = new TrafficIntake(VERSIONS, 0);
  const isNews = intake.add(
    delta(
      0,
      count({}),
      count({ route: "HTTPRoute a 1", requests: 5, failures: 0 }),
      count({ backend: "default/orders-v1", requests: 90, failures: 0 }),
      count({ route: "", requests: 1_000 }),
      count({ backend: "default/orders-v3" }),
      count({ service: "default/payments" }),
    ),
  );
  expect(isNews).toBe(true);
  expect(intake.take("requests")).toMatchObject({
    canary: { requests: 15, failures: 1 },
    stable: { requests: 90, failures: 0 },
  });
  expect([...intake.routes.keys()]).toEqual(["HTTPRoute a 0", "HTTPRoute a 1"]);
  expect(intake.take("requests").canary.requests).toBe(0);
});

it("takes copies as the canary's side of a mirror step", () => {
  const intake = new TrafficIntake(VERSIONS, 0);
  intake.add(delta(0, count({ service: "default/orders-v2", route: "", mirror: true, requests: 7, failures: 7 })));
  expect(intake.take("copies").canary).toMatchObject({ requests: 7, failures: 7 });
});

it("leaves out reports that began under other weights", () => {
  const intake = new TrafficIntake(VERSIONS, 0);
  intake.restart(VERSIONS, 500);
  expect(intake.add(delta(499, count({})))).toBe(false);
  expect(intake.add(delta(500, count({})))).toBe(true);
  expect(intake.take("requests").canary.requests).toBe(10);
});
