// The pool of connections that carry many requests: who waits, for which connection, and who is told what.
import { expect, test } from "vitest";
import { SocketBudget } from "../../runtime/socket-budget.ts";
import type { PoolSettings } from "./pool.ts";
import {
  type ConnectStreams,
  type StreamConnection,
  type StreamConnectionOwner,
  StreamPool,
  type StreamWaiter,
} from "./stream-pool.ts";

const SETTINGS: PoolSettings = {
  maxConnections: 2,
  maxPendingRequests: 2,
  maxRequestsPerConnection: 0,
  connectTimeoutMs: 1_000,
  idleTimeoutMs: 1_000,
};

/** A connection that does what the test says. */
class Line implements StreamConnection {
  canOpen = false;
  openStreams = 0;
  requests = 0;
  failedLocally = false;
  isDrained = false;
  readonly owner: StreamConnectionOwner;

  constructor(owner: StreamConnectionOwner) {
    this.owner = owner;
  }

  stands(): void {
    this.canOpen = true;
    this.owner.onReady(this);
  }

  drain(): void {
    this.isDrained = true;
    this.canOpen = false;
  }

  destroy(): void {
    this.canOpen = false;
    this.owner.onGone(this, false, "");
  }
}

class Waiter implements StreamWaiter {
  line: StreamConnection | undefined = undefined;
  error: string | undefined = undefined;

  onStreamLeased(connection: StreamConnection): void {
    this.line = connection;
    (connection as Line).openStreams++;
  }

  onLeaseFailed(error: string): void {
    this.error = error;
  }
}

function poolOf(
  settings: Partial<PoolSettings> = {},
  sockets = new SocketBudget(1_000),
): { pool: StreamPool; lines: Line[] } {
  const lines: Line[] = [];
  const connect: ConnectStreams = (_target, _settings, owner) => {
    const line = new Line(owner);
    lines.push(line);
    return line;
  };
  const pool = new StreamPool({ host: "h", port: 1 }, { ...SETTINGS, ...settings }, { connect, sockets }, false);
  return { pool, lines };
}

function waiting(pool: StreamPool): Waiter {
  const waiter = new Waiter();
  expect(pool.lease()).toBeUndefined();
  expect(pool.enqueue(waiter)).toBe(true);
  return waiter;
}

test("one connection serves all who wait while it is made, and those who come later", () => {
  const { pool, lines } = poolOf();
  const waiters = [waiting(pool), waiting(pool)];
  expect([lines.length, pool.connectingCount, pool.pendingCount]).toEqual([1, 1, 2]);
  lines[0]?.stands();
  expect(waiters.map(({ line }) => line)).toEqual([lines[0], lines[0]]);
  expect(pool.lease()).toBe(lines[0]);
  expect([pool.activeCount, pool.idleCount, pool.connectingCount]).toEqual([1, 0, 0]);
});

test("another connection is made when there is no room, up to the bound; then requests wait for room", () => {
  const { pool, lines } = poolOf();
  waiting(pool);
  lines[0]?.stands();
  (lines[0] as Line).canOpen = false;
  waiting(pool);
  expect(lines).toHaveLength(2);
  lines[1]?.stands();
  (lines[1] as Line).canOpen = false;
  const late = waiting(pool);
  waiting(pool);
  expect(lines).toHaveLength(2);
  expect(pool.enqueue(new Waiter())).toBe(false);
  (lines[0] as Line).canOpen = true;
  lines[0]?.owner.onRoom(lines[0]);
  expect(late.line).toBe(lines[0]);
});

test("a connection that cannot be made fails those who waited for it; the next one who comes tries again", () => {
  const { pool, lines } = poolOf();
  const waiter = waiting(pool);
  lines[0]?.owner.onGone(lines[0], true, "connect ECONNREFUSED");
  expect(waiter.error).toBe("connect ECONNREFUSED");
  expect(pool.pendingCount).toBe(0);
  waiting(pool);
  expect(lines).toHaveLength(2);
});

test("a connection that drains takes no more, and one takes its place for who waits", () => {
  const { pool, lines } = poolOf();
  waiting(pool);
  lines[0]?.stands();
  (lines[0] as Line).canOpen = false;
  lines[0]?.owner.onDraining(lines[0]);
  const waiter = waiting(pool);
  lines[1]?.stands();
  expect(waiter.line).toBe(lines[1]);
});

