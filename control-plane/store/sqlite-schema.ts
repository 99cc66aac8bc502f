// The tables of the SQLite store and how a new database gets them. Versions of the schema are numbered; a step
// from each version to the next is added to MIGRATIONS and never edited afterwards.
import type { DatabaseSync } from "node:sqlite";

/** `weft` in ASCII: marks the file as ours in its header (https://www.sqlite.org/pragma.html#pragma_application_id). */
export const APPLICATION_ID = 0x77656674;

const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE revisions (
    revision INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    author TEXT NOT NULL,
    message TEXT NOT NULL,
    cause TEXT NOT NULL
  ) STRICT;
  -- Every version of every document; body is null where the revision deleted it.
  CREATE TABLE document_versions (
    kind TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    revision INTEGER NOT NULL REFERENCES revisions (revision),
    operation TEXT NOT NULL,
    body TEXT,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX document_versions_by_key ON document_versions (kind, namespace, name, revision);
  CREATE INDEX document_versions_by_revision ON document_versions (revision);
  CREATE TABLE workloads (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
  `,
  `
  CREATE TABLE rollouts (key TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
  CREATE TABLE rollout_events (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    type TEXT NOT NULL,
    message TEXT NOT NULL,
    author TEXT NOT NULL
  ) STRICT;
  CREATE INDEX rollout_events_by_key ON rollout_events (key, sequence);
  -- Webhooks that are still to be told of an event.
  CREATE TABLE rollout_notices (
    sequence INTEGER NOT NULL REFERENCES rollout_events (sequence) ON DELETE CASCADE,
    url TEXT NOT NULL,
    PRIMARY KEY (sequence, url)
  ) STRICT;
  `,
];

export const SCHEMA_VERSION = MIGRATIONS.length;

/** Brings a database to SCHEMA_VERSION in one transaction per step. */
export function migrate(database: DatabaseSync, fromVersion: number): void {
  for (const [index, statements] of MIGRATIONS.entries()) {
    if (index < fromVersion) continue;
    database.exec("BEGIN IMMEDIATE");
    database.exec(statements);
    database.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
    database.exec(`PRAGMA user_version = ${index + 1}`);
    database.exec("COMMIT");
  }
}
