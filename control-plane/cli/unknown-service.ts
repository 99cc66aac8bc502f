// A live view of a service or a route that nobody knows would stay empty without a word. It is no error: the service may come.
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
  warn(shell, `the mesh knows no service ${service} yet${didYouMean(service, names)}; see: weft services`);
}

const ROUTE_KINDS = ["HTTPRoute", "GRPCRoute"];

/** The same of a route. */
export async function warnOfUnknownRoute({ shell }: Invocation, connection: Connection, route: string): Promise<void> {
  if (route === "") return;
  const { rules } = connection;
  const asked = ROUTE_KINDS.map((kind) => connection.call(rules, rules.list, { kind, namespace: "", revision: 0 }));
  const names = (await Promise.all(asked)).flatMap(({ documents }) =>
    documents.map(({ key }) => `${key?.namespace ?? ""}/${key?.name ?? ""}`),
  );
  if (names.includes(route)) return;
  warn(shell, `there is no route ${route} yet${didYouMean(route, names)}; see: weft get httproutes -A`);
}

function warn(shell: Invocation["shell"], text: string): void {
  shell.stderr.write(`${stderrPaint(shell)("yellow", `warning: ${text}`)}\n`);
}
