// weft apply: sources in, one revision out, and with --wait the fleet's answer to it.
import { changeView } from "../../view/change.ts";
import { type DiagnosticView, diagnosticView, hasErrors } from "../../view/diagnostic.ts";
import { author } from "../author.ts";
import { reportChanges } from "../change-report.ts";
import type { Invocation } from "../command.ts";
import { type Connection, withConnection } from "../connection.ts";
import { CliFailure, type ExitCode } from "../failure.ts";
import { NAMESPACE_DEFAULT } from "../options.ts";
import { readSources } from "../sources.ts";
import { checkWaitFlag } from "../wait-flag.ts";

export async function apply(invocation: Invocation): Promise<ExitCode> {
  const { flags, shell } = invocation;
  checkWaitFlag(flags);
  const sources = await readSources(flags.texts("filename"), { recursive: flags.has("recursive"), shell });
  return withConnection(invocation, (connection) => applySources(invocation, connection, sources));
}

async function applySources(
  invocation: Invocation,
  connection: Connection,
  sources: readonly { name: string; content: Buffer }[],
): Promise<ExitCode> {
  const { flags, namespace, shell } = invocation;
  const isDryRun = flags.has("dryRun");
  const response = await connection.call(connection.rules, connection.rules.apply, {
    sources: [...sources],
    dryRun: isDryRun,
    strict: flags.has("strict"),
    prune: flags.has("prune"),
    namespace: namespace ?? NAMESPACE_DEFAULT,
    pruneAllNamespaces: flags.has("prune") && namespace === undefined,
    message: flags.text("message") ?? "",
    author: author(shell),
  });
  const diagnostics = response.diagnostics.map(diagnosticView);
  if (!response.accepted) throw rejected(diagnostics, flags.has("strict"));
  return reportChanges(invocation, connection, {
    revision: response.revision,
    isDryRun,
    changes: response.changes.map(changeView),
    diagnostics,
  });
}

function rejected(diagnostics: readonly DiagnosticView[], isStrict: boolean): CliFailure {
  const message =
    isStrict && !hasErrors(diagnostics)
      ? "nothing was applied: with --strict, warnings are errors"
      : "nothing was applied: the documents have errors";
  return new CliFailure("invalid-rules", message, { diagnostics });
}
