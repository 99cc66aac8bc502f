// Findings about documents as lines for stderr: the position first, so that editors can jump to it.
import { formatDiagnostic } from "../../../rules/diagnostic.ts";
import type { DiagnosticView } from "../../view/diagnostic.ts";
import type { Output } from "../shell.ts";
import { type Paint, printable } from "./text.ts";

/** Lines printed of one run's findings; the rest is counted. */
const DIAGNOSTICS_SHOWN_MAX = 200;

/** Writes errors first, then warnings (marked as such), each on one line. */
export function writeDiagnostics(diagnostics: readonly DiagnosticView[], stderr: Output, paint: Paint): void {
  const ordered = [
    ...diagnostics.filter((diagnostic) => diagnostic.severity === "error"),
    ...diagnostics.filter((diagnostic) => diagnostic.severity === "warning"),
  ];
  for (const diagnostic of ordered.slice(0, DIAGNOSTICS_SHOWN_MAX)) {
    stderr.write(`${diagnosticLine(diagnostic, paint)}\n`);
  }
  const hidden = ordered.length - DIAGNOSTICS_SHOWN_MAX;
  if (hidden > 0) stderr.write(`... and ${hidden} more\n`);
}

function diagnosticLine(diagnostic: DiagnosticView, paint: Paint): string {
  const text = printable(formatDiagnostic({ ...diagnostic, document: diagnostic.document }));
  return diagnostic.severity === "warning" ? `${paint("yellow", "warning:")} ${text}` : paint("red", text);
}
