// CPU time of processes, from Linux's /proc. Its unit is 10 ms, so windows should be long.
import { readFileSync } from "node:fs";
import type { CpuTime } from "./contract.ts";

const TICK_US = 10_000;
/** Fields behind the command name in /proc/PID/stat (proc(5)): utime is the 14th field of all, stime the 15th. */
const USER_FIELD = 11;
const SYSTEM_FIELD = 12;

/** CPU time of each of these processes, threads included, since it began. */
export function cpuTimesOf(pids: readonly number[]): CpuTime[] {
  return pids.map((pid) => {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return { userUs: Number(fields[USER_FIELD]) * TICK_US, systemUs: Number(fields[SYSTEM_FIELD]) * TICK_US };
  });
}

/** What was used from `before` on, by all together and by each. */
export function cpuSince(
  before: readonly CpuTime[],
  pids: readonly number[],
): { readonly cpu: CpuTime; readonly cpuOfEach: readonly CpuTime[] } {
  const cpuOfEach = cpuTimesOf(pids).map(({ userUs, systemUs }, index) => ({
    userUs: userUs - (before[index]?.userUs ?? 0),
    systemUs: systemUs - (before[index]?.systemUs ?? 0),
  }));
  const cpu = cpuOfEach.reduce(
    (sum, one) => ({ userUs: sum.userUs + one.userUs, systemUs: sum.systemUs + one.systemUs }),
    { userUs: 0, systemUs: 0 },
  );
  return { cpu, cpuOfEach };
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
