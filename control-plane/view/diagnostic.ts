// Findings about documents, as the wire carries them or as the rules room returns them -> one plain shape.
import type { Diagnostic as WireDiagnostic } from "../../proto/gen/weft/v1/rules.ts";
import type { Diagnostic } from "../../rules/diagnostic.ts";
import { type KeyView, keyView } from "./key.ts";

export interface DiagnosticView {
  readonly severity: "error" | "warning";
  readonly file: string;
  /** 1-based; 0 where there is no position. */
  readonly line: number;
  readonly column: number;
  readonly path: string;
  readonly message: string;
  readonly expected: string;
  readonly suggestion: string;
  readonly document?: KeyView;
}

/** SEVERITY_WARNING of the wire; a literal, so that looking at a diagnostic does not load the generated code. */
const WIRE_WARNING = 1;

export function diagnosticView(wire: WireDiagnostic): DiagnosticView {
  const { file, line, column, path, message, expected, suggestion, document } = wire;
  const severity = wire.severity === WIRE_WARNING ? "warning" : "error";
  const view: DiagnosticView = { severity, file, line, column, path, message, expected, suggestion };
  return document === undefined ? view : { ...view, document: keyView(document) };
}

export function ruleDiagnosticView(diagnostic: Diagnostic): DiagnosticView {
  const { document, ...rest } = diagnostic;
  return document === undefined ? rest : { ...rest, document };
}

export function hasErrors(diagnostics: readonly DiagnosticView[]): boolean {
  return diagnostics.some((diagnostic) => diagnostic.severity === "error");
}
