// The --wait flag, read before anything is changed: a slip in it must not come to light after the commit.
import { usageFailure } from "./failure.ts";
import type { Flags } from "./flags.ts";

const WAIT_MS_DEFAULT = 30_000;

/** How long to wait, milliseconds. */
export function waitMs(flags: Flags): number {
  return flags.durationMs("wait", WAIT_MS_DEFAULT);
}

/** @throws CliFailure (usage) when --wait has a value that is none, or nothing to wait for. */
export function checkWaitFlag(flags: Flags): void {
  waitMs(flags);
  if (flags.has("wait") && flags.has("dryRun")) throw usageFailure("--wait: a dry run makes no revision to wait for");
}
