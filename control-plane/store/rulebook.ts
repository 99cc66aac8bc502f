// The current documents, in memory, over the store: works out what a change would do, commits one change at a
// time, and tells listeners. Documents that reach it are already validated; it knows nothing of their meaning.
import { canonicalJson } from "../../rules/canonical.ts";
import type { DocumentKey } from "../../rules/diagnostic.ts";
import { type Document, documentKey, documentTitle } from "../../rules/document.ts";
import { statusOf } from "../../rules/rollout-status.ts";
import type { RolloutSpec } from "../../rules/schema/rollout.ts";
import type { Clock } from "../../runtime/clock.ts";
import {
  type ChangeOperation,
  type DocumentChange,
  type HistoryQuery,
  type RevisionCause,
  type RevisionRecord,
  type RuleStore,
  type StoredDocument,
  StoreUnusableError,
} from "./contract.ts";

/** A stored document and what its body says. */
export interface CurrentDocument extends StoredDocument {
  readonly document: Document;
  /** It is acted on and not stored yet: the store has another body. */
  readonly isAnticipated?: true;
}

/** What a change does, or would do, to one document. */
export interface PlannedChange {
  readonly operation: ChangeOperation | "unchanged";
  readonly key: DocumentKey;
  readonly before: CurrentDocument | undefined;
  /** Undefined for a deletion. `body` is its canonical JSON. */
  readonly after: { readonly body: string; readonly document: Document } | undefined;
}

export interface CommitDetails {
  readonly author: string;
  readonly message: string;
  readonly cause: RevisionCause;
}

export interface Committed {
  readonly revision: number;
  /** Monotonic time of the commit. */
  readonly atMs: number;
  /** What was really changed; never empty. */
  readonly changes: readonly PlannedChange[];
  readonly author: string;
  readonly cause: RevisionCause;
}

export class Rulebook {
  readonly #store: RuleStore;
  readonly #clock: Clock;
  /** By title. Replaced, never changed, so that whoever holds one sees a single revision. */
  #documents: ReadonlyMap<string, CurrentDocument>;
  #revision: number;
  #queue: Promise<unknown> = Promise.resolve();
  readonly #listeners = new Set<(committed: Committed) => void>();

  /** @throws StoreUnusableError when a stored document cannot be read back. */
  static async open(store: RuleStore, clock: Clock): Promise<Rulebook> {
    const { revision, documents } = await store.read();
    return new Rulebook(store, clock, revision, indexByTitle(documents.map(parseStored)));
  }

  private constructor(
    store: RuleStore,
    clock: Clock,
    revision: number,
    documents: ReadonlyMap<string, CurrentDocument>,
  ) {
    this.#store = store;
    this.#clock = clock;
    this.#revision = revision;
    this.#documents = documents;
  }

  get revision(): number {
    return this.#revision;
  }

  /** The current documents by title (`HTTPRoute default/orders`). */
  get documents(): ReadonlyMap<string, CurrentDocument> {
    return this.#documents;
  }

  /** The wall clock in the form of a creationTimestamp. */
  now(): string {
    return new Date(this.#clock.wall()).toISOString();
  }

  get(key: DocumentKey): CurrentDocument | undefined {
    return this.#documents.get(documentTitle(key));
  }

  /** Documents as they were at `revision`. Rejects with RevisionNotFoundError. */
  async at(revision: number): Promise<CurrentDocument[]> {
    if (revision === this.#revision) return [...this.#documents.values()];
    return (await this.#store.read(revision)).documents.map(parseStored);
  }

  history(query: HistoryQuery): Promise<RevisionRecord[]> {
    return this.#store.history(query);
  }

  /**
   * What storing `documents` would change. Each has an age, because the Gateway API decides between equal matches
   * by age: see withAge.
   */
  planPut(documents: Iterable<Document>): PlannedChange[] {
    const now = this.now();
    return Array.from(documents, (written) => {
      const key = documentKey(written);
      const before = this.get(key);
      const document = withStatus(withAge(written, before?.document, now), before);
      const after = { body: canonicalJson(document), document };
      if (before === undefined) return { operation: "create", key, before, after };
      return { operation: operationOn(before, after.body), key, before, after };
    });
  }

  /** What giving a document this status would change; undefined when it does not exist. */
  planStatus(key: DocumentKey, status: unknown): PlannedChange | undefined {
    const before = this.get(key);
    if (before === undefined) return undefined;
    const document = { ...before.document, status };
    const body = canonicalJson(document);
    return { operation: operationOn(before, body), key, before, after: { body, document } };
  }

  /** What deleting `documents` would change. */
  planDelete(documents: Iterable<CurrentDocument>): PlannedChange[] {
    return Array.from(documents, (before) => ({ operation: "delete", key: before.key, before, after: undefined }));
  }

  /** Runs one piece of work after the other, so that what was planned is what is committed. */
  exclusively<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => {});
    return result;
  }

  /**
   * Writes what really changes as one revision. Call it inside `exclusively`, with a plan made there.
   * @returns the revision that holds the result: the current one when nothing changes.
   */
  async commit(plan: readonly PlannedChange[], details: CommitDetails): Promise<number> {
    const changes = plan.filter(({ operation }) => operation !== "unchanged");
    if (changes.length === 0) return this.#revision;
    const atMs = this.#clock.wall();
    const revision = await this.#store.commit({
      ...{ base: this.#revision, atMs, ...details },
      changes: changes.map((change) => storedChange(change, atMs)),
    });
    this.#revision = revision;
    this.#documents = applyChanges(this.#documents, changes, revision, atMs);
    this.#tell(changes, details);
    return revision;
  }

