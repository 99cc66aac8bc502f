// The connections to one endpoint: bounded, reused last-in first-out (so that surplus ones grow idle and close), and
// a queue of attempts that wait for one. Not the choice of endpoint (balance/) and not messages.
//
// Races, and what is done about them:
// - The endpoint closes an idle connection: its end or close event takes it out of the idle list at once.
// - It closes while a request is on its way: the attempt is told by the close; whether it may try again, without
//   `leaseIdle`, is the conductor's to decide, because only it knows what was sent.
// - A connection is freed while a new one is still connecting: the oldest waiter takes the freed one; the new one,
//   once there, serves the next waiter or becomes idle. A waiter that needs a fresh one is passed over while one is being
//   opened, or else the freed one makes room for it.

import type { HostPort } from "../../runtime/address.ts";
import type { SocketKeeper } from "../../runtime/socket-budget.ts";
import { type ConnectionOwner, type ConnectionUser, UpstreamConnection } from "./connection.ts";
import type { PoolTools } from "./tools.ts";

export interface PoolSettings {
  readonly maxConnections: number;
  readonly maxPendingRequests: number;
  /** 0: no bound. */
  readonly maxRequestsPerConnection: number;
  readonly connectTimeoutMs: number;
  readonly idleTimeoutMs: number;
  /** Of connections that carry many requests; undefined: what suits the endpoint. */
  readonly keepAlive?: { readonly intervalMs: number; readonly timeoutMs: number } | undefined;
}

/** An attempt that waits for a connection. Told exactly one of the two, never from within `enqueue`. */
export interface PoolWaiter extends ConnectionUser {
  /** A connection that has carried a request is of no use to it. */
  readonly needsFresh: boolean;
  onLeased(connection: UpstreamConnection): void;
  /** The connection that was opened for it failed. @param isLocal by no fault of the endpoint */
  onLeaseFailed(error: string, isLocal: boolean): void;
}

/** Less than the idle time that the endpoint announced, for its clock and the wire: by this, or by half of a short one. */
const LEARNT_MARGIN_MS = 1_000;

export class Pool implements ConnectionOwner, SocketKeeper {
  readonly target: HostPort;
  #settings: PoolSettings;
  readonly #tools: PoolTools;
  /** Most recently used last. */
  readonly #idle: UpstreamConnection[] = [];
  readonly #waiters = new Set<PoolWaiter>();
  readonly #all = new Set<UpstreamConnection>();
  #connecting = 0;
  #leased = 0;
  #isDraining = false;

  constructor(target: HostPort, settings: PoolSettings, tools: PoolTools) {
    this.target = target;
    this.#settings = settings;
    this.#tools = tools;
  }

  get idleCount(): number {
    return this.#idle.length;
  }

  get leasedCount(): number {
    return this.#leased;
  }

  get connectingCount(): number {
    return this.#connecting;
  }

  get pendingCount(): number {
    return this.#waiters.size;
  }

  /** New bounds act from the next lease on; nothing is cut. */
  configure(settings: PoolSettings): void {
    this.#settings = settings;
  }

  /** The most recently used idle connection, now leased to `user`, or undefined: then `enqueue`. */
  leaseIdle(user: ConnectionUser): UpstreamConnection | undefined {
    for (let connection = this.#idle.pop(); connection !== undefined; connection = this.#idle.pop()) {
      this.#tools.wheel.cancel(connection.timer);
      if (connection.isUsable) {
        this.#lease(connection, user);
        return connection;
      }
      connection.destroy();
    }
    return undefined;
  }

