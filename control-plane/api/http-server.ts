// The HTTP side: metrics, health, and a page that says what this is. Reads only; answers nothing with a body.
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { formatHostPort, type HostPort } from "../../runtime/address.ts";
import { nodeHttp } from "../../runtime/lazy-modules.ts";
import { CONTENT_TYPES, type ExpositionFormat, negotiateFormat } from "../../runtime/metrics-format.ts";
import type { MetricsRegistry } from "../metrics.ts";

const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
/** How often connections past those times are looked for: silent ones must not keep others out for long. */
const TIMEOUT_CHECK_MS = 2_000;
const CONNECTIONS_MAX = 1_000;

export interface HttpServerOptions {
  readonly metrics: MetricsRegistry;
  readonly isReady: () => boolean;
  /** Lines of "name: value" for the page. */
  readonly facts: () => readonly (readonly [string, string])[];
}

export interface HttpServer {
  /** Starts listening. Returns HOST:PORT; rejects when the address cannot be bound. */
  listen(address: HostPort): Promise<string>;
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

export function createHttpServer(options: HttpServerOptions): HttpServer {
  const server = nodeHttp().createServer(
    {
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUT_CHECK_MS,
    },
    (request, response) => respond(request, response, answer(request, options)),
  );
  server.maxConnections = CONNECTIONS_MAX;
  return { listen: (address) => listen(server, address), close: () => close(server) };
}

function answer(request: IncomingMessage, { metrics, isReady, facts }: HttpServerOptions): Answer {
  if (request.method !== "GET" && request.method !== "HEAD") return text(405, "only GET and HEAD\n");
  switch ((request.url ?? "/").split("?", 1)[0]) {
    case "/healthz/live":
      return text(200, "ok\n");
    case "/healthz/ready":
      return isReady() ? text(200, "ok\n") : text(503, "not ready\n");
    case "/metrics":
      return metricsAnswer(metrics, negotiateFormat(request.headers.accept));
    case "/":
      return { status: 200, type: "text/html; charset=utf-8", body: page(facts()) };
    default:
      return text(404, "there are / /metrics /healthz/live /healthz/ready\n");
  }
}

function metricsAnswer(metrics: MetricsRegistry, format: ExpositionFormat): Answer {
  return { status: 200, type: CONTENT_TYPES[format], body: metrics.render(format) };
}

function text(status: number, body: string): Answer {
  return { status, type: "text/plain; charset=utf-8", body };
}

function respond(request: IncomingMessage, response: ServerResponse, { status, type, body }: Answer): void {
  response.writeHead(status, {
    "content-type": type,
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    ...(status === 405 ? { allow: "GET, HEAD" } : {}),
  });
  response.end(request.method === "HEAD" ? undefined : body);
}

function page(facts: readonly (readonly [string, string])[]): string {
  const rows = facts.map(([name, value]) => `<tr><th>${escapeHtml(name)}</th><td>${escapeHtml(value)}</td></tr>`);
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Weft control plane</title>
<style>body{font:16px/1.5 system-ui,sans-serif;margin:3em auto;max-width:40em}th{text-align:left;padding-right:2em}</style>
<h1>Weft control plane</h1>
<table>${rows.join("")}</table>
<p>Figures: <a href="/metrics">/metrics</a>. Health: <a href="/healthz/ready">/healthz/ready</a>.
Fleet: <code>weft sidecars</code>, rules: <code>weft get</code>.</p>
</html>
`;
}

function escapeHtml(value: string): string {
  return value.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

function listen(server: Server, { host, port }: HostPort): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      const bound = server.address();
      resolve(formatHostPort(host, bound !== null && typeof bound === "object" ? bound.port : port));
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
