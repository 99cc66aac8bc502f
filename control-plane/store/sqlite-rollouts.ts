// Releases in the SQLite store: their states as the controller writes them, and what happened to them.
import type { DatabaseSync, SQLOutputValue, StatementSync } from "node:sqlite";
import type { RolloutEventRecord, RolloutNoticeRecord, RolloutRecord, RolloutStore, RolloutWrite } from "./contract.ts";
import { inTransaction } from "./sqlite-transaction.ts";

/** Events that are kept of one release; the oldest go first. */
const EVENTS_MAX = 1_000;

export class SqliteRollouts implements RolloutStore {
  readonly #database: DatabaseSync;
  readonly #all: StatementSync;
  readonly #put: StatementSync;
  readonly #remove: StatementSync;
  readonly #insertEvent: StatementSync;
  readonly #trimEvents: StatementSync;
  readonly #events: StatementSync;
  readonly #insertNotice: StatementSync;
  readonly #removeNotice: StatementSync;
  readonly #notices: StatementSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#all = database.prepare("SELECT key, body FROM rollouts ORDER BY key");
    this.#put = database.prepare(
      "INSERT INTO rollouts (key, body) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET body = excluded.body",
    );
    this.#remove = database.prepare("DELETE FROM rollouts WHERE key = ?");
    this.#insertEvent = database.prepare(
      "INSERT INTO rollout_events (key, at_ms, type, message, author) VALUES (?, ?, ?, ?, ?)",
    );
    this.#trimEvents = database.prepare(`
      DELETE FROM rollout_events WHERE key = ? AND sequence NOT IN
        (SELECT sequence FROM rollout_events WHERE key = ? ORDER BY sequence DESC LIMIT ${EVENTS_MAX})`);
    this.#events = database.prepare(
      "SELECT * FROM rollout_events WHERE substr(key, 1, length(?)) = ? ORDER BY sequence DESC LIMIT ?",
    );
    this.#insertNotice = database.prepare("INSERT OR IGNORE INTO rollout_notices (sequence, url) VALUES (?, ?)");
    this.#removeNotice = database.prepare("DELETE FROM rollout_notices WHERE sequence = ? AND url = ?");
    this.#notices = database.prepare(
      "SELECT * FROM rollout_notices JOIN rollout_events USING (sequence) ORDER BY sequence",
    );
  }

  async read(): Promise<RolloutRecord[]> {
    return this.#all.all().map((row) => ({ key: String(row["key"]), body: String(row["body"]) }));
  }

  async write({ key, body, events, notify }: RolloutWrite): Promise<RolloutEventRecord[]> {
    const written: RolloutEventRecord[] = [];
    inTransaction(this.#database, () => {
      if (body === undefined) this.#remove.run(key);
      else this.#put.run(key, body);
      for (const event of events) {
        const { lastInsertRowid } = this.#insertEvent.run(key, event.atMs, event.type, event.message, event.author);
        for (const url of notify) this.#insertNotice.run(lastInsertRowid, url);
        written.push({ ...event, sequence: Number(lastInsertRowid) });
      }
      if (events.length > 0) this.#trimEvents.run(key, key);
    });
    return written;
  }

  async events(prefix: string, limit: number): Promise<RolloutEventRecord[]> {
    return this.#events.all(prefix, prefix, limit).map(eventOf);
  }

  async notices(): Promise<RolloutNoticeRecord[]> {
    return this.#notices.all().map((row) => ({ url: String(row["url"]), event: eventOf(row) }));
  }

  async dropNotice({ url, event }: RolloutNoticeRecord): Promise<void> {
    this.#removeNotice.run(event.sequence, url);
  }
}

function eventOf(row: Record<string, SQLOutputValue>): RolloutEventRecord {
  return {
    sequence: Number(row["sequence"]),
    key: String(row["key"]),
    atMs: Number(row["at_ms"]),
    type: String(row["type"]),
    message: String(row["message"]),
    author: String(row["author"]),
  };
}
