// One suite that every algorithm of the table passes, and what is special to each.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { LoadBalancerAlgorithm } from "../../rules/resource.ts";
import { ManualClock } from "../../runtime/manual-clock.ts";
import { seededRandom } from "../../runtime/random.ts";
import { type Balancer, candidateSet } from "./contract.ts";
import { type FakeMember, fakeMember, fakeMembers } from "./fixtures.ts";
import { hashText, mix } from "./hash.ts";
import { buildMaglevTable } from "./maglev.ts";
import { buildRing } from "./ring-hash.ts";
import { BALANCERS } from "./table.ts";

const ALL = Object.keys(BALANCERS) as LoadBalancerAlgorithm[];
const HASHING: LoadBalancerAlgorithm[] = ["ring-hash", "maglev"];

function build(name: LoadBalancerAlgorithm, seed = 1, clock = new ManualClock(), hashBalanceFactor = 0): Balancer {
  return BALANCERS[name]({ random: seededRandom(seed), clock, hashBalanceFactor });
}

function count(balancer: Balancer, members: FakeMember[], picks: number): Record<string, number> {
  const set = candidateSet(members);
  const counts = Object.fromEntries(members.map(({ name }) => [name, 0]));
  for (let pick = 0; pick < picks; pick++) {
    const chosen = balancer.pick(set, [], mix(pick));
    if (chosen !== undefined) counts[chosen.name] = (counts[chosen.name] ?? 0) + 1;
  }
  return counts;
}

function variation(counts: Record<string, number>): number {
  const values = Object.values(counts);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length) / mean;
}

describe.each(ALL)("%s", (name) => {
  test("no endpoint, or none healthy, is no pick", () => {
    const balancer = build(name);
    expect(balancer.pick(candidateSet<FakeMember>([]), [], 0)).toBeUndefined();
    const sick = fakeMembers(2);
    for (const member of sick) member.isHealthy = false;
    expect(balancer.pick(candidateSet(sick), [], 0)).toBeUndefined();
  });

  test("in panic sick endpoints are picked like others", () => {
    const members = fakeMembers(3);
    for (const member of members) member.isHealthy = false;
    const set = candidateSet(members, true);
    const balancer = build(name);
    const seen = new Set(Array.from({ length: 200 }, (_, pick) => balancer.pick(set, [], mix(pick))?.name));
    expect(seen).toEqual(new Set(["m0", "m1", "m2"]));
  });

  test("unhealthy endpoints and those of weight 0 get nothing", () => {
    const members = [fakeMember("a"), fakeMember("b"), fakeMember("c"), fakeMember("d", 0)];
    members[1]!.isHealthy = false;
    const counts = count(build(name), members, 600);
    expect(counts["b"]).toBe(0);
    expect(counts["d"]).toBe(0);
    expect(counts["a"]! + counts["c"]!).toBe(600);
  });

  test("an endpoint that was tried is avoided while another is healthy", () => {
    const balancer = build(name);
    const [a, b] = [fakeMember("a"), fakeMember("b")];
    const set = candidateSet([a, b]);
    for (let pick = 0; pick < 50; pick++) expect(balancer.pick(set, [a], mix(pick))?.name).toBe("b");
    b.isHealthy = false;
    expect(balancer.pick(set, [a], 0)?.name).toBe("a");
    b.isHealthy = true;
    expect(["a", "b"]).toContain(balancer.pick(set, [a, b], 0)?.name);
  });

  test("weights are shares", () => {
    const counts = count(build(name), [fakeMember("a", 1), fakeMember("b", 3)], 4_000);
    expect(counts["b"]! / 4_000).toBeGreaterThan(0.7);
    expect(counts["b"]! / 4_000).toBeLessThan(0.8);
  });

  test("load over ten endpoints is even", () => {
    expect(variation(count(build(name), fakeMembers(10), 20_000))).toBeLessThan(0.12);
  });

  test("a pick is always an endpoint that may be used, if there is one (property)", () => {
    const oneMember = fc.record({ weight: fc.nat(4), isHealthy: fc.boolean(), activeRequests: fc.nat(20) });
    fc.assert(
      fc.property(fc.array(oneMember, { maxLength: 12 }), fc.nat(), fc.nat(3), (facts, hash, triedCount) => {
        const members = facts.map((fact, index) => Object.assign(fakeMember(`p${index}`, fact.weight), fact));
        const tried = members.slice(0, triedCount);
        const picked = build(name, hash).pick(candidateSet(members), tried, hash >>> 0);
        const usable = members.filter((member) => member.isHealthy && member.weight > 0);
        const fresh = usable.filter((member) => !tried.includes(member));
        if (fresh.length > 0) expect(fresh).toContain(picked);
        else if (usable.length > 0) expect(usable).toContain(picked);
        else expect(picked).toBeUndefined();
      }),
      { numRuns: 80, seed: 7 },
    );
  });
});

