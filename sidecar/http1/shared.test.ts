// What is shared for a moment is one item; who keeps it longer has it alone, and gives it back.
import { expect, test } from "vitest";
import { Shared, SharedBy } from "./shared.ts";

const SPARES_MAX = 64;

test("who keeps the current item has it alone, until it is given back", () => {
  const shared = new Shared(() => ({}));
  const first = shared.keep();
  const second = shared.keep();
  expect(second).not.toBe(first);
  expect([first, second]).not.toContain(shared.current);
  shared.giveBack(first);
  shared.keep();
  expect(shared.current).toBe(first);
});

test("no more than a bound are kept of those that come back", () => {
  let made = 0;
  const shared = new Shared(() => ({ number: made++ }));
  const keepMany = () => Array.from({ length: SPARES_MAX + 1 }, () => shared.keep());
  for (const item of keepMany()) shared.giveBack(item);
  expect(made).toBe(SPARES_MAX + 2);
  keepMany();
  expect(made).toBe(SPARES_MAX + 3);
});

test("each key has its own", () => {
  const by = new SharedBy((key: { readonly name: string }) => ({ of: key.name }));
  const [one, other] = [{ name: "a" }, { name: "a" }];
  expect(by.of(one)).toBe(by.of(one));
  expect(by.of(one).current).not.toBe(by.of(other).current);
});
