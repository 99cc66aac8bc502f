// weft delete: documents by name or by the files that define them, as one revision.
import type { DocumentKey } from "../../../proto/gen/weft/v1/rules.ts";
import { changeView } from "../../view/change.ts";
import { author } from "../author.ts";
import { reportChanges } from "../change-report.ts";
import type { Invocation } from "../command.ts";
import { withConnection } from "../connection.ts";
import { type ExitCode, usageFailure } from "../failure.ts";
import { looksLikeFile } from "../hints.ts";
import { NAMESPACE_DEFAULT } from "../options.ts";
import { parseTargets } from "../targets.ts";
import { checkWaitFlag } from "../wait-flag.ts";

export async function deleteDocuments(invocation: Invocation): Promise<ExitCode> {
  const { flags, shell } = invocation;
  checkWaitFlag(flags);
  const keys = await keysOf(invocation);
  return withConnection(invocation, async (connection) => {
    const response = await connection.call(connection.rules, connection.rules.delete, {
      keys,
      message: flags.text("message") ?? "",
      author: author(shell),
      ignoreMissing: flags.has("ignoreNotFound"),
    });
    return reportChanges(invocation, connection, {
      revision: response.revision,
      isDryRun: false,
      changes: response.changes.map(changeView),
      diagnostics: [],
    });
  });
}

async function keysOf(invocation: Invocation): Promise<DocumentKey[]> {
  const { args, flags, shell } = invocation;
  const namespace = invocation.namespace ?? NAMESPACE_DEFAULT;
  const paths = flags.texts("filename");
  if (paths.length > 0 && args.length > 0) throw usageFailure("expected either KIND NAME or -f, not both");
  if (paths.length > 0) {
    const [{ readSources }, { documentKeys }] = await Promise.all([
      import("../sources.ts"),
      import("../document-keys.ts"),
    ]);
    const sources = await readSources(paths, { recursive: flags.has("recursive"), shell });
    return sources.flatMap((source) => documentKeys(source, namespace));
  }
  const file = args.find(looksLikeFile);
  if (file !== undefined) throw usageFailure(`"${file}" is no document`, `did you mean: weft delete -f ${file}`);
  const targets = args.length === 0 ? [] : parseTargets(args);
  const keys = targets.flatMap(({ kind, names }) => names.map((name) => ({ kind, namespace, name })));
  if (keys.length === 0 || targets.some(({ names }) => names.length === 0)) {
    throw usageFailure("expected what to delete: KIND NAME... or -f FILE");
  }
  return keys;
}
