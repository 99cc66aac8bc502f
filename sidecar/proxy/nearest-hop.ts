// Only the hop nearest to a failure tries it again: where every hop of a chain did, each would add its share to the load
// of a leaf that is down. Answers carry `x-weft-retry: never` when a hop further on has dealt with the failure already.
import { FIELD } from "../http1/field.ts";
import type { MessageHead } from "../http1/head.ts";
import type { Direction } from "../observe/metrics.ts";
import type { DataPath } from "./data-path.ts";

const MARK = "x-weft-retry: never\r\n";
const FAILED_STATUS = 500;

/** Does the answer say that trying again is pointless? */
export function isMarked(head: MessageHead): boolean {
  return head.known(FIELD.xWeftRetry) === "never";
}

/**
 * An answer with `status` goes back to who asked. An app does not say which of its own calls an answer depends
 * on, so a failing answer counts as passed on when a call of the app failed while the request was in progress.
 * @param isOwn the sidecar makes the answer itself
 * @returns a field line for it, "" for most
 */
export function retryMark(
  path: DataPath,
  { direction, startedMs }: { readonly direction: Direction; readonly startedMs: number },
  status: number,
  isOwn: boolean,
): string {
  if (status < FAILED_STATUS) return "";
  if (direction === "inbound") return path.callFailedMs >= startedMs ? MARK : "";
  path.callFailedMs = path.clock.now();
  // An app that hands answers through hands this on with them.
  return isOwn ? MARK : "";
}
