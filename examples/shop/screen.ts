// What the shop's starter shows: the table of what runs, the commands to try, and the live figures. Text only; who
// calls when is the starter's business.
import type { LoadFigures } from "./load.ts";
import type { ServicePlan, ShopPlan } from "./plan.ts";

const BAR_CELLS = 30;

/** The table of processes and ports. */
export function renderProcesses(plan: ShopPlan, pidOf: (name: string) => number | undefined): string {
  const rows = [
    ["PROCESS", "PID", "SERVICE ITSELF", "OUTBOUND", "INBOUND", "ADMIN", "STATUS"],
    ...plan.services.toReversed().map((service) => serviceRow(service, pidOf(service.name))),
  ];
  return [
    `control plane (pid ${pidOf("control-plane") ?? "?"}): gRPC ${plan.grpc}, HTTP http://${plan.http}/`,
    "",
    ...alignColumns(rows),
    "All on 127.0.0.1. PID is the sidecar's; the service is its child.",
  ].join("\n");
}

/** Three commands whose effect can be seen. */
export function renderCommands(commands: readonly string[]): string {
  return ["Try in another terminal:", ...commands.map((command) => `  ${command}`)].join("\n");
}

/** What the control plane says. */
export interface MeshState {
  readonly revision: string;
  readonly release: string | undefined;
}

/** The refreshed block of a terminal. */
export function renderFigures(figures: LoadFigures, { revision, release }: MeshState): string[] {
  const { recent } = figures;
  const total = sum(recent.byVersion);
  const versions = [...recent.byVersion].sort(([left], [right]) => left.localeCompare(right));
  return [
    `rules at revision ${revision}, last ${recent.seconds} s of load -> web -> orders -> payments:`,
    ...versions.map(
      ([version, count]) => `  orders ${version}  ${bar(count / total)} ${percent(count, total)}  ${count} answers`,
    ),
    `  ${statusText(recent.byStatus)}   ${latencyText(recent.latenciesMs)}`,
    `  since the start: ${figures.answered} answered, ${failuresOf(figures)} failed`,
    ...(release === undefined ? [] : [`  ${release}`]),
  ];
}

/** The same in one line, for logs and pipes. */
export function renderFiguresLine(figures: LoadFigures, { revision, release }: MeshState): string {
  const { recent } = figures;
  const total = sum(recent.byVersion);
  const versions = [...recent.byVersion]
    .sort(([left], [right]) => left.localeCompare(right))
    .map(([version, count]) => `orders ${version} ${percent(count, total).trim()}`);
  return [
    `revision ${revision}, last ${recent.seconds} s:`,
    versions.join(", ") || "no answers from orders",
    `| ${statusText(recent.byStatus)} | ${latencyText(recent.latenciesMs)}`,
    `| total ${figures.answered}, failed ${failuresOf(figures)}`,
    ...(release === undefined ? [] : [`| ${release}`]),
  ].join(" ");
}

/** Requests that were not answered with 2xx, and those not sent because too many were open. */
export function failuresOf(figures: LoadFigures): number {
  let failed = figures.broken + figures.skipped;
  for (const [status, count] of figures.byStatus) if (!status.startsWith("2")) failed += count;
  return failed;
}

function serviceRow({ name, ports }: ServicePlan, pid: number | undefined): string[] {
  const { app, outbound, inbound, admin, status } = ports;
  return [name, String(pid ?? "?"), ...[app, outbound, inbound, admin, status].map(String)];
}

function alignColumns(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

function bar(share: number): string {
  const filled = Math.round(share * BAR_CELLS);
  return `${"█".repeat(filled)}${"░".repeat(BAR_CELLS - filled)}`;
}

function percent(count: number, total: number): string {
  return `${(total === 0 ? 0 : (100 * count) / total).toFixed(1).padStart(5)} %`;
}

function statusText(byStatus: ReadonlyMap<string, number>): string {
  const parts = [...byStatus].sort(([left], [right]) => left.localeCompare(right));
  return `status ${parts.map(([status, count]) => `${status}: ${count}`).join(", ") || "none yet"}`;
}

function latencyText(latenciesMs: readonly number[]): string {
  if (latenciesMs.length === 0) return "no latencies yet";
  const sorted = [...latenciesMs].sort((left, right) => left - right);
  const at = (percentile: number): string =>
    (sorted[Math.min(sorted.length - 1, Math.floor((percentile / 100) * sorted.length))] ?? 0).toFixed(1);
  return `p50 ${at(50)} ms, p99 ${at(99)} ms`;
}

function sum(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((total, count) => total + count, 0);
}
