// The bound of open files, as the system tells it.
import { expect, test } from "vitest";
import { descriptorsMax } from "./descriptors.ts";

const HEAD = "Limit                     Soft Limit           Hard Limit           Units     \n";

test.each([
  ["a number", `${HEAD}Max open files            4096                 8192                 files     \n`, 4_096],
  ["no bound", `${HEAD}Max open files            unlimited            unlimited            files     \n`, Infinity],
  ["nothing of it", HEAD, Infinity],
])("%s", (_, text, max) => {
  expect(descriptorsMax(() => text)).toBe(max);
});

test("where nobody tells there is no bound", () => {
  expect(
    descriptorsMax(() => {
      throw new Error("ENOENT");
    }),
  ).toBe(Infinity);
});