  /**
   * Waits for a connection: a new one if the bound allows, or the next that is freed.
   * @returns false when as many wait as may: nothing is kept.
   */
  enqueue(waiter: PoolWaiter): boolean {
    const canOpen = this.#makeRoom();
    if (!canOpen && this.#waiters.size - this.#connecting >= this.#settings.maxPendingRequests) return false;
    this.#waiters.add(waiter);
    if (canOpen) this.#open();
    return true;
  }

  /** Gives up waiting; idempotent. A connection that is being opened stays and becomes idle. */
  cancel(waiter: PoolWaiter): void {
    this.#waiters.delete(waiter);
  }

  /** Takes a leased connection back. `isReusable`: both sides are done with the exchange and nothing is left over. */
  release(connection: UpstreamConnection, isReusable: boolean): void {
    if (connection.state !== "leased") return;
    this.#leased--;
    connection.user = undefined;
    connection.state = "idle";
    if (!isReusable || !connection.isUsable || this.#isSpent(connection)) {
      connection.destroy();
      return;
    }
    this.#offer(connection);
  }

  /** Closes idle connections now and the others as they are released; waiters are still served. */
  drain(): void {
    this.#isDraining = true;
    for (const connection of this.#idle.splice(0)) {
      this.#tools.wheel.cancel(connection.timer);
      connection.destroy();
    }
  }

  /** Cuts everything. */
  destroy(): void {
    this.#isDraining = true;
    for (const connection of [...this.#all]) connection.destroy();
  }

  onConnected(connection: UpstreamConnection): void {
    this.#tools.wheel.cancel(connection.timer);
    this.#connecting--;
    connection.state = "idle";
    this.#offer(connection);
  }

  onUnusedClose(connection: UpstreamConnection, wasConnecting: boolean, error: string): void {
    this.#tools.wheel.release(connection.timer);
    this.#remove(connection);
    const index = this.#idle.indexOf(connection);
    if (index >= 0) this.#idle.splice(index, 1);
    if (wasConnecting) {
      this.#connecting--;
      const waiter = this.#takeWaiter();
      waiter?.onLeaseFailed(error === "" ? "closed while connecting" : error, connection.failedLocally);
    }
    this.#openForWaiters();
  }

  onUsedClose(connection: UpstreamConnection): void {
    this.#tools.wheel.release(connection.timer);
    this.#remove(connection);
    this.#leased--;
    this.#openForWaiters();
  }

  /** The idlest connection: for one that this pool needs, or another. */
  closeUnused(): boolean {
    const oldest = this.#idle.shift();
    if (oldest === undefined) return false;
    this.#tools.wheel.cancel(oldest.timer);
    this.#remove(oldest);
    oldest.destroy();
    return true;
  }

  /** True when a connection may be opened; the idlest one is closed for it if need be. */
  #makeRoom(): boolean {
    return this.#all.size < this.#settings.maxConnections || this.closeUnused();
  }

  #remove(connection: UpstreamConnection): void {
    this.#all.delete(connection);
    if (this.#all.size === 0) this.#tools.sockets.forget(this);
  }

  #open(): void {
    const connection = new UpstreamConnection(this, this.target, this.#tools);
    this.#connecting++;
    this.#all.add(connection);
    this.#tools.sockets.keep(this);
    this.#tools.wheel.arm(connection.timer, this.#settings.connectTimeoutMs);
  }

  /** After a connection went away: those who wait for more than is being opened get new ones. */
  #openForWaiters(): void {
    while (this.#waiters.size > this.#connecting && this.#all.size < this.#settings.maxConnections) this.#open();
  }

  /** A connection without a user: to the oldest waiter that can use it, else idle. */
  #offer(connection: UpstreamConnection): void {
    const waiter = this.#takeWaiter(connection.requests > 0);
    if (waiter !== undefined) {
      this.#lease(connection, waiter);
      waiter.onLeased(connection);
      return;
    }
    if (this.#waiters.size > this.#connecting) {
      this.#remove(connection);
      connection.destroy();
      this.#openForWaiters();
      return;
    }
    if (this.#isDraining) {
      connection.destroy();
      return;
    }
    this.#idle.push(connection);
    const { wheel } = this.#tools;
    const idleMs = Math.min(this.#settings.idleTimeoutMs, connection.learntIdleMs);
    wheel.arm(connection.timer, idleMs);
  }

  /** The oldest one. @param isUsed for a connection that has carried requests: nobody is passed over unless another comes */
  #takeWaiter(isUsed = false): PoolWaiter | undefined {
    if (this.#waiters.size === 0) return undefined;
    for (const waiter of this.#waiters) {
      if (isUsed && waiter.needsFresh) {
        if (this.#connecting > 0) continue;
        return undefined;
      }
      this.#waiters.delete(waiter);
      return waiter;
    }
    return undefined;
  }

  #lease(connection: UpstreamConnection, user: ConnectionUser): void {
    this.#leased++;
    connection.state = "leased";
    connection.user = user;
    connection.requests++;
  }

  #isSpent(connection: UpstreamConnection): boolean {
    const max = this.#settings.maxRequestsPerConnection;
    return max > 0 && connection.requests >= max;
  }
}

/** Remembers `Keep-Alive: timeout=N` of an answer. */
export function learnIdleTime(connection: UpstreamConnection, seconds: number): void {
  if (seconds < 0) return;
  const announcedMs = seconds * 1_000;
  connection.learntIdleMs = Math.max(announcedMs - LEARNT_MARGIN_MS, announcedMs / 2);
}
