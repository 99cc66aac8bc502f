// The contract suite of the store: every implementation runs it. What only SQLite can show is in sqlite.test.ts.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { DocumentKey } from "../../rules/diagnostic.ts";
import { ManualClock } from "../../runtime/manual-clock.ts";
import type { DocumentChange, NewRevision, Store } from "./contract.ts";
import { openSqliteStore } from "./sqlite.ts";
import { watchWrites } from "./watched.ts";

const implementations = {
  sqlite: (folder: string) => openSqliteStore(folder, 1),
  watched: (folder: string) => watchWrites(openSqliteStore(folder, 1), new ManualClock(), () => {}).store,
};

const route = (name: string): DocumentKey => ({ kind: "HTTPRoute", namespace: "default", name });

function change(operation: DocumentChange["operation"], name: string, body?: string): DocumentChange {
  return { operation, key: route(name), body, createdAtMs: 10 };
}

function revision(base: number, ...changes: DocumentChange[]): NewRevision {
  return { base, atMs: 1000 + base, author: "ann", message: `on ${base}`, cause: "apply", changes };
}

for (const [name, open] of Object.entries(implementations)) {
  describe(`${name} store`, () => {
    let folder = "";
    let store: Store;

    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), "weft-store-"));
      store = open(folder);
    });
    afterEach(async () => {
      await store.close();
      rmSync(folder, { recursive: true });
    });

    it("keeps releases, what happened to them, and whom it has not told", async () => {
      const event = { key: "default/orders", atMs: 5, type: "started", message: "begun", author: "ann" };
      const urls = ["http://a.example/", "http://b.example/"];
      const release = { key: "default/orders", body: "{}", events: [event], notify: urls };
      const [first] = await store.rollouts.write(release);
      const [second] = await store.rollouts.write({ ...release, body: '{"step":1}', notify: urls.slice(0, 1) });
      expect(await store.rollouts.read()).toEqual([{ key: "default/orders", body: '{"step":1}' }]);
      expect(await store.rollouts.events("default/", 1)).toEqual([second]);
      expect(second!.sequence).toBeGreaterThan(first!.sequence);
      await store.rollouts.dropNotice({ url: urls[0]!, event: first! });
      expect(await store.rollouts.notices()).toEqual([
        { url: urls[1], event: first },
        { url: urls[0], event: second },
      ]);
      await store.rollouts.write({ ...release, body: undefined, events: [], notify: [] });
      expect(await store.rollouts.read()).toEqual([]);
      expect(await store.rollouts.events("default/orders", 10)).toHaveLength(2);
    });

    it("starts empty at revision 0", async () => {
      expect(await store.rules.read()).toEqual({ revision: 0, documents: [] });
      expect(await store.rules.history({ limit: 10, before: undefined, key: undefined })).toEqual([]);
    });

    it("gives the documents of now and of any revision before", async () => {
      await store.rules.commit(revision(0, change("create", "a", "a1"), change("create", "b", "b1")));
      await store.rules.commit(revision(1, change("update", "a", "a2"), change("delete", "b")));
      await store.rules.commit(revision(2, change("create", "b", "b3")));
      const bodies = async (at?: number) => (await store.rules.read(at)).documents.map(({ body }) => body);
      expect(await bodies()).toEqual(["a2", "b3"]);
      expect(await bodies(2)).toEqual(["a2"]);
      expect(await bodies(1)).toEqual(["a1", "b1"]);
      expect(await bodies(0)).toEqual([]);
      expect((await store.rules.read(2)).documents).toEqual([
        { key: route("a"), body: "a2", revision: 2, createdAtMs: 10, updatedAtMs: 1001 },
      ]);
    });

    it("refuses a revision that is still to come", async () => {
      await expect(store.rules.read(1)).rejects.toThrow("there is no revision 1; the newest is 0");
    });

    it("refuses a commit that builds on an old revision and keeps nothing of it", async () => {
      await store.rules.commit(revision(0, change("create", "a", "a1")));
      await expect(store.rules.commit(revision(0, change("create", "b", "b1")))).rejects.toThrow(/newest is 1/);
      expect((await store.rules.read()).documents.map(({ key }) => key.name)).toEqual(["a"]);
    });

    it("keeps nothing of a commit of which one change cannot be written", async () => {
      const twice = revision(0, change("create", "a", "a1"), change("create", "a", "a2"));
      await expect(store.rules.commit(twice)).rejects.toThrow();
      expect(await store.rules.read()).toEqual({ revision: 0, documents: [] });
      expect(await store.rules.commit(revision(0, change("create", "a", "a1")))).toBe(1);
    });

    it("tells who changed what, when and why, newest first and in pages", async () => {
      await store.rules.commit(revision(0, change("create", "a", "a1")));
      await store.rules.commit(revision(1, change("create", "b", "b1")));
      await store.rules.commit(revision(2, change("update", "a", "a2")));
      const numbers = async (limit: number, before?: number, key?: DocumentKey) =>
        (await store.rules.history({ limit, before, key })).map((entry) => entry.revision);
      expect(await numbers(2)).toEqual([3, 2]);
      expect(await numbers(2, 2)).toEqual([1]);
      expect(await numbers(10, undefined, route("a"))).toEqual([3, 1]);
      expect((await store.rules.history({ limit: 1, before: 2, key: undefined }))[0]).toEqual({
        revision: 1,
        atMs: 1000,
        author: "ann",
        message: "on 0",
        cause: "apply",
        changes: [{ operation: "create", key: route("a") }],
      });
    });

    it("remembers workloads, replaces and forgets them", async () => {
      await store.leases.write(
        [
          { id: "w1", body: "1" },
          { id: "w2", body: "2" },
        ],
        [],
      );
      await store.leases.write([{ id: "w1", body: "1b" }], ["w2", "never-there"]);
      expect(await store.leases.read()).toEqual([{ id: "w1", body: "1b" }]);
    });

    it("has everything again after it was closed and opened", async () => {
      await store.rules.commit(revision(0, change("create", "a", "a1")));
      await store.leases.write([{ id: "w1", body: "1" }], []);
      await store.close();
      store = open(folder);
      expect((await store.rules.read()).documents.map(({ body }) => body)).toEqual(["a1"]);
      expect(await store.leases.read()).toEqual([{ id: "w1", body: "1" }]);
    });
  });
}
