// All of a piece of work in the database, or nothing of it.
import type { DatabaseSync } from "node:sqlite";

export function inTransaction(database: DatabaseSync, work: () => void): void {
  database.exec("BEGIN IMMEDIATE");
  try {
    work();
    database.exec("COMMIT");
  } catch (error) {
    // A failed COMMIT (disk full) may or may not have ended the transaction.
    if (database.isTransaction) database.exec("ROLLBACK");
    throw error;
  }
}
