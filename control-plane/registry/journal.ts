// Keeps the registry's workloads on disk, so that a restarted control plane still knows every endpoint that anybody was
// told of. Whoever tells others calls flush() first; what nobody is told of is written soon. Heartbeats are not written.
import type { Workload } from "../../proto/gen/weft/v1/discovery.ts";
import type { Clock, Timer } from "../../runtime/clock.ts";
import type { Log } from "../../runtime/log.ts";
import { REGISTRY_RETRY_MS, REGISTRY_WRITE_DELAY_MS } from "../limits.ts";
import type { LeaseStore, WorkloadRecord } from "../store/contract.ts";
import type { Registry } from "./registry.ts";

interface RememberedWorkload {
  readonly workload: Workload;
  readonly programVersion: string;
}

export class RegistryJournal {
  readonly #registry: Registry;
  readonly #leases: LeaseStore;
  readonly #clock: Clock;
  readonly #log: Log;
  /** Ids whose record on disk is out of date. */
  #dirty = new Set<string>();
  #timer: Timer | undefined;
  #writing: Promise<void> | undefined;

  /** Restores the registry from the store, then follows its changes. */
  static async open(registry: Registry, leases: LeaseStore, clock: Clock, log: Log): Promise<RegistryJournal> {
    const records = await leases.read();
    registry.restore(records.map((record) => JSON.parse(record.body) as RememberedWorkload));
    return new RegistryJournal(registry, leases, clock, log);
  }

  private constructor(registry: Registry, leases: LeaseStore, clock: Clock, log: Log) {
    this.#registry = registry;
    this.#leases = leases;
    this.#clock = clock;
    this.#log = log;
    registry.onChange(({ before, after }) => this.#mark((after ?? before)?.id));
  }

  /** Writes what is not written yet; on a store that is a local file it is written when the call returns. */
  flush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#writing !== undefined) return this.#writing.then(() => this.flush());
    if (this.#dirty.size === 0) return Promise.resolve();
    this.#writing = this.#write().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  /** As flush; what cannot be written is given up. */
  async close(): Promise<void> {
    await this.flush();
    this.#timer?.cancel();
  }

  #mark(id: string | undefined): void {
    if (id === undefined) return;
    this.#dirty.add(id);
    this.#writeIn(REGISTRY_WRITE_DELAY_MS);
  }

  #writeIn(delayMs: number): void {
    this.#timer ??= this.#clock.after(delayMs, () => void this.flush());
  }

  async #write(): Promise<void> {
    const ids = this.#dirty;
    this.#dirty = new Set();
    const put: WorkloadRecord[] = [];
    const removed: string[] = [];
    for (const id of ids) {
      const registration = this.#registry.get(id);
      if (registration === undefined) removed.push(id);
      else put.push({ id, body: bodyOf(registration) });
    }
    try {
      await this.#leases.write(put, removed);
    } catch (error) {
      // Kept for the next try: a full disk must not end the registry.
      for (const id of ids) this.#dirty.add(id);
      this.#writeIn(REGISTRY_RETRY_MS);
      this.#log.error({ err: error }, "registered workloads could not be written to the store");
    }
  }
}

function bodyOf({ workload, programVersion }: RememberedWorkload): string {
  return JSON.stringify({ workload, programVersion } satisfies RememberedWorkload);
}
