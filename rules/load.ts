// From source texts to validated documents, or to everything that is wrong with them and where. Looks at one document at
// a time; what they mean to each other is check.ts.
import type { Diagnostic, DocumentKey } from "./diagnostic.ts";
import { type Document, documentKey, documentTitle, type Metadata } from "./document.ts";
import { type FieldPath, formatPath, parsePath } from "./field-path.ts";
import { type Finding, findProblems } from "./findings.ts";
import { findKind, KIND_FACTS, KINDS } from "./kinds.ts";
import { type ParsedValue, type Position, parseSource } from "./parse.ts";
import { quote } from "./schema/field.ts";
import { DIAGNOSTICS_MAX, SOURCE_BYTES_MAX } from "./schema/limits.ts";
import { NAMESPACE } from "./schema/metadata.ts";
import { documentSchema } from "./schema.ts";
import { suggest } from "./suggest.ts";

/** A file's name, as messages should show it, and its text. */
export interface SourceText {
  readonly name: string;
  readonly content: string;
}

export interface LoadedDocument {
  readonly document: Document;
  readonly file: string;
  /** Where the field at `path` (as in diagnostics) stands; 1-based. Of an absent field, where its parent does. */
  position(path: string): Position;
}

export interface LoadResult {
  readonly documents: LoadedDocument[];
  readonly diagnostics: Diagnostic[];
}

/**
 * Reads multi-document YAML, JSON and `kind: List`. Never throws for what a source says: everything wrong is in
 * `diagnostics` (at most DIAGNOSTICS_MAX and a line that counts the rest), and a document with an error is not in
 * `documents`.
 */
export function loadDocuments(sources: readonly SourceText[], options: { defaultNamespace: string }): LoadResult {
  const loading = new Loading(options.defaultNamespace);
  for (const source of sources) loading.addSource(source);
  return loading.finish();
}

interface Unread {
  readonly parsed: ParsedValue;
  readonly file: string;
}

class Loading {
  readonly #documents: LoadedDocument[] = [];
  readonly #diagnostics: Diagnostic[] = [];
  readonly #byTitle = new Map<string, LoadedDocument>();
  readonly #defaultNamespace: string;
  /** What is wrong with it, for documents that go by it. */
  readonly #ofDefaultNamespace: readonly Finding[];
  #dropped = 0;

  constructor(defaultNamespace: string) {
    this.#defaultNamespace = defaultNamespace;
    const path = ["metadata", "namespace"];
    this.#ofDefaultNamespace = findProblems(NAMESPACE, defaultNamespace, 1).map((finding) => ({ ...finding, path }));
  }

