// What is wrong with a document and where: the value that every check of a rule returns. Not an exception:
// checks collect diagnostics and go on, so that one run reports everything.

/** Names one document in the store. */
export interface DocumentKey {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

export type Severity = "error" | "warning";

/** One finding. `line` and `column` are 1-based; 0 where there is no position. */
export interface Diagnostic {
  readonly severity: Severity;
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** Field path, such as `spec.rules[0].backendRefs[1].weight`; empty for the document as a whole. */
  readonly path: string;
  readonly message: string;
  /** What was expected instead; empty where the message says it. */
  readonly expected: string;
  /** The nearest legal word, for "did you mean"; empty where there is none. */
  readonly suggestion: string;
  readonly document: DocumentKey | undefined;
}

/** `FILE:LINE:COL: path: what is wrong; what was expected (did you mean ...?)`, on one line. */
export function formatDiagnostic(diagnostic: Diagnostic): string {
  const { file, line, column, path, message, expected, suggestion } = diagnostic;
  const place = line > 0 ? `${file}:${line}:${column}: ` : `${file}: `;
  const field = path === "" ? "" : `${path}: `;
  const wanted = expected === "" ? "" : `; expected ${expected}`;
  const hint = suggestion === "" ? "" : ` (did you mean ${suggestion}?)`;
  return `${place}${field}${message}${wanted}${hint}`;
}

/** `default/orders`: how keys of documents and services are written everywhere. */
export function qualifiedName(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}
