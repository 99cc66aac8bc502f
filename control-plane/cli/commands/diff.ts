// weft diff: what an apply would change, as unified diffs of YAML.
import { type ChangeBodyView, changeBodyView } from "../../view/change.ts";
import { diagnosticView, hasErrors } from "../../view/diagnostic.ts";
import { inReadingOrder } from "../../view/document.ts";
import { keyTitle } from "../../view/key.ts";
import type { Invocation } from "../command.ts";
import { withConnection } from "../connection.ts";
import { emit, stderrPaint } from "../emit.ts";
import { CliFailure, EXIT, type ExitCode } from "../failure.ts";
import { NAMESPACE_DEFAULT } from "../options.ts";
import { writeDiagnostics } from "../print/diagnostics.ts";
import type { Paint } from "../print/text.ts";
import { unifiedDiff } from "../print/unified-diff.ts";
import { yamlText } from "../print/yaml.ts";
import { readSources } from "../sources.ts";

export async function diff(invocation: Invocation): Promise<ExitCode> {
  const { flags, namespace, shell } = invocation;
  const sources = await readSources(flags.texts("filename"), { recursive: flags.has("recursive"), shell });
  const response = await withConnection(invocation, (connection) =>
    connection.call(connection.rules, connection.rules.diff, {
      sources: [...sources],
      namespace: namespace ?? NAMESPACE_DEFAULT,
      prune: flags.has("prune"),
      pruneAllNamespaces: flags.has("prune") && namespace === undefined,
    }),
  );
  const diagnostics = response.diagnostics.map(diagnosticView);
  if (hasErrors(diagnostics)) throw new CliFailure("invalid-rules", "the documents have errors", { diagnostics });
  writeDiagnostics(diagnostics, shell.stderr, stderrPaint(shell));
  const changes = response.changes.map(changeBodyView).filter((change) => change.operation !== "unchanged");
  await emit(invocation, { revision: response.revision, changes, diagnostics }, (paint) =>
    changes.flatMap((change) => changeLines(change, paint)),
  );
  return changes.length > 0 && flags.has("exitCode") ? EXIT.failed : EXIT.done;
}

function changeLines(change: ChangeBodyView, paint: Paint): string[] {
  const title = keyTitle(change);
  const lines = unifiedDiff(
    change.before === undefined ? "/dev/null" : `${title} (stored)`,
    change.after === undefined ? "/dev/null" : `${title} (given)`,
    bodyText(change.before),
    bodyText(change.after),
  );
  return lines.map((line) => paintLine(line, paint));
}

function bodyText(body: unknown): string {
  return body === undefined ? "" : yamlText(inReadingOrder(body));
}

function paintLine(line: string, paint: Paint): string {
  if (line.startsWith("---") || line.startsWith("+++")) return paint("bold", line);
  if (line.startsWith("@@")) return paint("cyan", line);
  if (line.startsWith("-")) return paint("red", line);
  return line.startsWith("+") ? paint("green", line) : line;
}
