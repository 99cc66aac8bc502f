// Which store a name on the command line stands for.
import { type Store, StoreUnusableError } from "./contract.ts";
import { openSqliteStore } from "./sqlite.ts";

export const STORE_KINDS = ["sqlite", "etcd"] as const;

export type StoreKind = (typeof STORE_KINDS)[number];

export interface StoreSettings {
  readonly kind: StoreKind;
  /** Folder of the embedded store. */
  readonly data: string;
  /** This process, for the message to a second one. */
  readonly pid: number;
}

const OPENERS = {
  sqlite: async (settings) => openSqliteStore(settings.data, settings.pid),
  etcd: () =>
    Promise.reject(new StoreUnusableError("--store etcd is not available in this version; use --store sqlite")),
} as const satisfies Record<StoreKind, (settings: StoreSettings) => Promise<Store>>;

/** @throws StoreUnusableError with what to do about it. */
export function openStore(settings: StoreSettings): Promise<Store> {
  return OPENERS[settings.kind](settings);
}
