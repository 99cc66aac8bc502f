// The block that live views draw: how far up it goes, and what it may not do to the lines around it.
import { expect, test } from "vitest";
import { Redraw } from "./redraw.ts";

function terminal(rows: number) {
  const written: string[] = [];
  const output = {
    write: (text: string) => void written.push(text),
    ...{ isTTY: true, backlogBytes: 0, columns: 20, rows, onGone: () => () => {} },
  };
  return { picture: new Redraw(output), written };
}

test("goes up by the lines of the block before, none of which may wrap", () => {
  const { picture, written } = terminal(24);
  picture.draw(["a line that is wider than the terminal", "b"]);
  picture.draw(["c"]);
  expect(written).toEqual([
    "\u001b[?7la line that is wider than the terminal\nb\u001b[?7h\n",
    "\u001b[2A\u001b[J\u001b[?7lc\u001b[?7h\n",
  ]);
});

test("draws no more than the terminal is high, and below what others wrote", () => {
  const { picture, written } = terminal(3);
  picture.draw(["a", "b", "c", "d"]);
  picture.leave();
  picture.draw(["e"]);
  expect(written).toEqual(["\u001b[?7la\nb\u001b[?7h\n", "\u001b[?7le\u001b[?7h\n"]);
});

test("leaves the last picture whole, however small the terminal is", () => {
  const { picture, written } = terminal(3);
  picture.draw(["a", "b", "c", "d"]);
  picture.finish(["a line that is wider than the terminal", "b", "c", "d"]);
  expect(written.at(-1)).toBe("\u001b[2A\u001b[Ja line that is wider than the terminal\nb\nc\nd\n");
});
