// What is kept of a body is given out as it came, whoever had the blocks before.
import fc from "fast-check";
import { expect, test } from "vitest";
import { BodyLog } from "./body-log.ts";
import type { MessageOutlet } from "./contract.ts";

function contentOf(log: BodyLog): string {
  let text = "";
  const outlet: MessageOutlet = {
    form: "data",
    isFull: false,
    addHead: () => {},
    addBody: (bytes, start, end) => {
      text += bytes.toString("latin1", start, end);
    },
    addBodyText: () => {},
    end: () => {},
    flush: () => {},
    takeProgress: () => false,
  };
  log.sendTo(outlet);
  return text;
}

test("pieces of any size, of several bodies at a time, again and again", () => {
  const logs = [new BodyLog(), new BodyLog(), new BodyLog()] as const;
  const expected = ["", "", ""];
  const piece = fc.tuple(fc.nat(2), fc.constantFrom(0, 1, 100, 8_191, 8_192, 8_193, 20_000), fc.constantFrom("a", "b"));
  const run = (steps: [number, number, string][]): void => {
    for (const [index, size, letter] of steps) {
      const log = logs[index] as BodyLog;
      if (size === 0) {
        log.clear();
        expected[index] = "";
      } else {
        const bytes = Buffer.alloc(size + 2, letter);
        log.addBytes(bytes, 1, size + 1);
        bytes.fill("?");
        expected[index] += letter.repeat(size);
      }
    }
    expect(logs.map((log) => log.bytes)).toEqual(expected.map((text) => text.length));
    expect(logs.map(contentOf)).toEqual(expected);
  };
  fc.assert(fc.property(fc.array(piece, { maxLength: 30 }), run));
});

test("a body that was forgotten is not whole until the next request", () => {
  const log = new BodyLog();
  log.addBytes(Buffer.from("abc"), 0, 3);
  log.forget();
  expect([log.isWhole, log.bytes, contentOf(log)]).toEqual([false, 0, ""]);
  log.clear();
  expect(log.isWhole).toBe(true);
});
