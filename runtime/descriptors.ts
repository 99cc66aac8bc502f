// How many files and sockets this process may have open. Not how many it has.
import { readFileSync } from "node:fs";

/** Node raises the soft limit to the hard one when it starts. @returns Infinity where there is none, or nobody tells */
export function descriptorsMax(read: () => string = readLimits): number {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(read())?.[1];
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** proc_pid_limits(5); other systems have no such file. */
function readLimits(): string {
  return readFileSync("/proc/self/limits", "latin1");
}
