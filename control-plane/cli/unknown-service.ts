// A live view of a service that nobody knows would stay empty without a word. It is no error: the service may come.
import type { Invocation } from "./command.ts";
import type { Connection } from "./connection.ts";
import { stderrPaint } from "./emit.ts";
import { didYouMean } from "./kinds.ts";

/**
 * Says on stderr that the mesh has no such service.
 * @param service `namespace/name`; empty: none is named
 * @throws CliFailure when the control plane cannot be asked
 */
export async function warnOfUnknownService(
  { shell }: Invocation,
  connection: Connection,
  service: string,
): Promise<void> {
  if (service === "") return;
  const fleet = await connection.fleet();
  const { services } = await connection.call(fleet, fleet.listServices, { namespace: "" });
  const names = services.map(({ namespace, name }) => `${namespace}/${name}`);
  if (names.includes(service)) return;
  const text = `warning: the mesh knows no service ${service} yet${didYouMean(service, names)}; see: weft services`;
  shell.stderr.write(`${stderrPaint(shell)("yellow", text)}\n`);
}