test("a connection that has served as many requests as it may is drained", () => {
  const { pool, lines } = poolOf({ maxRequestsPerConnection: 2 });
  waiting(pool);
  lines[0]?.stands();
  const line = lines[0] as Line;
  line.requests = 1;
  pool.noteRequest(line);
  expect(line.isDrained).toBe(false);
  line.requests = 2;
  pool.noteRequest(line);
  expect([line.isDrained, pool.lease()]).toEqual([true, undefined]);
});

test("a connection is drained before the ids of its streams are used up, where nothing else bounds it", () => {
  const { pool, lines } = poolOf();
  waiting(pool);
  const line = lines[0] as Line;
  line.stands();
  line.requests = 2 ** 29 - 1;
  pool.noteRequest(line);
  expect(line.isDrained).toBe(false);
  line.requests = 2 ** 29;
  pool.noteRequest(line);
  expect(line.isDrained).toBe(true);
  const next = waiting(pool);
  lines[1]?.stands();
  expect(next.line).toBe(lines[1]);
});

test("draining the pool drains its connections, also the one that is still being made, once it has served who waits", () => {
  const { pool, lines } = poolOf();
  const waiter = waiting(pool);
  pool.drain();
  lines[0]?.stands();
  expect(waiter.line).toBe(lines[0]);
  expect(lines[0]?.isDrained).toBe(true);
});

test("who gives up waiting is not served", () => {
  const { pool, lines } = poolOf();
  const waiter = waiting(pool);
  pool.cancel(waiter);
  lines[0]?.stands();
  expect(waiter.line).toBeUndefined();
});

test("a connection that cannot be made beside one that stands: no other is tried at once, and who waits gets room", () => {
  const { pool, lines } = poolOf();
  waiting(pool);
  lines[0]?.stands();
  (lines[0] as Line).canOpen = false;
  const waiter = waiting(pool);
  expect(lines).toHaveLength(2);
  lines[1]?.owner.onGone(lines[1], true, "connect ECONNREFUSED");
  expect(lines).toHaveLength(2);
  expect(waiter.error).toBeUndefined();
  (lines[0] as Line).canOpen = true;
  lines[0]?.owner.onRoom(lines[0]);
  expect(waiter.line).toBe(lines[0]);
});

test("a connection on which nothing may begin is not joined by another; it gets room, or fails who waits", () => {
  const { pool, lines } = poolOf();
  const first = waiting(pool);
  const line = lines[0] as Line;
  line.owner.onReady(line);
  const second = waiting(pool);
  expect([lines.length, first.line, pool.pendingCount]).toEqual([1, undefined, 2]);
  line.canOpen = true;
  line.owner.onRoom(line);
  expect([first.line, second.line]).toEqual([line, line]);
  line.canOpen = false;
  line.openStreams = 0;
  const late = waiting(pool);
  line.owner.onShut(line, "nothing is allowed");
  expect([late.error, pool.pendingCount, lines.length]).toEqual(["nothing is allowed", 0, 1]);
  waiting(pool);
  expect(lines).toHaveLength(2);
});

test("where all connections only finish what they have, one more is made, whatever the bound", () => {
  const { pool, lines } = poolOf({ maxConnections: 1 });
  waiting(pool);
  lines[0]?.stands();
  (lines[0] as Line).canOpen = false;
  lines[0]?.owner.onDraining(lines[0]);
  const waiters = [waiting(pool), waiting(pool)];
  expect(lines).toHaveLength(2);
  lines[1]?.stands();
  expect(waiters.map(({ line }) => line)).toEqual([lines[1], lines[1]]);
  (lines[1] as Line).canOpen = false;
  waiting(pool);
  expect(lines).toHaveLength(2);
});

test("a connection without requests is cut where somebody else needs its socket, one with a request is not", () => {
  const sockets = new SocketBudget(0);
  const { pool, lines } = poolOf({}, sockets);
  sockets.clients = sockets.socketsMax;
  expect(sockets.makeRoom()).toBe(false);
  const waiter = waiting(pool);
  expect(sockets.makeRoom()).toBe(false);
  lines[0]!.stands();
  expect(waiter.line).toBe(lines[0]);
  expect(sockets.makeRoom()).toBe(false);
  lines[0]!.openStreams = 0;
  expect(sockets.makeRoom()).toBe(true);
  expect([pool.lease(), pool.idleCount, lines[0]!.canOpen]).toEqual([undefined, 0, false]);
  expect(sockets.makeRoom()).toBe(false);
});
