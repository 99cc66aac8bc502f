// The connections to one endpoint that carry many requests at a time (HTTP/2): few and long-lived, another one only when
// the streams of those there are run out. Bounded, with a queue of attempts that wait for a stream. Knows no protocol:
// connections are made by `connect`.
import type { HostPort } from "../../runtime/address.ts";
import type { SocketBudget, SocketKeeper } from "../../runtime/socket-budget.ts";
import type { PoolSettings } from "./pool.ts";

/**
 * On one connection, where nobody wants fewer: half of the ids that HTTP/2 has for a client's streams (RFC 9113 section
 * 5.1.1), as in Envoy. One without any left could do nothing but wait for the end of its idle time.
 */
const REQUESTS_MAX = 2 ** 29;

/** One connection with room for several requests. */
export interface StreamConnection {
  /** It stands, and one more request may be sent on it. */
  readonly canOpen: boolean;
  /** Requests under way. */
  readonly openStreams: number;
  /** Requests that were sent on it. */
  readonly requests: number;
  /** What ended it is no fault of the endpoint. */
  readonly failedLocally: boolean;
  /** Takes no new requests and closes when those under way are done. */
  drain(): void;
  /** Cuts it; the owner is told by `onGone`. */
  destroy(): void;
}

/** What a connection tells its pool. */
export interface StreamConnectionOwner {
  /** It stands. */
  onReady(connection: StreamConnection): void;
  /** A request on it has ended, or the endpoint allows more of them. */
  onRoom(connection: StreamConnection): void;
  /** It takes no more requests; those under way go on. */
  onDraining(connection: StreamConnection): void;
  /** It stands, but the endpoint allows no request on it, and that has not changed in the time to connect. */
  onShut(connection: StreamConnection, error: string): void;
  /** It is closed. @param wasConnecting it never stood */
  onGone(connection: StreamConnection, wasConnecting: boolean, error: string): void;
}

/** Begins to connect. Tells its owner nothing before it has returned. @param isMesh the endpoint is a sidecar */
export type ConnectStreams = (
  target: HostPort,
  settings: PoolSettings,
  owner: StreamConnectionOwner,
  isMesh: boolean,
) => StreamConnection;

/** What the pool is built with. */
export interface StreamTools {
  readonly connect: ConnectStreams;
  readonly sockets: SocketBudget;
}

/** An attempt that waits for a stream. Told exactly one of the two, never from within `enqueue`. */
export interface StreamWaiter {
  onStreamLeased(connection: StreamConnection): void;
  /** @param isLocal by no fault of the endpoint */
  onLeaseFailed(error: string, isLocal: boolean): void;
}

export class StreamPool implements StreamConnectionOwner, SocketKeeper {
  readonly target: HostPort;
  #settings: PoolSettings;
  readonly #tools: StreamTools;
  readonly #isMesh: boolean;
  /** Those that stand and take requests. */
  readonly #open: StreamConnection[] = [];
  readonly #waiters = new Set<StreamWaiter>();
  readonly #all = new Set<StreamConnection>();
  #connecting = 0;
  #isDraining = false;

  /** @param isMesh the endpoint is a sidecar */
  constructor(target: HostPort, settings: PoolSettings, tools: StreamTools, isMesh: boolean) {
    this.target = target;
    this.#settings = settings;
    this.#tools = tools;
    this.#isMesh = isMesh;
  }

  /** Connections that stand and carry no request. */
  get idleCount(): number {
    return this.#all.size - this.#connecting - this.activeCount;
  }

