// What is stored and acts on nothing in this version: whoever applies a rule about who may call what has to hear that
// everybody still may.
import type { Document } from "../document.ts";
import type { FieldPath } from "../field-path.ts";
import type { HTTPRouteSpec } from "../schema/http-route.ts";
import type { MeshSpec } from "../schema/mesh.ts";
import type { CheckFinding } from "./finding.ts";

/** Warnings about one document. */
export function checkInert(document: Document): CheckFinding[] {
  return inertFields(document).map((path) => ({
    document,
    severity: "warning",
    path,
    message: `${path.length === 1 ? document.kind : path.at(-1)} has no effect in this version: it is stored, and nothing acts on it`,
  }));
}

function inertFields({ kind, spec }: Document): FieldPath[] {
  switch (kind) {
    case "Authorization":
    case "Authentication":
      return [["kind"]];
    case "Mesh":
      return ((spec as MeshSpec).mtls?.mode ?? "off") === "off" ? [] : [["spec", "mtls"]];
    case "HTTPRoute":
    case "GRPCRoute":
      return ((spec as Pick<HTTPRouteSpec, "rules">).rules ?? []).flatMap(({ sessionPersistence }, index) =>
        sessionPersistence === undefined ? [] : [["spec", "rules", index, "sessionPersistence"]],
      );
    default:
      return [];
  }
}
