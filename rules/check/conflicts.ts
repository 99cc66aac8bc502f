// Documents of which only one can act: policies of one service, the Mesh, releases of one service.
import { compareAge } from "../compile/age.ts";
import type { RuleIndex } from "../compile.ts";
import { qualifiedName } from "../diagnostic.ts";
import { type Document, documentKey, documentTitle } from "../document.ts";
import type { TargetRef } from "../schema/reference.ts";
import type { RolloutSpec } from "../schema/rollout.ts";
import type { CheckFinding } from "./finding.ts";

/** Findings about a document that stands beside another of its kind where only one can act. */
export function checkConflicts(document: Document, index: RuleIndex): CheckFinding[] {
  switch (document.kind) {
    case "TrafficPolicy":
      return checkPolicy(document, index);
    case "Mesh":
      return checkMesh(document, index);
    case "Rollout":
      return checkRollout(document, index);
    default:
      return [];
  }
}

function checkPolicy(document: Document, index: RuleIndex): CheckFinding[] {
  const { targetRef } = document.spec as { readonly targetRef: TargetRef };
  const { namespace } = document.metadata;
  const service = qualifiedName(targetRef.namespace ?? namespace, targetRef.name);
  const other = otherOf(document, index.policies.get(service) ?? []);
  if (other === undefined) return [];
  return [
    {
      document,
      severity: "warning",
      path: ["spec", "targetRef", "name"],
      message: `${title(other)} is for ${service} too: only one of them acts, that of the service's own namespace, else the older`,
      expected: "one TrafficPolicy per service",
    },
  ];
}

function checkMesh(document: Document, index: RuleIndex): CheckFinding[] {
  const other = otherOf(document, index.meshes);
  if (other === undefined) return [];
  const [first] = [document, other].sort(compareAge);
  return [
    {
      document,
      severity: "error",
      path: ["metadata", "name"],
      message: `${title(other)} exists already, and only ${first === undefined ? "one" : title(first)} would act`,
      expected: "one Mesh document",
    },
  ];
}

function checkRollout(document: Document, index: RuleIndex): CheckFinding[] {
  const { service } = document.spec as RolloutSpec;
  const other = otherOf(document, index.rollouts.get(qualifiedName(document.metadata.namespace, service)) ?? []);
  if (other === undefined) return [];
  return [
    {
      document,
      severity: "error",
      path: ["spec", "service"],
      message: `${title(other)} shifts the traffic of ${service} already`,
      expected: "one Rollout per service",
    },
  ];
}

function otherOf(document: Document, documents: readonly Document[]): Document | undefined {
  const own = title(document);
  return documents.find((other) => title(other) !== own);
}

function title(document: Document): string {
  return documentTitle(documentKey(document));
}
