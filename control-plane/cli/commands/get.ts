// weft get: stored documents as a table, or as the text that applies again unchanged.
import type { Document, ListRequest } from "../../../proto/gen/weft/v1/rules.ts";
import { byKey, type DocumentView, documentView } from "../../view/document.ts";
import type { Invocation } from "../command.ts";
import { type Connection, withConnection } from "../connection.ts";
import { isForPeople, writeLines } from "../emit.ts";
import { CliFailure, EXIT, type ExitCode } from "../failure.ts";
import { didYouMean } from "../kinds.ts";
import { NAMESPACE_DEFAULT } from "../options.ts";
import { ageOf } from "../print/age.ts";
import { type Column, tableLines } from "../print/table.ts";
import { painter } from "../print/text.ts";
import { parseTargets, type Targets } from "../targets.ts";

/** As a revision of ListRequest. */
const NOW = 0;

export async function get(invocation: Invocation): Promise<ExitCode> {
  const targets = parseTargets(invocation.args);
  const documents = await withConnection(invocation, (connection) => fetchDocuments(invocation, connection, targets));
  await print(invocation, documents, targets);
  return EXIT.done;
}

/** Empty means every namespace. */
function namespaceOf(invocation: Invocation): string {
  return invocation.flags.has("allNamespaces") ? "" : (invocation.namespace ?? NAMESPACE_DEFAULT);
}

async function fetchDocuments(
  invocation: Invocation,
  connection: Connection,
  targets: Targets,
): Promise<DocumentView[]> {
  const namespace = namespaceOf(invocation);
  const revision = invocation.flags.count("revision", 1) ?? NOW;
  const listed = await Promise.all(
    targets.map(async ({ kind, names }) => {
      const request = { kind, namespace, revision };
      const documents = await list(connection, request);
      return names.length === 0 ? documents : pick(documents, names, request);
    }),
  );
  return listed.flat();
}

async function list(connection: Connection, request: ListRequest): Promise<DocumentView[]> {
  const { documents } = await connection.call(connection.rules, connection.rules.list, request);
  return documents.map((document: Document) => documentView(document)).sort(byKey);
}

function pick(documents: readonly DocumentView[], names: readonly string[], request: ListRequest) {
  const { kind, namespace, revision } = request;
  return names.flatMap((name) => {
    const found = documents.filter((document) => document.name === name);
    if (found.length > 0) return found;
    const when = revision === NOW ? "" : ` at revision ${revision}`;
    const where = (namespace === "" ? "any namespace" : `namespace ${namespace}`) + when;
    const hint = didYouMean(
      name,
      documents.map((document) => document.name),
    );
    throw new CliFailure("not-found", `no ${kind} named ${name} in ${where}${hint}`);
  });
}

async function print(invocation: Invocation, documents: readonly DocumentView[], targets: Targets): Promise<void> {
  const { output, shell } = invocation;
  const bodies = documents.map((document) => document.body);
  if (output === "json") {
    shell.stdout.write(`${JSON.stringify(isSingle(targets) ? bodies[0] : asList(bodies), null, 2)}\n`);
  } else if (output === "yaml") {
    const { yamlDocuments } = await import("../print/yaml.ts");
    shell.stdout.write(yamlDocuments(bodies));
  } else if (documents.length > 0) {
    const columns = columnsFor(invocation, targets);
    writeLines(shell.stdout, tableLines(columns, documents, painter(invocation.color)));
  }
  if (documents.length === 0 && isForPeople(invocation)) shell.stderr.write(`${nothingFound(invocation)}\n`);
}

/** True when exactly one document was asked for by name. */
function isSingle(targets: Targets): boolean {
  return targets.length === 1 && targets[0]?.names.length === 1;
}

function asList(items: readonly unknown[]): unknown {
  return { apiVersion: "v1", kind: "List", items };
}

function nothingFound(invocation: Invocation): string {
  const namespace = namespaceOf(invocation);
  return namespace === ""
    ? "No documents found."
    : `No documents found in namespace ${namespace} (-A looks into every namespace).`;
}

function columnsFor(invocation: Invocation, targets: Targets): Column<DocumentView>[] {
  const now = invocation.shell.clock.wall();
  const isWide = invocation.output === "wide";
  const isOneKind = targets.length === 1 && targets[0]?.kind !== "";
  return [
    ...(namespaceOf(invocation) === "" ? [column("NAMESPACE", (document) => document.namespace)] : []),
    ...(isOneKind ? [] : [column("KIND", (document) => document.kind)]),
    column("NAME", (document) => document.name),
    column("TARGET", (document) => document.target),
    column("REVISION", (document) => String(document.revision)),
    column("AGE", (document) => ageOf(document.createdAtMs, now)),
    ...(isWide
      ? [
          column("UPDATED", (document) => ageOf(document.updatedAtMs, now)),
          column("APIVERSION", (document) => document.apiVersion),
        ]
      : []),
  ];
}

function column(header: string, cell: (document: DocumentView) => string): Column<DocumentView> {
  return { header, cell };
}
