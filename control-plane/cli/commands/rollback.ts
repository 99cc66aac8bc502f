// weft rollback: the documents as they were at a revision, as a new revision.
import { changeView } from "../../view/change.ts";
import { author } from "../author.ts";
import { reportChanges } from "../change-report.ts";
import type { Invocation } from "../command.ts";
import { withConnection } from "../connection.ts";
import { type ExitCode, usageFailure } from "../failure.ts";
import { checkWaitFlag } from "../wait-flag.ts";

export async function rollback(invocation: Invocation): Promise<ExitCode> {
  const { flags, shell } = invocation;
  const to = flags.count("to", 1);
  if (to === undefined) throw usageFailure("--to REVISION is missing", "see the revisions with: weft history");
  const isDryRun = flags.has("dryRun");
  checkWaitFlag(flags);
  return withConnection(invocation, async (connection) => {
    const response = await connection.call(connection.rules, connection.rules.rollback, {
      to,
      message: flags.text("message") ?? "",
      author: author(shell),
      dryRun: isDryRun,
    });
    return reportChanges(invocation, connection, {
      revision: response.revision,
      isDryRun,
      changes: response.changes.map(changeView),
      diagnostics: [],
    });
  });
}
