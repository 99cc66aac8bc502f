// What a process has used so far, read from /proc.
import { readFileSync } from "node:fs";

export interface ProcessUse {
  readonly userMs: number;
  readonly systemMs: number;
  readonly rssMb: number;
}

/** Kernel ticks are 10 ms on every Linux that Node runs on. */
const TICK_MS = 10;
const PAGE_BYTES = 4096;

export function useOf(pid: number): ProcessUse {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  // Behind the command name, which may hold spaces: state is field 3, utime 14, stime 15, rss 24.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return {
    userMs: Number(fields[11]) * TICK_MS,
    systemMs: Number(fields[12]) * TICK_MS,
    rssMb: (Number(fields[21]) * PAGE_BYTES) / 1_048_576,
  };
}
