// Classes that are found in words are those that are found byte by byte.
import fc from "fast-check";
import { expect, test } from "vitest";
import { classesOfBytes, VALUE, valueClassOfBytes } from "./octet.ts";

const octet = fc.oneof({ arbitrary: fc.integer({ min: 0x20, max: 0x7e }), weight: 30 }, fc.nat(255));

test("a field value is one by words as it is by bytes", () => {
  const run = (octets: number[], skipped: number): void => {
    const bytes = Uint8Array.from(octets);
    const start = Math.min(skipped, bytes.length);
    const expected = classesOfBytes(bytes, start, bytes.length) & VALUE;
    expect(valueClassOfBytes(bytes, start, bytes.length)).toBe(expected);
  };
  fc.assert(fc.property(fc.array(octet, { maxLength: 40 }), fc.nat(5), run), { numRuns: 2_000 });
  for (let each = 0; each < 256; each++)
    for (let at = 0; at < 8; at++)
      run(
        [..."abcdefgh"].map((_, index) => (index === at ? each : 0x61)),
        0,
      );
});
