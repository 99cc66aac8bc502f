// Shared texts are the texts that were asked for, more of them than are kept included.
import { expect, test } from "vitest";
import { sharedText } from "./shared-text.ts";

test("what comes back is the same text, however long it is and however many others there are", () => {
  const texts = Array.from({ length: 10_000 }, (_, n) => "é".repeat(n % 200) + n);
  for (const round of [1, 2]) for (const text of texts) expect([round, sharedText(text)]).toEqual([round, text]);
  expect(sharedText("")).toBe("");
});
