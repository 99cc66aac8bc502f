// Who is alive: workloads, registered by their streams and kept by leases. A broken stream ends nothing; a lease
// that runs out, or a goodbye, does. Not what is written to disk (journal.ts) or sent to anyone (push/).
import type { Workload } from "../../proto/gen/weft/v1/discovery.ts";
import { canonicalJson } from "../../rules/canonical.ts";
import type { Clock, Timer } from "../../runtime/clock.ts";
import { DEPARTED_MAX, STALL_MS, SUPERSEDED_INCARNATIONS_MAX, WORKLOADS_MAX } from "../limits.ts";

/** The stream that stands behind a registration. Compared by identity. */
export interface Connection {
  /** The registration is no longer this stream's: a newer stream has the identity, or nothing was heard for a lease. */
  end(reason: "superseded" | "lease-ended"): void;
}

export interface Registration {
  readonly workload: Workload;
  readonly incarnation: string;
  readonly programVersion: string;
  /** Milliseconds since the epoch. */
  readonly lastHeardAtMs: number;
  readonly leaseRemainingMs: number;
  readonly isConnected: boolean;
}

export type RegisterOutcome =
  | { readonly outcome: "registered"; readonly superseded: boolean }
  /** This process was superseded, and the one that did it is still connected. */
  | { readonly outcome: "superseded" }
  | { readonly outcome: "full" };

/** A change of what others should know. Absent `before`: new; absent `after`: gone. */
export interface RegistryChange {
  readonly before: Workload | undefined;
  readonly after: Workload | undefined;
}

export interface RegistryOptions {
  readonly clock: Clock;
  readonly leaseMs: number;
  readonly lingerMs: number;
}

interface Entry {
  workload: Workload;
  incarnation: string;
  programVersion: string;
  lastHeardAtMs: number;
  /** Monotonic. */
  deadlineMs: number;
  connection: Connection | undefined;
  /** Incarnations that were superseded here, oldest first: they may not take the identity back while it is in use. */
  readonly superseded: string[];
}

export class Registry {
  readonly #clock: Clock;
  readonly #leaseMs: number;
  readonly #lingerMs: number;
  readonly #entries = new Map<string, Entry>();
  /** Service and version of workloads that left -> the last of them and when it is forgotten, oldest first. */
  readonly #departed = new Map<string, { readonly workload: Workload; readonly untilMs: number }>();
  readonly #listeners = new Set<(change: RegistryChange) => void>();
  #timer: Timer | undefined;
  #timerDueMs = Number.POSITIVE_INFINITY;

  constructor({ clock, leaseMs, lingerMs }: RegistryOptions) {
    this.#clock = clock;
    this.#leaseMs = leaseMs;
    this.#lingerMs = lingerMs;
  }

  /** Takes back what was registered before a restart. Each gets a full lease to come back in. */
  restore(workloads: Iterable<{ readonly workload: Workload; readonly programVersion: string }>): void {
    for (const { workload, programVersion } of workloads) this.#add(workload, "", programVersion, undefined);
  }

