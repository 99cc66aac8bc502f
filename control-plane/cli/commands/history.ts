// weft history: revisions, newest first: when, by whom, why, and what each one did.
import { countChanges, type RevisionView, revisionView } from "../../view/change.ts";
import { keyTitle } from "../../view/key.ts";
import type { Invocation } from "../command.ts";
import { withConnection } from "../connection.ts";
import { emit } from "../emit.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { NAMESPACE_DEFAULT } from "../options.ts";
import { ageOf } from "../print/age.ts";
import { type Column, tableLines } from "../print/table.ts";
import { parseTarget } from "../targets.ts";

const REVISIONS_DEFAULT = 50;

export async function history(invocation: Invocation): Promise<ExitCode> {
  const { args, flags } = invocation;
  const target = args.length === 0 ? undefined : parseTarget(args);
  const limit = flags.count("limit", 1) ?? REVISIONS_DEFAULT;
  const before = flags.count("before", 1) ?? 0;
  const namespace = invocation.namespace ?? NAMESPACE_DEFAULT;
  const key = target === undefined ? undefined : { ...target, namespace };
  const response = await withConnection(invocation, (connection) =>
    connection.call(connection.rules, connection.rules.history, { limit, before, key }),
  );
  const revisions = response.revisions.map(revisionView);
  await emit(invocation, { revisions: revisions.map(revisionJson) }, (paint) =>
    revisions.length === 0 ? ["No revisions."] : tableLines(revisionColumns(invocation), revisions, paint),
  );
  return EXIT.done;
}

/** The stable JSON shape of a revision. */
export function revisionJson(revision: RevisionView): Omit<RevisionView, "atMs"> {
  const { atMs: _, ...rest } = revision;
  return rest;
}

/** The columns of a table of revisions; `describe` shows one too. */
export function revisionColumns(invocation: Invocation): Column<RevisionView>[] {
  const now = invocation.shell.clock.wall();
  const isWide = invocation.output === "wide";
  const cell = (header: string, text: (revision: RevisionView) => string): Column<RevisionView> => ({
    header,
    cell: text,
  });
  return [
    cell("REVISION", (revision) => String(revision.revision)),
    cell("AGE", (revision) => ageOf(revision.atMs, now)),
    ...(isWide ? [cell("AT", (revision) => revision.at)] : []),
    cell("AUTHOR", (revision) => revision.author),
    cell("CAUSE", (revision) => revision.cause),
    isWide ? cell("DOCUMENTS", documentsText) : cell("CHANGES", countsText),
    cell("MESSAGE", (revision) => revision.message),
  ];
}

function countsText(revision: RevisionView): string {
  const { created, configured, deleted } = countChanges(revision.changes);
  const parts = [
    [created, "created"],
    [configured, "configured"],
    [deleted, "deleted"],
  ] as const;
  return parts
    .filter(([count]) => count > 0)
    .map(([count, word]) => `${count} ${word}`)
    .join(", ");
}

function documentsText(revision: RevisionView): string {
  return revision.changes.map((change) => `${keyTitle(change)} ${change.operation}`).join("; ");
}
