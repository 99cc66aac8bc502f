// weft sidecars: every sidecar, what it is, and whether it acts on the current revision.
import { refusalText, type SidecarView, type SyncWord, sidecarView } from "../../view/fleet.ts";
import type { Invocation } from "../command.ts";
import { withConnection } from "../connection.ts";
import { emit } from "../emit.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { fleetNamespace } from "../fleet-scope.ts";
import { ageOf } from "../print/age.ts";
import { type Column, tableLines } from "../print/table.ts";
import { type Paint, printable, type Style } from "../print/text.ts";

export async function sidecars(invocation: Invocation): Promise<ExitCode> {
  const namespace = fleetNamespace(invocation);
  const response = await withConnection(invocation, async (connection) => {
    const fleet = await connection.fleet();
    return connection.call(fleet, fleet.listSidecars, { namespace });
  });
  const views = response.sidecars.map(sidecarView).sort(byPlace);
  await emit(invocation, { revision: response.revision, sidecars: views }, (paint) =>
    views.length === 0
      ? ["No sidecars are connected."]
      : [...tableLines(columnsFor(invocation), views, paint), ...refusalLines(views, paint)],
  );
  return EXIT.done;
}

function byPlace(a: SidecarView, b: SidecarView): number {
  const [left, right] = [a, b].map((view) => `${view.namespace}/${view.service}/${view.version}/${view.id}`);
  return (left ?? "") < (right ?? "") ? -1 : 1;
}

const STATE_STYLE: Readonly<Record<SyncWord, Style | undefined>> = {
  synced: "green",
  pending: "yellow",
  refused: "red",
  disconnected: "yellow",
  unknown: undefined,
};

function columnsFor(invocation: Invocation): Column<SidecarView>[] {
  const now = invocation.shell.clock.wall();
  const isWide = invocation.output === "wide";
  const cell = (header: string, text: (view: SidecarView) => string): Column<SidecarView> => ({ header, cell: text });
  return [
    cell("NAMESPACE", (view) => view.namespace),
    cell("SERVICE", (view) => view.service),
    cell("VERSION", (view) => view.version),
    cell("ID", (view) => view.id),
    { header: "STATE", cell: (view) => view.state, style: (view) => STATE_STYLE[view.state] },
    cell("REVISION", (view) => String(view.revision)),
    cell("READY", (view) => (view.ready ? "yes" : "no")),
    cell("AGE", (view) => ageOf(view.connectedAtMs, now)),
    ...(isWide
      ? [
          cell("HEARD", (view) => ageOf(view.lastHeardAtMs, now)),
          cell("PUSH", (view) => (view.lastPushMs > 0 ? `${view.lastPushMs.toFixed(1)}ms` : "")),
          cell("ADDRESS", (view) => view.address),
          cell("PEER", (view) => view.peer),
          cell("ZONE", (view) => view.zone),
          cell("PROGRAM", (view) => view.programVersion),
          cell("SUBSCRIPTIONS", (view) => view.subscriptions.join(",")),
        ]
      : []),
  ];
}

/** Why each refusal happened; a word in a column would not help. */
function refusalLines(views: readonly SidecarView[], paint: Paint): string[] {
  const lines = views.flatMap(({ id, refusal }) =>
    refusal === undefined
      ? []
      : [`${paint("red", "refused")} ${printable(`${id}, revision ${refusal.revision}: ${refusalText(refusal)}`)}`],
  );
  return lines.length === 0 ? [] : ["", ...lines];
}
