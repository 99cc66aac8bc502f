// Rates, bursts, keys and what is told about them.
import fc from "fast-check";
import { expect, test } from "vitest";
import { LruMap } from "./lru-map.ts";
import { rateLimitLines, TokenBuckets } from "./token-bucket.ts";

const SETTINGS = { requests: 10, perMs: 1_000, burst: 5, maxKeys: 3 };

function take(buckets: TokenBuckets, key: string, nowMs: number): boolean {
  if (!buckets.has(key, nowMs)) return false;
  buckets.take();
  return true;
}

test("a burst at once, then the rate", () => {
  const buckets = new TokenBuckets(SETTINGS);
  const at = (nowMs: number) => take(buckets, "a", nowMs);
  expect([at(0), at(0), at(0), at(0), at(0), at(0)]).toEqual([true, true, true, true, true, false]);
  expect(buckets.waitMs).toBe(100);
  expect(at(99)).toBe(false);
  expect(at(100)).toBe(true);
  expect(at(100)).toBe(false);
  expect([at(10_000), at(10_000), at(10_000), at(10_000), at(10_000), at(10_000)].filter(Boolean).length).toBe(5);
});

test("keys have buckets of their own, as many as maxKeys; the least recent is forgotten", () => {
  const buckets = new TokenBuckets({ ...SETTINGS, burst: 1 });
  expect([take(buckets, "a", 0), take(buckets, "b", 0), take(buckets, "c", 0)]).toEqual([true, true, true]);
  expect(take(buckets, "a", 0)).toBe(false);
  expect(take(buckets, "d", 0)).toBe(true);
  expect(buckets.keyCount).toBe(3);
  expect(take(buckets, "a", 0)).toBe(false);
  expect(take(buckets, "b", 0)).toBe(true);
});

test("long keys are told apart by their digest", () => {
  const buckets = new TokenBuckets({ ...SETTINGS, burst: 1 });
  const long = "x".repeat(10_000);
  expect([take(buckets, `${long}a`, 0), take(buckets, `${long}a`, 0), take(buckets, `${long}b`, 0)]).toEqual([
    true,
    false,
    true,
  ]);
});

test("the fields say what is left of which policy and when it is whole again", () => {
  const buckets = new TokenBuckets({ requests: 100, perMs: 60_000, burst: 100, maxKeys: 1 });
  for (let request = 0; request < 40; request++) take(buckets, "", 0);
  expect(rateLimitLines("per-user", buckets)).toBe(
    'ratelimit-policy: "per-user";q=100;w=60\r\nratelimit: "per-user";r=60;t=24\r\n',
  );
});

test("over any time no more than burst and rate allow pass, and a token is never lost (property)", () => {
  const settings = fc.record({
    requests: fc.integer({ min: 1, max: 1_000 }),
    perMs: fc.integer({ min: 1, max: 60_000 }),
    burst: fc.integer({ min: 1, max: 50 }),
    maxKeys: fc.constant(1),
  });
  fc.assert(
    fc.property(settings, fc.array(fc.nat(500), { maxLength: 200 }), (one, gaps) => {
      const buckets = new TokenBuckets(one);
      let nowMs = 0;
      let passed = 0;
      for (const gap of gaps) {
        nowMs += gap;
        if (take(buckets, "", nowMs)) passed++;
        else expect(buckets.waitMs).toBeLessThanOrEqual(one.perMs / one.requests + 1e-6);
        expect(passed).toBeLessThanOrEqual(one.burst + (nowMs * one.requests) / one.perMs + 1e-6);
      }
      buckets.has("", nowMs + buckets.waitMs);
      expect(buckets.has("", nowMs + buckets.resetMs + one.perMs / one.requests)).toBe(true);
    }),
    { numRuns: 200, seed: 3 },
  );
});

test("an LRU map behaves as a list of the most recent keys (property)", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(9)), fc.integer({ min: 1, max: 6 }), (keys, max) => {
      const map = new LruMap<number>(max);
      let recent: number[] = [];
      let built = 0;
      for (const key of keys) {
        const wasKnown = recent.includes(key);
        const before = built;
        map.take(String(key), () => built++);
        expect(built === before).toBe(wasKnown);
        recent = [...recent.filter((other) => other !== key), key].slice(-max);
        expect(map.size).toBe(recent.length);
      }
    }),
    { numRuns: 200, seed: 4 },
  );
});
