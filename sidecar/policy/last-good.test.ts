// What may be kept of a service's responses, for how long, and how much of it.
import { expect, test } from "vitest";
import { isKeepable, keyOf, LastGood, RESPONSE_BYTES_MAX } from "./last-good.ts";

function head(fields: Record<string, string>, method = "GET", status = 200, target = "/") {
  return { method, authority: "orders", target, status, value: (name: string) => fields[name] };
}

test.each([
  [{}, "GET", true],
  [{}, "HEAD", false],
  [{}, "POST", false],
  [{ authorization: "Bearer x" }, "GET", false],
  [{ cookie: "sid=1" }, "GET", false],
  [{ range: "bytes=0-1" }, "GET", false],
  [{ "cache-control": "no-store" }, "GET", false],
] as [Record<string, string>, string, boolean][])("a request with %j by %s has a key: %s", (fields, method, isKept) => {
  expect(keyOf(head(fields, method)) !== undefined).toBe(isKept);
});

test("requests that responses may differ by have keys of their own", () => {
  const keys = [
    head({}),
    head({ accept: "text/html" }),
    head({ "accept-language": "de" }),
    head({ origin: "https://a.example" }),
    head({}, "GET", 200, "/other"),
  ].map(keyOf);
  expect(new Set(keys).size).toBe(keys.length);
});

test.each([
  [{}, 200, true],
  [{}, 404, false],
  [{ "set-cookie": "a=b" }, 200, false],
  [{ "cache-control": "max-age=5, PRIVATE" }, 200, false],
  [{ "cache-control": "must-revalidate" }, 200, false],
  [{ "cache-control": "max-age=5" }, 200, true],
  [{ vary: "Accept, Origin" }, 200, true],
  [{ vary: "accept, x-user" }, 200, false],
  [{ vary: "*" }, 200, false],
] as [Record<string, string>, number, boolean][])(
  "a response with %j and status %i may be kept: %s",
  (fields, status, may) => {
    expect(isKeepable(head(fields, "GET", status))).toBe(may);
  },
);

test("an entry is found until it is too old, and then forgotten", () => {
  const kept = new LastGood();
  kept.keep("a", { lines: "x: y\r\n", body: Buffer.from("body"), keptMs: 1_000 });
  expect(kept.find("a", 3_000, 2_000)?.body.toString()).toBe("body");
  expect(kept.find("a", 3_001, 2_000)).toBeUndefined();
  expect([kept.size, kept.bytes]).toEqual([0, 0]);
});

test("entries and bytes are bounded, oldest first; what is too large is not kept and replaces nothing stale", () => {
  const kept = new LastGood();
  for (let index = 0; index < 300; index++)
    kept.keep(`k${index}`, { lines: "", body: Buffer.alloc(10), keptMs: index });
  expect(kept.size).toBe(256);
  expect(kept.find("k0", 0, 1_000)).toBeUndefined();
  expect(kept.find("k299", 0, 1_000)).toBeDefined();
  for (let index = 0; index < 40; index++)
    kept.keep(`large${index}`, { lines: "", body: Buffer.alloc(RESPONSE_BYTES_MAX - 10), keptMs: index });
  expect(kept.bytes).toBeLessThanOrEqual(4 * 1024 * 1024);
  expect(kept.size).toBeLessThanOrEqual(17);
  kept.keep("large39", { lines: "", body: Buffer.alloc(RESPONSE_BYTES_MAX + 1), keptMs: 50 });
  expect(kept.find("large39", 50, 1_000)).toBeUndefined();
});
