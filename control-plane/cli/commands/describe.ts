// weft describe: one document with its history and the services it acts on; for services also their endpoints
// and callers, whether or not a document defines them.
import { type RevisionView, revisionView } from "../../view/change.ts";
import { type DocumentView, documentView } from "../../view/document.ts";
import {
  type EndpointView,
  endpointView,
  type ServiceView,
  type SidecarView,
  serviceView,
  sidecarView,
} from "../../view/fleet.ts";
import { keyTitle } from "../../view/key.ts";
import type { Invocation } from "../command.ts";
import { type Connection, withConnection } from "../connection.ts";
import { emit } from "../emit.ts";
import { CliFailure, EXIT, type ExitCode } from "../failure.ts";
import { NAMESPACE_DEFAULT } from "../options.ts";
import { formatAge } from "../print/age.ts";
import { fieldLines, indented } from "../print/fields.ts";
import { tableLines } from "../print/table.ts";
import type { Paint } from "../print/text.ts";
import { parseTarget } from "../targets.ts";
import { endpointColumns } from "./endpoints.ts";
import { revisionColumns, revisionJson } from "./history.ts";

const REVISIONS_SHOWN = 5;

interface Description {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** Undefined for a service that exists only because a sidecar runs. */
  readonly document: DocumentView | undefined;
  readonly history: readonly RevisionView[];
  /** The service itself, or the services that the document acts on. */
  readonly services: readonly ServiceView[];
  /** Of a service. */
  readonly endpoints: readonly EndpointView[];
  /** Sidecars that send requests to the service. */
  readonly callers: readonly SidecarView[];
}

export async function describe(invocation: Invocation): Promise<ExitCode> {
  const { kind, name } = parseTarget(invocation.args);
  const key = { kind, namespace: invocation.namespace ?? NAMESPACE_DEFAULT, name };
  const description = await withConnection(invocation, (connection) => collect(connection, key));
  const yaml = await import("../print/yaml.ts");
  await emit(invocation, descriptionJson(description), (paint) =>
    descriptionLines(invocation, description, yaml.yamlText, paint),
  );
  return EXIT.done;
}

async function collect(
  connection: Connection,
  key: { kind: string; namespace: string; name: string },
): Promise<Description> {
  const { rules } = connection;
  const fleet = await connection.fleet();
  const [document, { revisions }, { services }] = await Promise.all([
    storedDocument(connection, key),
    connection.call(rules, rules.history, { limit: REVISIONS_SHOWN, before: 0, key }),
    connection.call(fleet, fleet.listServices, { namespace: "" }),
  ]);
  const isService = key.kind === "Service";
  const title = keyTitle(key);
  const related = services
    .map(serviceView)
    .filter((service) => (isService ? isNamed(service, key) : service.documents.includes(title)));
  if (document === undefined && (!isService || related.length === 0)) {
    throw new CliFailure("not-found", `no ${key.kind} named ${key.name} in namespace ${key.namespace}`, {
      next: [`see what there is with: weft get ${key.kind.toLowerCase()} -A`],
    });
  }
  const facts = isService ? await serviceFacts(connection, key) : { endpoints: [], callers: [] };
  return { ...key, document, history: revisions.map(revisionView), services: related, ...facts };
}

async function storedDocument(
  connection: Connection,
  key: { kind: string; namespace: string; name: string },
): Promise<DocumentView | undefined> {
  try {
    const { document } = await connection.call(connection.rules, connection.rules.get, { key });
    return document === undefined ? undefined : documentView(document);
  } catch (error) {
    if (error instanceof CliFailure && error.code === "not-found") return undefined;
    throw error;
  }
}

async function serviceFacts(
  connection: Connection,
  key: { namespace: string; name: string },
): Promise<Pick<Description, "endpoints" | "callers">> {
  const fleet = await connection.fleet();
  const [{ endpoints }, { sidecars }] = await Promise.all([
    connection.call(fleet, fleet.listEndpoints, { namespace: key.namespace, service: key.name }),
    connection.call(fleet, fleet.listSidecars, { namespace: "" }),
  ]);
  const service = `${key.namespace}/${key.name}`;
  return {
    endpoints: endpoints.map(endpointView),
    callers: sidecars.map(sidecarView).filter((sidecar) => sidecar.subscriptions.includes(service)),
  };
}

