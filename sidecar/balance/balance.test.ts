// One suite that every algorithm of the table passes, and what is special to each.
import { expect, test } from "vitest";
import type { LoadBalancerAlgorithm } from "../../rules/resource.ts";
import { seededRandom } from "../../runtime/random.ts";
import { type Balancer, candidateSet } from "./contract.ts";
import { BALANCERS } from "./table.ts";

interface Member {
  readonly name: string;
  readonly weight: number;
  activeRequests: number;
  isHealthy: boolean;
}

function member(name: string, weight = 1): Member {
  return { name, weight, activeRequests: 0, isHealthy: true };
}

function count(balancer: Balancer, members: Member[], picks: number): Record<string, number> {
  const set = candidateSet(members);
  const counts = Object.fromEntries(members.map(({ name }) => [name, 0]));
  for (let pick = 0; pick < picks; pick++) {
    const chosen = balancer.pick(set, [], pick * 2_654_435_761);
    if (chosen !== undefined) counts[chosen.name] = (counts[chosen.name] ?? 0) + 1;
  }
  return counts;
}

const ALL = Object.keys(BALANCERS) as LoadBalancerAlgorithm[];

test.each(ALL)("%s: no endpoint, or none healthy, is no pick", (name) => {
  const balancer = BALANCERS[name](seededRandom(1));
  expect(balancer.pick(candidateSet<Member>([]), [], 0)).toBeUndefined();
  const sick = member("a");
  sick.isHealthy = false;
  expect(balancer.pick(candidateSet([sick, { ...sick }]), [], 0)).toBeUndefined();
});

test.each(ALL)("%s: unhealthy endpoints and those of weight 0 get nothing", (name) => {
  const members = [member("a"), member("b"), member("c"), member("d", 0)];
  members[1]!.isHealthy = false;
  const counts = count(BALANCERS[name](seededRandom(2)), members, 600);
  expect(counts["b"]).toBe(0);
  expect(counts["d"]).toBe(0);
  expect(counts["a"]! + counts["c"]!).toBe(600);
});

test.each(ALL)("%s: an endpoint that was tried is avoided while another is healthy", (name) => {
  const balancer = BALANCERS[name](seededRandom(3));
  const [a, b] = [member("a"), member("b")];
  const set = candidateSet([a, b]);
  for (let pick = 0; pick < 50; pick++) expect(balancer.pick(set, [a], pick)?.name).toBe("b");
  b.isHealthy = false;
  expect(balancer.pick(set, [a], 0)?.name).toBe("a");
  b.isHealthy = true;
  expect(["a", "b"]).toContain(balancer.pick(set, [a, b], 0)?.name);
});

test.each(ALL)("%s: weights are shares", (name) => {
  const counts = count(BALANCERS[name](seededRandom(4)), [member("a", 1), member("b", 3)], 4_000);
  expect(counts["b"]! / 4_000).toBeGreaterThan(0.7);
  expect(counts["b"]! / 4_000).toBeLessThan(0.8);
});

test("round-robin gives every endpoint exactly its turn", () => {
  const members = ["a", "b", "c", "d", "e"].map((name) => member(name));
  expect(Object.values(count(BALANCERS["round-robin"](seededRandom(5)), members, 500))).toEqual([
    100, 100, 100, 100, 100,
  ]);
});

test("round-robin with weights is smooth: the heaviest never takes more than its share in a row", () => {
  const balancer = BALANCERS["round-robin"](seededRandom(6));
  const set = candidateSet([member("a", 5), member("b", 1), member("c", 1)]);
  const order = Array.from({ length: 7 }, () => balancer.pick(set, [], 0)?.name).join("");
  expect(order).toBe("aabacaa");
});

test("least-request prefers the endpoint with fewer requests in progress", () => {
  const members = [member("busy"), member("idle")];
  members[0]!.activeRequests = 10;
  expect(count(BALANCERS["least-request"](seededRandom(7)), members, 100)).toEqual({ busy: 0, idle: 100 });
});
