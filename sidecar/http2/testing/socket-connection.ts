// A connection over a real socket, for tests: what the conductor does for real, in its smallest form.
import { connect, createServer, type Server, type Socket } from "node:net";
import { systemClock } from "../../../runtime/clock.ts";
import { FlushQueue } from "../../../runtime/flush-queue.ts";
import { TimerWheel } from "../../../runtime/timer-wheel.ts";
import { Http2Connection } from "../connection.ts";
import type { CloseCause, Http2ConnectionHandler, Http2Role, Http2StreamView, StreamHandler } from "../contract.ts";
import { DEFAULT_HTTP2_LIMITS, type Http2Limits } from "../limits.ts";
import type { Refusal } from "../refusal.ts";
import { NO_HANDLER } from "../stream.ts";

const flushes = new FlushQueue(setImmediate);
const wheel = new TimerWheel(systemClock);

/** Notes what it is told. */
export class NotingHandler implements Http2ConnectionHandler {
  readonly accept: (stream: Http2StreamView) => StreamHandler;
  readonly refusals: Refusal[] = [];
  readonly closes: CloseCause[] = [];
  readonly goaways: [lastStreamId: number, code: number][] = [];
  settings = 0;
  streamsClosed = 0;
  readonly closed: Promise<CloseCause>;
  #onClosed: (cause: CloseCause) => void = () => {};

  constructor(accept: (stream: Http2StreamView) => StreamHandler = () => NO_HANDLER) {
    this.accept = accept;
    this.closed = new Promise((resolve) => {
      this.#onClosed = resolve;
    });
  }

  onStream(stream: Http2StreamView): StreamHandler {
    return this.accept(stream);
  }

  onStreamRefused(_stream: Http2StreamView, refusal: Refusal): void {
    this.refusals.push(refusal);
  }

  onSettings(): void {
    this.settings++;
  }

  onGoaway(lastStreamId: number, code: number): void {
    this.goaways.push([lastStreamId, code]);
  }

  onStreamClosed(): void {
    this.streamsClosed++;
  }

  onClosed(cause: CloseCause): void {
    this.closes.push(cause);
    this.#onClosed(cause);
  }
}

/** Runs HTTP/2 on a socket. */
function runOn(
  socket: Socket,
  role: Http2Role,
  handler: Http2ConnectionHandler,
  limits: Partial<Http2Limits> = {},
): Http2Connection {
  socket.setNoDelay(true);
  const connection = new Http2Connection({
    role,
    handler,
    limits: { ...DEFAULT_HTTP2_LIMITS, ...limits },
    clock: systemClock,
    wheel,
    flushes,
    transport: {
      writeBytes: (bytes) => socket.write(bytes),
      get isEmpty() {
        return socket.writableLength === 0;
      },
      get waitingBytes() {
        return socket.writableLength;
      },
      end: () => socket.end(),
      destroy: () => socket.destroy(),
    },
  });
  socket.on("data", (chunk: Buffer) => connection.receive(chunk, 0, chunk.length));
  socket.on("drain", () => connection.onTransportDrain());
  socket.on("end", () => connection.onTransportEnd());
  socket.on("error", () => {});
  socket.on("close", (hadError) => connection.onTransportClosed(hadError ? "error" : ""));
  connection.start();
  return connection;
}

interface ListeningServer {
  readonly port: number;
  readonly connections: Http2Connection[];
  readonly handlers: NotingHandler[];
  close(): Promise<void>;
}

/** Serves HTTP/2 on a free port. */
export async function listen(
  accept: (stream: Http2StreamView) => StreamHandler,
  limits: Partial<Http2Limits> = {},
  onSocket: (socket: Socket) => void = () => {},
): Promise<ListeningServer> {
  const connections: Http2Connection[] = [];
  const handlers: NotingHandler[] = [];
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    onSocket(socket);
    const handler = new NotingHandler(accept);
    handlers.push(handler);
    connections.push(runOn(socket, "server", handler, limits));
  });
  const port = await listening(server);
  return {
    port,
    connections,
    handlers,
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

export function listening(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
  });
}

/** Connects as a client. */
export async function dial(
  port: number,
  handler: Http2ConnectionHandler,
  limits: Partial<Http2Limits> = {},
): Promise<{ connection: Http2Connection; socket: Socket }> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  await new Promise((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  return { connection: runOn(socket, "client", handler, limits), socket };
}
