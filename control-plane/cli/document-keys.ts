// The keys of the documents in a source, without asking whether the documents are valid: one must be able to
// delete by a file that the rules of today no longer accept.
import { isMap, isScalar, isSeq, LineCounter, type Node, parseAllDocuments } from "yaml";
import type { DocumentKey } from "../../proto/gen/weft/v1/rules.ts";
import type { DiagnosticView } from "../view/diagnostic.ts";
import { CliFailure } from "./failure.ts";
import { resolveKind } from "./kinds.ts";
import type { SourceFile } from "./sources.ts";

/**
 * Keys in the order of the documents; items of a `kind: List` count as documents.
 * @throws CliFailure (invalid rules) for text that is no YAML, and for documents without kind or name.
 */
export function documentKeys(source: SourceFile, defaultNamespace: string): DocumentKey[] {
  const lines = new LineCounter();
  const parsed = parseAllDocuments(source.content.toString("utf8"), { lineCounter: lines, prettyErrors: false });
  const fail = (offset: number, message: string): never => {
    const { line, col } = lines.linePos(offset);
    throw unusable(source.name, line, col, message);
  };
  const keys: DocumentKey[] = [];
  for (const document of Array.isArray(parsed) ? parsed : []) {
    const [error] = document.errors;
    if (error !== undefined) fail(error.pos[0], error.message.split("\n")[0] ?? error.message);
    for (const node of flatten(document.contents)) keys.push(keyOf(node, defaultNamespace, fail));
  }
  return keys;
}

function flatten(node: Node | null): Node[] {
  if (node === null || (isScalar(node) && node.value === null)) return [];
  const items = isMap(node) ? node.get("items", true) : undefined;
  return isSeq(items) ? items.items.flatMap((item) => flatten(item as Node)) : [node];
}

function keyOf(node: Node, defaultNamespace: string, fail: (offset: number, message: string) => never): DocumentKey {
  const offset = node.range?.[0] ?? 0;
  if (!isMap(node)) return fail(offset, "no document; expected an object with kind and metadata.name");
  const text = (path: readonly string[]): string => {
    const value = node.getIn(path);
    return typeof value === "string" ? value : "";
  };
  const kind = text(["kind"]);
  const name = text(["metadata", "name"]);
  if (kind === "" || name === "") return fail(offset, "kind or metadata.name is missing");
  return { kind: resolveKind(kind), namespace: text(["metadata", "namespace"]) || defaultNamespace, name };
}

function unusable(file: string, line: number, column: number, message: string): CliFailure {
  const finding: DiagnosticView = {
    severity: "error",
    file,
    line,
    column,
    path: "",
    message,
    expected: "",
    suggestion: "",
  };
  return new CliFailure("invalid-rules", "nothing was deleted: the input cannot be read", { diagnostics: [finding] });
}
