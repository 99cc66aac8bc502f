// What a span says, by OpenTelemetry's semantic conventions for HTTP (https://opentelemetry.io/docs/specs/semconv/http/http-spans/)
// and RPC (https://opentelemetry.io/docs/specs/semconv/rpc/grpc/), and what the mesh decided, as `weft.*`. Pure.
import type { Attributes } from "@opentelemetry/api";
import type { AttemptRecord, ExchangeRecord, RecordedHead } from "../exchange-record.ts";
import { GRPC_FAILURES } from "../grpc-failures.ts";
import { safeQuery } from "../redaction.ts";

/** Methods that HTTP defines (RFC 9110, RFC 5789); any other is `_OTHER`, because callers may invent them. */
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]);

const HTTP_PORT = 80;

export interface RequestFacts {
  readonly method: string;
  readonly authority: string;
  readonly path: string;
  readonly query: string;
}

/** gRPC is HTTP/2 with this content type, and its method is the path. */
export function isGrpc(head: RecordedHead): boolean {
  return head.value("content-type")?.startsWith("application/grpc") === true;
}

/** Low in cardinality: the method, as the path is not known to be. */
export function spanName({ method, path }: RequestFacts, grpc: boolean): string {
  if (grpc) return path.slice(1);
  return METHODS.has(method) ? method : "HTTP";
}

export function methodAttributes({ method, path }: RequestFacts, grpc: boolean): Attributes {
  if (grpc) return { "rpc.system.name": "grpc", "rpc.method": path.slice(1) };
  if (METHODS.has(method)) return { "http.request.method": method };
  return { "http.request.method": "_OTHER", "http.request.method_original": method };
}

/** The host that was asked for; without a port it is that of http. */
export function serverAttributes(authority: string): Attributes {
  const { host, port } = splitPort(authority);
  return { "server.address": host, "server.port": port === 0 ? HTTP_PORT : port };
}

/** The machine that was talked to. */
export function peerAttributes(address: string): Attributes {
  const { host, port } = splitPort(address);
  return { "network.peer.address": host, ...(port === 0 ? {} : { "network.peer.port": port }) };
}

function splitPort(text: string): { readonly host: string; readonly port: number } {
  const place = text.slice(text.lastIndexOf("@") + 1);
  const [, host = "", digits = "0"] = /^(.*?)(?::(\d{1,5}))?$/.exec(place) ?? [];
  return { host: host.replace(/^\[(.*)\]$/, "$1"), port: Number(digits) };
}

/** Path and query of a server span; secrets in the query redacted. */
export function urlAttributes({ path, query }: RequestFacts): Attributes {
  return { "url.scheme": "http", "url.path": path, ...(query === "" ? {} : { "url.query": safeQuery(query) }) };
}

/** The whole URL of a client span. */
export function fullUrl({ authority, path, query }: RequestFacts): string {
  const host = authority.slice(authority.lastIndexOf("@") + 1);
  return `http://${host}${path}${query === "" ? "" : `?${safeQuery(query)}`}`;
}

/** @param errorFrom the status from which the convention calls it an error: 500 of servers, 400 of clients */
export function outcomeAttributes(status: number, reason: string, errorFrom: number): Attributes {
  const error = reason !== "" ? reason : status >= errorFrom ? String(status) : "";
  return {
    ...(status === 0 ? {} : { "http.response.status_code": status }),
    ...(error === "" ? {} : { "error.type": error }),
  };
}

/** How a call of gRPC ended; to a client every code but OK is an error. */
export function rpcOutcome(code: string, isServer: boolean): Attributes {
  if (code === "") return {};
  const isError = isServer ? GRPC_FAILURES.has(code) : code !== "OK";
  return { "rpc.response.status_code": code, ...(isError ? { "error.type": code } : {}) };
}

/** The code that a caller of gRPC sees of an attempt: its answer's, or the one that stands for how it failed. */
export function codeOfAttempt({ grpcStatus, outcome }: AttemptRecord): string {
  if (grpcStatus !== "" || outcome === "" || outcome === "retried") return grpcStatus;
  if (outcome === "aborted") return "CANCELLED";
  return outcome.endsWith("-timeout") ? "DEADLINE_EXCEEDED" : "UNAVAILABLE";
}

/** What the mesh decided about the request. */
export function meshAttributes(record: ExchangeRecord): Attributes {
  const { rule, backendIndex, splitPoint, acts, actsKept } = record;
  const attributes: Attributes = {
    "weft.direction": record.direction,
    "weft.service": record.service,
    "weft.backend": record.backend,
    "weft.revision": record.revision,
  };
  if (rule !== undefined) {
    attributes["weft.route"] = rule.route;
    attributes["weft.rule"] = rule.ruleIndex;
  }
  if (backendIndex >= 0) {
    attributes["weft.split.backend"] = backendIndex;
    attributes["weft.split.point"] = splitPoint;
  }
  if (record.splitBucket >= 0) attributes["weft.split.bucket"] = record.splitBucket;
  if (record.reason !== "") attributes["weft.reason"] = record.reason;
  if (actsKept > 0)
    attributes["weft.acts"] = acts
      .slice(0, actsKept)
      .map(({ name, subject, value }) => [name, subject, value === 0 ? "" : value].join(" ").trim());
  return attributes;
}

export function attemptAttributes(attempt: AttemptRecord, number: number): Attributes {
  return {
    ...peerAttributes(attempt.address),
    "weft.attempt": number,
    "weft.attempt.kind": attempt.kind,
    ...(attempt.version === "" ? {} : { "weft.version": attempt.version }),
    ...(number > 1 ? { "http.request.resend_count": number - 1 } : {}),
  };
}