  /** Registers a workload for a stream. The stream that held the identity before is told that it was superseded. */
  register(workload: Workload, incarnation: string, programVersion: string, connection: Connection): RegisterOutcome {
    const existing = this.#entries.get(workload.id);
    if (existing === undefined) {
      if (this.#entries.size >= WORKLOADS_MAX) return { outcome: "full" };
      this.#add(workload, incarnation, programVersion, connection);
      this.#changed(undefined, workload);
      return { outcome: "registered", superseded: false };
    }
    if (existing.connection !== undefined && existing.superseded.includes(incarnation))
      return { outcome: "superseded" };
    const before = existing.workload;
    const older = existing.connection;
    rememberSuperseded(existing, incarnation);
    Object.assign(existing, { workload, incarnation, programVersion, connection });
    this.#renew(existing);
    older?.end("superseded");
    if (canonicalJson(before) !== canonicalJson(workload)) this.#changed(before, workload);
    return { outcome: "registered", superseded: older !== undefined };
  }

  /** Renews the lease. Ignored from a stream that does not hold the identity. */
  heard(id: string, connection: Connection): void {
    const entry = this.#held(id, connection);
    if (entry !== undefined) this.#renew(entry);
  }

  setReady(id: string, connection: Connection, ready: boolean): void {
    const entry = this.#held(id, connection);
    if (entry === undefined || entry.workload.ready === ready) return;
    const before = entry.workload;
    entry.workload = { ...before, ready };
    this.#changed(before, entry.workload);
  }

  /** The stream broke: the lease goes on. */
  disconnect(id: string, connection: Connection): void {
    const entry = this.#held(id, connection);
    if (entry !== undefined) entry.connection = undefined;
  }

  /** A clean goodbye: gone at once. */
  withdraw(id: string, connection: Connection): void {
    if (this.#held(id, connection) !== undefined) this.#remove(id);
  }

  get(id: string): Registration | undefined {
    const entry = this.#entries.get(id);
    return entry === undefined ? undefined : this.#registrationOf(entry);
  }

  registrations(): Registration[] {
    return [...this.#entries.values()].map((entry) => this.#registrationOf(entry));
  }

  workloads(): Workload[] {
    return Array.from(this.#entries.values(), ({ workload }) => workload);
  }

  /** Workloads, and those that left lately: their services still exist, without endpoints. */
  knownWorkloads(): Workload[] {
    return [...this.workloads(), ...Array.from(this.#departed.values(), ({ workload }) => workload)];
  }

  /** Calls back after every change, until the returned function is called. */
  onChange(listener: (change: RegistryChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#timer?.cancel();
    this.#listeners.clear();
  }

  #add(workload: Workload, incarnation: string, programVersion: string, connection: Connection | undefined): void {
    const entry: Entry = {
      ...{ workload, incarnation, programVersion, connection, superseded: [] },
      ...{ lastHeardAtMs: 0, deadlineMs: 0 },
    };
    this.#entries.set(workload.id, entry);
    this.#renew(entry);
  }

  #held(id: string, connection: Connection): Entry | undefined {
    const entry = this.#entries.get(id);
    return entry?.connection === connection ? entry : undefined;
  }

  #renew(entry: Entry): void {
    entry.lastHeardAtMs = this.#clock.wall();
    entry.deadlineMs = this.#clock.now() + this.#leaseMs;
    if (entry.deadlineMs < this.#timerDueMs) this.#schedule();
  }

  #remove(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#entries.delete(id);
    // Who had no inbound listener was never called, so nobody has to be told that it will be back.
    if (entry.workload.address !== "") this.#depart(entry.workload);
    this.#changed(entry.workload, undefined);
  }

  #depart(workload: Workload): void {
    const name = `${workload.namespace}/${workload.service}/${workload.version}`;
    this.#departed.delete(name);
    this.#departed.set(name, { workload, untilMs: this.#clock.now() + this.#lingerMs });
    const oldest = this.#departed.keys().next().value;
    if (this.#departed.size > DEPARTED_MAX && oldest !== undefined) this.#departed.delete(oldest);
    this.#schedule();
  }

  /** One timer, for whatever ends next. Renewals do not move it: it looks again when it fires. */
  #schedule(): void {
    let dueMs = Number.POSITIVE_INFINITY;
    for (const { deadlineMs } of this.#entries.values()) dueMs = Math.min(dueMs, deadlineMs);
    for (const { untilMs } of this.#departed.values()) dueMs = Math.min(dueMs, untilMs);
    this.#timer?.cancel();
    this.#timerDueMs = dueMs;
    if (Number.isFinite(dueMs))
      this.#timer = this.#clock.after(Math.max(0, dueMs - this.#clock.now()), () => this.#expire());
  }

  #expire(): void {
    const nowMs = this.#clock.now();
    const lateMs = nowMs - this.#timerDueMs;
    // This process stood still (SIGSTOP, a suspended machine): heartbeats that came meanwhile are still unread.
    if (lateMs > STALL_MS) for (const entry of this.#entries.values()) entry.deadlineMs = nowMs + this.#leaseMs;
    const ended = [...this.#entries].filter(([, { deadlineMs }]) => deadlineMs <= nowMs);
    for (const [id, { connection }] of ended) {
      this.#remove(id);
      connection?.end("lease-ended");
    }
    const forgotten = [...this.#departed].filter(([, { untilMs }]) => untilMs <= nowMs);
    for (const [name, { workload }] of forgotten) {
      this.#departed.delete(name);
      this.#changed(workload, undefined);
    }
    this.#schedule();
  }

  #registrationOf(entry: Entry): Registration {
    return {
      workload: entry.workload,
      incarnation: entry.incarnation,
      programVersion: entry.programVersion,
      lastHeardAtMs: entry.lastHeardAtMs,
      leaseRemainingMs: Math.max(0, entry.deadlineMs - this.#clock.now()),
      isConnected: entry.connection !== undefined,
    };
  }

  #changed(before: Workload | undefined, after: Workload | undefined): void {
    for (const listener of this.#listeners) listener({ before, after });
  }
}

function rememberSuperseded(entry: Entry, newIncarnation: string): void {
  if (entry.incarnation === newIncarnation || entry.incarnation === "") return;
  const known = entry.superseded.filter((incarnation) => incarnation !== newIncarnation);
  const kept = [...known, entry.incarnation].slice(-SUPERSEDED_INCARNATIONS_MAX);
  entry.superseded.splice(0, entry.superseded.length, ...kept);
}