  addSource({ name, content }: SourceText): void {
    const bytes = Buffer.byteLength(content);
    if (bytes > SOURCE_BYTES_MAX) {
      const message = `is ${(bytes / 1048576).toFixed(1)} MiB large`;
      this.#report({
        file: name,
        message,
        expected: `at most ${SOURCE_BYTES_MAX / 1048576} MiB; split it into several files`,
      });
      return;
    }
    const { values, problems } = parseSource(content);
    const before = this.#diagnostics.length;
    for (const problem of problems) this.#report({ ...problem, file: name });
    for (const parsed of values) this.#add({ parsed, file: name });
    const ofThisSource = this.#diagnostics.splice(before).sort((a, b) => a.line - b.line || a.column - b.column);
    this.#diagnostics.push(...ofThisSource);
  }

  finish(): LoadResult {
    if (this.#dropped > 0) {
      const file = this.#diagnostics.at(-1)?.file ?? "";
      this.#diagnostics.push(diagnostic({ file, message: `and ${this.#dropped} more` }));
    }
    return { documents: this.#documents, diagnostics: this.#diagnostics };
  }

  #add(unread: Unread): void {
    const { value } = unread.parsed;
    if (!isObject(value)) {
      this.#find(unread, {
        message: `is ${Array.isArray(value) ? "a list" : quote(value)}`,
        expected: "an object with apiVersion, kind, metadata and spec",
      });
      return;
    }
    const kind = value["kind"];
    if (typeof kind === "string" && kind.endsWith("List") && Object.hasOwn(value, "items"))
      this.#addItems(unread, value);
    else if (typeof kind !== "string" || !KINDS.some((known) => known === kind)) this.#reportKind(unread, value);
    else if (this.#hasApiVersion(unread, value, kind)) this.#addDocument(unread, value, kind);
  }

  #addItems(unread: Unread, list: Record<string, unknown>): void {
    const { items } = list;
    if (!Array.isArray(items)) {
      this.#find(unread, {
        path: ["items"],
        message: `is ${items === null ? "empty" : "no list"}`,
        expected: "a list of documents",
      });
      return;
    }
    for (const index of items.keys()) this.#add({ parsed: unread.parsed.part(["items", index]), file: unread.file });
  }

  #reportKind(unread: Unread, value: Record<string, unknown>): void {
    const { kind } = value;
    const expected = `one of ${KINDS.join(", ")}`;
    if (kind === undefined) this.#find(unread, { path: ["kind"], message: "is missing", expected });
    else {
      const meant = typeof kind === "string" ? (findKind(kind)?.kind ?? suggest(kind, KINDS)) : "";
      this.#find(unread, {
        path: ["kind"],
        message: `${quote(kind)} is not a kind of Weft`,
        expected,
        suggestion: meant,
      });
    }
  }

  #hasApiVersion(unread: Unread, value: Record<string, unknown>, kind: string): boolean {
    const expected = KIND_FACTS.find((facts) => facts.kind === kind)?.apiVersion ?? "";
    const found = value["apiVersion"];
    if (found === expected) return true;
    const message = found === undefined ? "is missing" : `${quote(found)} is not the version of ${kind}`;
    this.#find(unread, { path: ["apiVersion"], message, expected });
    return false;
  }

  #addDocument(unread: Unread, value: Record<string, unknown>, kind: string): void {
    const schema = documentSchema(kind);
    if (schema === undefined) return;
    const findings = findProblems(schema, value, DIAGNOSTICS_MAX * 10);
    if (!namesNamespace(value)) findings.push(...this.#ofDefaultNamespace);
    const document = toDocument(value, this.#defaultNamespace);
    for (const finding of findings) this.#find(unread, finding, looseKey(value, this.#defaultNamespace));
    if (findings.length > 0 || document === undefined) return;
    const loaded: LoadedDocument = {
      document,
      file: unread.file,
      position: (path) => unread.parsed.place(parsePath(path), "value"),
    };
    const title = documentTitle(documentKey(document));
    const first = this.#byTitle.get(title);
    if (first === undefined) {
      this.#byTitle.set(title, loaded);
      this.#documents.push(loaded);
      return;
    }
    const place = first.position("metadata.name");
    this.#find(
      unread,
      {
        path: ["metadata", "name"],
        message: `${title} is there twice`,
        expected: `each name once (the first is at ${first.file}:${place.line}:${place.column})`,
      },
      documentKey(document),
    );
  }

  #find(unread: Unread, finding: Partial<Finding> & { readonly message: string }, document?: DocumentKey): void {
    const path: FieldPath = finding.path ?? [];
    const position = unread.parsed.place(path, finding.at ?? "value");
    this.#report({ ...finding, ...position, path: formatPath(path), file: unread.file, document });
  }

  #report(facts: Partial<Diagnostic> & { readonly file: string; readonly message: string }): void {
    if (this.#diagnostics.length < DIAGNOSTICS_MAX) this.#diagnostics.push(diagnostic(facts));
    else this.#dropped++;
  }
}

function diagnostic(facts: Partial<Diagnostic> & { readonly file: string; readonly message: string }): Diagnostic {
  return {
    severity: "error",
    file: facts.file,
    line: facts.line ?? 0,
    column: facts.column ?? 0,
    path: facts.path ?? "",
    message: facts.message,
    expected: facts.expected ?? "",
    suggestion: facts.suggestion ?? "",
    document: facts.document,
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function namesNamespace({ metadata }: Record<string, unknown>): boolean {
  return isObject(metadata) && typeof metadata["namespace"] === "string";
}

/** The document without what is accepted and dropped. Called for values that fit the schema of their kind. */
function toDocument(value: Record<string, unknown>, defaultNamespace: string): Document | undefined {
  const { apiVersion, kind, metadata, spec } = value;
  if (!isObject(metadata) || typeof metadata["name"] !== "string") return undefined;
  const { name, namespace, labels, annotations, creationTimestamp } = metadata;
  const kept: Metadata = {
    name,
    namespace: typeof namespace === "string" ? namespace : defaultNamespace,
    ...(isObject(labels) ? { labels: labels as Record<string, string> } : {}),
    ...(isObject(annotations) ? { annotations: annotations as Record<string, string> } : {}),
    ...(typeof creationTimestamp === "string" ? { creationTimestamp } : {}),
  };
  return { apiVersion: String(apiVersion), kind: String(kind), metadata: kept, spec };
}

/** The key of a document that may be wrong everywhere, for messages that group by document. */
function looseKey(value: Record<string, unknown>, defaultNamespace: string): DocumentKey | undefined {
  const metadata = value["metadata"];
  if (!isObject(metadata) || typeof metadata["name"] !== "string") return undefined;
  const namespace = metadata["namespace"];
  return {
    kind: String(value["kind"]),
    namespace: typeof namespace === "string" ? namespace : defaultNamespace,
    name: metadata["name"],
  };
}
