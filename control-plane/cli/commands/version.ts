// weft version: this CLI, and the control plane it talks to.

import { PROGRAM_VERSION } from "../../../runtime/version.ts";
import type { Invocation } from "../command.ts";
import { withConnection } from "../connection.ts";
import { emit, isForPeople } from "../emit.ts";
import { EXIT, type ExitCode } from "../failure.ts";

export async function version(invocation: Invocation): Promise<ExitCode> {
  if (invocation.flags.has("client")) {
    await emit(invocation, { client: PROGRAM_VERSION }, () => [`client         ${PROGRAM_VERSION}`]);
    return EXIT.done;
  }
  // Known without asking, so it is said even when the control plane is away.
  if (isForPeople(invocation)) await emit(invocation, undefined, () => [`client         ${PROGRAM_VERSION}`]);
  const status = await withConnection(invocation, async (connection) => {
    const fleet = await connection.fleet();
    return connection.call(fleet, fleet.status, {});
  });
  const { programVersion } = status;
  await emit(invocation, { client: PROGRAM_VERSION, controlPlane: programVersion }, () => [
    `control plane  ${programVersion} (${invocation.server})`,
  ]);
  return EXIT.done;
}
