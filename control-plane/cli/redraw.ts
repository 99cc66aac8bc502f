// A block of lines on a terminal that is drawn over the one before it. Not for pipes: they get lines.
import type { Output } from "./shell.ts";

/** Lines wider than the terminal are cut by it: a wrapped line would be one more to go up by. */
const WRAP_OFF = "\u001b[?7l";
const WRAP_ON = "\u001b[?7h";

export class Redraw {
  readonly #output: Output;
  #linesAbove = 0;

  constructor(output: Output) {
    this.#output = output;
  }

  draw(all: readonly string[]): void {
    // What is above the terminal's upper edge cannot be drawn over. Some terminals do not say how high they are.
    const { rows } = this.#output;
    const lines = rows > 1 ? all.slice(0, rows - 1) : all;
    this.#output.write(`${this.#up()}${WRAP_OFF}${lines.join("\n")}${WRAP_ON}\n`);
    this.#linesAbove = lines.length;
  }

  /** The last picture, which nobody will draw over: all of it, with long lines whole. */
  finish(lines: readonly string[]): void {
    this.#output.write(`${this.#up()}${lines.join("\n")}\n`);
    this.leave();
  }

  /** Something else was written: the next block stands below it. */
  leave(): void {
    this.#linesAbove = 0;
  }

  #up(): string {
    return this.#linesAbove === 0 ? "" : `\u001b[${this.#linesAbove}A\u001b[J`;
  }
}
