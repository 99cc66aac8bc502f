// Durations as people write them: the Gateway API form (GEP-2257: `1h30m`, `250ms`) and Go's wider one (`1.5s`).
// Not clocks or timers (runtime/): text to milliseconds and back.

/** The longest time a Node timer can wait (2^31-1 ms); a rule cannot ask for more. */
export const DURATION_MS_MAX = 2_147_483_647;

const TEXT_CHARACTERS_MAX = 64;
const PART = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/gy;
const UNIT_NS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/**
 * Milliseconds of a duration such as `250ms`, `1m30s`, `1.5s` or `0` (time.ParseDuration of Go, without signs).
 * Undefined when it is not one, or when it is not a whole number of milliseconds: rounding `100us` to 0 would
 * turn a short timeout into none.
 */
export function parseDuration(text: string): number | undefined {
  if (text === "0") return 0;
  if (text.length === 0 || text.length > TEXT_CHARACTERS_MAX) return undefined;
  let nanoseconds = 0;
  PART.lastIndex = 0;
  while (PART.lastIndex < text.length) {
    const part = PART.exec(text);
    if (part === null) return undefined;
    nanoseconds += Number(part[1]) * (UNIT_NS[part[2] ?? ""] ?? Number.NaN);
  }
  const milliseconds = Math.round(nanoseconds) / 1e6;
  return Number.isSafeInteger(milliseconds) ? milliseconds : undefined;
}

/** The shortest Gateway API text of a whole number of milliseconds: 90000 is `1m30s`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds === 0) return "0s";
  const parts: string[] = [];
  let rest = milliseconds;
  for (const [unit, size] of [
    ["h", 3_600_000],
    ["m", 60_000],
    ["s", 1000],
    ["ms", 1],
  ] as const) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) parts.push(`${count}${unit}`);
  }
  return parts.join("");
}
