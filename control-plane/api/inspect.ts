// What some sources say and whether it may be applied, given what is stored: read, validate, check. A pure function
// of values that can cross a thread boundary, because large inputs are inspected on another thread.
import { checkDocuments } from "../../rules/check.ts";
import type { Diagnostic } from "../../rules/diagnostic.ts";
import { type Document, documentKey, documentTitle } from "../../rules/document.ts";
import { loadDocuments, type SourceText } from "../../rules/load.ts";
import { withAge } from "../store/rulebook.ts";

export type PruneScope = "nothing" | "namespace" | "everything";

export interface Inspection {
  readonly texts: readonly SourceText[];
  /** Of documents that name none; with prune "namespace", the one that is complete. */
  readonly namespace: string;
  /** Warnings are errors. */
  readonly strict: boolean;
  /** What to delete if the sources do not have it. */
  readonly prune: PruneScope;
  readonly stored: readonly Document[];
  readonly impliedServices: readonly string[];
  /** RFC 3339: the age of documents that are new. */
  readonly now: string;
}

export interface Verdict {
  /** What the sources say; empty when there are errors. */
  readonly documents: readonly Document[];
  /** Titles of stored documents to delete. */
  readonly pruned: readonly string[];
  readonly diagnostics: readonly Diagnostic[];
  /** False: there are errors, and nothing of it may be kept. */
  readonly isAcceptable: boolean;
}

export function inspect(inspection: Inspection): Verdict {
  const { texts, namespace, strict } = inspection;
  const { documents: loaded, diagnostics } = loadDocuments(texts, { defaultNamespace: namespace });
  if (diagnostics.some(isError)) return refusal(diagnostics);
  if (loaded.length === 0) return refusal([...diagnostics, problem(texts[0]?.name ?? "-", "there are no documents")]);
  const documents = loaded.map(({ document }) => document);
  const pruned = toPrune(inspection, documents);
  const findings = checkDocuments({
    documents: documentsAfter(inspection, documents, pruned),
    changed: loaded,
    impliedServices: new Set(inspection.impliedServices),
  });
  const all = [...diagnostics, ...findings];
  const judged = strict ? all.map((finding) => ({ ...finding, severity: "error" as const })) : all;
  return judged.some(isError) ? refusal(judged) : { documents, pruned, diagnostics: judged, isAcceptable: true };
}

function refusal(diagnostics: readonly Diagnostic[]): Verdict {
  return { documents: [], pruned: [], diagnostics, isAcceptable: false };
}

/** A finding about a source as a whole. */
export function problem(file: string, message: string): Diagnostic {
  const nowhere = { line: 0, column: 0, path: "", expected: "", suggestion: "", document: undefined };
  return { severity: "error", file, message, ...nowhere };
}

export function isError({ severity }: Diagnostic): boolean {
  return severity === "error";
}

function titleOf(document: Document): string {
  return documentTitle(documentKey(document));
}

function toPrune({ prune, namespace, stored }: Inspection, documents: readonly Document[]): string[] {
  if (prune === "nothing") return [];
  const kept = new Set(documents.map(titleOf));
  const inScope = ({ metadata }: Document) => prune === "everything" || metadata.namespace === namespace;
  return stored
    .filter(inScope)
    .map(titleOf)
    .filter((title) => !kept.has(title));
}

function documentsAfter(
  { stored, now }: Inspection,
  documents: readonly Document[],
  pruned: readonly string[],
): readonly Document[] {
  const after = new Map(stored.map((document) => [titleOf(document), document]));
  for (const title of pruned) after.delete(title);
  for (const document of documents) {
    const title = titleOf(document);
    after.set(title, withAge(document, after.get(title), now));
  }
  return [...after.values()];
}