describe.each(HASHING)("%s", (name) => {
  const keys = Array.from({ length: 5_000 }, (_, index) => hashText(`user-${index}`));

  test("a key stays where it is, also in another process", () => {
    const [one, other] = [build(name, 1), build(name, 2)];
    const [here, there] = [candidateSet(fakeMembers(10)), candidateSet(fakeMembers(10).reverse())];
    for (const key of keys) expect(one.pick(here, [], key)?.name).toBe(other.pick(there, [], key)?.name);
  });

  test("when one of ten leaves, at most 15 % of the keys move, and when it is sick only its own", () => {
    const balancer = build(name);
    const members = fakeMembers(10);
    const before = candidateSet(members);
    const places = keys.map((key) => balancer.pick(before, [], key)?.name);
    const after = candidateSet(members.filter((_, index) => index !== 3));
    const moved = keys.filter((key, index) => balancer.pick(after, [], key)?.name !== places[index]).length;
    expect(moved / keys.length).toBeLessThan(0.15);
    members[3]!.isHealthy = false;
    for (const [index, key] of keys.entries()) {
      const now = balancer.pick(before, [], key)?.name;
      if (places[index] !== "m3") expect(now).toBe(places[index]);
      else expect(now).not.toBe("m3");
    }
  });

  test("the keys of a sick endpoint spread over all others", () => {
    const balancer = build(name);
    const members = fakeMembers(10);
    const set = candidateSet(members);
    const its = keys.filter((key) => balancer.pick(set, [], key)?.name === "m3");
    members[3]!.isHealthy = false;
    expect(new Set(its.map((key) => balancer.pick(set, [], key)?.name)).size).toBe(9);
  });

  test("with a bound one hot key does not put more than the factor of the mean on an endpoint", () => {
    const balancer = build(name, 1, new ManualClock(), 125);
    const members = fakeMembers(10);
    const set = candidateSet(members);
    for (let request = 0; request < 1_000; request++) balancer.pick(set, [], keys[0]!)!.activeRequests++;
    expect(Math.max(...members.map(({ activeRequests }) => activeRequests))).toBeLessThanOrEqual(126);
  });
});

test("a ring has 256 points for the heaviest endpoint, its share for each other, and no more than 262,144", () => {
  expect(buildRing(fakeMembers(2)).points.length).toBe(512);
  expect(buildRing(fakeMembers(1_024)).points.length).toBe(262_144);
  expect(buildRing(fakeMembers(1_025)).points.length).toBe(1_025 * 128);
  expect(buildRing([fakeMember("a", 4), fakeMember("b", 1), fakeMember("c", 0)]).points.length).toBe(256 + 64);
  const { points } = buildRing(fakeMembers(5));
  expect(points).toEqual(points.slice().sort());
});

test.each([2, 3, 4, 6, 10, 50])("of %i endpoints on a ring one leaves: only its own keys move", (size) => {
  const balancer = build("ring-hash");
  const members = fakeMembers(size);
  const left = members[1];
  const before = candidateSet(members);
  const after = candidateSet(members.filter((member) => member !== left));
  for (let user = 0; user < 2_000; user++) {
    const key = hashText(`user-${user}`);
    const place = balancer.pick(before, [], key);
    if (place !== left) expect(balancer.pick(after, [], key)).toBe(place);
    else expect(balancer.pick(after, [], key)).not.toBe(left);
  }
});

test("a Maglev table gives every endpoint its places to within one in a hundred", () => {
  const places = new Map<number, number>();
  for (const owner of buildMaglevTable([...fakeMembers(9), fakeMember("heavy", 3)]))
    places.set(owner, (places.get(owner) ?? 0) + 1);
  const unit = 65_537 / 12;
  for (let owner = 0; owner < 9; owner++) expect(Math.abs((places.get(owner) ?? 0) - unit)).toBeLessThan(unit / 100);
  expect(Math.abs((places.get(9) ?? 0) - unit * 3)).toBeLessThan(unit / 30);
});

test("round-robin gives every endpoint exactly its turn", () => {
  expect(Object.values(count(build("round-robin", 5), fakeMembers(5), 500))).toEqual([100, 100, 100, 100, 100]);
});

test("round-robin with weights is smooth: the heaviest never takes more than its share in a row", () => {
  const balancer = build("round-robin", 6);
  const set = candidateSet([fakeMember("a", 5), fakeMember("b", 1), fakeMember("c", 1)]);
  const order = Array.from({ length: 7 }, () => balancer.pick(set, [], 0)?.name).join("");
  expect(order).toBe("aabacaa");
});

test("least-request prefers the endpoint with fewer requests in progress", () => {
  const members = [fakeMember("busy"), fakeMember("idle")];
  members[0]!.activeRequests = 10;
  expect(count(build("least-request", 7), members, 100)).toEqual({ busy: 0, idle: 100 });
});

test("peak-ewma leaves a slow endpoint at its first late answer and tries it again when that is long ago", () => {
  const clock = new ManualClock();
  const members = [fakeMember("slow"), fakeMember("fast")];
  const balancer = build("peak-ewma", 8, clock);
  const answer = (slowMs: number): void => {
    members[0]!.latency.observe(slowMs, clock.now());
    members[1]!.latency.observe(5, clock.now());
  };
  answer(5);
  clock.advance(1_000);
  answer(800);
  expect(count(balancer, members, 100)).toEqual({ slow: 0, fast: 100 });
  for (let second = 0; second < 80; second++) {
    clock.advance(1_000);
    members[1]!.latency.observe(5, clock.now());
  }
  expect(count(balancer, members, 100)["slow"]).toBeGreaterThan(0);
});

test("peak-ewma counts requests in progress: a fast endpoint that is full is passed over", () => {
  const clock = new ManualClock();
  const members = [fakeMember("fast"), fakeMember("slower")];
  clock.advance(1);
  members[0]!.latency.observe(10, clock.now());
  members[1]!.latency.observe(20, clock.now());
  const balancer = build("peak-ewma", 9, clock);
  expect(count(balancer, members, 50)["fast"]).toBe(50);
  members[0]!.activeRequests = 5;
  expect(count(balancer, members, 50)["fast"]).toBe(0);
});
