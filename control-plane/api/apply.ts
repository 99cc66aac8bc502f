// What applying some sources would do to what is stored. Changes nothing itself; the rules service commits the plan.
import type { Source } from "../../proto/gen/weft/v1/rules.ts";
import type { Diagnostic } from "../../rules/diagnostic.ts";
import { type Document, documentKey, documentTitle } from "../../rules/document.ts";
import { loadDocuments, type SourceText } from "../../rules/load.ts";
import { SOURCE_BYTES_MAX, SOURCES_MAX } from "../limits.ts";
import type { PlannedChange, Rulebook } from "../store/rulebook.ts";
import { type Inspection, isError, problem } from "./inspect.ts";
import { inspectAside } from "./inspect-thread.ts";

export interface ApplyIntent extends Pick<Inspection, "namespace" | "strict" | "prune"> {
  readonly sources: readonly Source[];
}

export interface ApplyPlan {
  readonly changes: readonly PlannedChange[];
  readonly diagnostics: readonly Diagnostic[];
  /** False: there are errors, and nothing of it may be kept. */
  readonly isAcceptable: boolean;
}

export async function planApply(
  rulebook: Rulebook,
  impliedServices: ReadonlySet<string>,
  { sources, ...intent }: ApplyIntent,
): Promise<ApplyPlan> {
  const { texts, diagnostics: unread } = readSources(sources);
  if (unread.length > 0) return { changes: [], diagnostics: unread, isAcceptable: false };
  const { documents, pruned, diagnostics, isAcceptable } = await inspectAside({
    ...{ texts, ...intent, impliedServices: [...impliedServices], now: rulebook.now() },
    stored: Array.from(rulebook.documents.values(), ({ document }) => document),
  });
  const gone = pruned.map((title) => rulebook.documents.get(title)).filter((stored) => stored !== undefined);
  return { changes: [...rulebook.planPut(documents), ...rulebook.planDelete(gone)], diagnostics, isAcceptable };
}

/** Documents as they would be with `sources` on top, for questions. Of sources with errors nothing is taken. */
export function withSources(
  rulebook: Rulebook,
  sources: readonly Source[],
  namespace: string,
): { readonly documents: readonly Document[]; readonly diagnostics: readonly Diagnostic[] } {
  const documents = new Map(Array.from(rulebook.documents, ([title, stored]) => [title, stored.document]));
  if (sources.length === 0) return { documents: [...documents.values()], diagnostics: [] };
  const { texts, diagnostics: unread } = readSources(sources);
  const { documents: loaded, diagnostics: found } = loadDocuments(texts, { defaultNamespace: namespace });
  const diagnostics = [...unread, ...found];
  if (!diagnostics.some(isError))
    for (const { document } of loaded) documents.set(documentTitle(documentKey(document)), document);
  return { documents: [...documents.values()], diagnostics };
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
