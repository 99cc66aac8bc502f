// weft validate: the checks of apply on this machine, without a control plane. Which services run is not known here, so
// references to services are not checked: `weft apply --dry-run` does.
import { checkDocuments } from "../../../rules/check.ts";
import { documentKey } from "../../../rules/document.ts";
import { loadDocuments } from "../../../rules/load.ts";
import { hasErrors, ruleDiagnosticView } from "../../view/diagnostic.ts";
import { keyTitle } from "../../view/key.ts";
import type { Invocation } from "../command.ts";
import { emit, stderrPaint } from "../emit.ts";
import { CliFailure, EXIT, type ExitCode } from "../failure.ts";
import { NAMESPACE_DEFAULT } from "../options.ts";
import { writeDiagnostics } from "../print/diagnostics.ts";
import { counted } from "../print/text.ts";
import { readSources } from "../sources.ts";

export async function validate(invocation: Invocation): Promise<ExitCode> {
  const { flags, shell } = invocation;
  const files = await readSources(flags.texts("filename"), { recursive: flags.has("recursive"), shell });
  const sources = files.map(({ name, content }) => ({ name, content: textOf(name, content) }));
  const loaded = loadDocuments(sources, { defaultNamespace: invocation.namespace ?? NAMESPACE_DEFAULT });
  const documents = loaded.documents.map(({ document }) => document);
  const findings = [
    ...loaded.diagnostics,
    ...checkDocuments({ documents, changed: loaded.documents, impliedServices: undefined }),
  ].map(ruleDiagnosticView);
  if (documents.length + findings.length === 0)
    throw new CliFailure("invalid-rules", "there are no documents in the input");
  const isStrict = flags.has("strict");
  if (hasErrors(findings))
    throw new CliFailure("invalid-rules", "the documents have errors", { diagnostics: findings });
  if (isStrict && findings.length > 0) {
    throw new CliFailure("invalid-rules", "with --strict, warnings are errors", { diagnostics: findings });
  }
  writeDiagnostics(findings, shell.stderr, stderrPaint(shell));
  const keys = documents.map((document) => documentKey(document));
  await emit(invocation, { valid: true, documents: keys, diagnostics: findings }, () => [
    ...(invocation.output === "wide" ? keys.map((key) => `${keyTitle(key)} valid`) : []),
    `${counted(keys.length, "document")} valid, ${counted(findings.length, "warning")}`,
  ]);
  return EXIT.done;
}

function textOf(name: string, content: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(content);
  } catch {
    throw new CliFailure("invalid-rules", `${name}: is not UTF-8 text`);
  }
}
