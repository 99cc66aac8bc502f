// A service of ten endpoints on a virtual clock, one of them slow: what its callers feel under each algorithm that steers
// round load, beside ten good endpoints.
import { expect, test } from "vitest";
import type { LoadBalancerAlgorithm } from "../../rules/resource.ts";
import { ManualClock } from "../../runtime/manual-clock.ts";
import { seededRandom } from "../../runtime/random.ts";
import { candidateSet } from "./contract.ts";
import { type FakeMember, fakeMembers } from "./fixtures.ts";
import { BALANCERS } from "./table.ts";

const SERVICE_MS = 20;
const SECONDS = 30;
const WARM_UP_MS = 2_000;

/** @returns the p99 of all requests in milliseconds */
function p99(algorithm: LoadBalancerAlgorithm, slowMs: number, perSecond: number): number {
  const clock = new ManualClock();
  const random = seededRandom(9);
  const balancer = BALANCERS[algorithm]({ random, clock, hashBalanceFactor: 0 });
  const members = fakeMembers(10);
  const set = candidateSet(members);
  const latencies: number[] = [];
  // Each endpoint works on one request at a time, so that a queue costs what it costs.
  const freeAtMs = new Map<FakeMember, number>();
  const send = (): void => {
    const member = balancer.pick(set, [], 0);
    if (member !== undefined) {
      const beganMs = clock.now();
      const workMs = (member === members[0] ? slowMs : SERVICE_MS) * (0.5 + random.next());
      const doneMs = Math.max(beganMs, freeAtMs.get(member) ?? 0) + workMs;
      freeAtMs.set(member, doneMs);
      member.activeRequests++;
      clock.after(doneMs - beganMs, () => {
        member.activeRequests--;
        member.latency.observe(doneMs - beganMs, clock.now());
        if (beganMs > WARM_UP_MS) latencies.push(doneMs - beganMs);
      });
    }
    clock.after((-Math.log(1 - random.next()) * 1_000) / perSecond, send);
  };
  send();
  clock.advance(SECONDS * 1_000);
  return latencies.sort((a, b) => a - b)[Math.floor(latencies.length * 0.99)] ?? 0;
}

test("peak-ewma: with one endpoint of ten ten times slower the service's p99 is within 1.5 times of ten good ones", () => {
  const good = p99("peak-ewma", SERVICE_MS, 150);
  expect(p99("peak-ewma", SERVICE_MS * 10, 150)).toBeLessThan(good * 1.5);
});

test("round-robin in the same place is far worse, so the test can fail", () => {
  const good = p99("round-robin", SERVICE_MS, 150);
  expect(p99("round-robin", SERVICE_MS * 10, 150)).toBeGreaterThan(good * 3);
});
