// What a span says, by OpenTelemetry's semantic conventions for HTTP (https://opentelemetry.io/docs/specs/semconv/http/http-spans/)
// and RPC (https://opentelemetry.io/docs/specs/semconv/rpc/grpc/), and what the mesh decided, as `weft.*`. Each function writes
// into the attributes that it is given; of an attribute that is written twice the last value stands.
import type { Attributes } from "@opentelemetry/api";
import { decimal } from "../../../runtime/decimal.ts";
import { ownCopy } from "../../../runtime/latin1.ts";
import { GRPC, isMediaType } from "../../../runtime/media-type.ts";
import type { AttemptRecord, ExchangeRecord, RecordedHead } from "../exchange-record.ts";
import { GRPC_FAILURES } from "../grpc-failures.ts";
import { safeQuery } from "../redaction.ts";

/** Methods that HTTP defines (RFC 9110, RFC 5789); any other is `_OTHER`, because callers may invent them. */
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]);

const HTTP_PORT = 80;

/** A span or log record is at most some kilobytes, whatever a client puts into its URL. */
const ATTRIBUTE_LENGTH_MAX = 1_024;

export interface RequestFacts {
  readonly method: string;
  readonly authority: string;
  readonly path: string;
  readonly query: string;
}

/** gRPC is HTTP/2 with this content type, and its method is the path. */
export function isGrpc(head: RecordedHead): boolean {
  return isMediaType(head.value("content-type"), GRPC);
}

/** Low in cardinality: the method, as the path is not known to be. */
export function spanName({ method, path }: RequestFacts, grpc: boolean): string {
  if (grpc) return path.slice(1);
  return METHODS.has(method) ? method : "HTTP";
}

export function method(into: Attributes, { method: name, path }: RequestFacts, grpc: boolean): void {
  if (grpc) {
    into["rpc.system.name"] = "grpc";
    into["rpc.method"] = path.slice(1);
  } else if (METHODS.has(name)) into["http.request.method"] = name;
  else {
    into["http.request.method"] = "_OTHER";
    if (name !== "") into["http.request.method_original"] = name;
  }
}

/** The host that was asked for; without a port it is that of http. */
export function server(into: Attributes, authority: string): void {
  // Of a request whose head was refused nothing is known.
  if (authority === "") return;
  const { host, port } = splitPort(authority);
  into["server.address"] = host;
  into["server.port"] = port === 0 ? HTTP_PORT : port;
}

/** The machine that was talked to. */
export function peer(into: Attributes, address: string): void {
  const { host, port } = splitPort(address);
  into["network.peer.address"] = host;
  if (port !== 0) into["network.peer.port"] = port;
}

const PORT_DIGITS_MAX = 5;

function splitPort(text: string): { readonly host: string; readonly port: number } {
  const place = text.slice(text.lastIndexOf("@") + 1);
  const colon = place.lastIndexOf(":");
  const port = colon < 0 ? -1 : decimal(place, PORT_DIGITS_MAX, colon + 1);
  const host = port < 0 ? place : place.slice(0, colon);
  const isBracketed = host.startsWith("[") && host.endsWith("]");
  return { host: isBracketed ? host.slice(1, -1) : host, port: Math.max(0, port) };
}

/** Path and query of a server span; secrets in the query redacted. */
export function url(into: Attributes, { path, query }: RequestFacts): void {
  into["url.scheme"] = "http";
  into["url.path"] = pathIn(path);
  if (query !== "") into["url.query"] = safeQuery(query);
}

/** The whole URL of a client span. */
export function fullUrl({ authority, path, query }: RequestFacts): string {
  const host = authority.slice(authority.lastIndexOf("@") + 1);
  return ownCopy(`http://${host}${pathIn(path)}${query === "" ? "" : `?${safeQuery(query)}`}`);
}

/** Where the target is an authority, as that of CONNECT, or an asterisk, the URL has no path (RFC 9112 section 3.3). */
function pathIn(path: string): string {
  return path.startsWith("/") ? path : "";
}

/** @param errorFrom the status from which the convention calls it an error: 500 of servers, 400 of clients */
export function outcome(into: Attributes, status: number, reason: string, errorFrom: number): void {
  if (status !== 0) into["http.response.status_code"] = status;
  if (reason !== "") into["error.type"] = reason;
  else if (status >= errorFrom) into["error.type"] = String(status);
}

/** How a call of gRPC ended; to a client every code but OK is an error. */
export function rpcOutcome(into: Attributes, code: string, isServer: boolean): void {
  if (code === "") return;
  into["rpc.response.status_code"] = code;
  if (isServer ? GRPC_FAILURES.has(code) : code !== "OK") into["error.type"] = code;
}

/** The code that a caller of gRPC sees of an attempt: its answer's, or the one that stands for how it failed. */
export function codeOfAttempt({ grpcStatus, outcome: ended }: AttemptRecord): string {
  if (grpcStatus !== "" || ended === "" || ended === "retried") return grpcStatus;
  if (ended === "aborted") return "CANCELLED";
  return ended.endsWith("-timeout") ? "DEADLINE_EXCEEDED" : "UNAVAILABLE";
}

/** What the mesh decided about the request. */
export function mesh(into: Attributes, record: ExchangeRecord): void {
  const { rule, backendIndex, splitPoint, splitBucket, reason, acts, actsKept } = record;
  into["weft.direction"] = record.direction;
  into["weft.service"] = record.service;
  into["weft.backend"] = record.backend;
  into["weft.revision"] = record.revision;
  if (rule !== undefined) {
    into["weft.route"] = rule.route;
    into["weft.rule"] = rule.ruleIndex;
  }
  if (backendIndex >= 0) {
    into["weft.split.backend"] = backendIndex;
    into["weft.split.point"] = splitPoint;
  }
  if (splitBucket >= 0) into["weft.split.bucket"] = splitBucket;
  if (reason !== "") into["weft.reason"] = reason;
  if (actsKept > 0)
    into["weft.acts"] = acts
      .slice(0, actsKept)
      .map(({ name, subject, value }) => [name, subject, value === 0 ? "" : value].join(" ").trim());
}

export function attempt(into: Attributes, record: AttemptRecord, number: number): void {
  peer(into, record.address);
  into["weft.attempt"] = number;
  into["weft.attempt.kind"] = record.kind;
  if (record.version !== "") into["weft.version"] = record.version;
  if (number > 1) into["http.request.resend_count"] = number - 1;
}

export function sizes(into: Attributes, { requestBytes, responseBytes }: ExchangeRecord): void {
  into["http.request.body.size"] = requestBytes;
  into["http.response.body.size"] = responseBytes;
}

export function cut(text: string): string {
  return text.length > ATTRIBUTE_LENGTH_MAX ? text.slice(0, ATTRIBUTE_LENGTH_MAX) : text;
}

/** At the end, of all that stands in `into`. */
export function cutLong(into: Attributes): void {
  for (const name in into) {
    const value = into[name];
    if (typeof value === "string" && value.length > ATTRIBUTE_LENGTH_MAX) into[name] = cut(value);
  }
}
