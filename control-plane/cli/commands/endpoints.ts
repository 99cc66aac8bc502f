// weft endpoints: where the instances of services are.
import { type EndpointView, endpointView, healthText } from "../../view/fleet.ts";
import type { Invocation } from "../command.ts";
import { withConnection } from "../connection.ts";
import { emit } from "../emit.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { fleetNamespace } from "../fleet-scope.ts";
import { formatAge } from "../print/age.ts";
import { type Column, tableLines } from "../print/table.ts";
import { parseServiceName } from "../service-name.ts";

export async function endpoints(invocation: Invocation): Promise<ExitCode> {
  const { name, namespace } = parseServiceName(invocation.args[0] ?? "", fleetNamespace(invocation));
  const response = await withConnection(invocation, async (connection) => {
    const fleet = await connection.fleet();
    return connection.call(fleet, fleet.listEndpoints, { namespace, service: name });
  });
  const views = response.endpoints.map(endpointView);
  await emit(invocation, { endpoints: views }, (paint) =>
    views.length === 0
      ? [`No endpoints${name === "" ? "" : ` of service ${name}`}.`]
      : tableLines(endpointColumns(invocation), views, paint),
  );
  return EXIT.done;
}

/** The columns of a table of endpoints; `describe` shows one too. */
export function endpointColumns(invocation: Invocation): Column<EndpointView>[] {
  const isWide = invocation.output === "wide";
  const cell = (header: string, text: (view: EndpointView) => string): Column<EndpointView> => ({ header, cell: text });
  return [
    cell("NAMESPACE", (view) => view.namespace),
    cell("SERVICE", (view) => view.service),
    cell("ADDRESS", (view) => view.address),
    cell("VERSION", (view) => view.version),
    {
      header: "READY",
      cell: (view) => (view.ready ? "yes" : "no"),
      style: (view) => (view.ready ? undefined : "red"),
    },
    {
      header: "HEALTH",
      cell: healthText,
      style: (view) => (healthText(view) === "healthy" ? undefined : "red"),
    },
    cell("WEIGHT", (view) => String(view.weight)),
    cell("FROM", (view) => view.origin),
    ...(isWide
      ? [
          cell("LEASE", (view) => (view.leaseRemainingMs > 0 ? formatAge(view.leaseRemainingMs) : "")),
          cell("ZONE", (view) => view.zone),
          cell("WORKLOAD", (view) => view.workloadId),
          cell("LABELS", (view) => labelsText(view.labels)),
        ]
      : []),
  ];
}

function labelsText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(",");
}
