// weft __complete: names for the completion scripts, one a line. Silent: a shell that is completing has no use for an
// error.
import type { Invocation } from "../command.ts";
import { type Connection, withConnection } from "../connection.ts";
import { CliFailure, EXIT, type ExitCode } from "../failure.ts";
import { resolveKind } from "../kinds.ts";
import { NAMESPACE_DEFAULT } from "../options.ts";

/** A person at a shell waits no longer. Not shorter: a busy machine, or a control plane far away, takes seconds for many names. */
const TIMEOUT_MS = 5_000;
/** More than this is no help to anyone. */
const NAMES_MAX = 500;

export async function complete(invocation: Invocation): Promise<ExitCode> {
  try {
    const names = await withConnection(invocation, (connection) => namesOf(invocation, connection));
    const prefix = invocation.flags.text("prefix") ?? "";
    const unique = [...new Set(names)]
      .filter((name) => name.startsWith(prefix))
      .sort()
      .slice(0, NAMES_MAX);
    if (unique.length > 0) invocation.shell.stdout.write(`${unique.join("\n")}\n`);
  } catch (error) {
    if (!(error instanceof CliFailure)) throw error;
  }
  return EXIT.done;
}

async function namesOf(invocation: Invocation, connection: Connection): Promise<string[]> {
  const [what, kind = ""] = invocation.args;
  const namespace = invocation.namespace ?? NAMESPACE_DEFAULT;
  switch (what) {
    case "documents":
      return documentNames(connection, resolveKind(kind), namespace);
    case "services":
      return serviceNames(connection, namespace);
    case "namespaces":
      return namespaces(connection);
    case "revisions":
      return revisions(connection);
    default:
      return [];
  }
}

async function documentNames(connection: Connection, kind: string, namespace: string): Promise<string[]> {
  const request = { kind, namespace, revision: 0 };
  const { documents } = await connection.call(connection.rules, connection.rules.list, request, TIMEOUT_MS);
  return documents.map((document) => document.key?.name ?? "");
}

async function serviceNames(connection: Connection, namespace: string): Promise<string[]> {
  const fleet = await connection.fleet();
  const { services } = await connection.call(fleet, fleet.listServices, { namespace }, TIMEOUT_MS);
  return services.map((service) => service.name);
}

async function namespaces(connection: Connection): Promise<string[]> {
  const fleet = await connection.fleet();
  const { services } = await connection.call(fleet, fleet.listServices, { namespace: "" }, TIMEOUT_MS);
  return services.map((service) => service.namespace);
}

async function revisions(connection: Connection): Promise<string[]> {
  const request = { limit: 50, before: 0, key: undefined };
  const response = await connection.call(connection.rules, connection.rules.history, request, TIMEOUT_MS);
  return response.revisions.map(({ revision }) => String(revision));
}
