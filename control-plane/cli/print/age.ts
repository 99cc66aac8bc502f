// How long ago, the way kubectl says it: at most two units, coarser with distance.

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** `5s`, `3m12s`, `59m`, `4h10m`, `26h`, `3d`. Two units only while the first is a single digit. */
export function formatAge(elapsedMs: number): string {
  const ms = Math.max(0, elapsedMs);
  if (ms < 2 * MINUTE_MS) return `${Math.floor(ms / SECOND_MS)}s`;
  if (ms < HOUR_MS) return pair(ms, MINUTE_MS, "m", SECOND_MS, "s", 10);
  if (ms < 2 * DAY_MS) return pair(ms, HOUR_MS, "h", MINUTE_MS, "m", 8);
  return pair(ms, DAY_MS, "d", HOUR_MS, "h", 8);
}

/** Age of a moment, or `-` where it never was. */
export function ageOf(momentMs: number, nowMs: number): string {
  return momentMs <= 0 ? "-" : formatAge(nowMs - momentMs);
}

function pair(ms: number, big: number, bigUnit: string, small: number, smallUnit: string, bothBelow: number): string {
  const whole = Math.floor(ms / big);
  const rest = Math.floor((ms % big) / small);
  return whole < bothBelow && rest > 0 ? `${whole}${bigUnit}${rest}${smallUnit}` : `${whole}${bigUnit}`;
}
