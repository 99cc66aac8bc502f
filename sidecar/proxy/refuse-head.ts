// The answer to a head that breaks a rule, and its place in the figures: it never became an exchange.
import type { Direction } from "../observe/metrics.ts";
import type { Downstream } from "./contract.ts";
import type { DataPath } from "./data-path.ts";
import type { Failure } from "./reasons.ts";
import { recordRefusal } from "./record.ts";
import { ownAnswer, sendAnswer } from "./respond.ts";

/** Says `cause` to the client. Where a connection carries one request after the other it closes behind the answer. */
export function refuseHead(
  { outlet, remoteAddress }: Downstream,
  path: DataPath,
  direction: Direction,
  cause: Failure,
): void {
  const closes = outlet.form === "wire";
  sendAnswer(outlet, ownAnswer(cause, { request: undefined, lines: "", closes, wallMs: path.clock.wall() }));
  recordRefusal(path, direction, remoteAddress, cause);
}