  /** Connections that carry requests. */
  get activeCount(): number {
    let count = 0;
    for (const connection of this.#all) if (connection.openStreams > 0) count++;
    return count;
  }

  get connectingCount(): number {
    return this.#connecting;
  }

  get pendingCount(): number {
    return this.#waiters.size;
  }

  configure(settings: PoolSettings): void {
    this.#settings = settings;
  }

  /** A connection with room for a request; undefined: then `enqueue`. */
  lease(): StreamConnection | undefined {
    for (const connection of this.#open) if (connection.canOpen) return connection;
    return undefined;
  }

  /**
   * Waits for a stream: on a new connection if the bound allows, or on one that gets room.
   * @returns false when as many wait as may: nothing is kept.
   */
  enqueue(waiter: StreamWaiter): boolean {
    if (this.#mayConnect) this.#begin();
    else if (this.#waiters.size >= this.#settings.maxPendingRequests) return false;
    this.#waiters.add(waiter);
    return true;
  }

  /** Gives up waiting; idempotent. */
  cancel(waiter: StreamWaiter): void {
    this.#waiters.delete(waiter);
  }

  /** A request was sent on it: one that has served as many as it may takes no more. */
  noteRequest(connection: StreamConnection): void {
    const max = Math.min(this.#settings.maxRequestsPerConnection || REQUESTS_MAX, REQUESTS_MAX);
    if (connection.requests < max) return;
    this.#forget(connection);
    connection.drain();
  }

  /** Takes no more requests; those under way are finished, and those that wait are served: on a connection of their own. */
  drain(): void {
    this.#isDraining = true;
    this.#drainOpen();
    this.#connectForWaiters();
  }

  #drainOpen(): void {
    for (const connection of this.#open.splice(0)) connection.drain();
  }

  /** One without a request, cut: with a GOAWAY it would keep its descriptor until the endpoint has answered. */
  closeUnused(): boolean {
    const unused = this.#open.find(({ openStreams }) => openStreams === 0);
    if (unused === undefined) return false;
    this.#forget(unused);
    unused.destroy();
    return true;
  }

  onReady(connection: StreamConnection): void {
    this.#connecting--;
    this.#open.push(connection);
    this.#serve(connection);
    if (this.#isDraining) this.#drainOpen();
  }

  onRoom(connection: StreamConnection): void {
    if (this.#waiters.size > 0 && this.#open.includes(connection)) this.#serve(connection);
  }

  onDraining(connection: StreamConnection): void {
    this.#forget(connection);
    this.#connectForWaiters();
  }

  onShut(connection: StreamConnection, error: string): void {
    this.#forget(connection);
    if (this.#open.length === 0 && this.#connecting === 0) this.#failWaiters(error, false);
    else this.#connectForWaiters();
  }

  onGone(connection: StreamConnection, wasConnecting: boolean, error: string): void {
    this.#all.delete(connection);
    if (this.#all.size === 0) this.#tools.sockets.forget(this);
    this.#forget(connection);
    if (wasConnecting) {
      this.#connecting--;
      // All of them waited for this one; where others stand they may get room there.
      if (this.#open.length === 0 && this.#connecting === 0)
        this.#failWaiters(error === "" ? "closed while connecting" : error, connection.failedLocally);
      // Another one at once would fail as this one did: what stands is waited for.
      else return;
    }
    this.#connectForWaiters();
  }

  #failWaiters(error: string, isLocal: boolean): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of waiters) waiter.onLeaseFailed(error, isLocal);
  }

  #serve(connection: StreamConnection): void {
    for (const waiter of this.#waiters) {
      if (!connection.canOpen) break;
      this.#waiters.delete(waiter);
      waiter.onStreamLeased(connection);
    }
    this.#connectForWaiters();
  }

  #connectForWaiters(): void {
    if (this.#waiters.size > 0 && this.#mayConnect) this.#begin();
  }

  /**
   * One connection that is being made will have room for many: it is enough until it stands. Where those there are only
   * finish what they have, one more is made past the bound, or a long call on one of them would hold up all others.
   */
  get #mayConnect(): boolean {
    if (this.#connecting > 0 || this.#isShut) return false;
    return this.#open.length === 0 || this.#all.size < this.#settings.maxConnections;
  }

  /** A connection stands on which the endpoint allows nothing: it would on another one neither. */
  get #isShut(): boolean {
    for (const connection of this.#open) if (!connection.canOpen && connection.openStreams === 0) return true;
    return false;
  }

  #begin(): void {
    this.#connecting++;
    this.#all.add(this.#tools.connect(this.target, this.#settings, this, this.#isMesh));
    this.#tools.sockets.keep(this);
  }

  #forget(connection: StreamConnection): void {
    const index = this.#open.indexOf(connection);
    if (index >= 0) this.#open.splice(index, 1);
  }
}
