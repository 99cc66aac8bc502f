// Which core runs what: the proxy alone on one, clients and endpoint on another, so that neither takes from the other.
import { spawnSync } from "node:child_process";
import { availableParallelism } from "node:os";

export const PROXY_CORE = 0;
export const LOAD_CORE = 1;

/** Whether processes can be pinned here: two cores, and util-linux's `taskset`. */
export const canPin =
  availableParallelism() > 1 && spawnSync("taskset", ["--version"], { stdio: "ignore" }).status === 0;

/** The command line that runs this one on `core`, where that is possible. */
export function pinned(core: number, command: readonly string[]): string[] {
  return canPin ? ["taskset", "-c", String(core), ...command] : [...command];
}
