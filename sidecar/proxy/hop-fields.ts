// What a request tells the next hop about itself as an attempt: how much time is left for it and which attempt it is.
// Made anew for every attempt, because both change.
import { ownCopy } from "../../runtime/latin1.ts";
import { FIELD } from "../http1/field.ts";

/** What of it a destination is told; hosts outside of the mesh are told nothing. */
export type HopFields = "none" | "time" | "all";

/** Fields of the request that these take the place of. */
export function replacedKinds(fields: HopFields): number {
  if (fields === "none") return 0;
  const time = 1 << FIELD.xEnvoyExpectedRqTimeoutMs;
  return fields === "time" ? time : time | (1 << FIELD.xEnvoyAttemptCount) | (1 << FIELD.xWeftSource);
}

/**
 * Of `x-envoy-expected-rq-timeout-ms`. More (11 days) is no time that anybody waits for: it is neither believed nor sent,
 * and services that wait by a number of 32 bits never get one that it does not hold.
 */
export const TIME_DIGITS_MAX = 9;
const TOLD_MAX_MS = 10 ** TIME_DIGITS_MAX - 1;
/** What a sum and a difference of times may be short of the number: 15 s are told as 15000, and not as 14999 now and then. */
const ROUNDING_MS = 0.001;

let lastCount = 0;
let lastLeftMs = -1;
let lastIsGrpc = false;
let lastLines = "";

/**
 * Field lines for one attempt: the same string for the same lines, mostly.
 * @param count 1 for the first attempt
 * @param leftMs milliseconds; Infinity: there is no deadline
 * @param isGrpc it is a call of gRPC, which has a field of its own for its time
 */
export function hopLines(fields: HopFields, count: number, leftMs: number, isGrpc: boolean): string {
  if (fields === "none") return "";
  const whole = leftMs === Number.POSITIVE_INFINITY ? 0 : Math.max(1, Math.floor(leftMs + ROUNDING_MS));
  const shown = fields === "all" ? count : 0;
  if (shown === lastCount && whole === lastLeftMs && isGrpc === lastIsGrpc) return lastLines;
  lastCount = shown;
  lastLeftMs = whole;
  lastIsGrpc = isGrpc;
  let lines = shown > 0 ? `x-envoy-attempt-count: ${shown}\r\n` : "";
  if (whole > 0 && whole <= TOLD_MAX_MS) lines += `x-envoy-expected-rq-timeout-ms: ${whole}\r\n`;
  if (whole > 0 && isGrpc) lines += grpcTimeoutLine(whole);
  // In one piece: they are looked up by it where they become fields of HTTP/2.
  lastLines = ownCopy(lines);
  return lastLines;
}

/** A field line that leaves `leftMs`; whole milliseconds, at most 8 digits of them. */
function grpcTimeoutLine(leftMs: number): string {
  if (leftMs >= 1e8) return `grpc-timeout: ${Math.min(99_999_999, Math.floor(leftMs / 1_000))}S\r\n`;
  return `grpc-timeout: ${Math.max(1, Math.floor(leftMs))}m\r\n`;
}
