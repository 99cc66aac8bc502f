// How documents name each other: parentRefs, backendRefs, targetRef. That the named service exists is not looked at here
// (check.ts), for rules may come before their services.
import { z } from "zod";
import { checked, dnsLabel, integer, type Problem, port, quote, subdomain } from "./field.ts";
import { NAME_CHARACTERS_MAX, WEIGHT_MAX } from "./limits.ts";

/** Groups under which a Service may be named: core Kubernetes ("" or its nickname) and Weft's own. */
const SERVICE_GROUPS: ReadonlySet<string> = new Set(["", "core", "weft.mesh"]);

const group = z.string().max(NAME_CHARACTERS_MAX).optional().meta({ description: 'API group; "" for a Service.' });
const kind = (description: string) => z.string().max(63).optional().meta({ description });

/** True when group and kind name a Service. An absent kind is the caller's to judge. */
export function isServiceReference(reference: { group?: string | undefined; kind?: string | undefined }): boolean {
  return (reference.kind ?? "Service") === "Service" && SERVICE_GROUPS.has(reference.group ?? "");
}

function serviceOnly(reference: { group?: string | undefined; kind?: string | undefined }): Problem[] {
  if (reference.kind !== undefined && reference.kind !== "Service") {
    return [
      {
        message: `${quote(reference.kind)} is not a kind that Weft attaches rules to`,
        expected: "Service",
        path: ["kind"],
      },
    ];
  }
  if (SERVICE_GROUPS.has(reference.group ?? "")) return [];
  return [{ message: `${quote(reference.group)} is not the group of Service`, expected: '""', path: ["group"] }];
}

export const parentRef = checked(
  z.strictObject({
    group,
    kind: kind("Always Service: a route in a mesh is attached to the service that is called."),
    namespace: dnsLabel("Namespace of the service (default: the route's own).").optional(),
    name: subdomain("Name of the service."),
    sectionName: z.string().optional().meta({ description: "Not for a Service; use port." }),
    port: port("Only requests to this port of the service (default: every port).").optional(),
  }),
  (reference) => {
    const problems = serviceOnly(reference);
    if (reference.kind === undefined) {
      problems.push({ message: "kind is missing, which in the Gateway API means Gateway", expected: "kind: Service" });
    }
    if (reference.sectionName !== undefined) {
      problems.push({
        message: "a Service has no sections",
        expected: "port, or nothing for every port",
        path: ["sectionName"],
      });
    }
    return problems;
  },
).meta({ description: "The service that the route is attached to." });

export const backendRefFields = {
  group,
  kind: kind("Kind of the backend (default Service)."),
  namespace: dnsLabel("Namespace of the backend (default: the route's own).").optional(),
  name: subdomain("Name of the backend service."),
  port: port("Port of the backend (default: its first port).").optional(),
};

export const backendReference = z.strictObject(backendRefFields).meta({ description: "A service that gets requests." });

export const weight = integer(
  0,
  WEIGHT_MAX,
  "Share of the requests, relative to the sum of weights (default 1).",
).optional();

export const targetRef = checked(
  z.strictObject({
    group,
    kind: kind("Always Service."),
    namespace: dnsLabel("Namespace of the service (default: the document's own).").optional(),
    name: subdomain("Name of the service."),
  }),
  serviceOnly,
).meta({ description: "The service that the policy is for." });

export type ParentRef = z.infer<typeof parentRef>;
export type BackendReference = z.infer<typeof backendReference>;
export type TargetRef = z.infer<typeof targetRef>;
