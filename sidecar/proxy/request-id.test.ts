// The shape and the uniqueness of request ids.
import { expect, test } from "vitest";
import { requestIds } from "./request-id.ts";

test("ids have the shape of a version 4 UUID and do not repeat, over the end of a block too", () => {
  const next = requestIds();
  const ids = new Set<string>();
  for (let count = 0; count < 10_000; count++) ids.add(next());
  expect(ids.size).toBe(10_000);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test("two sources share no id", () => {
  const [first, second] = [requestIds(), requestIds()];
  expect(first().slice(0, 23)).not.toBe(second().slice(0, 23));
});