function isNamed(service: ServiceView, key: { namespace: string; name: string }): boolean {
  return service.name === key.name && service.namespace === key.namespace;
}

function descriptionJson(description: Description): unknown {
  const { kind, namespace, name, document, history, services, endpoints, callers } = description;
  return {
    kind,
    namespace,
    name,
    ...(document === undefined
      ? {}
      : { document: document.body, revision: document.revision, updatedAtMs: document.updatedAtMs }),
    services,
    ...(kind === "Service" ? { endpoints, callers } : {}),
    history: history.map(revisionJson),
  };
}

function descriptionLines(
  invocation: Invocation,
  description: Description,
  yamlText: (value: unknown) => string,
  paint: Paint,
): string[] {
  const { document, endpoints, callers, history } = description;
  const section = (title: string, lines: readonly string[]): string[] =>
    lines.length === 0 ? [] : ["", `${title}:`, ...indented(lines)];
  const table = <Row>(columns: Parameters<typeof tableLines<Row>>[0], rows: readonly Row[]): string[] =>
    rows.length === 0 ? [] : tableLines(columns, rows, paint);
  const spec =
    document === undefined
      ? []
      : yamlText(document.body["spec"] ?? {})
          .trimEnd()
          .split("\n");
  return [
    ...headLines(invocation, description),
    ...section("Spec", spec),
    ...section("Endpoints", table(endpointColumns(invocation), endpoints)),
    ...section(
      "Callers",
      callers.map((sidecar) => `${sidecar.namespace}/${sidecar.service} ${sidecar.id} ${sidecar.state}`),
    ),
    ...section("History", table(revisionColumns(invocation), history)),
  ];
}

function headLines(invocation: Invocation, description: Description): string[] {
  const { document, kind, services } = description;
  const now = invocation.shell.clock.wall();
  const moment = (ms: number): string => (ms <= 0 ? "" : `${new Date(ms).toISOString()} (${formatAge(now - ms)} ago)`);
  const serviceLines = services.map(serviceText);
  return fieldLines([
    ["Name", description.name],
    ["Namespace", description.namespace],
    ["Kind", kind],
    ["API version", document?.apiVersion ?? ""],
    ["Defined by", document === undefined ? "running sidecars (no Service document)" : ""],
    ["Labels", mapLines(document?.body, "labels")],
    ["Annotations", mapLines(document?.body, "annotations")],
    ["Revision", document === undefined ? "" : String(document.revision)],
    ["Created", moment(document?.createdAtMs ?? 0)],
    ["Updated", moment(document?.updatedAtMs ?? 0)],
    [kind === "Service" ? "Service" : "Acts on", serviceLines.length === 0 ? "no known service" : serviceLines],
    ["Rules", kind === "Service" ? services.flatMap((service) => service.documents) : []],
  ]);
}

function serviceText(service: ServiceView): string {
  const ports = service.ports.map(({ port, protocol }) => `${port}/${protocol}`).join(",");
  const versions = service.versions.length === 0 ? "" : `, versions ${service.versions.join(", ")}`;
  const ready = `${service.readyEndpoints}/${service.endpoints} endpoints ready`;
  return `${service.namespace}/${service.name} ${ports}, ${ready}${versions}`;
}

function mapLines(body: Readonly<Record<string, unknown>> | undefined, field: string): string[] {
  const metadata = body?.["metadata"];
  if (typeof metadata !== "object" || metadata === null) return [];
  const map: unknown = (metadata as Readonly<Record<string, unknown>>)[field];
  if (typeof map !== "object" || map === null) return [];
  return Object.entries(map).map(([name, value]) => `${name}=${String(value)}`);
}
