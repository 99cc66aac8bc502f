// Load shedding: when the sidecar itself is short of time or memory it refuses the least important requests first.
// Decides from figures that somebody else takes (runtime/process-load.ts).

export interface SheddingSettings {
  /** 0: not looked at; so of the next. */
  readonly eventLoopDelayMs: number;
  readonly heapPercent: number;
}

/** How short of time and memory the process is. */
export interface LoadFigures {
  readonly eventLoopDelayMs: number;
  readonly heapPercent: number;
}

/** `x-weft-priority` of a request: 0 goes first, 9 is refused last. */
const PRIORITY_MAX = 9;
const PRIORITY_DEFAULT = 5;

/**
 * Requests below this priority are refused; 0: nobody is. At its bound a figure costs the lowest third, and what is
 * half as much again costs all but the highest: shedding that begins with everybody would oscillate.
 */
export function shedBelow(settings: SheddingSettings, figures: LoadFigures): number {
  const pressure = Math.max(
    pressureOf(figures.eventLoopDelayMs, settings.eventLoopDelayMs),
    pressureOf(figures.heapPercent, settings.heapPercent),
  );
  if (pressure < 1) return 0;
  return Math.min(PRIORITY_MAX, 3 + Math.floor((pressure - 1) * 12));
}

function pressureOf(figure: number, bound: number): number {
  return bound <= 0 ? 0 : figure / bound;
}

/** The priority that a request claims; one digit, everything else is the default. Whoever reaches the listener is believed. */
export function priorityOf(text: string | undefined): number {
  if (text === undefined || text.length !== 1) return PRIORITY_DEFAULT;
  const digit = text.charCodeAt(0) - 0x30;
  return digit >= 0 && digit <= PRIORITY_MAX ? digit : PRIORITY_DEFAULT;
}
