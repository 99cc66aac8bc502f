// A store that remembers how its last write ended: a disk that is full fails every change while all that is read, and so
// everything else about a control plane, looks well. Whatever store it is; not what becomes of a write that failed.
import type { Clock } from "../../runtime/clock.ts";
import { RevisionConflictError, type Store } from "./contract.ts";

/** Of the newest write, while no later one was made. */
export interface WriteFailure {
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  readonly message: string;
}

export interface WatchedStore {
  readonly store: Store;
  readonly lastWriteFailure: () => WriteFailure | undefined;
}

/** @param onFailure is told of every write that failed */
export function watchWrites(store: Store, clock: Clock, onFailure: () => void): WatchedStore {
  const { rules, leases, rollouts } = store;
  let failure: WriteFailure | undefined;
  const watched = async <Result>(write: Promise<Result>): Promise<Result> => {
    try {
      const result = await write;
      failure = undefined;
      return result;
    } catch (error) {
      // What somebody else was faster than is no fault of the store.
      if (error instanceof RevisionConflictError) throw error;
      failure = { atMs: clock.wall(), message: error instanceof Error ? error.message : String(error) };
      onFailure();
      throw error;
    }
  };
  return {
    store: {
      rules: {
        read: (revision) => rules.read(revision),
        commit: (revision) => watched(rules.commit(revision)),
        history: (query) => rules.history(query),
      },
      leases: {
        read: () => leases.read(),
        write: (put, removed) => watched(leases.write(put, removed)),
      },
      rollouts: {
        read: () => rollouts.read(),
        write: (change) => watched(rollouts.write(change)),
        notices: () => rollouts.notices(),
        dropNotice: (notice) => watched(rollouts.dropNotice(notice)),
        events: (prefix, limit) => rollouts.events(prefix, limit),
      },
      close: () => store.close(),
    },
    lastWriteFailure: () => failure,
  };
}
