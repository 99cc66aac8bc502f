// What is remembered of writes that failed. That everything passes through is store.test.ts.
import { expect, it } from "vitest";
import { ManualClock } from "../../runtime/manual-clock.ts";
import { type NewRevision, RevisionConflictError, type RolloutNoticeRecord, type Store } from "./contract.ts";
import { watchWrites } from "./watched.ts";

const REVISION: NewRevision = { base: 0, atMs: 0, author: "", message: "", cause: "apply", changes: [] };

/** A store whose writes and reads end as `outcome` does. */
function watch(outcome: () => Promise<never> | Promise<unknown>) {
  const method = () => outcome() as Promise<never>;
  const inner: Store = {
    rules: { read: method, commit: method, history: method },
    leases: { read: method, write: method },
    rollouts: { read: method, write: method, notices: method, dropNotice: method, events: method },
    close: async () => {},
  };
  const clock = new ManualClock();
  let failures = 0;
  const { store, lastWriteFailure } = watchWrites(inner, clock, () => failures++);
  return { store, clock, lastWriteFailure, failures: () => failures };
}

const WRITES: [string, (store: Store) => Promise<unknown>][] = [
  ["of rules", ({ rules }) => rules.commit(REVISION)],
  ["of leases", ({ leases }) => leases.write([], [])],
  ["of a release", ({ rollouts }) => rollouts.write({ key: "", body: "", events: [], notify: [] })],
  ["of a notice that was told", ({ rollouts }) => rollouts.dropNotice({} as RolloutNoticeRecord)],
];

it.each(WRITES)("a write %s that failed is known until one succeeds, and counted", async (_what, write) => {
  let outcome = (): Promise<unknown> => Promise.reject(new Error("disk full"));
  const { store, clock, lastWriteFailure, failures } = watch(() => outcome());
  expect(lastWriteFailure()).toBeUndefined();
  await expect(write(store)).rejects.toThrow("disk full");
  await expect(write(store)).rejects.toThrow("disk full");
  expect(lastWriteFailure()).toEqual({ atMs: clock.wall(), message: "disk full" });
  outcome = async () => [];
  await store.rules.read();
  expect(lastWriteFailure()).toBeDefined();
  await write(store);
  expect([lastWriteFailure(), failures()]).toEqual([undefined, 2]);
});

it("who builds on an older revision, and a read that fails, say nothing of the disk", async () => {
  const { store, lastWriteFailure, failures } = watch(() => Promise.reject(new RevisionConflictError("built on 3")));
  await expect(store.rules.commit(REVISION)).rejects.toThrow(RevisionConflictError);
  await expect(store.rules.read()).rejects.toThrow();
  expect([lastWriteFailure(), failures()]).toEqual([undefined, 0]);
});
