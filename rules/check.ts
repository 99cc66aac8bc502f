// What documents mean to each other: the checks at apply that need the whole set. Each document is taken to be valid by
// itself (load.ts). Mostly warnings, since rules may come before the services they name.
import { checkConflicts } from "./check/conflicts.ts";
import type { CheckFinding } from "./check/finding.ts";
import { checkInert } from "./check/inert.ts";
import { checkReferences } from "./check/references.ts";
import { checkRoute } from "./check/route.ts";
import { byTitle, checkAttached } from "./check/shadow.ts";
import { indexDocuments } from "./compile.ts";
import { type Diagnostic, qualifiedName } from "./diagnostic.ts";
import { type Document, documentKey } from "./document.ts";
import { formatPath } from "./field-path.ts";
import type { LoadedDocument } from "./load.ts";
import type { HTTPRouteSpec } from "./schema/http-route.ts";
import { DIAGNOSTICS_MAX } from "./schema/limits.ts";

export interface CheckContext {
  /** Every document as it will be after the apply. */
  readonly documents: readonly Document[];
  /** Those of the apply: findings are about these. */
  readonly changed: readonly LoadedDocument[];
  /** Services (`namespace/name`) that exist because a workload was started for them; undefined: nobody can tell. */
  readonly impliedServices: ReadonlySet<string> | undefined;
  /** Services beside which a sidecar stands that acts on the documents by itself; absent: a control plane has a fleet. */
  readonly ownServices?: ReadonlySet<string>;
}

/**
 * Findings about the changed documents, in their order, at most DIAGNOSTICS_MAX and one that counts the rest.
 * Warnings: services and ports that do not exist, matches that never win, weights that are all zero, fields and kinds without
 * effect, two TrafficPolicies for a service. Errors: a second Mesh, a second Rollout for a service.
 */
export function checkDocuments(context: CheckContext): Diagnostic[] {
  const changed = context.changed.map(({ document }) => document);
  const routes = changed.filter(isRoute);
  const attached = new Set(routes.flatMap(parentServices));
  // Routes are compared though their service may not exist yet.
  const index = indexDocuments(context.documents, new Set([...(context.impliedServices ?? []), ...attached]));
  const known = { documents: index.services, implied: context.impliedServices, own: context.ownServices };
  const titles = byTitle(routes);
  const findings = [
    ...changed.flatMap((document) => [
      ...checkInert(document),
      ...checkReferences(document, known),
      ...checkConflicts(document, index),
    ]),
    ...routes.flatMap(checkRoute),
    ...[...attached].flatMap((service) => checkAttached(index, service, titles)),
  ];
  return locate(findings, context.changed);
}

function isRoute(document: Document): boolean {
  return document.kind === "HTTPRoute" || document.kind === "GRPCRoute";
}

function parentServices(route: Document): string[] {
  const { parentRefs } = route.spec as Pick<HTTPRouteSpec, "parentRefs">;
  return parentRefs.map((parent) => qualifiedName(parent.namespace ?? route.metadata.namespace, parent.name));
}

/** Gives findings their places, in the order of the documents and of their lines. */
function locate(findings: readonly CheckFinding[], changed: readonly LoadedDocument[]): Diagnostic[] {
  const byDocument = Map.groupBy(findings, ({ document }) => document);
  const diagnostics: Diagnostic[] = [];
  for (const loaded of changed) {
    const own = (byDocument.get(loaded.document) ?? []).map((finding) => toDiagnostic(finding, loaded));
    diagnostics.push(...own.sort((a, b) => a.line - b.line || a.column - b.column));
    if (diagnostics.length > DIAGNOSTICS_MAX) break;
  }
  if (findings.length <= DIAGNOSTICS_MAX) return diagnostics;
  const shown = diagnostics.slice(0, DIAGNOSTICS_MAX);
  const rest = findings.length - shown.length;
  // The rest counts as an error if there is one among it, or one would be lost.
  const severity = findings.some((finding) => finding.severity === "error") ? "error" : "warning";
  const file = shown.at(-1)?.file ?? "";
  const counted = { severity, file, line: 0, column: 0, path: "", message: `and ${rest} more`, expected: "" } as const;
  return [...shown, { ...counted, suggestion: "", document: undefined }];
}

function toDiagnostic(finding: CheckFinding, loaded: LoadedDocument): Diagnostic {
  const path = formatPath(finding.path);
  return {
    severity: finding.severity,
    file: loaded.file,
    ...loaded.position(path),
    path,
    message: finding.message,
    expected: finding.expected ?? "",
    suggestion: finding.suggestion ?? "",
    document: documentKey(finding.document),
  };
}
