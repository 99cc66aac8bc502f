// How long a connection stays that was ended on this side: for a client that is slow, a whole stream's idle time to take
// what waits for it; from then on a short while to close.
import type { Socket } from "node:net";
import type { DataPathLimits } from "../limits.ts";
import type { PhaseTimer } from "./phase-timer.ts";

/**
 * @param socket whose end was written
 * @param hasRest some of what was written waits in the process
 * @param timer tells its owner of "linger" when the time is over
 */
export function linger(socket: Socket, hasRest: boolean, timer: PhaseTimer, limits: DataPathLimits): void {
  timer.arm("linger", hasRest ? limits.streamIdleTimeoutMs : limits.lingerMs);
  if (!hasRest) return;
  socket.once("finish", () => {
    if (timer.phase === "linger") timer.arm("linger", limits.lingerMs);
  });
}
