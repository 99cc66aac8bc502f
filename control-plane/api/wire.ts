// The control plane's values in the shapes of the wire contract, and back. No decisions.
import type { Nack } from "../../proto/gen/weft/v1/discovery.ts";
import {
  Operation,
  Severity,
  type Change as WireChange,
  type Diagnostic as WireDiagnostic,
  type Document as WireDocument,
  type DocumentKey as WireKey,
  type Revision as WireRevision,
} from "../../proto/gen/weft/v1/rules.ts";
import type { Diagnostic, DocumentKey } from "../../rules/diagnostic.ts";
import type { Refusal } from "../push/sidecar-queue.ts";
import type { RevisionRecord } from "../store/contract.ts";
import type { CurrentDocument, PlannedChange } from "../store/rulebook.ts";

const OPERATIONS = {
  create: Operation.OPERATION_CREATE,
  update: Operation.OPERATION_UPDATE,
  delete: Operation.OPERATION_DELETE,
  unchanged: Operation.OPERATION_UNCHANGED,
} as const satisfies Record<PlannedChange["operation"], Operation>;

export function wireOperation(operation: PlannedChange["operation"]): Operation {
  return OPERATIONS[operation];
}

export function wireDocument({
  key,
  document,
  body,
  revision,
  createdAtMs,
  updatedAtMs,
}: CurrentDocument): WireDocument {
  return {
    key: wireKey(key),
    apiVersion: document.apiVersion,
    body: Buffer.from(body),
    ...{ revision, createdAtMs, updatedAtMs },
  };
}

export function wireKey({ kind, namespace, name }: DocumentKey): WireKey {
  return { kind, namespace, name };
}

/** `withBodies`: for diffs and dry runs; an apply's answer does not repeat what was sent. */
export function wireChange({ operation, key, before, after }: PlannedChange, withBodies: boolean): WireChange {
  const body = (text: string | undefined) => Buffer.from(withBodies && text !== undefined ? text : "");
  return {
    operation: OPERATIONS[operation],
    key: wireKey(key),
    before: body(before?.body),
    after: body(after?.body),
  };
}

export function wireRevision({ changes, ...revision }: RevisionRecord): WireRevision {
  const none = Buffer.alloc(0);
  return {
    ...revision,
    changes: changes.map(({ operation, key }) => ({
      ...{ operation: OPERATIONS[operation], key: wireKey(key) },
      ...{ before: none, after: none },
    })),
  };
}

export function wireDiagnostic({ severity, document, ...rest }: Diagnostic): WireDiagnostic {
  return {
    ...rest,
    severity: severity === "error" ? Severity.SEVERITY_ERROR : Severity.SEVERITY_WARNING,
    document: document === undefined ? undefined : wireKey(document),
  };
}

export function wireRefusal(refusal: Refusal | undefined): Nack | undefined {
  return refusal === undefined ? undefined : { ...refusal };
}
