// The rules service: reads and changes documents as revisions. Thin: plans come from apply.ts and the rulebook.
import { status } from "@grpc/grpc-js";
import type * as wire from "../../proto/gen/weft/v1/rules.ts";
import { canonicalJson } from "../../rules/canonical.ts";
import { type DocumentKey, formatDiagnostic } from "../../rules/diagnostic.ts";
import { documentTitle } from "../../rules/document.ts";
import { loadDocuments } from "../../rules/load.ts";
import type { Log } from "../../runtime/log.ts";
import * as limits from "../limits.ts";
import type { CommitDetails, Committed, CurrentDocument, PlannedChange, Rulebook } from "../store/rulebook.ts";
import { type ApplyPlan, planApply } from "./apply.ts";
import { ApiError, StreamWriter, unary } from "./call.ts";
import type { PruneScope } from "./inspect.ts";
import { wireChange, wireDiagnostic, wireDocument, wireOperation, wireRevision } from "./wire.ts";

const DEFAULT_NAMESPACE = "default";

export interface RulesServiceOptions {
  readonly rulebook: Rulebook;
  /** Services that exist because workloads do, now. */
  readonly impliedServices: () => ReadonlySet<string>;
  readonly log: Log;
}

export function createRulesService({ rulebook, impliedServices, log }: RulesServiceOptions): wire.RulesServiceServer {
  const plan = (request: ScopedSources, strict: boolean): Promise<ApplyPlan> =>
    planApply(rulebook, impliedServices(), {
      ...{ sources: request.sources, strict },
      ...{ namespace: request.namespace || DEFAULT_NAMESPACE, prune: pruneScope(request) },
    });
  const commit = (changes: readonly PlannedChange[], cause: CommitDetails["cause"], request: Told) =>
    rulebook.commit(changes, { cause, ...boundedDetails(request) });
  return {
    apply: unary(log, (request) =>
      rulebook.exclusively(async () => {
        const { changes, diagnostics, isAcceptable } = await plan(request, request.strict);
        const isCommitted = isAcceptable && !request.dryRun;
        const revision = isCommitted ? await commit(changes, "apply", request) : rulebook.revision;
        return {
          accepted: isAcceptable,
          revision,
          changes: changes.map((change) => wireChange(change, request.dryRun)),
          diagnostics: diagnostics.map(wireDiagnostic),
        };
      }),
    ),
    diff: unary(log, async (request) => {
      const { changes, diagnostics } = await plan(request, false);
      return {
        revision: rulebook.revision,
        changes: changes.map((change) => wireChange(change, true)),
        diagnostics: diagnostics.map(wireDiagnostic),
      };
    }),
    get: unary(log, ({ key }) => ({ document: wireDocument(existing(rulebook, requireKey(key))) })),
    list: unary(log, async ({ kind, namespace, revision }) => {
      const documents = await rulebook.at(revision === 0 ? rulebook.revision : revision);
      return {
        documents: documents.filter(matching(kind, namespace)).sort(byTitle).map(wireDocument),
        revision: revision === 0 ? rulebook.revision : revision,
      };
    }),
    watch: (call) => watch(rulebook, call.request, new StreamWriter(call)),
    delete: unary(log, (request) =>
      rulebook.exclusively(async () => {
        const changes = rulebook.planDelete(documentsToDelete(rulebook, request));
        const revision = await commit(changes, "delete", request);
        return { revision, changes: changes.map((change) => wireChange(change, false)) };
      }),
    ),
    history: unary(log, async ({ limit, before, key }) => {
      const revisions = await rulebook.history({
        limit: Math.min(limit === 0 ? limits.HISTORY_DEFAULT : limit, limits.HISTORY_MAX),
        before: before === 0 ? undefined : before,
        key: key === undefined ? undefined : requireKey(key),
      });
      return { revisions: revisions.map(wireRevision) };
    }),
    rollback: unary(log, (request) =>
      rulebook.exclusively(async () => {
        const changes = await planRollback(rulebook, request.to);
        const told = { ...request, message: request.message || `rollback to revision ${request.to}` };
        const revision = request.dryRun ? rulebook.revision : await commit(changes, "rollback", told);
        return { revision, changes: changes.map((change) => wireChange(change, request.dryRun)) };
      }),
    ),
  };
}

interface ScopedSources {
  readonly sources: wire.Source[];
  readonly namespace: string;
  readonly prune: boolean;
  readonly pruneAllNamespaces: boolean;
}

/** Who changed something and why. */
interface Told {
  readonly author: string;
  readonly message: string;
}

