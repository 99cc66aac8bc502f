// The bytes of requests and answers, built once per workload. Not their parsing: message-end.ts.
import type { BodyFraming, Workload } from "./contract.ts";

/** Routes of the proxies that have any; requests are spread over them by connection. */
export const ROUTES = 1_000;

/** Path that the route of this number takes; the first half of the routes are exact, the others prefixes. */
export function routePath(number: number): string {
  return `/api/v1/resource-${number.toString(36).padStart(3, "0")}/items`;
}

/** Bodies up to this size are written with their head as one string; larger ones in pieces of this size. */
export const PIECE_BYTES = 64 * 1024;

/** A message as it is written: `text` at once, then `pieces` times the piece. */
export interface BuiltMessage {
  readonly text: string;
  readonly pieces: number;
}

/** A request of one connection. */
export function buildRequest(workload: Workload, connection: number): BuiltMessage {
  const path = routePath((connection * 13) % ROUTES);
  const method = workload.request === "none" ? "GET" : "POST";
  const head = `${method} ${path} HTTP/1.1\r\nHost: orders\r\nUser-Agent: bench\r\nAccept: */*\r\n`;
  return build(head, workload.request, workload.requestBytes);
}

/** The endpoint's answer. */
export function buildResponse({ response, responseBytes }: Workload): BuiltMessage {
  const head = "HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/plain\r\n";
  return build(head, response, responseBytes);
}

function build(head: string, framing: BodyFraming, bytes: number): BuiltMessage {
  if (framing === "none") return { text: `${head}\r\n`, pieces: 0 };
  if (framing === "chunked") {
    const body = `${bytes.toString(16)}\r\n${"x".repeat(bytes)}\r\n0\r\n\r\n`;
    return { text: `${head}Transfer-Encoding: chunked\r\n\r\n${body}`, pieces: 0 };
  }
  const whole = `${head}Content-Length: ${bytes}\r\n\r\n`;
  if (bytes <= PIECE_BYTES) return { text: whole + "x".repeat(bytes), pieces: 0 };
  if (bytes % PIECE_BYTES !== 0) throw new RangeError(`bodies above ${PIECE_BYTES} bytes must be a multiple of it`);
  return { text: whole, pieces: bytes / PIECE_BYTES };
}
