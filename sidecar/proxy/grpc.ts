// What gRPC says in HTTP: statuses behind an answer of 200, deadlines, and answers of the mesh in its form. After the
// protocol's own PROTOCOL-HTTP2.md and gRFC A6 (retries). Messages are not looked at.

import type { ReasonName } from "../../rules/reason-names.ts";
import { decimal } from "../../runtime/decimal.ts";
import { GRPC, isMediaType } from "../../runtime/media-type.ts";
import { FIELD } from "../http1/field.ts";
import type { MessageHead } from "../http1/head.ts";
import { FIELD as HTTP2_FIELD } from "../http2/field.ts";
import type { Http2Head } from "../http2/head.ts";
import type { Trailers } from "./contract.ts";
import type { Failure } from "./reasons.ts";

/** Canonical codes by number; the words that rules, figures and records use. */
export const GRPC_CODES = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
] as const;

const CANCELLED = 1;
const UNKNOWN = 2;
const DEADLINE_EXCEEDED = 4;
const RESOURCE_EXHAUSTED = 8;
const UNIMPLEMENTED = 12;
const INTERNAL = 13;
const UNAVAILABLE = 14;
const DATA_LOSS = 15;

/** Status of HTTP that says the same, for whoever judges by those: breakers, ejections, releases. 0: not a failure of the service. */
const HTTP_STATUSES: Readonly<Record<number, number>> = {
  [UNKNOWN]: 500,
  [DEADLINE_EXCEEDED]: 504,
  [INTERNAL]: 500,
  [UNAVAILABLE]: 503,
  [DATA_LOSS]: 500,
};

/** `application/grpc`, also with `+proto` and the like; gRPC-Web is not: it needs no HTTP/2, and its trailers are content. */
export function isGrpc(head: MessageHead): boolean {
  return head.fields.isMediaType(FIELD.contentType, GRPC);
}

/** `grpc-status` of a head: an answer without messages has it there. @returns -1 when it has none */
export function grpcStatusOf(head: MessageHead): number {
  return codeOf(head.value("grpc-status"));
}

/** The same of trailers. @param ofHead of the head before them; an answer without it anywhere is UNKNOWN */
export function grpcStatusIn(trailers: Trailers, ofHead = -1): number {
  const told =
    typeof trailers === "string"
      ? codeOf(/(?:^|\n)grpc-status:[ \t]*(\d{1,4})[ \t]*\r/i.exec(trailers)?.[1])
      : codeOf(trailers.value("grpc-status"));
  if (told >= 0) return told;
  return ofHead >= 0 ? ofHead : UNKNOWN;
}

function codeOf(text: string | undefined): number {
  if (text === undefined) return -1;
  if (text === "0") return 0;
  return /^\d{1,4}$/.test(text) ? Number(text) : UNKNOWN;
}

/** As what a call with this code counts where statuses of HTTP are judged. */
export function httpStatusOf(code: number): number {
  return HTTP_STATUSES[code] ?? 200;
}

export function grpcCodeName(code: number): string {
  return GRPC_CODES[code] ?? "UNKNOWN";
}

/** The code that stands for an answer of the mesh: what failed on the way is UNAVAILABLE, time that is over is that. */
export function grpcCodeOf({ reason, status, grpcStatus }: Failure): number {
  const code = grpcStatus ?? CODES[reason];
  if (code !== undefined) return code;
  if (status === 429) return RESOURCE_EXHAUSTED;
  return status === 504 ? DEADLINE_EXCEEDED : UNAVAILABLE;
}

/** `cause`, why `head` was not accepted, as who sent it understands it: in the terms of gRPC where it is a call. */
export function inTermsOf(cause: Failure, head: Http2Head | undefined): Failure {
  if (!isMediaType(head?.known(HTTP2_FIELD.contentType), GRPC)) return cause;
  return { ...cause, grpcStatus: grpcCodeOf(cause) };
}

const CODES: Partial<Record<ReasonName, number>> = {
  "bad-request": INTERNAL,
  "uri-too-long": INTERNAL,
  "header-too-large": RESOURCE_EXHAUSTED,
  "not-implemented": UNIMPLEMENTED,
  "version-not-supported": UNIMPLEMENTED,
  "client-timeout": CANCELLED,
  "client-closed": CANCELLED,
  "no-such-service": UNIMPLEMENTED,
  "no-route": UNIMPLEMENTED,
  // Gateway API, GRPCRouteRule.backendRefs.
  "invalid-backend": UNAVAILABLE,
  "bad-response": INTERNAL,
  "request-timeout": DEADLINE_EXCEEDED,
  "deadline-exceeded": DEADLINE_EXCEEDED,
  "per-try-timeout": DEADLINE_EXCEEDED,
  "stream-idle-timeout": DEADLINE_EXCEEDED,
  "rate-limited": RESOURCE_EXHAUSTED,
  "internal-error": INTERNAL,
};

/** Field lines of a failed call: its status, and a message that everything but visible ASCII is escaped in. */
export function grpcStatusLines(code: number, message: string): string {
  const escaped = message.replace(/[^\x20-\x24\x26-\x7e]/g, (character) => {
    const octets = Buffer.from(character, "utf8");
    return Array.from(octets, (octet) => `%${octet.toString(16).toUpperCase().padStart(2, "0")}`).join("");
  });
  return `grpc-status: ${code}\r\ngrpc-message: ${escaped}\r\n`;
}

const TIMEOUT_DIGITS_MAX = 8;
const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 0.001, n: 0.000_001 };

/** Milliseconds of `grpc-timeout`; undefined where it is absent or not of its form (at most 8 digits and a unit). */
export function grpcTimeoutMs(head: MessageHead): number | undefined {
  const text = head.value("grpc-timeout");
  if (text === undefined) return undefined;
  const digitsEnd = text.length - 1;
  const unitMs = UNIT_MS[text.charAt(digitsEnd)];
  const count = decimal(text, TIMEOUT_DIGITS_MAX, 0, digitsEnd);
  return unitMs === undefined || count < 0 ? undefined : count * unitMs;
}

const PUSHBACK_DIGITS_MAX = 9;

/** `grpc-retry-pushback-ms` of an answer: how long to wait; -1: never again (gRFC A6); undefined: it says nothing. */
export function pushbackMs(head: MessageHead): number | undefined {
  const text = head.value("grpc-retry-pushback-ms");
  if (text === undefined) return undefined;
  return decimal(text, PUSHBACK_DIGITS_MAX);
}
