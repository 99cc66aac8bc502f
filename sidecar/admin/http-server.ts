// The small HTTP server under the admin and status pages: a table of paths, strict bounds, plain answers.
// Not the data path, which never goes through node:http; nothing here is meant to be fast.
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { formatHostPort, type HostPort } from "../../runtime/address.ts";
import { nodeHttp } from "../../runtime/lazy-modules.ts";

const HEADER_BYTES_MAX = 8 * 1024;
const HEADERS_TIMEOUT_MS = 5_000;
const REQUEST_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_TIMEOUT_MS = 5_000;
/** How often connections that exceed those times are looked for. */
const TIMEOUT_CHECK_MS = 1_000;
/** A connection on which nothing moves and nothing is being answered. */
const SOCKET_IDLE_MS = 10_000;

export interface PageRequest {
  readonly query: URLSearchParams;
  /** The Accept field. */
  readonly accept?: string | undefined;
}

export interface Page {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export interface Route {
  readonly path: string;
  /** "post" routes change something: a GET, which a browser or a crawler may send by itself, is refused. */
  readonly method: "get" | "post";
  readonly does: string;
  readonly answer: (request: PageRequest) => Page | Promise<Page>;
}

export interface PageServer {
  /** The address it listens on. */
  readonly address: string;
  close(): Promise<void>;
}

export function textPage(body: string, status = 200): Page {
  return { status, contentType: "text/plain; charset=utf-8", body: body.endsWith("\n") ? body : `${body}\n` };
}

export function jsonPage(value: unknown, status = 200): Page {
  return { status, contentType: "application/json", body: `${JSON.stringify(value, undefined, 2)}\n` };
}

/**
 * Listens and serves the routes; rejects when the address cannot be bound.
 * @param connectionsMax at a time; past it the one goes that has waited longest for its client, so that a probe is answered
 * whoever else holds connections
 */
export function servePages(
  at: HostPort,
  title: string,
  routes: readonly Route[],
  connectionsMax: number,
): Promise<PageServer> {
  const server = nodeHttp().createServer({
    maxHeaderSize: HEADER_BYTES_MAX,
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    connectionsCheckingInterval: TIMEOUT_CHECK_MS,
  });
  const connections = new PageConnections(connectionsMax);
  server.timeout = SOCKET_IDLE_MS;
  server.on("connection", (socket: Socket) => connections.add(socket));
  server.on("timeout", (socket) => {
    if (!connections.isServed(socket)) socket.destroy();
  });
  server.on("request", (request, response) => {
    const { socket } = request;
    connections.serve(socket);
    void serve(routes, title, request, response).finally(() => connections.rest(socket));
  });
  server.on("clientError", (_error, socket) => refuseConnection(socket as Socket));
  return listen(server, at);
}

/** The connections of one server. */
class PageConnections {
  readonly #max: number;
  readonly #open = new Set<Socket>();
  /** A page is being made for them. What is made has to be taken: a client that takes nothing holds nothing. */
  readonly #served = new Set<Socket>();
  /** The others, the one that has waited longest first. */
  readonly #waiting = new Set<Socket>();

  constructor(max: number) {
    this.#max = max;
  }

  add(socket: Socket): void {
    this.#open.add(socket);
    this.#waiting.add(socket);
    socket.on("close", () => this.#forget(socket));
    if (this.#open.size <= this.#max) return;
    for (const oldest of this.#waiting) {
      // Its end comes later, its descriptor is free now.
      this.#forget(oldest);
      oldest.destroy();
      return;
    }
  }

  isServed(socket: Socket): boolean {
    return this.#served.has(socket);
  }

  serve(socket: Socket): void {
    this.#waiting.delete(socket);
    this.#served.add(socket);
  }

  /** Its page is made. */
  rest(socket: Socket): void {
    this.#served.delete(socket);
    if (this.#open.has(socket)) this.#waiting.add(socket);
  }

  #forget(socket: Socket): void {
    this.#open.delete(socket);
    this.#waiting.delete(socket);
    this.#served.delete(socket);
  }
}

function listen(server: Server, at: HostPort): Promise<PageServer> {
  return new Promise((settle, fail) => {
    server.once("error", fail);
    server.listen(at.port, at.host, () => {
      server.removeListener("error", fail);
      server.on("error", () => {}); // an accept that fails (no file descriptors) is the peer's loss, not ours
      const { address, port } = server.address() as AddressInfo;
      settle({ address: formatHostPort(address, port), close: () => close(server) });
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((settle) => {
    server.close(() => settle());
    server.closeAllConnections();
  });
}

/** What came is no HTTP request, or none came in time. */
function refuseConnection(socket: Socket): void {
  const answer = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
  // Destroyed, not only ended: a client that never ends its side would keep the connection.
  if (socket.writable) socket.end(answer, () => socket.destroy());
  else socket.destroy();
}

async function serve(
  routes: readonly Route[],
  title: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  request.on("error", () => {});
  response.on("error", () => {});
  request.resume(); // no page reads a body
  let page: Page;
  try {
    page = await choose(routes, title, request);
  } catch (error) {
    page = textPage(`internal error: ${error instanceof Error ? error.message : String(error)}`, 500);
  }
  if (response.destroyed) return;
  response.writeHead(page.status, {
    "content-type": page.contentType,
    "content-length": Buffer.byteLength(page.body),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    ...(page.status === 405 ? { allow: allowedMethods(routes, pathOf(request)) } : {}),
  });
  response.end(request.method === "HEAD" ? undefined : page.body);
}

function choose(routes: readonly Route[], title: string, request: IncomingMessage): Page | Promise<Page> {
  const path = pathOf(request);
  const target = request.url ?? "/";
  const query = new URLSearchParams(target.includes("?") ? target.slice(target.indexOf("?") + 1) : "");
  if (path === "/") return indexPage(title, routes);
  const atPath = routes.filter((route) => route.path === path);
  if (atPath.length === 0) return textPage(`no page ${path}\n\n${indexPage(title, routes).body}`, 404);
  const method = request.method === "HEAD" ? "GET" : request.method;
  const route = atPath.find((candidate) => candidate.method.toUpperCase() === method);
  if (route === undefined) return textPage(`${path} takes ${allowedMethods(routes, path)}`, 405);
  if (route.method === "post" && isCrossSite(request)) return textPage("refused: sent by a page of another site", 403);
  return route.answer({ query, accept: request.headers.accept });
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? "/").split("?", 1)[0] ?? "/";
}

function allowedMethods(routes: readonly Route[], path: string): string {
  const methods = routes.filter((route) => route.path === path).map(({ method }) => method);
  return methods.map((method) => (method === "get" ? "GET, HEAD" : "POST")).join(", ");
}

/** Browsers name the site of the page that sends a POST; curl and scripts do not. */
function isCrossSite({ headers }: IncomingMessage): boolean {
  return headers.origin !== undefined && headers.origin !== `http://${headers.host}`;
}

function indexPage(title: string, routes: readonly Route[]): Page {
  const width = Math.max(...routes.map(({ path }) => path.length));
  const lines = routes.map(
    ({ path, method, does }) => `  ${method.toUpperCase().padEnd(4)} ${path.padEnd(width)}  ${does}`,
  );
  return textPage(`${title}\n\n${lines.join("\n")}\n`);
}
