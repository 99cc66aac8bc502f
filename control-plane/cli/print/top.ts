// The table of `weft top`: rate, errors, duration (RED) per row, and how the rate went.
import type { TopRowView, TopView } from "../../view/top.ts";
import { type Column, tableLines } from "./table.ts";
import { counted, type Paint, printable, type Style } from "./text.ts";

const BARS = "▁▂▃▄▅▆▇█";

export function topLines(view: TopView, paint: Paint): string[] {
  if (view.rows.length === 0) return [emptyText(view)];
  const lines = tableLines(columns(view.by), view.rows, paint);
  return view.omitted === 0 ? lines : [...lines, `... and ${view.omitted} more`];
}

function emptyText({ by, sidecars }: TopView): string {
  if (sidecars === 0) return "No traffic in the last minute: no sidecar is connected.";
  const who = counted(sidecars, "sidecar");
  // What came before this command was asked is in no figures by route.
  if (by === "route")
    return `No traffic by route while ${who} looked: routes are counted from now on; --watch follows.`;
  return `No traffic in the last minute: ${who} saw none.`;
}

/** One line per row, for a pipe: `TIME NAME RPS SUCCESS P50 P95 P99` with tabs between. */
export function topRecords(view: TopView): string[] {
  return view.rows.map((row) =>
    [
      view.time,
      printable(row.name),
      row.requestsPerSecond,
      row.successRate ?? "-",
      row.p50Ms,
      row.p95Ms,
      row.p99Ms,
    ].join("\t"),
  );
}

function columns(by: string): Column<TopRowView>[] {
  return [
    { header: by.toUpperCase(), cell: ({ name }) => name },
    { header: "RPS", cell: ({ requestsPerSecond }) => requestsPerSecond.toFixed(1) },
    {
      header: "SUCCESS",
      cell: ({ successRate }) => (successRate === undefined ? "-" : `${successRate.toFixed(2)}%`),
      style: successStyle,
    },
    { header: "P50", cell: ({ p50Ms }) => time(p50Ms) },
    { header: "P95", cell: ({ p95Ms }) => time(p95Ms) },
    { header: "P99", cell: ({ p99Ms }) => time(p99Ms) },
    { header: "LAST 30S", cell: ({ history }) => sparkline(history) },
  ];
}

function successStyle({ successRate }: TopRowView): Style | undefined {
  if (successRate === undefined || successRate >= 99.9) return undefined;
  return successRate >= 99 ? "yellow" : "red";
}

/** Each value as a bar of its share of the largest; nothing at all is a blank. */
export function sparkline(values: readonly number[]): string {
  const largest = Math.max(...values, 0);
  if (largest === 0) return "";
  const bars = values.map((value) => {
    if (value <= 0) return " ";
    return BARS[Math.min(BARS.length - 1, Math.floor((value / largest) * BARS.length))] ?? "";
  });
  return bars.join("");
}

function time(milliseconds: number): string {
  if (milliseconds >= 1_000) return `${(milliseconds / 1_000).toFixed(2)}s`;
  return `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)}ms`;
}
