// Opening the SQLite file of a data folder: lock, checks, pragmas, schema. Whatever is wrong is refused with the
// path and what to do about it, before anything in the file is changed. Not the queries; those are in sqlite.ts.
import { accessSync, closeSync, constants, existsSync, mkdirSync, openSync, readSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { StoreUnusableError } from "./contract.ts";
import { APPLICATION_ID, migrate, SCHEMA_VERSION } from "./sqlite-schema.ts";

const DATABASE_FILE = "weft.db";
const LOCK_FILE = "weft.lock";
/** First bytes of every SQLite 3 file (https://www.sqlite.org/fileformat.html, 1.3). */
const SQLITE_MAGIC = "SQLite format 3\0";
const SQLITE_BUSY = 5;

export interface OpenDatabase {
  readonly database: DatabaseSync;
  /** Held open, inside a transaction, for as long as the store is: that is the lock. */
  readonly lock: DatabaseSync;
}

/** @throws StoreUnusableError */
export function openDatabase(folder: string, pid: number): OpenDatabase {
  const absolute = resolve(folder);
  prepareFolder(absolute);
  const lock = takeLock(absolute, pid);
  try {
    return { database: openChecked(join(absolute, DATABASE_FILE)), lock };
  } catch (error) {
    lock.close();
    throw error;
  }
}

function prepareFolder(folder: string): void {
  try {
    makeFolder(folder);
    if (!statSync(folder).isDirectory()) throw new Error("not a folder");
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new StoreUnusableError(
      `the data folder ${folder} cannot be written (${reasonOf(error)}); give this user write access to it, or choose another one with --data DIR`,
    );
  }
}

/** With its parents. Not mkdir's own `recursive`, which never returns where a folder cannot be made (/proc, Node 26). */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  const parent = dirname(folder);
  if (parent !== folder) makeFolder(parent);
  mkdirSync(folder, { mode: 0o750 });
}

/**
 * One control plane per data folder. The lock is a write transaction on a file of its own, which the operating
 * system ends with the process, however it ends; so that weft.db itself stays readable for backups.
 */
function takeLock(folder: string, pid: number): DatabaseSync {
  const path = join(folder, LOCK_FILE);
  const lock = new DatabaseSync(path, { timeout: 0 });
  noteHolder(lock, pid);
  try {
    lock.exec("BEGIN IMMEDIATE");
    return lock;
  } catch (error) {
    const busy = isSqliteError(error) && (error.errcode & 0xff) === SQLITE_BUSY;
    const holder = busy ? holderOf(lock) : "";
    lock.close();
    throw new StoreUnusableError(
      busy
        ? `the data folder ${folder} is in use by another weft-control-plane${holder}; stop that one, or choose another folder with --data DIR`
        : `the lock file ${path} cannot be used (${reasonOf(error)}); delete it if no weft-control-plane is running on this folder`,
    );
  }
}

/** For the message to a second process. Not needed for the lock, and a full disk must not prevent a start. */
function noteHolder(lock: DatabaseSync, pid: number): void {
  try {
    lock.exec("CREATE TABLE IF NOT EXISTS holder (pid INTEGER NOT NULL) STRICT; BEGIN IMMEDIATE; DELETE FROM holder");
    lock.prepare("INSERT INTO holder (pid) VALUES (?)").run(pid);
    lock.exec("COMMIT");
  } catch {
    if (lock.isTransaction) lock.exec("ROLLBACK");
  }
}

function holderOf(lock: DatabaseSync): string {
  try {
    const row = lock.prepare("SELECT pid FROM holder").get();
    return row === undefined ? "" : ` (process ${row["pid"]})`;
  } catch {
    return "";
  }
}

function openChecked(path: string): DatabaseSync {
  const fromVersion = existsSync(path) && statSync(path).size > 0 ? checkExisting(path) : 0;
  try {
    accessSync(existsSync(path) ? path : join(path, ".."), constants.W_OK);
    const database = new DatabaseSync(path);
    database.exec("PRAGMA journal_mode = WAL");
    // FULL: the write-ahead log is synced at every commit, so an acknowledged apply survives a power cut.
    database.exec("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON");
    migrate(database, fromVersion);
    return database;
  } catch (error) {
    throw new StoreUnusableError(
      `the database ${path} cannot be opened for writing (${reasonOf(error)}); check its owner and mode, and that the disk is not full`,
    );
  }
}

/** Looks at a file without being able to change it. Returns its schema version. */
function checkExisting(path: string): number {
  try {
    if (!startsWithMagic(path)) throw new Error("file is not a database");
    const database = new DatabaseSync(path, { readOnly: true });
    try {
      return checkContent(database, path);
    } finally {
      database.close();
    }
  } catch (error) {
    if (error instanceof StoreUnusableError) throw error;
    throw corrupt(path, reasonOf(error));
  }
}

function checkContent(database: DatabaseSync, path: string): number {
  const verdict = String(database.prepare("PRAGMA quick_check(1)").get()?.["quick_check"]);
  if (verdict !== "ok") throw corrupt(path, verdict.replaceAll("\n", " "));
  const version = Number(database.prepare("PRAGMA user_version").get()?.["user_version"]);
  const application = Number(database.prepare("PRAGMA application_id").get()?.["application_id"]);
  // A crash between creating the file and the first migration leaves a valid, empty database.
  const isEmpty = database.prepare("SELECT count(*) AS count FROM sqlite_schema").get()?.["count"] === 0;
  if (isEmpty && version === 0) return 0;
  if (application !== APPLICATION_ID)
    throw new StoreUnusableError(
      `${path} is a database of another program; choose another folder with --data DIR (the file was not changed)`,
    );
  if (version > SCHEMA_VERSION)
    throw new StoreUnusableError(
      `${path} was written by a newer weft-control-plane (schema ${version}, this one knows ${SCHEMA_VERSION}); run that version, or choose another folder with --data DIR (the file was not changed)`,
    );
  return version;
}

function corrupt(path: string, reason: string): StoreUnusableError {
  return new StoreUnusableError(
    `the database ${path} is damaged (${reason}) and was not changed; restore it from a backup, or move it away to start empty, then apply your rules again`,
  );
}

function startsWithMagic(path: string): boolean {
  const file = openSync(path, "r");
  try {
    const head = Buffer.alloc(SQLITE_MAGIC.length);
    const count = readSync(file, head, 0, head.length, 0);
    return head.toString("latin1", 0, count) === SQLITE_MAGIC;
  } finally {
    closeSync(file);
  }
}

function isSqliteError(error: unknown): error is Error & { errcode: number } {
  return error instanceof Error && "errcode" in error && typeof error.errcode === "number";
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