function pruneScope({ prune, pruneAllNamespaces }: ScopedSources): PruneScope {
  if (!prune) return "nothing";
  return pruneAllNamespaces ? "everything" : "namespace";
}

function boundedDetails({ author, message }: Told): Told {
  if (author.length > limits.AUTHOR_CHARACTERS_MAX)
    throw new ApiError(status.INVALID_ARGUMENT, `author is longer than ${limits.AUTHOR_CHARACTERS_MAX} characters`);
  if (message.length > limits.MESSAGE_CHARACTERS_MAX)
    throw new ApiError(status.INVALID_ARGUMENT, `message is longer than ${limits.MESSAGE_CHARACTERS_MAX} characters`);
  return { author, message };
}

function requireKey(key: wire.DocumentKey | undefined): DocumentKey {
  if (key === undefined || key.kind === "" || key.name === "")
    throw new ApiError(status.INVALID_ARGUMENT, "a key needs a kind and a name");
  return { kind: key.kind, namespace: key.namespace || DEFAULT_NAMESPACE, name: key.name };
}

function existing(rulebook: Rulebook, key: DocumentKey): CurrentDocument {
  const document = rulebook.get(key);
  if (document === undefined) throw new ApiError(status.NOT_FOUND, `${documentTitle(key)} does not exist`);
  return document;
}

function documentsToDelete(rulebook: Rulebook, { keys, ignoreMissing }: wire.DeleteRequest): Set<CurrentDocument> {
  if (keys.length === 0) throw new ApiError(status.INVALID_ARGUMENT, "there are no keys to delete");
  const documents = new Set<CurrentDocument>();
  for (const key of keys.map(requireKey)) {
    const document = ignoreMissing ? rulebook.get(key) : existing(rulebook, key);
    if (document !== undefined) documents.add(document);
  }
  return documents;
}

/** What makes the documents what they were. They must still be valid: this version may know better than that one. */
async function planRollback(rulebook: Rulebook, to: number): Promise<PlannedChange[]> {
  if (to < 1) throw new ApiError(status.INVALID_ARGUMENT, "to must be a revision, 1 or more");
  const wanted = await rulebook.at(to);
  const put = rulebook.planPut(wanted.map(({ document }) => document)).filter(isChange);
  const kept = new Set(wanted.map(({ key }) => documentTitle(key)));
  const gone = [...rulebook.documents.values()].filter(({ key }) => !kept.has(documentTitle(key)));
  refuseInvalid(put);
  return [...put, ...rulebook.planDelete(gone)];
}

function refuseInvalid(changes: readonly PlannedChange[]): void {
  const sources = changes.map(({ key, after }) => ({
    name: documentTitle(key),
    content: canonicalJson(after?.document),
  }));
  const { diagnostics } = loadDocuments(sources, { defaultNamespace: DEFAULT_NAMESPACE });
  const error = diagnostics.find(({ severity }) => severity === "error");
  if (error !== undefined)
    throw new ApiError(status.FAILED_PRECONDITION, `that revision is not valid any more: ${formatDiagnostic(error)}`);
}

function isChange({ operation }: PlannedChange): boolean {
  return operation !== "unchanged";
}

/** The current documents, then every change. Both are taken in one turn, so that nothing falls between them. */
function watch(rulebook: Rulebook, request: wire.WatchRequest, writer: StreamWriter<wire.WatchResponse>): void {
  const isWanted = matching(request.kind, request.namespace);
  const eventOf = (revision: number, operation: PlannedChange["operation"], document: CurrentDocument) => ({
    ...{ revision, operation: wireOperation(operation), initialListDone: false },
    document: wireDocument(document),
  });
  const { revision, documents } = rulebook;
  for (const document of [...documents.values()].filter(isWanted).sort(byTitle))
    writer.write(eventOf(revision, "create", document));
  const operation = wireOperation("unchanged");
  writer.write({ revision, operation, document: undefined, initialListDone: true });
  const unfollow = rulebook.onCommit((committed: Committed) => {
    for (const { operation, key, before } of committed.changes) {
      const document = rulebook.get(key) ?? before;
      if (document !== undefined && isWanted(document)) writer.event(eventOf(committed.revision, operation, document));
    }
  });
  writer.onEnd(unfollow);
}

function matching(kind: string, namespace: string): (document: CurrentDocument) => boolean {
  return ({ key }) => (kind === "" || key.kind === kind) && (namespace === "" || key.namespace === namespace);
}

function byTitle(a: CurrentDocument, b: CurrentDocument): number {
  const [left, right] = [documentTitle(a.key), documentTitle(b.key)];
  return left < right ? -1 : left > right ? 1 : 0;
}
