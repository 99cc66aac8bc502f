// What one route says that can hardly be meant, whatever else exists: weights that sum to zero, backends that are no
// services, conditions and fields without effect.
import type { Document } from "../document.ts";
import type { FieldPath } from "../field-path.ts";
import type { GRPCRouteSpec } from "../schema/grpc-route.ts";
import type { HTTPRouteSpec } from "../schema/http-route.ts";
import { isServiceReference } from "../schema/reference.ts";
import type { CheckFinding } from "./finding.ts";

type Rule = NonNullable<HTTPRouteSpec["rules"] | GRPCRouteSpec["rules"]>[number];

/** Warnings about one HTTPRoute or GRPCRoute. */
export function checkRoute(document: Document): CheckFinding[] {
  const spec = document.spec as HTTPRouteSpec | GRPCRouteSpec;
  const findings = (spec.rules ?? []).flatMap((rule, index) => checkRule(document, rule, ["spec", "rules", index]));
  if (spec.hostnames !== undefined && spec.hostnames.length > 0) {
    findings.push({
      document,
      severity: "warning",
      path: ["spec", "hostnames"],
      message: "hostnames have no effect on a route that is attached to a Service",
      expected: "no hostnames",
    });
  }
  return findings;
}

function checkRule(document: Document, rule: Rule, path: FieldPath): CheckFinding[] {
  return [...checkBackends(document, rule, path), ...checkHeaderNames(document, rule, path)];
}

function checkBackends(document: Document, rule: Rule, path: FieldPath): CheckFinding[] {
  const backends = rule.backendRefs ?? [];
  const findings = backends.flatMap((backend, index): CheckFinding[] => {
    if (isServiceReference(backend)) return [];
    return [
      {
        document,
        severity: "warning",
        path: [...path, "backendRefs", index, "kind"],
        message: `${backend.group === undefined || backend.group === "" ? "" : `${backend.group}/`}${backend.kind ?? "Service"} is not a kind that requests can be sent to: its share of them is answered 500`,
        expected: "Service",
      },
    ];
  });
  if (backends.length > 0 && backends.every((backend) => backend.weight === 0)) {
    findings.push({
      document,
      severity: "warning",
      path: [...path, "backendRefs"],
      message: "all weights are 0: every request is answered 500",
      expected: "a weight above 0",
    });
  }
  return findings;
}

/** Header names are compared without case, and of equal names only the first counts. */
function checkHeaderNames(document: Document, rule: Rule, path: FieldPath): CheckFinding[] {
  return (rule.matches ?? []).flatMap((match, matchIndex) => {
    const seen = new Set<string>();
    return (match.headers ?? []).flatMap(({ name }, index): CheckFinding[] => {
      const lower = name.toLowerCase();
      const repeated = seen.has(lower);
      seen.add(lower);
      if (!repeated) return [];
      return [
        {
          document,
          severity: "warning",
          path: [...path, "matches", matchIndex, "headers", index, "name"],
          message: `"${name}" has no effect: the same header is named before, and case does not count`,
          expected: "each name once",
        },
      ];
    });
  });
}
