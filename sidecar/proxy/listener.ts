// A port that clients connect to: accepts within its bound, knows its connections, drains. Not what is done with
// requests: that is its router's.
import { createServer, type Server, type Socket } from "node:net";
import { formatHostPort, type HostPort } from "../../runtime/address.ts";
import { ClientSocket } from "./client-socket.ts";
import type { ClientLink, LinkOwner, Router } from "./contract.ts";
import type { DataPath } from "./data-path.ts";
import { Drain, type Drainable } from "./drain.ts";
import { Http1Seats } from "./http1-seats.ts";
import { Http2Seats } from "./http2-seats.ts";

export interface Listener {
  /** HOST:PORT that it is bound to. */
  readonly address: string;
  /** Open client connections. */
  readonly connectionCount: number;
  /** Those of HTTP/1.1 that have a request, or had one a moment ago. */
  readonly seatCount: number;
  readonly isDraining: boolean;
  /** From now on every answer says that its connection closes; new connections are still taken. */
  announceDrain(): void;
  /**
   * Accepts no more, lets requests in progress end with `connection: close`, then resolves. After `deadlineMs` what is
   * left is cut. Called again, it is the same drain, which the earlier deadline ends.
   */
  drain(deadlineMs: number): Promise<void>;
  /** Cuts everything and resolves when the port is free. */
  close(): Promise<void>;
}

const LISTEN_BACKLOG = 4_096;
/** A client that vanished without a word is asked for by TCP after so much silence. */
const TCP_KEEP_ALIVE_MS = 60_000;

interface ListenOptions {
  readonly listen: HostPort;
  readonly path: DataPath;
  readonly router: Router;
  /** Several processes share the port; the kernel spreads connections. */
  readonly reusePort?: boolean;
  /** Takes over what was accepted; default: it is HTTP, and its first bytes tell which. */
  readonly newLink?: NewLink;
}

/** The link for a connection. Tells its owner nothing before it has returned. */
type NewLink = (socket: Socket, owner: LinkOwner) => ClientLink;

/** Listens. Rejects with Node's error (`EADDRINUSE`, ...) when it cannot. */
export function startListener(options: ListenOptions): Promise<Listener> {
  const { path, router, newLink } = options;
  const seats = new Http1Seats(path, router);
  const streamSeats = new Http2Seats(path, router);
  const greet: NewLink = (socket, owner) => new ClientSocket(socket, owner, path, seats, streamSeats);
  const listener = new PortListener(path, router, seats, newLink ?? greet);
  return listener.listen(options.listen, options.reusePort ?? false);
}

class PortListener implements Listener, LinkOwner, Drainable {
  address = "";
  isDraining = false;
  acceptedCount = 0;
  readonly #server: Server;
  readonly #path: DataPath;
  readonly #router: Router;
  readonly #newLink: NewLink;
  readonly #connections = new Set<ClientLink>();
  readonly #seats: Http1Seats;
  #drain: Drain | undefined = undefined;

  constructor(path: DataPath, router: Router, seats: Http1Seats, newLink: NewLink) {
    this.#path = path;
    this.#router = router;
    this.#seats = seats;
    this.#newLink = newLink;
    this.#server = createServer({
      pauseOnConnect: true,
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
    });
    this.#server.on("connection", (socket: Socket) => this.#onConnection(socket));
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  get seatCount(): number {
    return this.#seats.takenCount;
  }

  listen(at: HostPort, reusePort: boolean): Promise<Listener> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ host: at.host, port: at.port, backlog: LISTEN_BACKLOG, reusePort }, () => {
        this.#server.off("error", reject);
        this.#server.on("error", (error) => this.#path.log.error({ err: error }, "a listener failed to accept"));
        const bound = this.#server.address();
        if (bound !== null && typeof bound === "object") this.address = formatHostPort(at.host, bound.port);
        resolve(this);
      });
    });
  }

  #onConnection(socket: Socket): void {
    this.acceptedCount++;
    const direction = this.#router.direction;
    const { limits, sockets } = this.#path;
    const isFull = this.#connections.size >= limits.clientConnectionsMax || !sockets.takesClient;
    this.#path.metrics.clientConnections.cell(direction, isFull ? "refused" : "accepted").value++;
    if (isFull) {
      socket.destroy();
      return;
    }
    try {
      this.#connections.add(this.#newLink(socket, this));
      this.#path.metrics.clientConnectionsActive.cell(direction).value++;
      sockets.clients++;
    } catch (error) {
      this.#path.log.error({ err: error }, "a connection could not be taken over");
      socket.destroy();
    }
  }

  onSuccession(link: ClientLink, successor: ClientLink): void {
    this.#connections.delete(link);
    this.#connections.add(successor);
  }

  onLinkClosed(link: ClientLink): void {
    if (this.#connections.delete(link)) {
      this.#path.metrics.clientConnectionsActive.cell(this.#router.direction).value--;
      this.#path.sockets.clients--;
    }
    this.#drain?.onConnectionClosed();
  }

  announceDrain(): void {
    this.isDraining = true;
  }

  drain(deadlineMs: number): Promise<void> {
    this.isDraining = true;
    if (this.#drain === undefined) this.#drain = new Drain(this, this.#path.clock, deadlineMs);
    else this.#drain.cutAfter(deadlineMs);
    return this.#drain.done;
  }

  stopAccepting(): void {
    this.#server.close();
  }

  closeIdle(): void {
    for (const connection of [...this.#connections]) connection.drain();
  }

  destroyAll(): void {
    for (const connection of [...this.#connections]) connection.destroy();
  }

  close(): Promise<void> {
    this.isDraining = true;
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.destroyAll();
    });
  }
}
