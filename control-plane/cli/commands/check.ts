// weft check: asks everything the checks need, prints them by group, and fails when one failed.

import type { Document } from "../../../proto/gen/weft/v1/rules.ts";
import { PROGRAM_VERSION } from "../../../runtime/version.ts";
import { type CheckStatus, type CheckView, checkFleet, checkUnreachable, type FleetFacts } from "../../view/check.ts";
import { type DiagnosticView, diagnosticView } from "../../view/diagnostic.ts";
import { serviceView, sidecarView } from "../../view/fleet.ts";
import { keyTitle, keyView } from "../../view/key.ts";
import type { Invocation } from "../command.ts";
import { type Connection, withConnection } from "../connection.ts";
import { emit } from "../emit.ts";
import { CliFailure, EXIT, type ExitCode } from "../failure.ts";
import { healthOf } from "../health.ts";
import { NAMESPACE_DEFAULT } from "../options.ts";
import { counted, type Paint, printable, type Style } from "../print/text.ts";

/** Of the stored documents checked again by one request. */
const BATCH_BYTES_MAX = 1024 * 1024;
const BATCH_DOCUMENTS_MAX = 1_000;

export async function check(invocation: Invocation): Promise<ExitCode> {
  const { checks, exitCode } = await runChecks(invocation);
  const isHealthy = exitCode === EXIT.done;
  await emit(invocation, { healthy: isHealthy, checks }, (paint) => checkLines(checks, paint));
  return exitCode;
}

async function runChecks(invocation: Invocation): Promise<{ checks: CheckView[]; exitCode: ExitCode }> {
  try {
    const checks = checkFleet(await withConnection(invocation, (connection) => gather(invocation, connection)));
    const hasFailed = checks.some(({ status }) => status === "failed");
    return { checks, exitCode: hasFailed ? EXIT.failed : EXIT.done };
  } catch (error) {
    if (!(error instanceof CliFailure) || error.code !== "unreachable") throw error;
    return { checks: checkUnreachable(invocation.server, error.message), exitCode: EXIT.unreachable };
  }
}

async function gather(invocation: Invocation, connection: Connection): Promise<FleetFacts> {
  const fleet = await connection.fleet();
  const [status, health, { sidecars }, { services }, rules] = await Promise.all([
    connection.call(fleet, fleet.status, {}),
    healthOf(connection),
    connection.call(fleet, fleet.listSidecars, { namespace: "" }),
    connection.call(fleet, fleet.listServices, { namespace: "" }),
    checkStoredRules(connection),
  ]);
  return {
    controlPlane: {
      server: invocation.server,
      version: status.programVersion,
      clientVersion: PROGRAM_VERSION,
      health,
      store: status.store,
      data: status.data,
      storeFailure: status.storeFailure,
      storeFailedAtMs: status.storeFailedAtMs,
      revision: status.revision,
    },
    sidecars: sidecars.map(sidecarView),
    services: services.map(serviceView),
    ...rules,
  };
}

/** Applies what is stored once more, as a dry run: the control plane checks it against the fleet of this moment. */
async function checkStoredRules(connection: Connection): Promise<Pick<FleetFacts, "documents" | "findings">> {
  const { rules } = connection;
  const { documents } = await connection.call(rules, rules.list, { kind: "", namespace: "", revision: 0 });
  const findings: DiagnosticView[] = [];
  for (const batch of batches(documents)) {
    const response = await connection.call(rules, rules.apply, {
      sources: batch.map(({ key, body }) => ({ name: keyTitle(keyView(key)), content: Buffer.from(body) })),
      dryRun: true,
      strict: false,
      prune: false,
      namespace: NAMESPACE_DEFAULT,
      pruneAllNamespaces: false,
      message: "",
      author: "",
    });
    findings.push(...response.diagnostics.map(diagnosticView));
  }
  return { documents: documents.length, findings };
}

/** Parts small enough for one request each. What is in no part is still stored, so references stay whole. */
function batches(documents: readonly Document[]): Document[][] {
  const parts: Document[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const document of documents) {
    const last = parts.at(-1);
    if (last === undefined || bytes + document.body.length > BATCH_BYTES_MAX || last.length >= BATCH_DOCUMENTS_MAX) {
      parts.push([document]);
      bytes = document.body.length;
    } else {
      last.push(document);
      bytes += document.body.length;
    }
  }
  return parts;
}

const STATUS_STYLE: Readonly<Record<CheckStatus, Style>> = {
  ok: "green",
  warning: "yellow",
  failed: "red",
  skipped: "dim",
};

function checkLines(checks: readonly CheckView[], paint: Paint): string[] {
  const groups = [...new Set(checks.map(({ group }) => group))];
  const lines = groups.flatMap((group) => [
    paint("bold", group),
    ...checks.filter((check) => check.group === group).flatMap((check) => oneCheckLines(check, paint)),
    "",
  ]);
  return [...lines, summary(checks)];
}

function oneCheckLines({ status, name, details, next }: CheckView, paint: Paint): string[] {
  return [
    `  ${paint(STATUS_STYLE[status], status.padEnd(7))}  ${printable(name)}`,
    ...details.map((detail) => `           ${printable(detail)}`),
    ...(next === "" ? [] : [`           -> ${printable(next)}`]),
  ];
}

function summary(checks: readonly CheckView[]): string {
  const count = (status: CheckStatus): number => checks.filter((check) => check.status === status).length;
  const failed = count("failed");
  const warnings = count("warning");
  if (failed > 0) return `${counted(failed, "check")} failed, ${counted(warnings, "warning")}`;
  return warnings > 0 ? `no check failed, ${counted(warnings, "warning")}` : "everything is healthy";
}
