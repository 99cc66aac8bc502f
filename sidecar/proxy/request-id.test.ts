// The shape and the uniqueness of request ids.
import { expect, test } from "vitest";
import { requestIds } from "./request-id.ts";

test("ids have the shape of a version 4 UUID and do not repeat, over the end of a block too", () => {
  const source = requestIds();
  const ids = new Set<string>();
  const stems = new Set<string>();
  for (let count = 0; count < 10_000; count++) {
    const id = { stem: "", rest: "", number: 0 };
    if (count % 3 > 0) source.draw(id);
    ids.add(count % 3 > 0 ? id.stem + id.rest : source.drawText());
    if (count % 3 > 0) stems.add(id.stem);
    if (count % 3 === 1) expect(source.textOf(id)).toBe(id.stem + id.rest);
  }
  expect(ids.size).toBe(10_000);
  expect([...stems].map((stem) => stem.length)).toEqual(expect.arrayContaining([33, 33, 33]));
  expect(stems.size).toBeLessThanOrEqual(4);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test("two sources share no id", () => {
  const [first, second] = [requestIds(), requestIds()];
  expect(first.drawText().slice(0, 23)).not.toBe(second.drawText().slice(0, 23));
});
