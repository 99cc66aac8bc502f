// The pool against real servers: reuse, bounds, races.
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { systemClock } from "../../runtime/clock.ts";
import { latin1 } from "../../runtime/latin1.ts";
import { SocketBudget } from "../../runtime/socket-budget.ts";
import { connectFromOwnPort, deadPort } from "../../runtime/testing/own-port.ts";
import { TimerWheel } from "../../runtime/timer-wheel.ts";
import { Turn } from "../../runtime/turn.ts";
import type { UpstreamConnection } from "./connection.ts";
import { learnIdleTime, Pool, type PoolSettings, type PoolWaiter } from "./pool.ts";
import type { PoolTools } from "./tools.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

const SETTINGS: PoolSettings = {
  maxConnections: 10,
  maxPendingRequests: 10,
  maxRequestsPerConnection: 0,
  connectTimeoutMs: 1_000,
  idleTimeoutMs: 4_000,
};

async function listen(onConnection: (socket: Socket) => void = () => {}) {
  const sockets: Socket[] = [];
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    onConnection(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { server, sockets, port: (server.address() as AddressInfo).port };
}

function tools(sockets = new SocketBudget(Number.POSITIVE_INFINITY)): PoolTools {
  const turn = new Turn(setImmediate);
  const wheel = new TimerWheel(systemClock);
  return {
    clock: systemClock,
    wheel,
    sockets,
    socketMode: "shared",
    writeBufferBytes: 65_536,
    flushes: turn.flushes,
    answers: turn.reads(),
  };
}

function poolTo(port: number, settings: Partial<PoolSettings> = {}): Pool {
  const pool = new Pool({ host: "127.0.0.1", port }, { ...SETTINGS, ...settings }, tools());
  cleanups.push(() => pool.destroy());
  return pool;
}

/** A waiter that turns the pool's calls into promises. */
class Waiter implements PoolWaiter {
  text = "";
  readonly leased: Promise<UpstreamConnection>;
  readonly closed: Promise<string>;
  ended = false;
  isSettled = false;
  #lease: (connection: UpstreamConnection) => void = () => {};
  #fail: (error: Error) => void = () => {};
  #close: (error: string) => void = () => {};

  readonly needsFresh: boolean;

  constructor(needsFresh = false) {
    this.needsFresh = needsFresh;
    this.leased = new Promise((resolve, reject) => {
      this.#lease = resolve;
      this.#fail = reject;
    });
    this.leased.catch(() => {});
    this.closed = new Promise((resolve) => {
      this.#close = resolve;
    });
  }

  onLeased(connection: UpstreamConnection): void {
    this.isSettled = true;
    this.#lease(connection);
  }
  onLeaseFailed(error: string, isLocal: boolean): void {
    this.isSettled = true;
    this.#fail(new Error(isLocal ? `local: ${error}` : error));
  }
  onUpstreamBytes(bytes: Buffer, start: number, end: number): void {
    this.text += latin1(bytes, start, end);
  }
  onUpstreamDrain(): void {}
  onUpstreamEnd(): void {
    this.ended = true;
  }
  onUpstreamClose(error: string): void {
    this.#close(error);
  }
}

async function lease(pool: Pool): Promise<{ connection: UpstreamConnection; waiter: Waiter }> {
  const waiter = new Waiter();
  const idle = pool.leaseIdle(waiter);
  if (idle !== undefined) return { connection: idle, waiter };
  expect(pool.enqueue(waiter)).toBe(true);
  return { connection: await waiter.leased, waiter };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

test("a connection that met itself was refused, and leaves the port to whoever should listen there", async () => {
  const port = await deadPort();
  cleanups.push(connectFromOwnPort(port));
  const pool = poolTo(port);
  await expect(lease(pool)).rejects.toThrow("ECONNREFUSED");
  expect(pool.idleCount + pool.leasedCount + pool.connectingCount).toBe(0);
  const server = createServer().listen(port, "127.0.0.1");
  await once(server, "listening");
  server.close();
});

test("who needs a fresh connection gets none that is freed: it makes room for another", async () => {
  const { port, sockets } = await listen();
  const pool = poolTo(port, { maxConnections: 1 });
  const first = await lease(pool);
  const fresh = new Waiter(true);
  expect(pool.enqueue(fresh)).toBe(true);
  pool.release(first.connection, true);
  expect(fresh.isSettled).toBe(false);
  const leased = await fresh.leased;
  expect([leased === first.connection, leased.requests]).toEqual([false, 1]);
  await until(() => sockets[0]?.readableEnded === true || sockets[0]?.destroyed === true);
  expect([sockets.length, pool.leasedCount, pool.idleCount, pool.pendingCount]).toEqual([2, 1, 0, 0]);
  pool.release(leased, true);
  expect(pool.idleCount).toBe(1);
});

test("who needs a fresh connection is passed over while one is being opened, and nobody waits for ever", async () => {
  const { port, sockets } = await listen();
  const pool = poolTo(port, { maxConnections: 2 });
  const first = await lease(pool);
  // The second connection is opened for the first of these; the others wait for room.
  const [fresh, usual, fresher] = [new Waiter(true), new Waiter(), new Waiter(true)];
  for (const waiter of [fresh, usual, fresher]) expect(pool.enqueue(waiter)).toBe(true);
  pool.release(first.connection, true);
  expect(await usual.leased).toBe(first.connection);
  const second = await fresh.leased;
  expect(second.requests).toBe(1);
  pool.release(first.connection, true);
  const third = await fresher.leased;
  expect(third.requests).toBe(1);
  expect(sockets).toHaveLength(3);
  pool.release(second, true);
  pool.release(third, true);
  expect([pool.leasedCount, pool.idleCount, pool.connectingCount, pool.pendingCount]).toEqual([0, 2, 0, 0]);
});

test("a released connection is leased again, the last one first", async () => {
  const { port, sockets } = await listen();
  const pool = poolTo(port);
  const first = await lease(pool);
  const second = await lease(pool);
  pool.release(first.connection, true);
  pool.release(second.connection, true);
  expect(pool.idleCount).toBe(2);
  expect((await lease(pool)).connection).toBe(second.connection);
  expect((await lease(pool)).connection).toBe(first.connection);
  expect(sockets).toHaveLength(2);
});

test("a connection that the process has no socket for fails by no fault of the endpoint", async () => {
  const { port } = await listen();
  const sockets = new SocketBudget(0);
  const pool = new Pool({ host: "127.0.0.1", port }, SETTINGS, tools(sockets));
  cleanups.push(() => pool.destroy());
  sockets.clients = sockets.socketsMax - 1;
  await lease(pool);
  await expect(lease(pool)).rejects.toThrow("local: EMFILE");
  expect([sockets.endpoints, pool.connectingCount, pool.leasedCount]).toEqual([1, 0, 1]);
  pool.destroy();
  await until(() => sockets.endpoints === 0);
  await lease(pool);
});

test("where all sockets are used, a connection that nobody uses is closed for one to another endpoint", async () => {
  const [far, near] = [await listen(), await listen()];
  const sockets = new SocketBudget(0);
  const [old, pool] = [far, near].map(({ port }) => {
    const made = new Pool({ host: "127.0.0.1", port }, SETTINGS, tools(sockets));
    cleanups.push(() => made.destroy());
    return made;
  }) as [Pool, Pool];
  const [idlest, idle, used] = [await lease(old), await lease(old), await lease(old)];
  old.release(idlest.connection, true);
  old.release(idle.connection, true);
  sockets.clients = sockets.socketsMax - sockets.endpoints;
  await lease(pool);
  expect([old.idleCount, old.leasedCount, pool.leasedCount]).toEqual([1, 1, 1]);
  expect([idlest.connection.isUsable, idle.connection.isUsable, used.connection.isUsable]).toEqual([false, true, true]);
  await lease(pool);
  await until(() => sockets.endpoints === 3);
  await expect(lease(pool)).rejects.toThrow("local: EMFILE");
  await expect(lease(old)).rejects.toThrow("local: EMFILE");
  expect(sockets.clients + sockets.endpoints).toBe(sockets.socketsMax);
});

test("bytes, end and close reach the one who leased it", async () => {
  const { port } = await listen((socket) => {
    socket.on("data", () => {
      socket.write("answer");
      socket.end();
    });
  });
  const pool = poolTo(port);
  const { connection, waiter } = await lease(pool);
  connection.write("question");
  await until(() => waiter.ended);
  expect(waiter.text).toBe("answer");
  connection.destroy();
  expect(await waiter.closed).toBe("");
  expect([pool.leasedCount, pool.idleCount]).toEqual([0, 0]);
});

test("at the bound requests wait, one past the pending bound is refused, a release serves the oldest", async () => {
  const { port, sockets } = await listen();
  const pool = poolTo(port, { maxConnections: 2, maxPendingRequests: 2 });
  const first = await lease(pool);
  await lease(pool);
  const waiting = [new Waiter(), new Waiter()];
  expect(waiting.map((waiter) => pool.enqueue(waiter))).toEqual([true, true]);
  expect(pool.enqueue(new Waiter())).toBe(false);
  pool.release(first.connection, true);
  expect(await waiting[0]!.leased).toBe(first.connection);
  expect(waiting[1]!.isSettled).toBe(false);
  expect(sockets).toHaveLength(2);
});

test("a cancelled waiter is never called", async () => {
  const { port } = await listen();
  const pool = poolTo(port, { maxConnections: 1 });
  const first = await lease(pool);
  const [cancelled, next] = [new Waiter(), new Waiter()];
  pool.enqueue(cancelled);
  pool.enqueue(next);
  pool.cancel(cancelled);
  pool.release(first.connection, true);
  expect(await next.leased).toBe(first.connection);
  expect(cancelled.isSettled).toBe(false);
});

test("nobody listens: the waiter is told, and the pool is empty", async () => {
  const { port, server } = await listen();
  server.close();
  await once(server, "close");
  const pool = poolTo(port);
  const waiter = new Waiter();
  pool.enqueue(waiter);
  await expect(waiter.leased).rejects.toThrow(/ECONNREFUSED/);
  expect([pool.connectingCount, pool.pendingCount]).toEqual([0, 0]);
});

test("the connect timeout ends an attempt at an address that never answers", async () => {
  // TEST-NET-1 (RFC 5737): a network either drops packets for it or says so.
  const pool = new Pool({ host: "192.0.2.1", port: 9 }, { ...SETTINGS, connectTimeoutMs: 30 }, tools());
  const waiter = new Waiter();
  pool.enqueue(waiter);
  await expect(waiter.leased).rejects.toThrow(/timed out|ENETUNREACH|EHOSTUNREACH|ECONNREFUSED/);
  expect(pool.connectingCount).toBe(0);
});

test("an idle connection that the endpoint closes is not leased again", async () => {
  const { port, sockets } = await listen();
  const pool = poolTo(port);
  const { connection } = await lease(pool);
  pool.release(connection, true);
  sockets[0]!.end();
  await until(() => pool.idleCount === 0);
  const again = await lease(pool);
  expect(again.connection).not.toBe(connection);
});

test("bytes on an idle connection, which answer nothing, end it", async () => {
  const { port, sockets } = await listen();
  const pool = poolTo(port);
  const { connection } = await lease(pool);
  pool.release(connection, true);
  sockets[0]!.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  await until(() => pool.idleCount === 0);
  expect(connection.state).toBe("closed");
});

test("an idle connection closes after the idle time, or the shorter one that the endpoint announced", async () => {
  const { port } = await listen();
  const pool = poolTo(port, { idleTimeoutMs: 40 });
  const { connection } = await lease(pool);
  pool.release(connection, true);
  await once(connection.socket, "close");
  expect(pool.idleCount).toBe(0);
  pool.configure({ ...SETTINGS, idleTimeoutMs: 60_000 });
  const announced = await lease(pool);
  learnIdleTime(announced.connection, 0);
  pool.release(announced.connection, true);
  await once(announced.connection.socket, "close");
  learnIdleTime(announced.connection, 5);
  expect(announced.connection.learntIdleMs).toBe(4_000);
  learnIdleTime(announced.connection, 1);
  expect(announced.connection.learntIdleMs).toBe(500);
});

test("a connection is closed after its number of requests", async () => {
  const { port } = await listen();
  const pool = poolTo(port, { maxRequestsPerConnection: 2 });
  const { connection } = await lease(pool);
  pool.release(connection, true);
  expect((await lease(pool)).connection).toBe(connection);
  pool.release(connection, true);
  expect(pool.idleCount).toBe(0);
  await once(connection.socket, "close");
});

test("a connection that is not reusable is closed, and a waiter gets a new one", async () => {
  const { port } = await listen();
  const pool = poolTo(port, { maxConnections: 1 });
  const { connection } = await lease(pool);
  const waiter = new Waiter();
  pool.enqueue(waiter);
  pool.release(connection, false);
  expect(await waiter.leased).not.toBe(connection);
});

test("a fresh connection at the bound takes the place of the idlest", async () => {
  const { port } = await listen();
  const pool = poolTo(port, { maxConnections: 2 });
  const [first, second] = [await lease(pool), await lease(pool)];
  pool.release(first.connection, true);
  pool.release(second.connection, true);
  const waiter = new Waiter();
  expect(pool.enqueue(waiter)).toBe(true);
  const fresh = await waiter.leased;
  expect([first.connection, second.connection]).not.toContain(fresh);
  expect(first.connection.socket.destroyed).toBe(true);
  expect(second.connection.state).toBe("idle");
});

test("draining closes idle connections at once and leased ones when they are released", async () => {
  const { port } = await listen();
  const pool = poolTo(port);
  const [idle, busy] = [await lease(pool), await lease(pool)];
  pool.release(idle.connection, true);
  pool.drain();
  await once(idle.connection.socket, "close");
  expect(busy.connection.isUsable).toBe(true);
  pool.release(busy.connection, true);
  await once(busy.connection.socket, "close");
});