  /**
   * Makes an update true that could not be committed and cannot wait for it. There is no revision of it until a plan that is made
   * later is committed; a restart forgets it. Call it as `commit`.
   */
  anticipate(change: PlannedChange, details: CommitDetails): void {
    const { before, after } = change;
    if (before === undefined || after === undefined || before.body === after.body) return;
    const documents = new Map(this.#documents);
    documents.set(documentTitle(change.key), { ...before, ...after, isAnticipated: true });
    this.#documents = documents;
    this.#tell([change], details);
  }

  #tell(changes: readonly PlannedChange[], { author, cause }: CommitDetails): void {
    const committed: Committed = { revision: this.#revision, atMs: this.#clock.now(), changes, author, cause };
    for (const listener of this.#listeners) listener(committed);
  }

  /** Calls back after every commit, in order, until the returned function is called. */
  onCommit(listener: (committed: Committed) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** A document that says nothing of its age keeps the one it has, or is born `now` (RFC 3339). */
export function withAge(document: Document, before: Document | undefined, now: string): Document {
  if (document.metadata.creationTimestamp !== undefined) return document;
  const creationTimestamp = before?.metadata.creationTimestamp ?? now;
  return { ...document, metadata: { ...document.metadata, creationTimestamp } };
}

function operationOn(before: CurrentDocument, body: string): "unchanged" | "update" {
  return before.body === body && before.isAnticipated !== true ? "unchanged" : "update";
}

/** A Rollout keeps its status while it is about the same versions. */
function withStatus({ status: _, ...document }: Document, before: CurrentDocument | undefined): Document {
  if (document.kind !== "Rollout" || before === undefined) return document;
  const status = statusOf({ ...document, spec: document.spec as RolloutSpec, status: before.document.status });
  return status === undefined ? document : { ...document, status };
}

function storedChange({ operation, key, before, after }: PlannedChange, nowMs: number): DocumentChange {
  return { operation: operation as ChangeOperation, key, body: after?.body, createdAtMs: before?.createdAtMs ?? nowMs };
}

function applyChanges(
  documents: ReadonlyMap<string, CurrentDocument>,
  changes: readonly PlannedChange[],
  revision: number,
  atMs: number,
): Map<string, CurrentDocument> {
  const next = new Map(documents);
  for (const { key, before, after } of changes) {
    const title = documentTitle(key);
    if (after === undefined) next.delete(title);
    else {
      const createdAtMs = before?.createdAtMs ?? atMs;
      next.set(title, { key, ...after, revision, createdAtMs, updatedAtMs: atMs });
    }
  }
  return next;
}

function indexByTitle(documents: readonly CurrentDocument[]): Map<string, CurrentDocument> {
  return new Map(documents.map((document) => [documentTitle(document.key), document]));
}

function parseStored(stored: StoredDocument): CurrentDocument {
  try {
    return { ...stored, document: JSON.parse(stored.body) as Document };
  } catch {
    throw new StoreUnusableError(
      `the stored document ${documentTitle(stored.key)} of revision ${stored.revision} is damaged; restore the database from a backup`,
    );
  }
}
