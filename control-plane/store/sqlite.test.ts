// What the SQLite file must withstand: a second process, damage, other programs' files, newer versions.
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, it } from "vitest";
import { StoreUnusableError } from "./contract.ts";
import { openSqliteStore } from "./sqlite.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weft-sqlite-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const file = () => join(folder, "weft.db");
const hash = () => createHash("sha256").update(readFileSync(file())).digest("hex");

function refusal(): string {
  try {
    openSqliteStore(folder, 2);
  } catch (error) {
    expect(error).toBeInstanceOf(StoreUnusableError);
    return (error as Error).message;
  }
  throw new Error("was not refused");
}

async function withOneRevision(): Promise<void> {
  const store = openSqliteStore(folder, 1);
  const key = { kind: "Service", namespace: "default", name: "a" };
  const change = { operation: "create", key, body: "x".repeat(20_000), createdAtMs: 1 } as const;
  await store.rules.commit({ base: 0, atMs: 1, author: "", message: "", cause: "apply", changes: [change] });
  await store.close();
}

it("refuses a folder that another control plane uses, and names the process", async () => {
  const first = openSqliteStore(folder, 4711);
  expect(refusal()).toMatch(/in use by another weft-control-plane \(process 4711\).*--data DIR/);
  await first.close();
  await openSqliteStore(folder, 2).close();
});

it("refuses a file that is no database and leaves it as it is", () => {
  writeFileSync(file(), "these are my shopping notes, not a database\n".repeat(100));
  const before = hash();
  expect(refusal()).toMatch(/weft\.db is damaged .*restore it from a backup/);
  expect(hash()).toBe(before);
});

it.each([100, 4096, 2 * 4096])("refuses a database damaged at byte %i and leaves it as it is", async (offset) => {
  await withOneRevision();
  const bytes = readFileSync(file());
  bytes.fill(0xee, offset, offset + 4000);
  writeFileSync(file(), bytes);
  const before = hash();
  expect(refusal()).toMatch(/weft\.db is damaged/);
  expect(hash()).toBe(before);
});

it("refuses a truncated database and leaves it as it is", async () => {
  await withOneRevision();
  writeFileSync(file(), readFileSync(file()).subarray(0, 9000));
  const before = hash();
  expect(refusal()).toMatch(/weft\.db is damaged/);
  expect(hash()).toBe(before);
});

it("does not merge the write-ahead log of a damaged database into it", async () => {
  await withOneRevision();
  const store = openSqliteStore(folder, 1);
  await store.leases.write([{ id: "w", body: "x" }], []);
  // As SIGKILL would leave it: the log is still there, with some pages of the file.
  const crashed = mkdtempSync(join(tmpdir(), "weft-crashed-"));
  for (const name of readdirSync(folder))
    if (!name.includes("lock")) writeFileSync(join(crashed, name), readFileSync(join(folder, name)));
  await store.close();
  rmSync(folder, { recursive: true });
  folder = crashed;
  expect(readFileSync(join(folder, "weft.db-wal")).length).toBeGreaterThan(4096);
  writeFileSync(file(), readFileSync(file()).fill(0xee, 2 * 4096));
  const before = hash();
  expect(refusal()).toMatch(/weft\.db is damaged/);
  expect(hash()).toBe(before);
});

it("refuses the database of another program", () => {
  const other = new DatabaseSync(file());
  other.exec("CREATE TABLE customers (name TEXT)");
  other.close();
  const before = hash();
  expect(refusal()).toMatch(/database of another program/);
  expect(hash()).toBe(before);
});

it("refuses a database of a newer version", async () => {
  await withOneRevision();
  const newer = new DatabaseSync(file());
  newer.exec("PRAGMA user_version = 99");
  newer.close();
  expect(refusal()).toMatch(/newer weft-control-plane \(schema 99, this one knows 2\)/);
});

it("refuses a data folder that is a file", () => {
  writeFileSync(join(folder, "taken"), "");
  folder = join(folder, "taken");
  try {
    expect(refusal()).toMatch(/taken cannot be written/);
  } finally {
    folder = join(folder, "..");
  }
});

it("refuses a database that is a folder", () => {
  mkdirSync(file());
  expect(refusal()).toMatch(/weft\.db/);
});

it("starts on an empty file", async () => {
  writeFileSync(file(), "");
  await openSqliteStore(folder, 1).close();
});

it("refuses a lock file that is no lock", () => {
  writeFileSync(join(folder, "weft.lock"), "not a database at all, but long enough to be looked at".repeat(20));
  expect(refusal()).toMatch(/weft\.lock cannot be used .*delete it if no weft-control-plane is running/);
});
