// Digits are digits, and nothing else is.
import fc from "fast-check";
import { expect, test } from "vitest";
import { decimal } from "./decimal.ts";

test("says what Number says of digits", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 10n ** 18n }), (number) => {
      const text = String(number);
      const said = decimal(`x${text};`, 19, 1, 1 + text.length);
      if (number <= BigInt(Number.MAX_SAFE_INTEGER)) expect(said).toBe(Number(text));
      else expect(said).toBeGreaterThan(Number.MAX_SAFE_INTEGER);
    }),
  );
});

test.each(["", " 1", "1 ", "+1", "-1", "1.0", "1e3", "0x1", "١", "1\u0000", "12345"])("%j is no number", (text) => {
  expect(decimal(text, 4)).toBe(-1);
});

test("zeros in front count as digits", () => {
  expect([decimal("0007", 4), decimal("0", 1), decimal("0000", 4)]).toEqual([7, 0, 0]);
  expect(decimal("00007", 4)).toBe(-1);
});

test("an end beyond the text, or before the start, is no number", () => {
  expect([decimal("12", 9, 0, 3), decimal("12", 9, 2), decimal("12", 9, 1, 1)]).toEqual([-1, -1, -1]);
});
