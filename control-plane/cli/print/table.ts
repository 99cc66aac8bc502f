// Columns of text, in the manner of kubectl: upper-case headers, three spaces, no rules, no trailing blanks.
import { type Paint, printable, type Style } from "./text.ts";

export interface Column<Row> {
  readonly header: string;
  readonly cell: (row: Row) => string;
  readonly style?: (row: Row) => Style | undefined;
}

const GAP = "   ";
const EMPTY = "<none>";

/** Lines of a table with its header; empty cells read `<none>`. */
export function tableLines<Row>(columns: readonly Column<Row>[], rows: readonly Row[], paint: Paint): string[] {
  const cells = rows.map((row) => columns.map((column) => printable(column.cell(row)) || EMPTY));
  const widths = columns.map((column, index) =>
    cells.reduce((widest, row) => Math.max(widest, row[index]?.length ?? 0), column.header.length),
  );
  const header = columns.map((column, index) => column.header.padEnd(widths[index] ?? 0)).join(GAP);
  const lines = [header.trimEnd()];
  rows.forEach((row, rowIndex) => {
    lines.push(rowLine(columns, row, cells[rowIndex] ?? [], widths, paint));
  });
  return lines;
}

function rowLine<Row>(
  columns: readonly Column<Row>[],
  row: Row,
  cells: readonly string[],
  widths: readonly number[],
  paint: Paint,
): string {
  const last = columns.length - 1;
  let line = "";
  columns.forEach((column, index) => {
    const text = cells[index] ?? "";
    const style = column.style?.(row);
    line += style === undefined ? text : paint(style, text);
    if (index < last) line += " ".repeat((widths[index] ?? 0) - text.length) + GAP;
  });
  return line;
}
