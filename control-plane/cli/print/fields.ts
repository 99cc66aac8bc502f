// `Name:  value` blocks, the way kubectl describe prints them.
import { printable } from "./text.ts";

const GAP_COLUMNS = 2;

/** Aligned lines; a field without a value is left out, one with several has a line for each. */
export function fieldLines(fields: readonly (readonly [name: string, value: string | readonly string[]])[]): string[] {
  const width = Math.max(...fields.map(([name]) => name.length)) + 1 + GAP_COLUMNS;
  return fields.flatMap(([name, value]) => {
    const values = (typeof value === "string" ? [value] : value).filter((line) => line !== "");
    return values.map((line, index) => (index === 0 ? `${name}:` : "").padEnd(width) + printable(line));
  });
}

export function indented(lines: readonly string[], columns = 2): string[] {
  return lines.map((line) => (line === "" ? "" : " ".repeat(columns) + line));
}
