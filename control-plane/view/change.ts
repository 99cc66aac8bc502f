// What a revision did (or would do) to documents.
import { type Change, Operation, type Revision } from "../../proto/gen/weft/v1/rules.ts";
import { type KeyView, keyView } from "./key.ts";

/** The words of kubectl. */
export type OperationWord = "created" | "configured" | "deleted" | "unchanged";

export interface ChangeView extends KeyView {
  readonly operation: OperationWord;
}

/** A change with the documents before and after it; undefined where there is none. */
export interface ChangeBodyView extends ChangeView {
  readonly before?: unknown;
  readonly after?: unknown;
}

export interface RevisionView {
  readonly revision: number;
  /** RFC 3339. */
  readonly at: string;
  readonly atMs: number;
  readonly author: string;
  readonly message: string;
  readonly cause: string;
  readonly changes: readonly ChangeView[];
}

export interface ChangeCounts {
  readonly created: number;
  readonly configured: number;
  readonly deleted: number;
  readonly unchanged: number;
}

export function changeView(change: Change): ChangeView {
  return { operation: operationWord(change.operation), ...keyView(change.key) };
}

export function changeBodyView(change: Change): ChangeBodyView {
  const before = parseBody(change.before);
  const after = parseBody(change.after);
  return {
    ...changeView(change),
    ...(before === undefined ? {} : { before }),
    ...(after === undefined ? {} : { after }),
  };
}

export function revisionView(revision: Revision): RevisionView {
  return {
    revision: revision.revision,
    at: new Date(revision.atMs).toISOString(),
    atMs: revision.atMs,
    author: revision.author,
    message: revision.message,
    cause: revision.cause,
    changes: revision.changes.map(changeView),
  };
}

export function countChanges(changes: readonly ChangeView[]): ChangeCounts {
  const counts = { created: 0, configured: 0, deleted: 0, unchanged: 0 };
  for (const change of changes) counts[change.operation]++;
  return counts;
}

function operationWord(operation: Operation): OperationWord {
  if (operation === Operation.OPERATION_CREATE) return "created";
  if (operation === Operation.OPERATION_UPDATE) return "configured";
  if (operation === Operation.OPERATION_DELETE) return "deleted";
  return "unchanged";
}

function parseBody(body: Uint8Array): unknown {
  return body.length === 0 ? undefined : JSON.parse(new TextDecoder().decode(body));
}
