// What the control plane needs of a store: revisions of documents, and workload leases that outlive a restart.
// The contract only; sqlite.ts implements it on a local file. It asks for nothing that a replicated key-value
// store with transactions could not do: every call is asynchronous, and a commit names the revision it builds on.
import type { DocumentKey } from "../../rules/diagnostic.ts";

/** One version of one document. */
export interface StoredDocument {
  readonly key: DocumentKey;
  /** Canonical JSON of the whole document. */
  readonly body: string;
  /** Revision that wrote this version. */
  readonly revision: number;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

export type ChangeOperation = "create" | "update" | "delete";

export interface DocumentChange {
  readonly operation: ChangeOperation;
  readonly key: DocumentKey;
  /** The new body; undefined for a deletion. */
  readonly body: string | undefined;
  /** When the document first came to be; kept through updates. */
  readonly createdAtMs: number;
}

export type RevisionCause = "apply" | "delete" | "rollback" | "rollout";

export interface NewRevision {
  /** The revision that the changes were worked out against; the new one is one more. */
  readonly base: number;
  readonly atMs: number;
  readonly author: string;
  readonly message: string;
  readonly cause: RevisionCause;
  /** Never empty; at most one change per document. */
  readonly changes: readonly DocumentChange[];
}

export interface RevisionRecord {
  readonly revision: number;
  readonly atMs: number;
  readonly author: string;
  readonly message: string;
  readonly cause: RevisionCause;
  readonly changes: readonly { readonly operation: ChangeOperation; readonly key: DocumentKey }[];
}

export interface HistoryQuery {
  readonly limit: number;
  /** Only revisions before this one; undefined means from the newest. */
  readonly before: number | undefined;
  /** Only revisions that touched this document. */
  readonly key: DocumentKey | undefined;
}

/** Every document at one revision. */
export interface DocumentSet {
  readonly revision: number;
  readonly documents: readonly StoredDocument[];
}

export interface RuleStore {
  /**
   * All documents as of `revision`, or now.
   * @throws RevisionNotFoundError when there is no such revision yet.
   */
  read(revision?: number): Promise<DocumentSet>;
  /**
   * Writes a revision: all of it or nothing, on disk before the promise resolves.
   * @returns the new revision.
   * @throws RevisionConflictError when `base` is not the newest revision.
   */
  commit(revision: NewRevision): Promise<number>;
  /** Revisions, newest first. */
  history(query: HistoryQuery): Promise<RevisionRecord[]>;
}

/** What is remembered of a workload across a restart. `body` is the registry's own JSON. */
export interface WorkloadRecord {
  readonly id: string;
  readonly body: string;
}

export interface LeaseStore {
  /** Everything that was registered when the last write was made. */
  read(): Promise<WorkloadRecord[]>;
  /** Adds or replaces `put` and deletes `removed`, in one transaction that outlives this process. */
  write(put: readonly WorkloadRecord[], removed: readonly string[]): Promise<void>;
}

/** What is remembered of a release across a restart. `body` is the rollout controller's own JSON. */
export interface RolloutRecord {
  /** `namespace/name` of its document. */
  readonly key: string;
  readonly body: string;
}

/** Something that happened to a release, for its history. */
export interface RolloutEventRecord {
  /** Increasing; given by the store. */
  readonly sequence: number;
  readonly key: string;
  readonly atMs: number;
  readonly type: string;
  readonly message: string;
  readonly author: string;
}

/** An event that a webhook has not been told yet. */
export interface RolloutNoticeRecord {
  readonly url: string;
  readonly event: RolloutEventRecord;
}

/** What becomes of one release, in one transaction. */
export interface RolloutWrite {
  readonly key: string;
  /** Undefined: the release is deleted. */
  readonly body: string | undefined;
  readonly events: readonly Omit<RolloutEventRecord, "sequence">[];
  /** Webhooks that each event is noted for. */
  readonly notify: readonly string[];
}

export interface RolloutStore {
  read(): Promise<RolloutRecord[]>;
  /** @returns the events with their sequence numbers. */
  write(change: RolloutWrite): Promise<RolloutEventRecord[]>;
  /** What is still to be told, oldest first. */
  notices(): Promise<RolloutNoticeRecord[]>;
  /** It was told, or given up. */
  dropNotice(notice: RolloutNoticeRecord): Promise<void>;
  /** Events newest first, of every key that begins with `prefix`. */
  events(prefix: string, limit: number): Promise<RolloutEventRecord[]>;
}

/** An open store. */
export interface Store {
  readonly rollouts: RolloutStore;
  readonly rules: RuleStore;
  readonly leases: LeaseStore;
  /** Nothing may be called after it. */
  close(): Promise<void>;
}

/** The store cannot be used as it stands: the message says what, where, and what to do. Nothing was changed. */
export class StoreUnusableError extends Error {
  override readonly name = "StoreUnusableError";
}

export class RevisionNotFoundError extends Error {
  override readonly name = "RevisionNotFoundError";
}

export class RevisionConflictError extends Error {
  override readonly name = "RevisionConflictError";
}
