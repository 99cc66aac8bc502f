// The bench of the route table runs, and says what it says it says. Not its figures: those are for quiet machines.
import { expect, test } from "vitest";
import { run } from "./routing.ts";

test("measures both tables and holds their ratio to its bound", async () => {
  const notes: string[] = [];
  const result = await run({ scale: 0.05, note: (line) => notes.push(line) });
  expect(result.figures.map(({ name, unit }) => [name, unit])).toEqual([
    ["lookup with 10 routes", "ns"],
    ["lookup with 10000 routes", "ns"],
    ["10000 routes against 10", "ratio"],
  ]);
  for (const { value } of result.figures) expect(value).toBeGreaterThan(0);
  expect(result.figures[2]?.target).toEqual({ kind: "at-most", value: 1.2 });
  expect(notes).toHaveLength(1);
});
