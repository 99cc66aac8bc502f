// What a request tells the next hop about itself as an attempt: how much time is left for it and which attempt it is.
// Made anew for every attempt, because both change.
import { FIELD } from "../http1/field.ts";

/** What of it a destination is told; hosts outside of the mesh are told nothing. */
export type HopFields = "none" | "time" | "all";

/** Fields of the request that these take the place of. */
export function replacedKinds(fields: HopFields): number {
  if (fields === "none") return 0;
  const time = 1 << FIELD.xEnvoyExpectedRqTimeoutMs;
  return fields === "time" ? time : time | (1 << FIELD.xEnvoyAttemptCount) | (1 << FIELD.xWeftSource);
}

let lastCount = 0;
let lastLeftMs = -1;
let lastLines = "";

/**
 * Field lines for one attempt.
 * @param count 1 for the first attempt
 * @param leftMs milliseconds; Infinity: there is no deadline
 */
export function hopLines(fields: HopFields, count: number, leftMs: number): string {
  if (fields === "none") return "";
  const whole = leftMs === Number.POSITIVE_INFINITY ? 0 : Math.max(1, Math.floor(leftMs));
  const shown = fields === "all" ? count : 0;
  if (shown === lastCount && whole === lastLeftMs) return lastLines;
  lastCount = shown;
  lastLeftMs = whole;
  lastLines = shown > 0 ? `x-envoy-attempt-count: ${shown}\r\n` : "";
  if (whole > 0) lastLines += `x-envoy-expected-rq-timeout-ms: ${whole}\r\n`;
  return lastLines;
}
