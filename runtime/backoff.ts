// How long to wait before trying again: exponential with full jitter (the AWS "full jitter" scheme, which Envoy
// uses for retries), so that many that failed together do not come back together.
import type { Random } from "./random.ts";

/** Milliseconds to wait before try `attempt` (1 = the first repetition): uniform in [0, min(max, base * 2^(attempt-1))]. */
export function fullJitter(random: Random, attempt: number, baseMs: number, maxMs: number): number {
  return random.next() * Math.min(maxMs, baseMs * 2 ** Math.min(attempt - 1, 30));
}

/** The same, but never under half of the ceiling: for reconnecting, where an instant repetition helps nobody. */
export function equalJitter(random: Random, attempt: number, baseMs: number, maxMs: number): number {
  const ceilingMs = Math.min(maxMs, baseMs * 2 ** Math.min(attempt - 1, 30));
  return ceilingMs / 2 + (random.next() * ceilingMs) / 2;
}
