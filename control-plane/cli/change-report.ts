// What apply, delete and rollback have in common once the control plane has answered: the changes, the revision,
// the wait, and all of it in the format asked for.
import { type ChangeView, countChanges, type OperationWord } from "../view/change.ts";
import type { DiagnosticView } from "../view/diagnostic.ts";
import { keyTitle } from "../view/key.ts";
import type { Invocation } from "./command.ts";
import type { Connection } from "./connection.ts";
import { emit, isForPeople, stderrPaint, writeLines } from "./emit.ts";
import { EXIT, type ExitCode } from "./failure.ts";
import { writeDiagnostics } from "./print/diagnostics.ts";
import { type Paint, printable, type Style } from "./print/text.ts";
import type { WaitView } from "./wait.ts";

export interface ChangeReport {
  readonly revision: number;
  readonly isDryRun: boolean;
  readonly changes: readonly ChangeView[];
  readonly diagnostics: readonly DiagnosticView[];
}

/** Reports the changes, waits where asked to, and gives the command's exit code. */
export async function reportChanges(
  invocation: Invocation,
  connection: Connection,
  report: ChangeReport,
): Promise<ExitCode> {
  const { shell } = invocation;
  writeDiagnostics(report.diagnostics, shell.stderr, stderrPaint(shell));
  if (!invocation.flags.has("wait") || report.isDryRun) {
    await emit(invocation, reportJson(report), (paint) => reportLines(report, paint));
    return EXIT.done;
  }
  const { waitForRevision, waitExitCode, waitLines, waitRemarks } = await import("./wait.ts");
  // People see what is committed before the waiting starts.
  if (isForPeople(invocation)) await emit(invocation, undefined, (paint) => reportLines(report, paint));
  const wait = await waitForRevision(invocation, connection, report.revision);
  if (isForPeople(invocation)) await emit(invocation, undefined, (paint) => waitLines(wait, paint));
  else await emit(invocation, reportJson(report, wait), () => []);
  writeLines(shell.stderr, waitRemarks(wait).map(printable));
  return waitExitCode(wait);
}

function reportJson(report: ChangeReport, wait?: WaitView): unknown {
  const { revision, isDryRun, changes, diagnostics } = report;
  return { revision, dryRun: isDryRun, changes, diagnostics, ...(wait === undefined ? {} : { wait }) };
}

const OPERATION_STYLE: Readonly<Record<OperationWord, Style>> = {
  created: "green",
  configured: "yellow",
  deleted: "red",
  unchanged: "dim",
};

function reportLines(report: ChangeReport, paint: Paint): string[] {
  const suffix = report.isDryRun ? " (dry run)" : "";
  const lines = report.changes.map(
    (change) => `${printable(keyTitle(change))} ${paint(OPERATION_STYLE[change.operation], change.operation)}${suffix}`,
  );
  const counts = countChanges(report.changes);
  const isSame = counts.created + counts.configured + counts.deleted === 0;
  if (report.isDryRun) return lines;
  return [...lines, `revision ${report.revision}${isSame ? " (unchanged)" : ""}`];
}
