// CPU time of processes, from Linux's /proc. Its unit is 10 ms, so windows should be long.
import { readFileSync } from "node:fs";
import type { CpuTime } from "./contract.ts";

const TICK_US = 10_000;
/** Fields behind the command name in /proc/PID/stat (proc(5)): utime is the 14th field of all, stime the 15th. */
const USER_FIELD = 11;
const SYSTEM_FIELD = 12;

/** CPU time of these processes together, threads included, since they began. */
export function cpuTimeOf(pids: readonly number[]): CpuTime {
  let userUs = 0;
  let systemUs = 0;
  for (const pid of pids) {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    userUs += Number(fields[USER_FIELD]) * TICK_US;
    systemUs += Number(fields[SYSTEM_FIELD]) * TICK_US;
  }
  return { userUs, systemUs };
}

export function cpuBetween(before: CpuTime, after: CpuTime): CpuTime {
  return { userUs: after.userUs - before.userUs, systemUs: after.systemUs - before.systemUs };
}

/** Resident memory of these processes together, in bytes. */
export function residentBytes(pids: readonly number[]): number {
  let kibibytes = 0;
  for (const pid of pids) {
    const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"));
    kibibytes += Number(line?.[1] ?? 0);
  }
  return kibibytes * 1024;
}
