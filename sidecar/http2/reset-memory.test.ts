// Who has reset a stream is known of so many, and of no others is anything claimed.
import { expect, test } from "vitest";
import { ResetMemory } from "./reset-memory.ts";

const IDS_MAX = 512;

function memoryOf(count: number): ResetMemory {
  const memory = new ResetMemory();
  for (let index = 0; index < count; index++) memory.add(1 + 2 * index, index % 2 === 1);
  return memory;
}

test("streams that were reset are told from those that have ended, and by whom", () => {
  expect(new ResetMemory().closedBy(1)).toBe("ended");
  const memory = memoryOf(100);
  for (let index = 0; index < 100; index++) expect(memory.closedBy(1 + 2 * index)).toBe(index % 2 ? "peer" : "us");
  expect(memory.closedBy(201)).toBe("ended");
});

test.each([
  [IDS_MAX, "us", "ended"],
  [IDS_MAX + 1, "unknown", "unknown"],
])("of %d resets the first is by %s; a stream that was not reset is taken for %s", (count, first, other) => {
  const memory = memoryOf(count);
  expect(memory.closedBy(1)).toBe(first);
  expect(memory.closedBy(3)).toBe("peer");
  expect(memory.closedBy(99_999)).toBe(other);
});
