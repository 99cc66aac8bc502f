// Who a revision is by.
import type { Shell } from "./shell.ts";

/** WEFT_AUTHOR where it is set, else `user@host`. */
export function author(shell: Shell): string {
  return shell.env["WEFT_AUTHOR"] || shell.user();
}
