// What applying some sources would do: read, validate, compare with what is stored. Changes nothing itself; the
// rules service commits the plan.
import type { Source } from "../../proto/gen/weft/v1/rules.ts";
import { checkDocuments } from "../../rules/check.ts";
import type { Diagnostic } from "../../rules/diagnostic.ts";
import { type Document, documentKey, documentTitle } from "../../rules/document.ts";
import { type LoadedDocument, loadDocuments, type SourceText } from "../../rules/load.ts";
import { SOURCE_BYTES_MAX, SOURCES_MAX } from "../limits.ts";
import type { CurrentDocument, PlannedChange, Rulebook } from "../store/rulebook.ts";

export interface ApplyIntent {
  readonly sources: readonly Source[];
  /** Of documents that name none. */
  readonly namespace: string;
  /** Warnings are errors. */
  readonly strict: boolean;
  /** What to delete if the sources do not have it. */
  readonly prune: "nothing" | "namespace" | "everything";
}

export interface ApplyPlan {
  readonly changes: readonly PlannedChange[];
  readonly diagnostics: readonly Diagnostic[];
  /** False: there are errors, and nothing of it may be kept. */
  readonly isAcceptable: boolean;
}

/** Documents as they would be with `sources` on top, for questions. Of sources with errors nothing is taken. */
export function withSources(
  rulebook: Rulebook,
  sources: readonly Source[],
  namespace: string,
): { readonly documents: readonly Document[]; readonly diagnostics: readonly Diagnostic[] } {
  const { texts, diagnostics: unread } = sources.length === 0 ? NO_SOURCES : readSources(sources);
  const { documents: loaded, diagnostics } = loadDocuments(texts, { defaultNamespace: namespace });
  const all = [...unread, ...diagnostics];
  const put = all.some(isError) ? [] : rulebook.planPut(loaded.map(({ document }) => document));
  return { documents: documentsAfter(rulebook.documents, put), diagnostics: all };
}

const NO_SOURCES = { texts: [], diagnostics: [] };

export function planApply(rulebook: Rulebook, impliedServices: ReadonlySet<string>, intent: ApplyIntent): ApplyPlan {
  const { texts, diagnostics: unread } = readSources(intent.sources);
  if (unread.length > 0) return refusal(unread);
  const { documents: loaded, diagnostics } = loadDocuments(texts, { defaultNamespace: intent.namespace });
  if (diagnostics.some(isError)) return refusal(diagnostics);
  if (loaded.length === 0) return refusal([...diagnostics, problem(texts[0]?.name ?? "-", "there are no documents")]);
  const put = rulebook.planPut(loaded.map(({ document }) => document));
  const changes = [...put, ...rulebook.planDelete(toPrune(rulebook, loaded, intent))];
  const findings = checkDocuments({
    documents: documentsAfter(rulebook.documents, changes),
    changed: loaded,
    impliedServices,
  });
  const all = [...diagnostics, ...findings];
  const judged = intent.strict ? all.map((finding) => ({ ...finding, severity: "error" as const })) : all;
  return judged.some(isError) ? refusal(judged) : { changes, diagnostics: judged, isAcceptable: true };
}

function refusal(diagnostics: readonly Diagnostic[]): ApplyPlan {
  return { changes: [], diagnostics, isAcceptable: false };
}

/** Bytes to text, within bounds. */
function readSources(sources: readonly Source[]): { texts: SourceText[]; diagnostics: Diagnostic[] } {
  const bytes = sources.reduce((total, { content }) => total + content.length, 0);
  const [first] = sources;
  if (first === undefined) return { texts: [], diagnostics: [problem("-", "there are no sources")] };
  if (sources.length > SOURCES_MAX)
    return { texts: [], diagnostics: [problem(first.name, `there are more than ${SOURCES_MAX} sources`)] };
  if (bytes > SOURCE_BYTES_MAX) return { texts: [], diagnostics: [tooLarge(sources, bytes)] };
  const texts: SourceText[] = [];
  const diagnostics: Diagnostic[] = [];
  for (const { name, content } of sources) {
    const text = decodeUtf8(content);
    if (text === undefined) diagnostics.push(problem(name, "is not UTF-8 text"));
    else texts.push({ name, content: text });
  }
  return { texts, diagnostics };
}

function tooLarge(sources: readonly Source[], bytes: number): Diagnostic {
  const largest = sources.reduce((a, b) => (b.content.length > a.content.length ? b : a));
  const of = sources.length === 1 ? "the source has" : `the ${sources.length} sources have together`;
  return problem(
    largest.name,
    `${of} ${bytes} bytes; at most ${SOURCE_BYTES_MAX} can be applied at once, so apply them in parts`,
  );
}

function decodeUtf8(content: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(content);
  } catch {
    return undefined;
  }
}

function toPrune(rulebook: Rulebook, loaded: readonly LoadedDocument[], intent: ApplyIntent): CurrentDocument[] {
  if (intent.prune === "nothing") return [];
  const kept = new Set(loaded.map(({ document }) => documentTitle(documentKey(document))));
  const inScope = ({ key }: CurrentDocument) => intent.prune === "everything" || key.namespace === intent.namespace;
  return [...rulebook.documents.values()].filter((stored) => inScope(stored) && !kept.has(documentTitle(stored.key)));
}

function documentsAfter(
  stored: ReadonlyMap<string, CurrentDocument>,
  changes: readonly PlannedChange[],
): readonly Document[] {
  const documents = new Map(Array.from(stored, ([title, { document }]): [string, Document] => [title, document]));
  for (const { key, after } of changes)
    if (after === undefined) documents.delete(documentTitle(key));
    else documents.set(documentTitle(key), after.document);
  return [...documents.values()];
}

function isError({ severity }: Diagnostic): boolean {
  return severity === "error";
}

/** A finding about a source as a whole. */
function problem(file: string, message: string): Diagnostic {
  const nowhere = { line: 0, column: 0, path: "", expected: "", suggestion: "", document: undefined };
  return { severity: "error", file, message, ...nowhere };
}
