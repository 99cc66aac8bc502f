// weft services: every service, documented or implied by a running sidecar.
import { type ServiceView, serviceView } from "../../view/fleet.ts";
import type { Invocation } from "../command.ts";
import { withConnection } from "../connection.ts";
import { emit } from "../emit.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { fleetNamespace } from "../fleet-scope.ts";
import { type Column, tableLines } from "../print/table.ts";

export async function services(invocation: Invocation): Promise<ExitCode> {
  const namespace = fleetNamespace(invocation);
  const response = await withConnection(invocation, async (connection) => {
    const fleet = await connection.fleet();
    return connection.call(fleet, fleet.listServices, { namespace });
  });
  const views = response.services.map(serviceView);
  await emit(invocation, { revision: response.revision, services: views }, (paint) =>
    views.length === 0 ? ["No services."] : tableLines(columnsFor(invocation), views, paint),
  );
  return EXIT.done;
}

function columnsFor(invocation: Invocation): Column<ServiceView>[] {
  const cell = (header: string, text: (view: ServiceView) => string): Column<ServiceView> => ({ header, cell: text });
  return [
    cell("NAMESPACE", (view) => view.namespace),
    cell("NAME", (view) => view.name),
    cell("PORTS", (view) => view.ports.map(({ port, protocol }) => `${port}/${protocol}`).join(",")),
    {
      header: "READY",
      cell: (view) => `${view.readyEndpoints}/${view.endpoints}`,
      style: (view) => (view.readyEndpoints === 0 ? "red" : undefined),
    },
    cell("VERSIONS", (view) => view.versions.join(",")),
    cell("FROM", (view) => (view.implied ? "sidecar" : "document")),
    invocation.output === "wide"
      ? cell("DOCUMENTS", (view) => view.documents.join(", "))
      : cell("RULES", (view) => String(view.documents.length)),
  ];
}
