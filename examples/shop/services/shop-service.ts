// What the shop's three services have in common: an HTTP server with JSON answers, calls to a neighbour through the
// sidecar, faults on demand, and an orderly end on SIGTERM. Plain node:http and nothing of Weft: a service in a mesh
// knows only the address of its sidecar's outbound port.
import { Agent, createServer, type IncomingHttpHeaders, type IncomingMessage, request, type Server } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

/** How a service is set up, from its environment. */
export interface ServiceSettings {
  readonly version: string;
  /** Where to listen. */
  readonly host: string;
  readonly port: number;
  /** The sidecar's outbound port: every call to a neighbour goes there, with the neighbour's name in `Host`. */
  readonly mesh: URL;
  /** Added to every answer, to play a slow version. */
  readonly latencyMs: number;
  /** Share of requests answered with 500, to play a broken version. */
  readonly errorPercent: number;
}

export interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Calls a neighbour by its mesh name. */
export type CallNeighbour = (service: string, path: string) => Promise<Answer>;
export type Handler = (request: IncomingMessage, call: CallNeighbour) => Promise<Answer>;

/** What a caller said about itself and its trace goes along with every call made on its behalf. */
const FORWARDED_HEADERS = ["traceparent", "tracestate", "baggage", "x-request-id", "x-user", "x-tester"];
const CALL_TIMEOUT_MS = 10_000;

/**
 * Reads VERSION, HOST, PORT, MESH, LATENCY_MS and ERROR_PERCENT.
 * @throws Error naming the variable that makes no sense.
 */
export function readSettings(env: Readonly<Record<string, string | undefined>>): ServiceSettings {
  return {
    version: env["VERSION"] ?? "v1",
    host: env["HOST"] ?? "127.0.0.1",
    port: readNumber(env, "PORT", 8080, 65_535),
    mesh: new URL(env["MESH"] ?? "http://127.0.0.1:15001"),
    latencyMs: readNumber(env, "LATENCY_MS", 0, 600_000),
    errorPercent: readNumber(env, "ERROR_PERCENT", 0, 100),
  };
}

/** Serves `handle` at `name` until SIGTERM or SIGINT; requests in flight are answered first. */
export function serve(name: string, settings: ServiceSettings, handle: Handler): Server {
  const agent = new Agent({ keepAlive: true, maxSockets: 256 });
  const self = { service: name, version: settings.version };
  const server = createServer(async (incoming, response) => {
    incoming.resume();
    const call: CallNeighbour = (service, path) => callThroughMesh(agent, settings, service, path, incoming.headers);
    const answer = await answerOrFail(incoming, settings, () => handle(incoming, call));
    const body = JSON.stringify({ ...self, ...answer.body });
    if (!server.listening) response.setHeader("connection", "close");
    response.writeHead(answer.status, {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(body),
      "x-version": settings.version,
    });
    response.end(body);
  });
  server.listen(settings.port, settings.host, () => {
    const listening = `${settings.host}:${settings.port}`;
    console.log(JSON.stringify({ listening, ...self, pid: process.pid }));
  });
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => {
      server.close(() => process.exit(0));
      server.closeIdleConnections();
    });
  }
  return server;
}

/** The answer of the handler, after the latency and errors that the environment asks for. Health is never faulted. */
async function answerOrFail(
  incoming: IncomingMessage,
  settings: ServiceSettings,
  handle: () => Promise<Answer>,
): Promise<Answer> {
  if (incoming.url === "/healthz") return { status: 200, body: { healthy: true } };
  if (settings.latencyMs > 0) await sleep(settings.latencyMs);
  if (Math.random() * 100 < settings.errorPercent)
    return { status: 500, body: { error: "asked for by ERROR_PERCENT" } };
  try {
    return await handle();
  } catch (error) {
    return { status: 502, body: { error: error instanceof Error ? error.message : String(error) } };
  }
}

function callThroughMesh(
  agent: Agent,
  settings: ServiceSettings,
  service: string,
  path: string,
  caller: IncomingHttpHeaders,
): Promise<Answer> {
  const headers: Record<string, string | string[]> = { host: service };
  for (const name of FORWARDED_HEADERS) {
    const value = caller[name];
    if (value !== undefined) headers[name] = value;
  }
  return new Promise((settle, fail) => {
    const { hostname, port } = settings.mesh;
    const call = request({ agent, hostname, port, path, headers, timeout: CALL_TIMEOUT_MS }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => settle({ status: response.statusCode ?? 0, body: parseBody(text, response) }));
      response.on("error", fail);
    });
    call.on("timeout", () => call.destroy(new Error(`no answer from ${service} in ${CALL_TIMEOUT_MS} ms`)));
    call.on("error", fail);
    call.end();
  });
}

/** The JSON that came, or, when the mesh itself answered, its reason. */
function parseBody(text: string, response: IncomingMessage): Record<string, unknown> {
  const reason = response.headers["x-weft-reason"];
  if (reason !== undefined) return { error: `the mesh answered ${response.statusCode}: ${String(reason)}` };
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {
    // Not JSON: shown as the text that it is.
  }
  return { text };
}

function readNumber(
  env: Readonly<Record<string, string | undefined>>,
  name: string,
  fallback: number,
  max: number,
): number {
  const text = env[name];
  if (text === undefined || text === "") return fallback;
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0 || value > max) throw new Error(`${name}=${text}: expected 0 to ${max}`);
  return value;
}
