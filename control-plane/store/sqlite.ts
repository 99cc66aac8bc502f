// The embedded store: one SQLite file in the data folder, through node:sqlite. Calls are synchronous underneath,
// so a transaction is never interleaved with another; the promises are the contract's.
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import type { DocumentKey } from "../../rules/diagnostic.ts";
import {
  type ChangeOperation,
  type DocumentSet,
  type HistoryQuery,
  type LeaseStore,
  type NewRevision,
  type RevisionCause,
  RevisionConflictError,
  RevisionNotFoundError,
  type RevisionRecord,
  type RuleStore,
  type Store,
  type StoredDocument,
  type WorkloadRecord,
} from "./contract.ts";
import { openDatabase } from "./sqlite-open.ts";
import { SqliteRollouts } from "./sqlite-rollouts.ts";
import { inTransaction } from "./sqlite-transaction.ts";

/**
 * Opens (or creates) the store in `folder`. `pid` is told to whoever finds the folder in use.
 * @throws StoreUnusableError when the folder or the file cannot be used; nothing was changed then.
 */
export function openSqliteStore(folder: string, pid: number): Store {
  const { database, lock } = openDatabase(folder, pid);
  return {
    rules: new SqliteRules(database),
    leases: new SqliteLeases(database),
    rollouts: new SqliteRollouts(database),
    close: async () => {
      database.close();
      lock.close();
    },
  };
}

class SqliteRules implements RuleStore {
  readonly #database: DatabaseSync;
  readonly #newest: StatementSync;
  readonly #documents: StatementSync;
  readonly #insertRevision: StatementSync;
  readonly #insertVersion: StatementSync;
  readonly #changes: StatementSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#newest = database.prepare("SELECT coalesce(max(revision), 0) AS revision FROM revisions");
    this.#documents = database.prepare(`
      SELECT version.* FROM document_versions AS version
      JOIN (SELECT kind, namespace, name, max(revision) AS revision FROM document_versions
            WHERE revision <= ? GROUP BY kind, namespace, name) AS newest USING (kind, namespace, name, revision)
      WHERE body IS NOT NULL ORDER BY kind, namespace, name`);
    this.#insertRevision = database.prepare(
      "INSERT INTO revisions (revision, at_ms, author, message, cause) VALUES (?, ?, ?, ?, ?)",
    );
    this.#insertVersion = database.prepare(`
      INSERT INTO document_versions (kind, namespace, name, revision, operation, body, created_at_ms, updated_at_ms)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#changes = database.prepare(
      "SELECT operation, kind, namespace, name FROM document_versions WHERE revision = ? ORDER BY rowid",
    );
  }

  async read(revision?: number): Promise<DocumentSet> {
    const newest = this.#newestRevision();
    const wanted = revision ?? newest;
    if (wanted > newest) throw new RevisionNotFoundError(`there is no revision ${wanted}; the newest is ${newest}`);
    return { revision: wanted, documents: this.#documents.all(wanted).map(documentOf) };
  }

  async commit(entry: NewRevision): Promise<number> {
    const revision = entry.base + 1;
    inTransaction(this.#database, () => {
      const newest = this.#newestRevision();
      if (newest !== entry.base)
        throw new RevisionConflictError(`built on revision ${entry.base}, but the newest is ${newest}`);
      this.#insertRevision.run(revision, entry.atMs, entry.author, entry.message, entry.cause);
      for (const { key, operation, body, createdAtMs } of entry.changes)
        this.#insertVersion.run(
          ...[key.kind, key.namespace, key.name, revision],
          ...[operation, body ?? null, createdAtMs, entry.atMs],
        );
    });
    return revision;
  }

  async history({ limit, before, key }: HistoryQuery): Promise<RevisionRecord[]> {
    const conditions: string[] = [];
    const values: SQLInputValue[] = [];
    if (before !== undefined) {
      conditions.push("revision < ?");
      values.push(before);
    }
    if (key !== undefined) {
      conditions.push(
        "revision IN (SELECT revision FROM document_versions WHERE kind = ? AND namespace = ? AND name = ?)",
      );
      values.push(key.kind, key.namespace, key.name);
    }
    const where = conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`;
    const rows = this.#database
      .prepare(`SELECT * FROM revisions ${where} ORDER BY revision DESC LIMIT ?`)
      .all(...values, limit);
    return rows.map((row) => this.#revisionOf(row));
  }

  #newestRevision(): number {
    return Number(this.#newest.get()?.["revision"] ?? 0);
  }

  #revisionOf(row: Row): RevisionRecord {
    const revision = Number(row["revision"]);
    return {
      revision,
      atMs: Number(row["at_ms"]),
      author: String(row["author"]),
      message: String(row["message"]),
      cause: String(row["cause"]) as RevisionCause,
      changes: this.#changes.all(revision).map((change) => ({
        operation: String(change["operation"]) as ChangeOperation,
        key: keyOf(change),
      })),
    };
  }
}

class SqliteLeases implements LeaseStore {
  readonly #database: DatabaseSync;
  readonly #all: StatementSync;
  readonly #put: StatementSync;
  readonly #remove: StatementSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#all = database.prepare("SELECT id, body FROM workloads ORDER BY id");
    this.#put = database.prepare(
      "INSERT INTO workloads (id, body) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
    );
    this.#remove = database.prepare("DELETE FROM workloads WHERE id = ?");
  }

  async read(): Promise<WorkloadRecord[]> {
    return this.#all.all().map((row) => ({ id: String(row["id"]), body: String(row["body"]) }));
  }

  async write(put: readonly WorkloadRecord[], removed: readonly string[]): Promise<void> {
    // Without fsync: it outlives a crash of this process, and after one of the machine the sidecars register again.
    this.#database.exec("PRAGMA synchronous = NORMAL");
    try {
      inTransaction(this.#database, () => {
        for (const { id, body } of put) this.#put.run(id, body);
        for (const id of removed) this.#remove.run(id);
      });
    } finally {
      this.#database.exec("PRAGMA synchronous = FULL");
    }
  }
}

type Row = Record<string, unknown>;

function documentOf(row: Row): StoredDocument {
  return {
    key: keyOf(row),
    body: String(row["body"]),
    revision: Number(row["revision"]),
    createdAtMs: Number(row["created_at_ms"]),
    updatedAtMs: Number(row["updated_at_ms"]),
  };
}

function keyOf(row: Row): DocumentKey {
  return { kind: String(row["kind"]), namespace: String(row["namespace"]), name: String(row["name"]) };
}
